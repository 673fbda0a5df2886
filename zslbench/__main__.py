"""Entry of the command line, also as ``python -m zslbench``."""

from __future__ import annotations

from zslbench.cli.main import main

if __name__ == "__main__":
    main()
