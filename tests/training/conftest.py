"""The tests' own recorder of graphs is named by ``import tape``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "recorders"))
