"""Numbers that nobody means, wherever a user can write one: a line that says so, in moments."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from zslbench.cli.main import cli
from zslbench.errors import SettingsError
from zslbench.experiment.job import seed_numbers
from zslbench.experiment.suites.definition import find_suite
from zslbench.plugin.presets import parse_preset

HUGE = str(10**23)
RUN = ("run", "tf-vaegan", "--dataset=toy", "--threads=1")


def options(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Parameter]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from options(command, (*path, name))
        else:
            yield from ((" ".join((*path, name)), one) for one in command.params)


def test_every_option_that_takes_a_number_has_bounds() -> None:
    unbounded = []
    for command, one in options():
        number = one.type.name.startswith(("integer", "float"))
        if number and (getattr(one.type, "min", None) is None or getattr(one.type, "max", None) is None):
            unbounded.append((command, one.name))
    assert unbounded == []


def refused(*arguments: str) -> Result:
    began = time.process_time()
    result = CliRunner().invoke(cli, arguments)
    assert time.process_time() - began < 5
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1 and len(lines[0]) < 1000
    return result


@pytest.mark.parametrize("option", ["seed", "seeds", "threads", "epochs", "every", "replicas"])
@pytest.mark.parametrize("value", [HUGE, f"-{HUGE}", str(2**64), "nan", "1e-999999999", "9" * 5000])
def test_options(option: str, value: str) -> None:
    refused(*RUN, f"--{option}={value}"[:300])


@pytest.mark.parametrize(
    "value",
    [HUGE, f'"{HUGE}"', str(2**63 - 1), "nan", "inf", "1e-999999999", "[" * 50_000, ".".join("a" * 20_000),
     "0x" + "f" * 20_000, "1" * 5000, "1979-05-27", "[1]", "{a = 1}", '"' + "x" * 50_000 + '"'],
    ids=range(14),
)  # fmt: skip
def test_settings(value: str, tmp_path: Path) -> None:
    """On the command line, in a preset and in a suite."""
    for key in ("generator.hidden", "dataset.classes"):
        refused(*RUN, "--set", f"{key}={value}")
    file = tmp_path / "p.toml"
    file.write_text(f"[generator]\nhidden = {value}\n", "utf-8")
    refused(*RUN, f"--preset={file}")
    refused("tune", "tf-vaegan", "--dataset=toy", "--search", f"generator.hidden={value},{value}")


def test_a_setting_of_a_suite_is_refused_as_well(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    for line in (f"seeds = {HUGE}", f"seeds = {10**12}", f"seeds = [{2**63}]", "seeds = -1", "seeds = nan",
                 f"epochs = {10**12}", "seeds = " + "[" * 50_000, "seeds = []"):  # fmt: skip
        file.write_text(f'datasets = "toy"\n{line}\n[[methods]]\nmethod = "eszsl"\n', "utf-8")
        refused("bench", str(file), "--dry-run")


def test_a_suite_has_a_limit_of_cells(tmp_path: Path) -> None:
    many = ", ".join(f'"{one}"' for one in range(5000))
    file = tmp_path / "s.toml"
    file.write_text(
        f'datasets = "toy"\n[[methods]]\nmethod = "eszsl"\nvariants = [{many}]\nreadings = [{many}]\n',
        "utf-8",
    )
    began = time.process_time()
    with pytest.raises(SettingsError, match="25,000,000 cells"):
        find_suite(file)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("seeds", [10**12, [2**63], [-1], range(20_000)])
def test_seeds_from_python(seeds: int | list[int]) -> None:
    with pytest.raises(SettingsError, match="seeds"):
        seed_numbers(seeds)


def test_the_largest_seed_works() -> None:
    assert seed_numbers([2**63 - 1]) == (2**63 - 1,)
    assert parse_preset("[generator]\nlr = 1e-4", "p").settings == {"generator.lr": 1e-4}


@pytest.mark.parametrize(
    "spec",
    ["1e-999999999:1:log", "1:1e999999999", "nan:1", "1:2:nan", "1:100000000000000000000000",
     "9" * 5000 + ":" + "9" * 5001, "0.1:0.2:1e-999999999", "1:1e308:1e-308"],
)  # fmt: skip
def test_search_spaces(spec: str) -> None:
    refused("tune", "tf-vaegan", "--dataset=toy", "--search", f"generator.hidden={spec}")
