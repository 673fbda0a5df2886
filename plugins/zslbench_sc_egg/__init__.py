"""SC-EGG (Hong et al., IJCAI 2022): semantic compression embedding guided generation."""

from __future__ import annotations
