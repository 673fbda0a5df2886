"""The table of differences between paper and code: complete, true to the settings, and told of a run."""

from __future__ import annotations

import re

import pytest

from zslbench.experiment.recipe import resolve
from zslbench.plugin import fields_of
from zslbench.plugin.discovery import registry
from zslbench_sc_egg.differences import DIFFERENCES, explain
from zslbench_sc_egg.settings import EGGNSettings, SCENSettings
from zslbench_tf_vaegan.settings import TFVAEGANSettings

# What the authors' code does, typed from its description: by row, and for SUN alone.
CODE = {
    1: {
        f"embedding.{stage}.{name}": value
        for stage in ("stage1", "stage2")
        for name, value in (("optimizer", "rmsprop"), ("lr", 1e-4), ("weight_decay", 1e-4), ("momentum", 0.9))
    },
    3: {"embedding.stage1.classes": "seen"},
    **{number: {"embedding.reading": "authors"} for number in (4, 7, 11, 12)},
    6: {"embedding.reading": "authors", "embedding.stage2.regressor_hidden": 1024},
    13: {"embedding.stage1.normalize_vectors": True, "embedding.reading": "authors"},
    15: {"embedding.stage1.alpha_std": 0.0, "embedding.stage1.beta_std": 1.0},
    17: {
        "embedding.stage1.sampler": "balanced",
        "embedding.stage2.sampler": "balanced",
        "generator.sampler": "balanced",
        "embedding.stage1.batch_size": 64,
    },
    19: {"generator.reading": "authors"},
    24: {"generator.reading": "authors"},
    26: {"generator.encoded_noise": True},
    27: {"generator.adaptive_penalty": True},
    28: {"generator.transform": True},
    29: {"classifier.epochs": 25, "classifier.beta1": 0.5},
}
CODE_ON_SUN = {
    2: {
        "generator.lr": 1e-3,
        "generator.beta1": 0.5,
        "generator.decoder_lr": 1e-4,
        "generator.feedback_lr": 1e-4,
    },
    10: {"generator.epochs": 50, "generator.feedback_loops": 2},
    18: {"generator.lambda_s": 1.0, "generator.lambda_u": 0.001},
    21: {"generator.lambda_w": 1.0},
    22: {"generator.lambda_r": 0.01},
    23: {"generator.a1": 0.0, "generator.a2": 0.0},
    25: {"generator.freeze_decoder": False},
    29: {"classifier.lr": 5e-4, "classifier.batch_size": 400},
    30: {"generator.per_class": 400},
}


def parts_of(dataset="cub", **options):
    parts = resolve(registry(), dataset, method="sc-egg", **options).parts
    return {kind: part.values() for kind, part in parts.items()}


def flat(parts):
    return {f"{kind}.{name}": value for kind, values in parts.items() for name, value in values.items()}


def test_all_rows_are_there():
    assert [row.number for row in DIFFERENCES] == list(range(1, 36))
    for row in DIFFERENCES:
        assert row.topic and row.paper and row.code
        assert row.paper != row.code or row.number == 22  # "agrees"


@pytest.mark.parametrize("dataset", ["cub", "sun", "awa2", "toy"])
def test_the_reading_authors_does_what_the_code_does(dataset):
    found = flat(parts_of(dataset, reading="authors"))
    for number, settings in CODE.items():
        for name, value in settings.items():
            if dataset != "toy" or name in EVERYWHERE:  # toy has small networks and a schedule of its own
                assert found[name] == value, (number, name)


EVERYWHERE = {name for row in DIFFERENCES for name in row.settings if not row.sun_only}


def test_on_sun_it_is_the_authors_configuration():
    found = flat(parts_of("sun", reading="authors"))
    for number, settings in CODE_ON_SUN.items():
        for name, value in settings.items():
            assert found[name] == value, (number, name)
    # Row 10: 2000 and 4000 batches.
    for stage, batches in (("stage1", 2000), ("stage2", 4000)):
        assert found[f"embedding.{stage}.epochs"] * found[f"embedding.{stage}.iterations"] == batches


def test_the_code_column_is_what_the_reading_resolves_to():
    everywhere, on_sun = flat(parts_of("cub", reading="authors")), flat(parts_of("sun", reading="authors"))
    for row in DIFFERENCES:
        for name, (_, code) in row.settings.items():
            assert on_sun[name] == code, (row.number, name)
            assert row.sun_only or everywhere[name] == code, (row.number, name)


def test_the_paper_column_is_what_the_reading_resolves_to():
    """None stands for a value that depends on the data set (TF-VAEGAN's), or for ours."""
    for dataset in ("cub", "sun", "awa2"):
        found = flat(parts_of(dataset))
        for row in DIFFERENCES:
            for name, (paper, _) in row.settings.items():
                if paper is not None:
                    assert found[name] == paper, (row.number, name)


def test_every_row_with_a_choice_is_one():
    """Rows whose two sides differ in what a run computes are settings, or say what is done here instead."""
    choices = {row.number for row in DIFFERENCES if row.settings}
    assert choices >= CODE.keys() - {25, 26, 28, 29} | {2, 10, 18, 21, 23}
    for row in DIFFERENCES:
        for name, (paper, code) in row.settings.items():
            assert paper != code or len(row.settings) > 1, name


# --- what zslbench show tells --------------------------------------------------------------------


def described(parts):
    """Numbers of the rows, and the last line."""
    *rows, last = explain(parts)
    assert "differ" in last[0]
    return [int(re.match(r"row (\d+)", name)[1]) for name, _ in rows], last[1]


@pytest.mark.parametrize("dataset", ["cub", "sun", "awa2"])
def test_nothing_is_told_of_the_paper_but_that(dataset):
    rows, summary = described(parts_of(dataset))
    assert rows == [] and summary.startswith("0 ")


def test_of_the_authors_every_row_that_is_a_setting_is_told():
    rows, summary = described(parts_of("cub", reading="authors"))
    settings = [row.number for row in DIFFERENCES if row.settings]
    assert rows == [row.number for row in DIFFERENCES if row.settings and not row.sun_only]
    assert summary.startswith(f"{len(rows)} of {len(settings)} ")
    rows, summary = described(parts_of("sun", reading="authors"))
    assert rows == settings and summary.startswith(f"{len(settings)} of {len(settings)} ")


@pytest.mark.parametrize(
    ("name", "value", "row"),
    [
        ("embedding.stage2.optimizer", "rmsprop", 1),
        ("embedding.stage1.classes", "seen", 3),
        ("embedding.stage1.beta_std", 2.0, 15),
        ("generator.lambda_u", 0.5, 18),
        ("generator.adaptive_penalty", True, 27),
    ],
)
def test_one_setting_changed_is_one_row(name, value, row):
    parts = parts_of("cub", settings={name: value})
    rows, _ = described(parts)
    assert rows == [row]
    ((_, text), _) = explain(parts)
    matches = {(n, v) for one in DIFFERENCES if one.number == row for n, (_, v) in one.settings.items()}
    if matches == {(name, value)}:
        assert "as in the authors' code" in text
    else:
        assert "neither" in text and f"{name} = {value}" in text


def test_the_class_of_a_reading_is_told_by_its_rows():
    rows, _ = described(parts_of("cub", settings={"embedding.reading": "authors"}))
    assert rows == [4, 6, 7, 11, 12, 13, 15]
    assert described(parts_of("cub", settings={"generator.reading": "authors"}))[0] == [19, 24]


def test_a_run_of_an_earlier_version_is_not_explained_by_todays_settings():
    rows = list(explain({"embedding": {"stage1_epochs": 20, "composition": "mean"}}))
    assert len(rows) == 1 and "unknown" in rows[0][1]


def test_a_variant_without_scen_tells_of_what_it_has():
    rows, _ = described(parts_of("cub", variant="baseline"))
    assert rows == [18]  # λ_s and λ_u are 0


# --- settings say where they come from -----------------------------------------------------------

INHERITED = {name: info.description for name, info in TFVAEGANSettings.model_fields.items()}
DESCRIPTIONS = {
    f"{kind}.{name}": info.description
    for kind, model in (("embedding", SCENSettings), ("generator", EGGNSettings))
    for name, info in fields_of(model).items()
    if kind == "embedding" or info.description != INHERITED.get(name)
}
SOURCE = re.compile(r"\b[Rr]ows? \d|[Ss]ection \d|[Ee]qs?\. ?\(|Table 2|\bours\b")


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_setting_names_its_row_or_section_or_is_ours(name):
    assert SOURCE.search(DESCRIPTIONS[name]), DESCRIPTIONS[name]


def rows_named(text):
    """Row numbers in a description: "row 7", "rows 6, 8, 9", "rows 11-13"."""
    found = set()
    for numbers in re.findall(r"\b[Rr]ows? (\d+(?:(?:, | and )\d+)*)", text):
        found |= {int(one) for one in re.findall(r"\d+", numbers)}
    return found


def test_settings_and_rows_name_each_other():
    for row in DIFFERENCES:
        for name in row.settings:
            if name in DESCRIPTIONS:
                assert row.number in rows_named(DESCRIPTIONS[name]), (row.number, name)
    numbers = {row.number for row in DIFFERENCES}
    assert all(rows_named(text) <= numbers for text in DESCRIPTIONS.values())
