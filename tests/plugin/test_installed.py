"""Plugins as files: distributions on the path, their digests, and what loading them costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from zslbench.plugin.discovery import load_registry, registry
from zslbench.plugin.lookup import PluginInfo

Installer = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path) -> Installer:
    """Lay a distribution with one plugin package onto the path ``tmp_path``."""

    def lay(name: str, source: str, **files: str) -> None:
        package = tmp_path / f"{name}_pkg"
        package.mkdir()
        (package / "__init__.py").write_text(textwrap.dedent(source), "utf-8")
        for path, text in files.items():
            (package / path.replace("__", ".")).write_text(text, "utf-8")
        info = tmp_path / f"{name}-2.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.5\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[zslbench]\n{name} = {name}_pkg\n", "utf-8")

    return lay


GOOD = """
    from zslbench import Component, Method, hookimpl

    @hookimpl
    def zslbench_components():
        yield Component(kind="classifier", name="door-good", target="door_good_pkg.model:Model", summary="s")

    @hookimpl
    def zslbench_methods():
        yield Method(name="door-method", embedding="door-nowhere", classifier="door-good", summary="s")
"""


def entries(folder: Path) -> list[Any]:
    found = metadata.distributions(path=[str(folder)])
    return [one for dist in found for one in dist.entry_points if one.group == "zslbench"]


def test_real_distributions(install: Installer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install("door-good".replace("-", "_"), GOOD)
    install("door_exits", "import sys; sys.exit('leaving')")
    install("door_syntax", "def broken(:")
    install("door_wants", "import a_module_that_is_not_there")
    monkeypatch.syspath_prepend(tmp_path)
    found = load_registry(entry_points=entries(tmp_path))
    assert {one.name: (one.distribution, one.version, one.status) for one in found.plugins} == {
        "door_good": ("door_good", "2.5", "ok"),
        "door_exits": ("door_exits", "2.5", "broken"),
        "door_syntax": ("door_syntax", "2.5", "broken"),
        "door_wants": ("door_wants", "2.5", "broken"),
    }
    reasons = {one.name: one.reason for one in found.broken}
    assert reasons["door_exits"] == "importing door_exits_pkg failed: SystemExit: leaving"
    assert reasons["door_syntax"].startswith("importing door_syntax_pkg failed: SyntaxError: ")
    assert "No module named 'a_module_that_is_not_there'" in reasons["door_wants"]
    assert found.component("classifier", "door-good").plugin.origin == "door_good (door_good 2.5)"


def zslbench(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zslbench", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        check=False,
    )


def test_the_command_line_finds_them(install: Installer, tmp_path: Path) -> None:
    install("door_good", GOOD)
    install("door_exits", "import sys; sys.exit('leaving')")
    listed = zslbench(tmp_path, "plugins", "--format", "json")
    assert listed.returncode == 0, listed.stderr
    rows = {row["plugin"]: row for row in json.loads(listed.stdout)}
    assert (rows["door_good"]["status"], rows["door_good"]["distribution"]) == ("ok", "door_good")
    assert rows["door_exits"]["reason"] == "importing door_exits_pkg failed: SystemExit: leaving"

    methods = zslbench(tmp_path, "methods", "--format", "json")
    (row,) = [row for row in json.loads(methods.stdout) if row["method"] == "door-method"]
    assert row["status"] == "missing: embedding 'door-nowhere'"
    assert "plugin 'door_exits' is broken and left out" in methods.stderr

    for strict in (
        zslbench(tmp_path, "--strict-plugins", "methods"),
        zslbench(tmp_path, "methods", ZSLBENCH_STRICT_PLUGINS="1"),
    ):
        assert strict.returncode == 1
        assert strict.stdout == ""
        assert strict.stderr.startswith("Error: ")
        assert "plugin 'door_exits' is broken" in strict.stderr
        assert strict.stderr.count("\n") == 1


def test_our_own_plugins_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert registry() is registry()
    assert all(one.distribution == "zslbench" for one in registry().plugins[:1])


def test_digest_follows_the_sources(
    install: Installer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    install("door_digest", "", cub__toml="[generator]\nlr = 1", notes__txt="free", a__py="x = 1\n")
    folder = tmp_path / "door_digest_pkg"

    def digest(module: str = "door_digest_pkg.deep.er") -> str:
        return PluginInfo("p", module, "d", "1").source_digest

    first = digest()
    assert len(first) == 12
    assert int(first, 16) >= 0
    assert digest("door_digest_pkg") == first
    (folder / "notes.txt").write_text("anything", "utf-8")
    # A preset's values are part of a run's identity by themselves; a new preset must not change old runs.
    (folder / "cub.toml").write_text("[generator]\nlr = 2", "utf-8")
    assert digest() == first
    seen = {first}
    for change in (
        lambda: (folder / "a.py").write_text("x = 2\n", "utf-8"),
        lambda: (folder / "a.py").rename(folder / "b.py"),
        lambda: (folder / "sub").mkdir() or (folder / "sub" / "c.py").touch(),
        lambda: (folder / "b.py").unlink(),
    ):
        change()
        seen.add(digest())
    assert len(seen) == 5


def test_digest_is_kept_once_computed(
    install: Installer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    install("door_kept", "")
    info = PluginInfo("p", "door_kept_pkg")
    first = info.source_digest
    (tmp_path / "door_kept_pkg" / "__init__.py").write_text("x = 1", "utf-8")
    assert info.source_digest == first
    assert PluginInfo("p", "door_kept_pkg").source_digest != first


def test_digest_of_a_module_a_namespace_and_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "door_single.py").write_text("x = 1\n", "utf-8")
    (tmp_path / "door_other.py").write_text("x = 1\n", "utf-8")
    for name in ("ours", "theirs"):
        (tmp_path / "door_space" / name).mkdir(parents=True)
        (tmp_path / "door_space" / name / "__init__.py").write_text(f"# {name}\n", "utf-8")

    def digest(module: str, version: str = "1") -> str:
        return PluginInfo("p", module, "d", version).source_digest

    single, ours = digest("door_single"), digest("door_space.ours")
    (tmp_path / "door_other.py").write_text("x = 2\n", "utf-8")
    (tmp_path / "door_space" / "theirs" / "__init__.py").write_text("# changed\n", "utf-8")
    assert (digest("door_single"), digest("door_space.ours")) == (single, ours)
    assert digest("door_absent", "1") != digest("door_absent", "2")


def test_digest_of_the_core_is_of_the_named_module() -> None:
    assert (
        PluginInfo("a", "zslbench.errors").source_digest
        != PluginInfo("a", "zslbench.plugin.settings").source_digest
    )
