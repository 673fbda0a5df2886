"""``zslbench new method NAME``: a plugin package that runs on toy at once and passes its tests."""

from __future__ import annotations

import importlib.util
import keyword
import re
from pathlib import Path

import click

from zslbench.cli import note
from zslbench.errors import SettingsError, ZslbenchError
from zslbench.output import echo

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
    import jinja2

    package = _package_name(name)
    target = folder or Path(name)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ZslbenchError(f"{target}: is not an empty folder; choose another with --folder")
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

    paths = {
        template: target / re.sub(r"^package\b", package, template.removesuffix(".j2"))
        for template in environment.list_templates(filter_func=belongs)
    }
    try:
        for template, path in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(environment.get_template(template).render(values), "utf-8")
    except OSError as error:
        raise ZslbenchError(f"{target}: cannot be written ({error.strerror or error})") from None
    echo(*map(str, paths.values()))
    note(f"next: pip install -e {target} && zslbench run {name} --dataset toy && pytest {target}")


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
