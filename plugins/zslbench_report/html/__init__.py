"""``zslbench report``: a suite, or any runs, as one HTML file that needs nothing else.

:mod:`.gather` says what is reported, :mod:`.page` makes the file; each section is one module in ``sections``
with one template in ``templates/sections``.
"""
