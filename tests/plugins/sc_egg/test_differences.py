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
    return {kind: part.values() for kind, part in parts.items()} | {"dataset": {"name": dataset}}


def flat(parts):
    return {f"{kind}.{name}": value for kind, values in parts.items() for name, value in values.items()}


def rows_of(parts):
    """The texts of the rows in which a run differs, by number."""
    return {int(found[1]): text for name, text in explain(parts) if (found := re.match(r"row (\d+):", name))}


def test_all_rows_are_there():
    assert [row.number for row in DIFFERENCES] == list(range(1, 48))
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
            # The size of z: as many as attributes, SUN's 102.
            assert on_sun[name] == (code if name != "generator.latent" else 102), (row.number, name)
            assert name in row.sun or everywhere[name] == code, (row.number, name)


# TF-VAEGAN's settings, typed from its scripts: run_cub_tfvaegan.py and so on, and config_images.py.
TFVAEGAN = {
    "cub": (300, 1e-3, 1.0, 1.0, 1e-5, False),
    "sun": (400, 5e-4, 0.1, 0.01, 1e-4, False),
    "awa2": (1800, 1e-3, 0.01, 0.01, 1e-4, True),
}
BY_DATASET = (
    "generator.per_class",
    "classifier.lr",
    "generator.a1",
    "generator.a2",
    "generator.feedback_lr",
    "generator.freeze_decoder",
)
EVERY_DATASET = {
    "generator.hidden": 4096,
    "generator.latent": None,
    "generator.critic_steps": 5,
    "generator.lambda_gp": 10.0,
    "generator.beta1": 0.5,
    "generator.feedback_loops": 2,
    "generator.feedback": True,
    "generator.decoder": True,
    "generator.encoded_noise": True,
    "classifier.epochs": 25,
    "classifier.beta1": 0.5,
}


@pytest.mark.parametrize("dataset", TFVAEGAN)
def test_the_paper_column_is_what_the_reading_resolves_to(dataset):
    """Except where both readings do as TF-VAEGAN and the row says so."""
    found = flat(parts_of(dataset))
    theirs = dict(zip(BY_DATASET, TFVAEGAN[dataset], strict=True)) | EVERY_DATASET
    theirs["classifier.batch_size"] = theirs["generator.per_class"]
    for row in DIFFERENCES:
        for name, (paper, _) in row.values.items():
            if paper is TF_VAEGANS or isinstance(paper, tuple):
                assert found[name] == theirs[name], (row.number, name)
            elif name == "generator.epochs":
                assert found[name] == max(paper) == 200  # at most 200
            elif not row.both:
                assert found[name] == paper, (row.number, name)


def test_every_row_with_a_choice_is_one():
    """Rows whose two sides differ in what a run computes are settings, or say what is done here instead."""
    choices = {row.number for row in DIFFERENCES if row.values}
    assert choices >= CODE.keys() | {2, 10, 18, 21, 23, 37, 38}
    for row in DIFFERENCES:
        for name, (paper, code) in row.values.items():
            assert paper != code or len(row.values) > 1 or row.both or row.number == 22, name


# --- what zslbench show tells --------------------------------------------------------------------


def described(parts):
    """Numbers of the rows in which a run differs from the paper, and of those that the paper leaves open."""
    *_, left_open, last = explain(parts)
    told = list(rows_of(parts))
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
# vectors, the classifier's input and f_czsl's training set.
ALWAYS = [14, 28, 31]
OPEN = [5, 13, 15, 17, 20, 32, 33, 34, 39, 40, 41, 42, 43, 44, 45]


@pytest.mark.parametrize("dataset", ["cub", "sun", "awa2"])
def test_of_the_paper_what_is_not_as_printed_and_what_is_left_open(dataset):
    assert described(parts_of(dataset)) == (ALWAYS, OPEN)
    assert len(list(explain(parts_of(dataset)))) == len(ALWAYS) + 2  # nothing else to tell


def test_of_the_authors_every_row_that_is_a_setting_is_told():
    scen = [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 17]
    authors = sorted([*scen, 19, 24, 27, 36, 40, *ALWAYS])
    still_open = [number for number in OPEN if number not in authors]
    assert described(parts_of("cub", reading="authors")) == (authors, still_open)
    on_sun = sorted([*authors, 2, 18, 21, 23])
    assert described(parts_of("sun", reading="authors")) == (on_sun, still_open)


def test_where_the_authors_have_a_value_for_sun_alone_it_is_told():
    """Row 10: the code's 50 epochs of stage 3 are SUN's."""
    text = rows_of(parts_of("cub", reading="authors"))[10]
    assert text.startswith("as in the authors' code") and "but generator.epochs = 200" in text
    assert "but" not in rows_of(parts_of("sun", reading="authors"))[10]


def test_what_the_reading_authors_does_not_take_from_the_code_is_told():
    """Presets of CUB and AWA2 keep TF-VAEGAN's values; by hand for AWA2."""
    (text,) = [text for name, text in explain(parts_of("awa2", reading="authors")) if "authors' code" in name]
    assert "generator.freeze_decoder = True (code: False)" in text.split(", ")
    names = {one.split(" = ")[0] for one in text.split(", ")}
    assert names == {
        *(f"generator.{one}" for one in ("epochs", "lr", "lambda_s", "lambda_u", "lambda_w", "a1", "a2")),
        *("generator.freeze_decoder", "generator.per_class", "classifier.lr", "classifier.batch_size"),
    }
    (text,) = [text for name, text in explain(parts_of("sun", reading="authors")) if "authors' code" in name]
    assert text == "none"
    assert not [name for name, _ in explain(parts_of("awa2")) if "authors' code" in name]


@pytest.mark.parametrize(
    ("name", "value", "row", "as_code"),
    [
        ("embedding.stage2.optimizer", "rmsprop", 1, True),
        ("embedding.stage1.classes", "seen", 3, True),
        ("embedding.composition", "mean", 4, True),
        ("embedding.scale", "shared", 5, False),
        ("embedding.stage1.beta_std", 2.0, 15, False),
        ("generator.lambda_u", 0.5, 18, False),
        ("generator.adaptive_penalty", True, 27, True),
        ("generator.reconstruction_norm", "weighted", 36, True),
        ("embedding.stage1.lr", 3e-3, 1, False),
        ("generator.batch_size", 128, 2, False),
        ("generator.lambda_r", 0.1, 22, False),
        ("embedding.stage1.lambda_g", 0.0, 46, False),
        ("embedding.stage1.lambda_l", 0.0, 46, False),
        ("embedding.stage2.scr", False, 7, False),
        ("generator.epochs", 201, 10, False),
        ("generator.hidden", 8, 47, False),
        ("generator.latent", 2, 47, False),
        ("generator.critic_steps", 1, 47, False),
        ("generator.lambda_gp", 0.0, 27, False),
        ("generator.a1", 9.0, 23, False),
        ("generator.a1", 1.0, 23, False),  # CUB's
        ("generator.a2", 0.0, 23, True),
        ("generator.beta1", 0.9, 39, False),
        ("generator.feedback_loops", 5, 44, False),
        ("generator.freeze_decoder", True, 25, False),
        ("generator.per_class", 3, 32, False),
        ("generator.encoded_noise", False, 26, False),
        ("classifier.epochs", 1, 29, False),
        ("classifier.lr", 1e-3, 37, False),
    ],
)
def test_one_setting_changed_is_one_row(name, value, row, as_code):
    parts = parts_of("sun", settings={name: value})
    rows, _ = described(parts)
    assert rows == sorted([*ALWAYS, row])
    text = rows_of(parts)[row]
    assert ("as in the authors' code" in text) == as_code
    assert as_code or f"{name} = {value}" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("generator.epochs", 100),  # at most 200
        ("generator.latent", 102),  # SUN's attributes
        ("classifier.batch_size", 64),  # if section 4 covers it
        ("generator.feedback_lr", 1e-4),
    ],
)
def test_what_is_printed_in_other_words_is_no_difference(name, value):
    assert described(parts_of("sun", settings={name: value}))[0] == ALWAYS


def test_values_of_tf_vaegan_are_those_for_the_data_set():
    assert described(parts_of("cub", settings={"generator.latent": 102}))[0] == [*ALWAYS, 47]
    assert described(parts_of("awa2", settings={"generator.freeze_decoder": False}))[0] == [14, 25, 28, 31]
    other = parts_of("sun") | {
        "dataset": {"name": "plants"}
    }  # TF-VAEGAN has no values for it: any of its own
    assert described(other)[0] == ALWAYS
    other["generator"]["a1"] = 0.3
    assert described(other)[0] == [14, 23, 28, 31]


def test_one_value_as_in_the_code_does_not_make_a_row_so():
    text = rows_of(parts_of("cub", preset="cpu"))[10]
    assert text.startswith("neither") and "stage1.epochs = 5" in text.split(";")[0]
    assert "generator.epochs" not in text and "iterations" not in text.split(";")[0]
    text = rows_of(parts_of("cub", settings={"generator.lambda_s": 1.0}))[18]  # λ_u is as printed
    assert text.startswith("partly") and "lambda_s = 1.0" in text and "lambda_u" not in text


def test_settings_without_a_row_are_listed():
    settings = {"embedding.stage2.scr_without_lce": False, "generator.penalty_bounds": [1.0, 2.0]}
    *rows, others, _, last = explain(parts_of("sun", settings=settings))
    assert [name[:6] for name, _ in rows] == [f"row {number}" for number in ALWAYS]
    assert all(f"{name} = {value}" in others[1] for name, value in settings.items())
    assert last[1].startswith("3 of")


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
    assert rows == sorted([5, 6, 7, 8, 9, 11, 12, 13, 15, *ALWAYS])
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
    assert rows == [18, 28, 31]  # λ_s and λ_u are 0
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
