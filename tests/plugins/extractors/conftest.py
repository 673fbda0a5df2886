"""Fixtures of tiny models."""

from __future__ import annotations

from tiny_models import models, no_network, one_thread  # noqa: F401
