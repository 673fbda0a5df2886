"""Every first-party component and method passes its conformance checks; the list comes from the registry."""

from __future__ import annotations

import tomllib
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from zslbench import Component
from zslbench.plugin.discovery import registry
from zslbench.plugin.lookup import Registry
from zslbench.testing import (
    Check,
    NotApplicable,
    TinyInputs,
    checks_for,
    checks_for_method,
    parametrize_with_checks,
)
from zslbench_data import catalogue

# Settings that keep a component quick, and others that take it through its further branches.
_STAGES = {"stage1.batch_size": 8, "stage2.batch_size": 8}
_ALIGNED = {"latent": 3, "per_class": 10, "czsl_per_class": 5, "real_per_class": 6, "batch_size": 16}
_HSVA = {"hidden": 8, "structure": 7, "classifier_hidden": 6, "directions": 4}
_TCN = {"epochs": 2, "iterations": 3, "batch_size": 8, "hidden": 6}
_SDGZSL = {"hidden": 8, "code": 6, "latent": 4, "factor": 8, "batch_size": 16}
_PARTS = {"parts": 3, "threshold": 0.5, "batch_size": 8, "epochs": 2}
_TINY = {"epochs": 2, "backbone.name": "tiny", "backbone.image_size": 36, "backbone.crop": 32}
_CE_GZSL = {
    "hidden": 8,
    "embedding": 8,
    "projection": 6,
    "comparator": 32,
    "batch_size": 16,
    "critic_steps": 1,
}
SETTINGS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("dataset", "toy"): [{"images_per_class": 10}],
    **{
        ("dataset", name): [{"scale": 0.001, "grid": 2, "channels": 8}]
        for name in ("sim-cub", "sim-sun", "sim-awa2")
    },
    # They need weights, which tests/plugins/extractors makes; the same checks run there.
    **{("extractor", name): [] for name in ("resnet101", "transformers")},
    ("extractor", "efficientnet-lite0"): [{"image_size": 64}],
    ("embedding", "identity"): [{}, {"normalize": "l2"}, {"normalize": "standard"}, {"normalize": "none"}],
    ("embedding", "pooled"): [{}, {"normalize": "l2"}],
    ("embedding", "scen"): [
        _STAGES,
        # As the authors' code does, and further branches of the stages.
        {
            "reading": "authors",
            **{
                f"{stage}.{name}": value
                for stage in ("stage1", "stage2")
                for name, value in {
                    "batch_size": 6,
                    "sampler": "balanced",
                    "optimizer": "rmsprop",
                    "momentum": 0.9,
                    "weight_decay": 1e-4,
                    "iterations": 2,
                }.items()
            },
            "stage1.classes": "seen",
            "stage1.beta_std": 1.0,
            "stage2.regressor_hidden": 6,
        },
        {"reading": "authors", **_STAGES, "stage2.scr": False, "stage2.regressor_hidden": 6},
        _STAGES | {"stage1.lambda_g": 0.0, "stage1.alpha_std": 0.1},
    ],
    ("embedding", "len"): [_STAGES, {"reading": "authors", **_STAGES, "stage2.regressor_hidden": 6}],
    ("embedding", "aren"): [_TINY | _PARTS | {"backbone.norm": "trained"}],
    ("embedding", "rgen"): [_TINY | _PARTS | {"backbone.augment": False}],
    ("embedding", "apn"): [_TINY | {"batch_size": 8, "backbone.head_epochs": 1, "backbone.accumulate": 2}],
    ("embedding", "aren-frozen"): [_PARTS],
    ("embedding", "rgen-frozen"): [_PARTS],
    ("embedding", "apn-frozen"): [{"batch_size": 8, "epochs": 2}],
    ("embedding", "composer"): [
        {
            f"{phase}.{name}": value
            for phase in ("phase1", "phase2")
            for name, value in {"batch_size": 8, "iterations": 2, "epochs": 2}.items()
        }
        | {"phase2.candidates": 3, "phase2.support": 2},
    ],
    ("classifier", "eszsl"): [{}, {"coding": "01"}],
    ("classifier", "ale"): [{"epochs": 2, "batch_size": 8}],
    ("classifier", "devise"): [
        {"epochs": 2, "batch_size": 8},
        {"epochs": 1, "batch_size": 8, "order": "ids"},
    ],
    ("classifier", "sje"): [{"epochs": 2, "batch_size": 8, "standardize": True}],
    ("classifier", "dap"): [{"c": 0.1}],
    ("classifier", "sae"): [{}, {"compare": "features", "unit_rows": False}],
    ("classifier", "tcn"): [_TCN],
    ("classifier", "attribute-scores"): [
        {"head_weights": (0.9, 0.1), "offset": 2.0},
        {"head_weights": (0.5, 0.5), "similarity": "cosine", "semantics": "unit", "softmax": True},
    ],
    ("embedding", "dazle"): [
        {"batch_size": 8},
        {"batch_size": 6, "normalize_vectors": True, "keep_negatives": False, "sampler": "balanced"}
        | {"attribute_attention": False, "iterations": 2},
    ],
    ("embedding", "msdn"): [
        {"batch_size": 8},
        {"batch_size": 6, "normalize_vectors": True, "sampler": "balanced", "iterations": 2},
    ],
    ("embedding", "gndan"): [
        {"batch_size": 8, "parts": 2, "graph_width": 8},
        {"batch_size": 8, "parts": 2, "graph_width": 8, "graph_heads": 2}
        | {"graph_layers": 1, "dropout": 0.0, "threshold": 0.6},
    ],
    ("generator", "f-vaegan-d2"): [{"hidden": 8}, {"hidden": 8, "encoded_noise": False, "latent": 3}],
    ("generator", "cada-vae"): [
        _ALIGNED | {"visual_hidden": (8, 6), "semantic_hidden": (7, 8)},
        _ALIGNED | {"shared_noise": False, "sigma_exponent": 0.5, "both_orders": True},
    ],
    ("generator", "hsva"): [
        _ALIGNED | _HSVA,
        _ALIGNED | _HSVA | {"shared_noise": False, "structure_adaptation": False, "coral": False},
        _ALIGNED | _HSVA | {"unseen_prior": "test"},
    ],
    ("generator", "f-clswgan"): [{"hidden": 8, "critic_steps": 2, "pretraining.epochs": 1}],
    ("generator", "lisgan"): [
        {"hidden": 8, "critic_steps": 1, "pretraining.epochs": 1},
        {"hidden": 8, "critic_steps": 1, "beta": 0.0, "lambda_mean": 0.0, "latent": 3},
    ],
    ("classifier", "lisgan"): [{"epochs": 2}, {"epochs": 2, "first_epochs": 2, "refine": True}],
    ("generator", "ocd-cvae"): [{"hidden": 8}, {"hidden": 8, "latent": 3, "classes": "seen"}],
    ("generator", "tf-vaegan"): [
        {"hidden": 8},
        {"hidden": 8, "encoded_noise": False, "freeze_decoder": True, "adaptive_penalty": False},
        {"hidden": 8, "decoder": False, "feedback": False, "transform": False, "latent": 3},
    ],
    ("generator", "free"): [
        {"hidden": 8},
        {
            "hidden": 8,
            "negative": "nearest",
            "code": "draw",
            "reconstruction_norm": "weighted",
            "freeze_refiner": True,
            "encoded_noise": False,
        },
    ],
    ("generator", "gcm-cf"): [
        {"hidden": 8, "critic_steps": 1},
        {"hidden": 8, "critic_steps": 1, "warm_up": 0, "feedback": False, "negatives": 2},
        {"hidden": 8, "critic_steps": 1, "contrastive_weight": 0.0, "encoded_noise": False},
    ],
    ("classifier", "gcm-cf"): [
        {"decision.per_class": 4, "decision.batch_size": 8},
        {"decision.mode": "sub-sampled", "decision.sub_sample": 2, "decision.images_at_once": 2},
        {"decision.mode": "shared"},
    ],
    ("generator", "sdgzsl"): [
        _SDGZSL | {"tc_steps": 1, "autoencoder_dropout": 0.2},
        _SDGZSL | {"relation": False, "total_correlation": False, "encoder_dropout": 0.0},
    ],
    ("generator", "ce-gzsl"): [
        _CE_GZSL,
        _CE_GZSL | {"instance_level": False, "latent": 3},
        _CE_GZSL | {"class_level": False},
    ],
    ("generator", "eggn"): [
        {"hidden": 8, "critic_steps": 1},
        {
            "hidden": 8,
            "critic_steps": 1,
            "reading": "authors",
            "sampler": "balanced",
            "adaptive_penalty": True,
            "penalty_bounds": (1.0, 20.0),
        },
        {"hidden": 8, "critic_steps": 1, "lambda_s": 0.0, "lambda_u": 0.0, "feedback": False},
    ],
}
_GENERATIVE = {
    "dataset.images_per_class": 10,
    "generator.epochs": 2,
    "generator.hidden": 16,
    "generator.per_class": 20,
    "classifier.epochs": 2,
}
_REGIONS = {"dataset.images_per_class": 10, "embedding.epochs": 2}
_LATENT = {"dataset.images_per_class": 10, "generator.epochs": 2, "classifier.epochs": 2}
_LATENT |= {f"generator.{name}": value for name, value in _ALIGNED.items()}
METHODS: dict[str, dict[str, Any]] = {
    **{
        name: {"dataset.images_per_class": 10, "classifier.epochs": 2, "classifier.batch_size": 16}
        for name in ("ale", "devise", "sje")
    },
    "tcn": {"dataset.images_per_class": 10, **{f"classifier.{name}": value for name, value in _TCN.items()}},
    "dazle": {"dataset.images_per_class": 10, "embedding.epochs": 1},
    "clip": {"dataset.images_per_class": 10, "dataset.channels": 20},  # as wide as the 20 attributes
    "msdn": {"dataset.images_per_class": 10, "embedding.epochs": 1},
    "gndan": {"dataset.images_per_class": 10, "embedding.epochs": 1}
    | {"embedding.parts": 2, "embedding.graph_width": 8},
    "f-vaegan-d2": _GENERATIVE,
    "free": _GENERATIVE,
    "gcm-cf": {key: value for key, value in _GENERATIVE.items() if key != "classifier.epochs"}
    | {"generator.critic_steps": 1, "classifier.decision.per_class": 2, "classifier.decision.epochs": 1},
    "cada-vae": _LATENT,
    "hsva": _LATENT | {f"generator.{name}": value for name, value in _HSVA.items()},
    "f-clswgan": _GENERATIVE | {"generator.pretraining.epochs": 1},
    "lisgan": _GENERATIVE | {"generator.pretraining.epochs": 1},
    "ocd-cvae": _GENERATIVE,
    "tf-vaegan": _GENERATIVE,
    "sdgzsl": _GENERATIVE,
    "ce-gzsl": _GENERATIVE,
    **dict.fromkeys(("apn", "apn-frozen", "aren", "aren-frozen", "rgen"), _REGIONS),
    "composer": {"dataset.images_per_class": 10}
    | {f"embedding.{phase}.{name}": 2 for phase in ("phase1", "phase2") for name in ("epochs", "iterations")},
    "rgen-frozen": _REGIONS,
    "sc-egg": _GENERATIVE
    | {"embedding.stage1.epochs": 1, "embedding.stage2.epochs": 1, "generator.critic_steps": 1},
}
# What a component needs of the generated inputs.
INPUTS = {
    ("classifier", "attribute-scores"): TinyInputs(attributes=6),
    ("classifier", "lisgan"): TinyInputs(transductive=("test features",)),
    ("generator", "hsva"): TinyInputs(transductive=("test class prior",)),
}
MAY_NOT_APPLY = {"regions_by_row", "guide_scores", "encodes_by_row"}


def first_party(known: Registry) -> list[Check]:
    """The checks of everything that plugins of our own distribution register, with the first settings."""
    found: list[Check] = []
    for one in known.components():
        kind, name = one.declaration.kind, one.name
        if one.plugin.distribution == "zslbench":
            for settings in SETTINGS.get((kind, name), [{}])[:1]:
                inputs = INPUTS.get((kind, name))
                found += checks_for(kind, name, settings=settings, inputs=inputs, registry=known)
    for method in known.methods():
        if method.plugin.distribution == "zslbench":
            found += checks_for_method(method.name, settings=METHODS.get(method.name, {}), registry=known)
    return found


def with_further_settings(known: Registry) -> list[Check]:
    """The checks of our components with all settings but the first."""
    found: list[Check] = []
    for (kind, name), choices in SETTINGS.items():
        for settings in choices[1:]:
            inputs = INPUTS.get((kind, name))
            found += checks_for(kind, name, settings=settings, inputs=inputs, registry=known)
    return found


@pytest.fixture(scope="module", autouse=True)
def official(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The six official data sets as the data root: true counts, random numbers, two features per image."""
    root = tmp_path_factory.mktemp("data")
    for one in catalogue().datasets.values():
        write_official(root / one.folder, types.SimpleNamespace(**one.counts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZSLBENCH_DATA", str(root))
        yield root


def write_official(folder: Path, counts: Any) -> None:
    random = np.random.default_rng(0)
    seen = counts.trainval + counts.test_seen
    labels = np.concatenate([
        1 + np.arange(seen) % (counts.classes - counts.unseen),
        1 + counts.classes - counts.unseen + np.arange(counts.test_unseen) % counts.unseen,
    ])  # fmt: skip
    rows = 1 + np.arange(counts.images)
    # The first images of every seen class are for training, whatever the class.
    parts = {
        "trainval_loc": rows[: counts.trainval],
        "test_seen_loc": rows[counts.trainval : seen],
        "test_unseen_loc": rows[seen:],
        "train_loc": rows[:seen][labels[:seen] > 5],
        "val_loc": rows[:seen][labels[:seen] <= 5],
    }
    semantics = random.random((counts.attributes, counts.classes)) + 0.1
    folder.mkdir()
    scipy.io.savemat(folder / "att_splits.mat", {"att": semantics, "original_att": semantics, **parts})
    features = random.random((2, counts.images), dtype=np.float32)
    scipy.io.savemat(folder / "res101.mat", {"features": features, "labels": labels})


CHECKS = first_party(registry())
WHOLE_RUNS = {"runs", "variants_run", "repeats"}


@pytest.mark.slow
@parametrize_with_checks([one for one in CHECKS if one.name in WHOLE_RUNS])
def test_first_party_runs(check: Check) -> None:
    check()


@parametrize_with_checks([one for one in CHECKS if one.name not in WHOLE_RUNS])
def test_first_party(check: Check) -> None:
    passes(check)


@pytest.mark.slow
@parametrize_with_checks(with_further_settings(registry()))
def test_first_party_with_further_settings(check: Check) -> None:
    passes(check)


def passes(check: Check) -> None:
    try:
        check()
    except NotApplicable:
        assert check.name in MAY_NOT_APPLY


def test_the_registry_holds_every_plugin_of_ours() -> None:
    """A plugin that pyproject.toml announces is installed, sound, and therefore checked above."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    announced = set(project["project"]["entry-points"]["zslbench"])
    sound = {one.name for one in registry().plugins if one.distribution == "zslbench" and one.status == "ok"}
    assert sound == announced, "install the checkout again: pip install -e ."


def test_settings_name_what_is_registered() -> None:
    """No entry of the tables above outlives the component that it was for."""
    known = registry()
    assert SETTINGS.keys() <= {(one.declaration.kind, one.name) for one in known.components()}
    assert METHODS.keys() <= {one.name for one in known.methods()}


def test_a_new_component_is_checked_at_once(plugins: Callable[..., Registry]) -> None:
    new = Component(kind="classifier", name="new", target="zsl_fakes.classifiers:UnseenAlike", summary="new")
    known = plugins([new], dist=types.SimpleNamespace(name="zslbench", version="0"))
    failing = []
    for check in first_party(known):
        if check.subject == "classifier 'new'":
            try:
                check()
            except AssertionError:
                failing.append(check.name)
    assert failing == ["scores_unseen_classes"]
