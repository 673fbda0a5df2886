"""The checks. They create nothing outside an existing store; one that fails is reported as a fault."""

from __future__ import annotations

import logging
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path

from packaging.requirements import Requirement

from zslbench import __version__
from zslbench.errors import ZslbenchError
from zslbench.plugin import one_line

_DEVELOPER_EXTRAS = ("dev", "docs", "tests")
ENOUGH_SPACE = 1 << 30
"""Free bytes on the store's disk; less is a fault."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    about: str
    """The part that was checked, such as ``store``."""
    name: str
    value: str
    fault: str = ""
    """What is wrong; empty if nothing is."""
    advice: str = ""
    """What to do about it."""


def examine(data_root: Path | None, store: Path | None) -> list[Finding]:
    """Check everything; a part that cannot be checked is a fault."""
    parts: dict[str, Callable[[], Iterator[Finding]]] = {
        "versions": _versions,
        "torch": _torch,
        "data": lambda: _data(data_root),
        "store": lambda: _store(store),
        "plugins": _plugins,
    }
    found: list[Finding] = []
    for about, part in parts.items():
        try:
            found.extend(part())
        except ZslbenchError as error:
            found.append(Finding(about, about, "cannot be checked", str(error)))
        except Exception as error:
            advice = "report this, with the rest of the output"
            found.append(Finding(about, about, "cannot be checked", one_line(error), advice))
    return found


def without_home(text: str) -> str:
    """The text with the user's home folder as ``~``."""
    home = Path.home()
    for one in {str(home), str(home.resolve())} - {home.anchor}:
        text = re.sub(rf"{re.escape(one)}(?![\w.-])", "~", text)
    return text


def _versions() -> Iterator[Finding]:
    yield Finding("versions", "zslbench", __version__)
    yield Finding("versions", "python", platform.python_version())
    yield Finding("versions", "platform", platform.platform())
    for name, (requirement, needed) in _requirements().items():
        try:
            found = version(name)
        except PackageNotFoundError:
            if needed:
                yield Finding(
                    "versions", name, "missing", "it is not installed", f"pip install '{requirement}'"
                )
            continue
        fault = advice = ""
        if not requirement.specifier.contains(found, prereleases=True):
            fault = f"zslbench needs {requirement.specifier}"
            advice = f"pip install --upgrade '{name}{requirement.specifier}'"
        yield Finding("versions", name, found, fault, advice)


def _requirements() -> dict[str, tuple[Requirement, bool]]:
    """By name, the packages that zslbench and its extras for users require, and whether it needs each of them
    without extras."""
    about = metadata("zslbench")
    extras = [one for one in about.get_all("Provides-Extra") or () if one not in _DEVELOPER_EXTRAS]
    found: dict[str, tuple[Requirement, bool]] = {}
    for one in map(Requirement, about.get_all("Requires-Dist") or ()):
        needed = one.marker is None or one.marker.evaluate({"extra": ""})
        if needed or any(one.marker and one.marker.evaluate({"extra": extra}) for extra in extras):
            found.setdefault(one.name, (one, needed))
    return found


def _torch() -> Iterator[Finding]:
    import torch

    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    yield Finding("torch", "build", f"{torch.__version__} ({build})")
    yield Finding("torch", "threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores")
    count = torch.cuda.device_count()
    if not count:
        fault = advice = ""
        if shutil.which("nvidia-smi"):
            fault = "torch finds no GPU, but this machine has an NVIDIA driver"
            advice = "check nvidia-smi and CUDA_VISIBLE_DEVICES, and install a CUDA build of torch"
            advice += "" if torch.version.cuda else " (pytorch.org has the command)"
        yield Finding("torch", "GPUs", "none", fault, advice)
    for number in range(count):
        facts = torch.cuda.get_device_properties(number)
        fault = ""
        try:
            torch.ones(8, device=f"cuda:{number}").sum().item()
        except RuntimeError as error:
            fault = f"cannot compute: {str(error).splitlines()[0]}"
        value = (
            f"{facts.name}, {facts.total_memory / 1e9:.0f} GB, compute capability {facts.major}.{facts.minor}"
        )
        advice = "update the driver, or install a build of torch that supports this GPU" if fault else ""
        yield Finding("torch", f"cuda:{number}", value, fault, advice)


def _data(option: Path | None) -> Iterator[Finding]:
    from zslbench.data import data_root, dataset_folders, misnamed_folders

    root = data_root(option)
    fault = ""
    if not root.is_dir() and (option or os.environ.get("ZSLBENCH_DATA")):
        fault = "it does not exist"
    yield Finding(
        "data",
        "root",
        str(root),
        fault,
        "correct --data-root or ZSLBENCH_DATA, or create the folder" if fault else "",
    )
    found = dataset_folders(root)
    yield Finding("data", "data sets", ", ".join(found) or "none; zslbench data get NAME downloads one")
    for text in misnamed_folders(root):
        yield Finding("data", "folder", "left out", text, "rename it")


class _CollectedWarnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _store(option: Path | None) -> Iterator[Finding]:
    from zslbench.store import Store, lock_warning

    store = Store.default(option)
    existing = next(one for one in (store.root, *store.root.parents) if one.exists())
    yield Finding("store", "folder", f"{store.root}{'' if existing == store.root else ' (not created yet)'}")
    fault = ""
    try:
        if store.root.is_dir():
            with store.incoming() as own:
                (own / "trial").write_bytes(bytes(1 << 16))
                (own / "trial").rename(own / "renamed")
        elif not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
            fault = f"{existing} is not a folder that you may write to"
    except (OSError, ZslbenchError) as error:
        fault = str(error)
    advice = "fix the permissions, or choose another folder with --store or ZSLBENCH_STORE" if fault else ""
    yield Finding("store", "writable", "no" if fault else "yes", fault, advice)
    free = shutil.disk_usage(existing).free
    fault = "little space is left" if free < ENOUGH_SPACE else ""
    advice = (
        "free some space (zslbench runs rm removes runs), or choose another folder with --store"
        if fault
        else ""
    )
    yield Finding("store", "free space", f"{free / 1e9:.1f} GB", fault, advice)
    fault = lock_warning(store.root)
    yield Finding("store", "locks", "not seen by other machines" if fault else "ok", fault)
    logger, caught = logging.getLogger("zslbench"), _CollectedWarnings()
    logger.addHandler(caught)
    try:
        runs = store.records() if store.root.is_dir() else []
    finally:
        logger.removeHandler(caught)
    begun = store.unfinished() if store.root.is_dir() else []
    running = sum(one.running for one in begun)
    yield Finding(
        "store", "runs", f"{len(runs)} finished, {running} running, {len(begun) - running} interrupted"
    )
    for text in caught.texts:
        yield Finding("store", "run", "damaged", text, "zslbench runs rm removes it; it is computed again")


def _plugins() -> Iterator[Finding]:
    from zslbench.plugin import registry

    known = registry()
    for one in known.plugins:
        fault = one.reason if one in known.broken else ""
        advice = "reinstall or update the plugin, or report it to its authors" if fault else ""
        name = f"{one.distribution} {one.version}" if one.distribution not in ("", "zslbench") else ""
        if fault or name:
            yield Finding("plugins", one.name, name or one.module, fault, advice)
    own = sum(one.distribution in ("", "zslbench") and one not in known.broken for one in known.plugins)
    yield Finding("plugins", "part of zslbench", f"{own} work")
    for name in sorted(one for one in os.environ if one.startswith("ZSLBENCH_")):
        yield Finding("environment", name, "set")
