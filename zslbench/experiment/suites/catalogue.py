"""Where suites come from: the package's own by name, a user's by path. Reads nothing but their TOML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from zslbench.errors import SettingsError, UnknownName, did_you_mean
from zslbench.experiment.suites.definition import Definition, Row, Wanted, parse

_PACKAGE = "zslbench.experiment.suites.packaged"


@dataclass(frozen=True)
class Suite:
    """A suite, with what a command line changes of it."""

    definition: Definition
    name: str
    where: str
    """The file, for messages."""
    folder: Path | None = None
    """Where files that it names lie; None: it is a packaged one."""
    override: Wanted = field(default_factory=Wanted)
    """Holds above everything that the file says, where a method has it."""
    part: bool = False
    """Whether it is only a part of what the file says."""

    @property
    def title(self) -> str:
        return self.definition.title or self.name

    @property
    def datasets(self) -> tuple[str, ...]:
        return self.definition.datasets

    @property
    def selections(self) -> tuple[str, ...]:
        return self.definition.select

    @property
    def seeds(self) -> tuple[int, ...]:
        given = self.definition.seeds
        return tuple(range(given)) if isinstance(given, int) else given

    @property
    def rows(self) -> tuple[Row, ...]:
        """One for each line of the table."""
        return tuple(one for row in self.definition.methods for one in row.split())

    def narrowed(
        self,
        *,
        methods: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
        seeds: int | Sequence[int] | None = None,
        select: Sequence[str] | None = None,
    ) -> Suite:
        """A part of the suite, in its own order.

        Args:
            methods: names of methods or labels of lines.
            seeds: the first so many, or these.

        Raises:
            UnknownName: the suite has no such method, data set or selection.
            SettingsError: it has no such seed.
        """
        changed: dict[str, Any] = {}
        if methods:
            for name in methods:
                self._known("method or line", name, [n for row in self.rows for n in (row.method, row.label)])
            kept = {one.lower() for one in methods}
            changed["methods"] = tuple(
                r for r in self.rows if {r.method.lower(), str(r.label).lower()} & kept
            )
        if datasets:
            for name in datasets:
                self._known("data set", name, self.datasets)
            there = {one.lower() for one in datasets}
            changed["datasets"] = tuple(one for one in self.datasets if one.lower() in there)
        if select:
            for name in select:
                self._known("selection", name, self.selections)
            changed["select"] = tuple(one for one in self.selections if one in select)
        if seeds is not None:
            wanted = self.seeds[:seeds] if isinstance(seeds, int) else tuple(seeds)
            short = isinstance(seeds, int) and seeds > len(self.seeds)
            if short or not wanted or not set(wanted) <= set(self.seeds):
                raise SettingsError(
                    f"seeds {seeds}: suite '{self.name}' has the seeds {', '.join(map(str, self.seeds))}"
                )
            changed["seeds"] = tuple(one for one in self.seeds if one in wanted)
        part = self.part or bool(changed)
        return replace(self, definition=self.definition.model_copy(update=changed), part=part)

    def overridden(self, settings: Mapping[str, Any], preset: str | Sequence[str] | None = None) -> Suite:
        """The suite with settings and presets that hold wherever a method has them."""
        given = (preset,) if isinstance(preset, str) else tuple(preset or ())
        return replace(self, override=Wanted(settings=dict(settings), preset=given))

    def _known(self, what: str, name: str, known: Sequence[str | None]) -> None:
        names = list(dict.fromkeys(str(one) for one in known))
        if name.lower() not in (one.lower() for one in names):
            raise UnknownName(f"suite '{self.name}' has no {what} '{name}', {did_you_mean(name, names)}")


def suite_names() -> tuple[str, ...]:
    """The packaged suites."""
    found = (one.name for one in files(_PACKAGE).iterdir())
    return tuple(sorted(one.removesuffix(".toml") for one in found if one.endswith(".toml")))


def find_suite(name_or_path: str | Path) -> Suite:
    """A packaged suite by name, or a user's by the path of its TOML file.

    Raises:
        UnknownName: there is no such suite.
        SettingsError: the file cannot be read or is not what a suite looks like.
    """
    if str(name_or_path) in suite_names():
        name = str(name_or_path)
        text = files(_PACKAGE).joinpath(f"{name}.toml").read_text("utf-8")
        return Suite(parse(text, f"{name}.toml"), name, f"{name}.toml")
    path = Path(name_or_path).expanduser()
    if path.suffix != ".toml":
        hint = did_you_mean(str(name_or_path), suite_names())
        raise UnknownName(f"no suite '{name_or_path}', {hint} (of your own: the path of a .toml file)")
    if not path.is_file():
        raise SettingsError(f"suite {path}: there is no such file")
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"suite {path}: cannot be read ({error})") from None
    definition = parse(text, str(path))
    return Suite(definition, definition.name or path.stem, str(path), path.parent)
