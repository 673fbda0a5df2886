"""The paper and its authors' code in 47 rows, with both values where a row is a setting.

Where a row changes a computation, the reading's class overrides a method; the setting ``reading`` chooses the
class. "Code" is HHHZM/SC-EGG at c6a188f, which covers SUN only; "TF-VAEGAN's" is akshitac8/tfvaegan at
a0de81c, which the paper refers to for the rest of stage 3. ``zslbench show`` lists the rows of a finished
run, so this module does not import torch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zslbench.plugin import read_preset

TF_VAEGANS = object()
"""In place of a printed value: TF-VAEGAN's, which its presets have for each of its data sets."""

_ATTRIBUTES = {"awa2": 85, "cub": 312, "flo": 1024, "sun": 102}
"""TF-VAEGAN's data sets and their numbers of attributes, the code's sizes of z."""


@dataclass(frozen=True)
class Diff:
    """One row: what the paper says and what the code does.

    ``settings`` maps a setting to its value as printed (in a tuple or range: any of them) and as in the code.
    ``sun`` has those that the reading does not set: the code has them for SUN alone, in its configuration
    file (see the preset ``sun-authors``).
    """

    number: int
    topic: str
    paper: str
    code: str
    settings: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    sun: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    both: str = ""
    """What both readings do instead of what is printed; the row's settings, if any, choose otherwise."""
    scen: bool = False
    """Whether a row without settings is about SCEN."""

    @property
    def values(self) -> dict[str, tuple[Any, Any]]:
        return {**self.settings, **self.sun}

    @property
    def stated(self) -> bool:
        """Whether the paper says anything about it."""
        return not self.paper.startswith("not stated")


def _both(**values: tuple[Any, Any]) -> dict[str, tuple[Any, Any]]:
    """The settings of stages 1 and 2."""
    return {f"embedding.stage{n}.{name}": pair for n in (1, 2) for name, pair in values.items()}


_SCEN, _EGGN = ({f"{kind}.reading": ("paper", "authors")} for kind in ("embedding", "generator"))

# fmt: off
DIFFERENCES = (
    Diff(1, "optimiser and batch, stages 1 and 2", "Adam, 1e-4; 64",
        "RMSprop, 1e-4, weight decay 1e-4, momentum 0.9; 64", _both(
            optimizer=("adam", "rmsprop"), lr=(1e-4, 1e-4), weight_decay=(0.0, 1e-4), momentum=(0.0, 0.9),
            batch_size=(64, 64))),
    Diff(2, "learning rates (but F's) and batch, stage 3", "1e-4; 64", "1e-3 for E, G, D, 1e-4 for Dec; 64",
        sun={"generator.lr": (1e-4, 1e-3), "generator.decoder_lr": (1e-4, 1e-4),
             "generator.batch_size": (64, 64)}),
    Diff(3, "classes in the cross-entropies of stage 1", "all", "seen",
        {"embedding.stage1.classes": ("all", "seen")}),
    Diff(4, "composition of g after stage 1", "MLP", "mean over attributes",
        {"embedding.composition": ("mlp", "mean")}),
    Diff(5, "scale of g", "not stated; ours: min-max per dimension over the training images after stage 2",
        "min-max per dimension over trainval after stage 1; here with a guard for constant dimensions",
        {"embedding.scale": ("dimensions", "dimensions"), **_SCEN}),
    Diff(6, "what stage 2 trains", "SC and CLS_g", "a new classifier of two layers", _SCEN),
    Diff(7, "L_SCR", "squared norm (mean over the batch: ours)", "mean over batch and classes", _SCEN,
        sun={"embedding.stage2.scr": (True, True)}),
    Diff(8, "frozen in stage 2", "LEN (sections 3.1 and 3.3 contradict each other)",
        "everything but the new classifier (row 6)", _SCEN),
    Diff(9, "classifier that guides stage 3", "CLS_g", "stage 2's new classifier (row 6)", _SCEN),
    Diff(10, "lengths of the stages", "20, 20 and at most 200 epochs",
        "2000 and 4000 batches, 50 epochs (on SUN)", {
        "embedding.stage1.epochs": (20, 20), "embedding.stage1.iterations": (None, 100),
        "embedding.stage2.epochs": (20, 40), "embedding.stage2.iterations": (None, 100)},
        sun={"generator.epochs": (range(1, 201), 50)}),
    Diff(11, "region features", "raw", "of unit length", _SCEN),
    Diff(12, "class semantics in p_l", "a", "of unit length", _SCEN),
    Diff(13, "attribute vectors v", "not stated how scaled or trained; ours: of unit length and fixed",
        "of unit length, then trained", {"embedding.stage1.normalize_vectors": (True, True), **_SCEN}),
    Diff(14, "word vectors", "GloVe", "word2vec (not shipped)", both="the data set's own", scen=True),
    Diff(15, "initial W_α, W_β, SC, CLS_g",
        "not stated; ours: 0, N(0, s²) for e_l of unit variance, near the mean, and normal with zero biases",
        "0, N(0, 1), and for layers uniform weights and biases within 1/√inputs", {
        "embedding.stage1.alpha_std": (0.0, 0.0), "embedding.stage1.beta_std": (None, 1.0), **_SCEN}),
    Diff(16, "attention over attributes", "none", "computed but unused; left out here"),
    Diff(17, "batches", "not stated; ours: permutations (stages 1, 2) and independent draws (stage 3)",
        "balanced over classes", {
            **_both(sampler=("shuffled", "balanced")), "generator.sampler": ("independent", "balanced")}),
    Diff(18, "λ_s and λ_u", "0.1 and 0.1", "1.0 and 0.001",
        sun={"generator.lambda_s": (0.1, 1.0), "generator.lambda_u": (0.1, 0.001)}),
    Diff(19, "ĝ_s in L_SCE", "synthetic seen", "the reconstruction", _EGGN),
    Diff(20, "ĝ_u in L_UCE", "not stated how it is synthesised", "G(ε, a_u), classes uniform, no feedback",
        both="as in the code"),
    Diff(21, "λ_w", "10", "1", sun={"generator.lambda_w": (10.0, 1.0)}),
    Diff(22, "λ_r", "0.01", "0.01", sun={"generator.lambda_r": (0.01, 0.01)}),
    Diff(23, "feedback strengths a1, a2", "TF-VAEGAN's", "0: F has no effect",
        sun={"generator.a1": (TF_VAEGANS, 0.0), "generator.a2": (TF_VAEGANS, 0.0)}),
    Diff(24, "batch of the generator step", "TF-VAEGAN's: the last critic step's", "a fresh one", _EGGN),
    Diff(25, "training Dec", "TF-VAEGAN's", "on real g before each critic step, and in generator steps",
        sun={"generator.freeze_decoder": (TF_VAEGANS, False)}),
    Diff(26, "what the critic sees as fake", "TF-VAEGAN's", "the reconstruction",
        {"generator.encoded_noise": (TF_VAEGANS, True)}),
    Diff(27, "weight λ of the gradient penalty", "constant (TF-VAEGAN's 10)",
        "adaptive, unbounded; here within generator.penalty_bounds",
        {"generator.adaptive_penalty": (False, True)}, sun={"generator.lambda_gp": (TF_VAEGANS, 10.0)}),
    Diff(28, "input of the final classifier", "g", "[g, Dec(g), hidden]",
        {"generator.transform": (False, True)}, both="as in TF-VAEGAN"),
    Diff(29, "final classifier", "one layer; its epochs are TF-VAEGAN's", "one layer, 25 epochs",
        sun={"classifier.epochs": (TF_VAEGANS, 25)}),
    Diff(30, "training set of f_gzsl", "g_s and ĝ_u", "all real g, and ĝ_u"),
    Diff(31, "training set of f_czsl", "g_s and ĝ_u", "ĝ_u alone: f_czsl has N outputs",
        both="ĝ_u alone, as in the authors' code"),
    Diff(32, "synthesis", "not stated; the number is TF-VAEGAN's", "TF-VAEGAN's, 400 per class on SUN",
        sun={"generator.per_class": (TF_VAEGANS, 400)}, both="as in the code"),
    Diff(33, "model selection", "not stated", "best on test over 50 x 25 epochs, separately for H and Acc",
        both="--select; oracle-scripts is the code's"),
    Diff(34, "seed", "not stated", "56441", both="--seed"),
    Diff(35, "unused work", "none", "a second loader and a logged loss; left out here"),
    Diff(36, "norm in L_Rec", "L1", "Σ|d|³ / ‖d‖₂ of d = Dec(g) - a",
        {"generator.reconstruction_norm": ("l1", "weighted")}),
    Diff(37, "final classifier's learning rate, batch, β1",
        "1e-4 and 64 if section 4 covers it, else TF-VAEGAN's; no β1",
        "on SUN 5e-4 and 400, the synthetic features per class; 0.5", {"classifier.beta1": (TF_VAEGANS, 0.5)},
        sun={"classifier.lr": ((1e-4, TF_VAEGANS), 5e-4), "classifier.batch_size": ((64, TF_VAEGANS), 400)}),
    Diff(38, "learning rate of F", "1e-4 if section 4 covers it, else TF-VAEGAN's", "1e-4",
        sun={"generator.feedback_lr": ((1e-4, TF_VAEGANS), 1e-4)}),
    Diff(39, "β1 of stage 3", "not stated", "0.5, of E 0.9", {"generator.beta1": (TF_VAEGANS, 0.5)},
        both="TF-VAEGAN's"),
    Diff(40, "ĝ of L_WGAN and L_Rec beside ĝ_s of L_SCE",
        "not stated; ours: reconstructions, with feedback, beside samples of the prior, without",
        "one reconstruction, with feedback", _EGGN),
    Diff(41, "SC", "not stated beyond A inputs and one output", "A/2 hidden units, LeakyReLU of slope 0.01",
        both="as in the code", scen=True),
    Diff(42, "-log G(z, a)", "not stated for which distribution",
        "binary cross-entropy of g in [0, 1] and G(z, a) + 1e-12", both="as in the code"),
    Diff(43, "output of Dec", "not stated", "of unit length", both="as in the code"),
    Diff(44, "an epoch of stage 3", "not stated", "two passes over the images, the second with feedback",
        {"generator.feedback_loops": (TF_VAEGANS, 2)}, both="as in the code"),
    Diff(45, "class semantics in stage 3", "not stated how they are scaled", "as stored: of unit length",
        both="of unit length"),
    Diff(46, "weights of L_LCE and L_GCE", "1 and λ_g = 1.0", "1.0 and 1.0",
        sun={"embedding.stage1.lambda_l": (1.0, 1.0), "embedding.stage1.lambda_g": (1.0, 1.0)}),
    Diff(47, "sizes, parts and critic steps of stage 3", "TF-VAEGAN's", "4096 hidden units, z of A, all, 5",
        sun={"generator.hidden": (TF_VAEGANS, 4096), "generator.latent": (TF_VAEGANS, None),
             "generator.decoder": (TF_VAEGANS, True), "generator.feedback": (TF_VAEGANS, True),
             "generator.critic_steps": (TF_VAEGANS, 5)}),
)
# fmt: on


def authors_settings() -> dict[str, Any]:
    """The overlay of the reading ``authors``: the code's value of every row that is not SUN's alone."""
    return {name: code for row in DIFFERENCES for name, (_, code) in row.settings.items()}


def explain(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """The rows in which a run differs from the paper, for ``zslbench show``, and those that it leaves open.

    Args:
        settings: ``{"embedding": {"stage1.optimizer": "adam", ...}, ..., "dataset": {"name": "cub"}}``.
    """
    flat = {
        f"{kind}.{name}": value
        for kind, values in settings.items()
        for name, value in values.items()
        if kind != "dataset"
    }
    if "embedding.stage1_epochs" in flat or "generator.reconstruction_norm" not in flat:
        yield "rows that differ from the paper", "unknown: an earlier version computed this run"
        return
    dataset = settings.get("dataset", {}).get("name", "")
    if flat["generator.latent"] == _ATTRIBUTES.get(dataset):
        flat["generator.latent"] = None  # which means the same
    theirs = _tf_vaegans(dataset)
    rows = [row for row in DIFFERENCES if _applies(row, flat)]
    open_rows, differing = [], 0
    for row in rows:
        if text := _difference(row, flat, theirs):
            differing += 1
            yield f"row {row.number}: {row.topic}", f"{text}; printed: {row.paper}"
        elif not row.stated:
            open_rows.append(f"{row.topic} ({row.number})")
    if "authors" in (flat.get("embedding.reading"), flat.get("generator.reading")):
        code = {name: code for row in rows for name, (_, code) in row.values.items() if name in flat}
        others = [f"{name} = {flat[name]} (code: {one})" for name, one in code.items() if flat[name] != one]
        yield "settings that differ from the authors' code", ", ".join(others) or "none"
    # Those of another embedding than SCEN have no default here.
    covered = {name for row in DIFFERENCES for name in row.values}
    ours = _defaults()
    changed = {n: v for n, v in flat.items() if n not in covered and (n not in ours or ours[n] != v)}
    if changed:
        yield "settings that no row covers", _listed(changed)
    yield f"rows that the paper leaves open: {len(open_rows)}", ", ".join(open_rows)
    yield "rows that differ from the paper", f"{differing} of the {len(rows)} that apply"


def _defaults() -> dict[str, Any]:
    from zslbench_common.settings import SoftmaxSettings
    from zslbench_sc_egg.settings import EGGNSettings, SCENSettings  # not needed to list methods

    parts = {"embedding": SCENSettings(), "generator": EGGNSettings(), "classifier": SoftmaxSettings()}
    return {f"{kind}.{name}": value for kind, part in parts.items() for name, value in part.flat().items()}


def _tf_vaegans(dataset: str) -> list[dict[str, Any]]:
    """TF-VAEGAN's settings for a data set; for one that it has none for, those for each that it has."""
    names = [dataset] if dataset in _ATTRIBUTES else list(_ATTRIBUTES)
    return [_defaults() | read_preset("zslbench_tf_vaegan.presets", name).settings for name in names]


def _applies(row: Diff, flat: Mapping[str, Any]) -> bool:
    """Whether a run has what the row is about."""
    return (
        any(name in flat for name in row.values)
        if row.values
        else not row.scen or "embedding.reading" in flat
    )


def _difference(row: Diff, flat: Mapping[str, Any], theirs: Sequence[Mapping[str, Any]]) -> str:
    """How a run differs from what is printed; empty: it does not, or nothing is printed."""
    values = {name: flat[name] for name in row.values if name in flat}
    odd = {name: v for name, v in values.items() if not _is_printed(v, row.values[name][0], name, theirs)}
    if not odd:
        return row.both if row.stated and not row.values else ""
    others = {name: value for name, value in values.items() if value != row.values[name][1]}
    if unknown := {name: value for name, value in odd.items() if name in others}:
        known = {name: value for name, value in odd.items() if name not in others}
        rest = f"; as in the authors' code: {_listed(known)}" if known else ""
        return f"neither paper nor code: {_listed(unknown)}{rest}"
    if not others or (row.settings and others.keys() <= row.sun.keys()):
        rest = f", but {_listed(others)}" if others else ""
        return f"as in the authors' code ({row.code}){rest}"
    return f"partly as in the authors' code ({row.code}): {_listed(odd)}"


def _is_printed(value: Any, printed: Any, name: str, theirs: Sequence[Mapping[str, Any]]) -> bool:
    if isinstance(printed, tuple):
        return any(_is_printed(value, one, name, theirs) for one in printed)
    if printed is TF_VAEGANS:
        return any(value == one[name] for one in theirs)
    return value in printed if isinstance(printed, range) else bool(value == printed)


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def warn_of_uneven_batches(who: str, sampler: str, batch_size: int, classes: int) -> None:
    """Warn if balanced batches give some classes one image more, which the code drops (row 17)."""
    if sampler == "balanced" and batch_size > classes and batch_size % classes:
        logging.getLogger("zslbench").warning(
            "%s: balanced batches of %d from %d classes give %d of them one extra image (the authors' code "
            "would drop these images)",
            who,
            batch_size,
            classes,
            batch_size % classes,
        )
