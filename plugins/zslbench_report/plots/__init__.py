"""Figures of finished runs: where an embedding looks (``attention``), how its features cluster (``tsne``).

The modules here need matplotlib, the extra ``plot``; importing one without it raises ``MissingExtra``.
"""
