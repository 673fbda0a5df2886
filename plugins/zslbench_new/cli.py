"""``zslbench new method NAME``: a plugin package that runs on toy at once and passes its tests."""

from __future__ import annotations

import importlib.util
import keyword
import re
from pathlib import Path

import click

from zslbench.cli import note
from zslbench.errors import SettingsError, ZslbenchError

KINDS = ("generator", "embedding", "classifier")
"""The kinds of component that a new method can bring; each has its own template."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@click.group()
def new() -> None:
    """Generate a plugin package."""


@new.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="generator",
    show_default=True,
    help="The component that the package defines; the others are existing components.",
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to write it (default: ./NAME).",
)
def method(name: str, kind: str, folder: Path | None) -> None:
    """Write a package with a method NAME: settings, a preset for toy, conformance tests, a README.

    It runs immediately and passes its tests. Replace the maths with your method's.
    """
    target = folder or Path(name)
    for path in write_method(name, kind, target):
        click.echo(target / path)
    note(f"next: pip install -e {target} && zslbench run {name} --dataset toy && pytest {target}")


def write_method(name: str, kind: str, folder: Path) -> list[str]:
    """Write the package into ``folder``, which must be empty or missing; returns the files' relative paths.

    Raises:
        SettingsError: the name is invalid or taken.
        ZslbenchError: the folder is not empty or cannot be written.
    """
    import jinja2

    package = _package_name(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ZslbenchError(f"{folder}: is not an empty folder; choose another with --folder")
    values = {"name": name, "package": package, "kind": kind, "cls": name.title().replace("-", "")}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("zslbench_new"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    others = set(KINDS) - {kind}

    def belongs(path: str) -> bool:
        return path.endswith(".j2") and Path(path).name.partition(".")[0] not in others

    written = []
    try:
        for path in environment.list_templates(filter_func=belongs):
            goal = re.sub(r"^package\b", package, path.removesuffix(".j2"))
            (folder / goal).parent.mkdir(parents=True, exist_ok=True)
            (folder / goal).write_text(environment.get_template(path).render(values), "utf-8")
            written.append(goal)
    except OSError as error:
        raise ZslbenchError(f"{folder}: cannot be written ({error.strerror or error})") from None
    return written


def _package_name(name: str) -> str:
    """The Python package of a method whose name is valid and free."""
    from zslbench.plugin import registry

    package = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(package):
        raise SettingsError(
            f"method name '{name}': use lower-case letters and digits joined by '-', for example my-method"
        )
    known = registry()
    taken = {one.name: one.plugin.origin for one in known.methods()}
    taken |= {one.name: one.plugin.origin for one in known.components()}
    if name in taken:
        raise SettingsError(f"method name '{name}': plugin {taken[name]} already has it; choose another")
    if importlib.util.find_spec(package) is not None:
        raise SettingsError(f"method name '{name}': a Python package {package} is installed; choose another")
    return package
