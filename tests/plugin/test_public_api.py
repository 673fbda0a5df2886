"""First-party plugins use the door that everyone uses: the public API and nothing below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
SOURCES = sorted(PLUGINS.rglob("*.py"))
PUBLIC = {
    "zslbench",
    "zslbench.data",
    "zslbench.errors",
    "zslbench.plugin.interfaces",
    "zslbench.plugin",
    "zslbench.training",
}
"""Documented in CONTRIBUTING.md as what a method may know."""


def imported(path: Path) -> list[tuple[str, str]]:
    """Every (module, name) that a source file imports, however deep in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [(node.module or "", alias.name) for alias in node.names]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PLUGINS)))
def test_plugin_imports_only_the_public_api(path: Path) -> None:
    own = path.relative_to(PLUGINS).parts[0]
    for module, name in imported(path):
        package = module.partition(".")[0]
        if package == "zslbench":
            assert module in PUBLIC, f"imports {module}"
        # Another plugin is open to a plugin as far as that one says what is public.
        assert not (package.startswith("zslbench_") and package != own and name.startswith("_"))
        assert not (package == "zslbench" and name.startswith("_")), f"imports {module}.{name}"


def test_the_scan_sees_imports(tmp_path: Path) -> None:
    source = tmp_path / "x.py"
    source.write_text("def f():\n    from zslbench.store.store import Store\n    import torch\n")
    assert imported(source) == [("zslbench.store.store", "Store"), ("torch", "")]
    assert len(SOURCES) >= 10
