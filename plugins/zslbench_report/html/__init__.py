"""``zslbench report``: a suite, or any runs, as one self-contained HTML file.

:mod:`.report` holds what is reported, :mod:`.sections` makes the sections, :mod:`.page` puts them together.
"""
