"""``zslbench report``: a suite, or any runs, as one self-contained HTML file.

:mod:`.report` holds what is reported; :mod:`.page` lists the sections, renders them and puts them together.
"""
