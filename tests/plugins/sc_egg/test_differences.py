"""The table of differences between paper and code: complete, true to the settings, and told of a run."""

from __future__ import annotations

import re

import pytest

from zslbench.experiment.recipe import resolve
from zslbench.plugin import fields_of
from zslbench.plugin.discovery import registry
from zslbench_sc_egg.differences import DIFFERENCES, TF_VAEGANS, explain
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
    **{number: {"embedding.reading": "authors"} for number in (4, 5, 7, 8, 9, 11, 12)},
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
    29: {"classifier.epochs": 25},
    36: {"generator.reconstruction_norm": "weighted"},
    39: {"generator.beta1": 0.5},
    40: {"generator.reading": "authors", "generator.encoded_noise": True},
    44: {"generator.feedback_loops": 2},
}
CODE_ON_SUN = {
    2: {
        "generator.lr": 1e-3,
        "generator.decoder_lr": 1e-4,
    },
    10: {"generator.epochs": 50},
    18: {"generator.lambda_s": 1.0, "generator.lambda_u": 0.001},
    21: {"generator.lambda_w": 1.0},
    22: {"generator.lambda_r": 0.01},
    23: {"generator.a1": 0.0, "generator.a2": 0.0},
    25: {"generator.freeze_decoder": False},
    30: {"generator.per_class": 400},
    37: {"classifier.lr": 5e-4, "classifier.batch_size": 400, "classifier.beta1": 0.5},
    38: {"generator.feedback_lr": 1e-4},
}


def parts_of(dataset="cub", **options):
    parts = resolve(registry(), dataset, method="sc-egg", **options).parts
    return {kind: part.values() for kind, part in parts.items()}


def flat(parts):
    return {f"{kind}.{name}": value for kind, values in parts.items() for name, value in values.items()}


def test_all_rows_are_there():
    assert [row.number for row in DIFFERENCES] == list(range(1, 46))
    for row in DIFFERENCES:
        assert row.topic and row.paper and row.code
        assert row.paper != row.code or row.number == 22  # "agrees"
        assert row.stated or row.both or row.settings  # what the paper leaves open, somebody filled in


@pytest.mark.parametrize("dataset", ["cub", "sun", "awa2", "toy"])
def test_the_reading_authors_does_what_the_code_does(dataset):
    found = flat(parts_of(dataset, reading="authors"))
    for number, settings in CODE.items():
        for name, value in settings.items():
            if dataset != "toy" or name in EVERYWHERE:  # toy has small networks and a schedule of its own
                assert found[name] == value, (number, name)


EVERYWHERE = {name for row in DIFFERENCES for name, (paper, code) in row.settings.items() if paper != code}


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
        for name, (_, code) in row.values.items():
            assert on_sun[name] == code, (row.number, name)
            assert name in row.sun or everywhere[name] == code, (row.number, name)


def test_the_paper_column_is_what_the_reading_resolves_to():
    """Except where both readings do as TF-VAEGAN and the row says so."""
    for dataset in ("cub", "sun", "awa2"):
        found = flat(parts_of(dataset))
        for row in DIFFERENCES:
            for name, (paper, _) in row.values.items():
                if paper is not TF_VAEGANS and not row.both:
                    assert found[name] == paper, (row.number, name)


def test_every_row_with_a_choice_is_one():
    """Rows whose two sides differ in what a run computes are settings, or say what is done here instead."""
    choices = {row.number for row in DIFFERENCES if row.values}
    assert choices >= CODE.keys() - {25, 26, 29} | {2, 10, 18, 21, 23, 37, 38}
    for row in DIFFERENCES:
        for name, (paper, code) in row.values.items():
            assert paper != code or len(row.values) > 1 or row.both or row.number == 22, name


# --- what zslbench show tells --------------------------------------------------------------------


def described(parts):
    """Numbers of the rows in which a run differs from the paper, and of those that the paper leaves open."""
    *rows, left_open, last = explain(parts)
    told = [int(re.match(r"row (\d+)", name)[1]) for name, _ in rows]
    applying = len(
        [row for row in DIFFERENCES if "embedding.reading" in flat(parts) or applies_without_scen(row)]
    )
    assert last[1] == f"{len(told)} of the {applying} that apply"
    numbers = [int(number) for number in re.findall(r"\((\d+)\)", left_open[1])]
    assert left_open[0].endswith(f": {len(numbers)}")
    return told, numbers


def applies_without_scen(row):
    return not row.scen and (not row.values or any(not name.startswith("embedding") for name in row.values))


# What the toolkit does as TF-VAEGAN or its code where the paper prints something else: the data set's word
# vectors, the classifier's input, f_czsl's training set, and rate and batch of the classifier.
ALWAYS = [14, 28, 31, 37]
OPEN = [5, 13, 15, 17, 20, 32, 33, 34, 39, 40, 41, 42, 43, 44, 45]


@pytest.mark.parametrize(("dataset", "more"), [("cub", [38]), ("sun", []), ("awa2", [])])
def test_of_the_paper_what_is_not_as_printed_and_what_is_left_open(dataset, more):
    """F's rate is TF-VAEGAN's, on CUB 1e-5."""
    assert described(parts_of(dataset)) == (ALWAYS + more, OPEN)


def test_of_the_authors_every_row_that_is_a_setting_is_told():
    scen = [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 17]
    authors = sorted([*scen, 19, 24, 27, 36, 40, *ALWAYS])
    still_open = [number for number in OPEN if number not in authors]
    assert described(parts_of("cub", reading="authors")) == ([*authors[:-1], 38, 40], still_open)
    on_sun = sorted([*authors, 2, 18, 21, 23])
    assert described(parts_of("sun", reading="authors")) == (on_sun, still_open)


def test_where_the_authors_have_a_value_for_sun_alone_it_is_told():
    """Row 10: the code's 50 epochs of stage 3 are SUN's."""
    texts = {name: text for name, text in explain(parts_of("cub", reading="authors")) if "row 10:" in name}
    assert "as in the authors' code" in (text := "".join(texts.values()))
    assert "but generator.epochs = 200" in text
    texts = {name: text for name, text in explain(parts_of("sun", reading="authors")) if "row 10:" in name}
    assert "but" not in "".join(texts.values())


@pytest.mark.parametrize(
    ("name", "value", "row", "as_code"),
    [
        ("embedding.stage2.optimizer", "rmsprop", 1, True),
        ("embedding.stage1.classes", "seen", 3, True),
        ("embedding.stage1.beta_std", 2.0, 15, False),
        ("generator.lambda_u", 0.5, 18, False),
        ("generator.adaptive_penalty", True, 27, True),
        ("generator.reconstruction_norm", "weighted", 36, True),
        ("embedding.stage1.lr", 3e-3, 1, False),
        ("generator.batch_size", 128, 2, False),
        ("generator.lambda_r", 0.1, 22, False),
    ],
)
def test_one_setting_changed_is_one_row(name, value, row, as_code):
    parts = parts_of("sun", settings={name: value})
    rows, _ = described(parts)
    assert rows == sorted([*ALWAYS, row])
    (text,) = [text for told, text in explain(parts) if told.startswith(f"row {row}:")]
    assert ("as in the authors' code" in text) == as_code
    assert as_code or f"{name} = {value}" in text


def test_a_setting_can_choose_the_printed_reading():
    printed = {
        "generator.transform": False,
        "classifier.lr": 1e-4,
        "classifier.batch_size": 64,
        "generator.feedback_lr": 1e-4,
    }
    assert described(parts_of("cub", settings=printed))[0] == [14, 31]


def test_the_class_of_a_reading_is_told_by_its_rows():
    rows, _ = described(parts_of("sun", settings={"embedding.reading": "authors"}))
    assert rows == sorted([4, 5, 6, 7, 8, 9, 11, 12, 13, 15, *ALWAYS])
    rows, _ = described(parts_of("sun", settings={"generator.reading": "authors"}))
    assert rows == sorted([19, 24, 40, *ALWAYS])


def test_a_run_of_an_earlier_version_is_not_explained_by_todays_settings():
    parts = parts_of("cub")
    weighted = {name: value for name, value in parts["generator"].items() if name != "reconstruction_norm"}
    for old in ({"embedding": {"stage1_epochs": 20, "composition": "mean"}}, parts | {"generator": weighted}):
        rows = list(explain(old))
        assert len(rows) == 1 and "unknown" in rows[0][1]


def test_a_variant_without_scen_tells_of_what_it_has():
    rows, left_open = described(parts_of("sun", variant="baseline"))
    assert rows == [18, 28, 31, 37]  # λ_s and λ_u are 0
    assert left_open == [17, 20, 32, 33, 34, 39, 40, 42, 43, 44, 45]


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
        for name in row.values:
            if name in DESCRIPTIONS:
                assert row.number in rows_named(DESCRIPTIONS[name]), (row.number, name)
    numbers = {row.number for row in DIFFERENCES}
    assert all(rows_named(text) <= numbers for text in DESCRIPTIONS.values())
