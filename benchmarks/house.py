"""The size and shape of the code as a table: ``python -m benchmarks.house``.

All but the last row read source code; the last one runs ``tf-vaegan`` on the toy data set for one epoch.
"""

from __future__ import annotations

import ast
import inspect
import sys
import tempfile
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CORE, PLUGINS, BENCHMARKS = ROOT / "zslbench", ROOT / "plugins", ROOT / "benchmarks"
MANY = 12
SHOWN = 5
"""Places in a row of the table."""
SMALL = {
    "dataset.images_per_class": 10,
    "generator.hidden": 16,
    "generator.per_class": 10,
    "classifier.epochs": 2,
}
"""Settings that keep the run short; it calls the same functions as a long one."""


def sources(*folders: Path) -> list[Path]:
    """The Python files of folders."""
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def lines(*folders: Path) -> int:
    """How many lines the Python files of folders have."""
    return sum(len(path.read_text("utf-8").splitlines()) for path in sources(*folders))


def nodes() -> Iterator[tuple[str, ast.AST]]:
    """Every node of the syntax trees of the core and the plugins, with its file."""
    for path in sources(CORE, PLUGINS):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            yield path.relative_to(ROOT).as_posix(), node


def import_graph() -> tuple[Any, list[str]]:
    """The import graph of the core and the plugins, and the layers of the core from the top down."""
    import grimp

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = next(one for one in settings["contracts"] if one["id"] == "layers")["layers"]
    return grimp.build_graph(*settings["root_packages"], cache_dir=None), layers


def circles(graph: Any) -> list[str]:
    """Packages whose parts import each other, each with an import that closes the circle."""
    found = []
    for name in sorted(name for name in graph.modules if graph.find_children(name)):
        if closing := sorted(graph.nominate_cycle_breakers(name)):
            found.append(f"{name} ({closing[0][0]} -> {closing[0][1]})")
    return found


def upward_imports(graph: Any, layers: Sequence[str]) -> list[str]:
    """Imports of a module on a higher layer, directly or through modules on none."""
    routes = [route for one in graph.find_illegal_dependencies_for_layers(layers) for route in one.routes]
    pairs = {(head, tail) for route in routes for head in route.heads for tail in route.tails}
    return [f"{importer} -> {imported}" for importer, imported in sorted(pairs)]


def metric_lists() -> list[str]:
    """Literals outside the table of metrics that list three or more metrics by hand."""
    from zslbench.evaluation.metrics import METRICS

    names = {name for one in METRICS.values() for name in (one.key, one.name)}
    found = []
    for path, node in nodes():
        parts = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", ())
        listed = {one.value for one in parts if isinstance(one, ast.Constant)} & names
        if len(listed) > 2 and path != "zslbench/evaluation/metrics.py":
            found.append(f"{path}:{getattr(node, 'lineno', 0)}")
    return found


def functions(matches: Callable[[ast.FunctionDef], bool]) -> list[str]:
    """The functions that match, with their files."""
    found = ((path, node) for path, node in nodes() if isinstance(node, ast.FunctionDef))
    return [f"{path}:{node.name}" for path, node in found if matches(node)]


def argument_lists() -> list[str]:
    """Functions with more than ``MANY`` of a run's arguments: they repeat the list of them."""
    from zslbench.api import run
    from zslbench.experiment.options import FitOptions, RunOptions

    known = {field.name for options in (FitOptions, RunOptions) for field in fields(options)}
    known |= inspect.signature(run).parameters.keys()

    def repeats(node: ast.FunctionDef) -> bool:
        names = {one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
        return len(names & known) > MANY

    return functions(repeats)


def split_parsers() -> list[str]:
    """Functions that read the indices of training and test images from a .mat file of an xlsa17 folder."""

    def parses(node: ast.FunctionDef) -> bool:
        code = ast.unparse(node)
        return ("read_mat(" in code or "loadmat(" in code) and ("_loc" in code or "SPLIT_VARIABLES" in code)

    return functions(parses)


def members(value: Any) -> Mapping[Any, Any]:
    """The parts of a mapping, sequence, named tuple or dataclass by name or position, else nothing."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, (list, tuple)):
        return dict(zip(getattr(value, "_fields", range(len(value))), value, strict=True))
    return vars(value) if is_dataclass(value) and hasattr(value, "__dict__") else {}


def arrays(value: Any, depth: int = 3, inside: str = "", skip: Collection[int] = ()) -> Iterator[Any]:
    """Arrays and tensors of one or more dimensions in a value.

    Args:
        inside: only those in a field of this name.
        skip: ids of objects that are not looked into.
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        if not inside and len(value.shape):
            yield value
    elif depth and not isinstance(value, type) and id(value) not in skip:
        for name, part in members(value).items():
            yield from arrays(part, depth - 1, "" if name == inside else inside, skip)


def feature_functions() -> set[tuple[str, str]]:
    """File and name of each function on the path from a feature matrix to H, in a short run of tf-vaegan.

    A function is on the path if its arguments hold features, or something computed from them, and it hands on
    an array, tensor or number: it returns or yields one, alone or in an object other than its arguments; it
    initialises an object; or it calls such a function. So functions that only check features, digest them or
    pass the object that holds them back and forth are not on the path. It ends when H is known.

    Features are what a field ``features`` of a data set, fold or batch holds, and all that torch computes
    from it except gradients. Of arrays that NumPy computes, those that such a function returns count.
    """
    from torch.overrides import TorchFunctionMode

    import zslbench

    derived: dict[int, Any] = {}  # holds what it knows, so that an id is not used again
    on_paths: set[tuple[str, str]] = set()
    active: list[bool | None] = []  # whether each active function called one on the path; None: after H
    ended = False

    def known(value: Any) -> bool:
        return any(id(one) in derived for one in arrays(value))

    def mark(value: Any) -> None:
        derived.update((id(one), one) for one in arrays(value))

    class Follow(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            name = getattr(func, "__name__", "")
            if name not in ("grad", "backward") and not name.endswith("_") and known((args, kwargs or {})):
                mark(result)
            return result

    def profile(frame: FrameType, event: str, result: Any) -> None:
        nonlocal ended
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith((str(CORE), str(PLUGINS))):
            return
        if event == "call":
            active.append(None if ended else False)
        count = code.co_argcount + code.co_kwonlyargcount
        given = [frame.f_locals.get(name) for name in code.co_varnames[:count]]
        mark(list(arrays(given, depth=4, inside="features")))
        if event == "call" or not active or (on_path := active.pop()) is None:
            return
        if known(given) and not code.co_name.startswith("<"):
            mark(list(arrays([result], depth=4, inside="features")))
            hands_on = (
                isinstance(result, float)
                or hasattr(result, "dtype")
                or any(isinstance(one, float) for one in members(result).values())
                or any(map(known, arrays(result, skip={id(one) for one in given})))
            )
            if on_path or hands_on or code.co_name == "__init__":
                on_paths.add((code.co_filename, code.co_qualname))
                on_path = True
            if "numpy" in type(result).__module__:
                mark(result)
        ended = ended or code.co_qualname == "Evaluation.h"
        if active and on_path and active[-1] is not None:
            active[-1] = True

    with tempfile.TemporaryDirectory() as store, Follow():
        sys.setprofile(profile)
        try:
            zslbench.run(
                "tf-vaegan", dataset="toy", select="last", epochs=1, settings=SMALL, store=store, device="cpu"
            )
        finally:
            sys.setprofile(None)
    return on_paths


def table() -> list[tuple[str, str, str]]:
    """What is counted, the count, and where the first few are."""

    def counted(name: str, found: Sequence[str]) -> tuple[str, str, str]:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        return name, str(len(found)), ", ".join(f"`{one}`" for one in found[:SHOWN]) + more

    graph, layers = import_graph()
    rows = [
        ("lines / files of the core", f"{lines(CORE):,} / {len(sources(CORE))}", ""),
        ("lines of core, plugins and benchmarks", f"{lines(CORE, PLUGINS, BENCHMARKS):,}", ""),
        counted("packages with an import circle", circles(graph)),
        counted("imports of a higher layer", upward_imports(graph, layers)),
        counted("lists of metrics written by hand", metric_lists()),
        counted(f"functions with more than {MANY} of a run's arguments", argument_lists()),
        counted("functions that parse the splits of xlsa17 folders", split_parsers()),
    ]
    found = feature_functions()
    passed = f"{len(found)} / {len({file for file, _ in found})}"
    return [*rows, ("functions / files that features pass through", passed, "")]


if __name__ == "__main__":
    sys.stdout.write("| measured | count | where |\n|---|---|---|\n")
    sys.stdout.writelines(f"| {' | '.join(row)} |\n" for row in table())
