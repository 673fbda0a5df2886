"""Acceptance tests drive the installed command. Below ``third_party`` are somebody else's projects."""

from __future__ import annotations

collect_ignore = ["third_party"]
