"""The paper and its authors' code in 35 rows, with both values where a row is a setting.

Where a row changes a computation, the reading's class overrides a method; the setting ``reading`` chooses the
class. "Code" is HHHZM/SC-EGG at c6a188f, which covers SUN only. ``zslbench show`` lists the rows of a
finished run, so this module does not import torch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Diff:
    """One row: what the paper says and what the code does.

    ``settings`` maps a setting to its value as printed and as in the code. The preset ``sun-authors``, not
    the reading, sets values that the code has for SUN alone (``sun_only``).
    """

    number: int
    topic: str
    paper: str
    code: str
    settings: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    sun_only: bool = False


def _both(**values: tuple[Any, Any]) -> dict[str, tuple[Any, Any]]:
    """The settings of stages 1 and 2."""
    return {f"embedding.stage{n}.{name}": pair for n in (1, 2) for name, pair in values.items()}


_SCEN, _EGGN = ({f"{kind}.reading": ("paper", "authors")} for kind in ("embedding", "generator"))

# fmt: off
DIFFERENCES = (
    Diff(1, "optimiser, stages 1 and 2", "Adam", "RMSprop, weight decay 1e-4, momentum 0.9",
        _both(optimizer=("adam", "rmsprop"), weight_decay=(0.0, 1e-4), momentum=(0.0, 0.9))),
    Diff(2, "learning rate, stage 3", "1e-4", "1e-3 for E, G, D; 1e-4 for Dec and F",
        {"generator.lr": (1e-4, 1e-3)}, sun_only=True),
    Diff(3, "classes in the cross-entropies of stage 1", "all", "seen",
        {"embedding.stage1.classes": ("all", "seen")}),
    Diff(4, "composition of g after stage 1", "MLP", "mean over attributes", _SCEN),
    Diff(5, "scale of g", "not stated; here min-max over the training images after stage 2",
        "min-max over trainval after stage 1 (g does not change after it), constant dimensions unguarded"),
    Diff(6, "what stage 2 trains", "SC and CLS_g", "a new classifier of two layers", _SCEN),
    Diff(7, "L_SCR", "squared norm", "mean over batch and classes", _SCEN),
    Diff(8, "frozen in stage 2", "LEN (sections 3.1 and 3.3 contradict each other)",
        "everything but the new classifier (row 6)"),
    Diff(9, "classifier that guides stage 3", "CLS_g", "stage 2's new classifier (row 6)"),
    Diff(10, "lengths of the stages", "20, 20 and at most 200 epochs", "2000 and 4000 batches, 50 epochs", {
        "embedding.stage1.epochs": (20, 20), "embedding.stage1.iterations": (None, 100),
        "embedding.stage2.epochs": (20, 40), "embedding.stage2.iterations": (None, 100)}),
    Diff(11, "region features", "raw", "of unit length", _SCEN),
    Diff(12, "class semantics in p_l", "a", "of unit length", _SCEN),
    Diff(13, "attribute vectors v", "fixed; here of unit length", "of unit length, then trained",
        {"embedding.stage1.normalize_vectors": (True, True), **_SCEN}),
    Diff(14, "word vectors", "GloVe", "word2vec (not shipped); here the data set's own"),
    Diff(15, "initial W_α, W_β, SC", "not stated; here 0, N(0, s²) for e_l of unit variance, near the mean",
        "0, N(0, 1) and random", {
        "embedding.stage1.alpha_std": (0.0, 0.0), "embedding.stage1.beta_std": (None, 1.0), **_SCEN}),
    Diff(16, "attention over attributes", "none", "computed but unused; left out here"),
    Diff(17, "batches", "not stated; here permutations (stages 1, 2) and independent draws (stage 3)",
        "balanced over classes", {
            **_both(sampler=("shuffled", "balanced")), "generator.sampler": ("independent", "balanced")}),
    Diff(18, "λ_s and λ_u", "0.1 and 0.1", "1.0 and 0.001",
        {"generator.lambda_s": (0.1, 1.0), "generator.lambda_u": (0.1, 0.001)}, sun_only=True),
    Diff(19, "ĝ_s in L_SCE", "synthetic seen", "the reconstruction", _EGGN),
    Diff(20, "ĝ_u in L_UCE", "synthetic unseen", "G(ε, a_u), classes uniform, no feedback; so here in both"),
    Diff(21, "λ_w", "10", "1", {"generator.lambda_w": (10.0, 1.0)}, sun_only=True),
    Diff(22, "λ_r", "0.01", "0.01"),
    Diff(23, "feedback strengths a1, a2", "TF-VAEGAN's", "0: F has no effect",
        {"generator.a1": (None, 0.0), "generator.a2": (None, 0.0)}, sun_only=True),
    Diff(24, "batch of the generator step", "TF-VAEGAN's: the last critic step's", "a fresh one", _EGGN),
    Diff(25, "decoder", "TF-VAEGAN's", "trained in critic and generator steps"),
    Diff(26, "what the critic sees as fake", "TF-VAEGAN's", "the reconstruction"),
    Diff(27, "weight λ of the gradient penalty", "constant", "adaptive, unbounded; here bounded",
        {"generator.adaptive_penalty": (False, True)}),
    Diff(28, "input of the final classifier", "g", "[g, Dec(g), hidden]; so here in both"),
    Diff(29, "final classifier", "one layer", "one layer, 25 epochs, batch = synthetic features per class"),
    Diff(30, "training set of f_gzsl", "g_s and ĝ_u", "all real g and ĝ_u; so here in both"),
    Diff(31, "training set of f_czsl", "g_s and ĝ_u", "ĝ_u alone; so here in both: f_czsl has N outputs"),
    Diff(32, "synthesis", "not stated", "TF-VAEGAN's; so here in both"),
    Diff(33, "model selection", "not stated",
        "best on test over 50 x 25 epochs, H and Acc apart; here only with --select oracle"),
    Diff(34, "seed", "not stated", "56441; here --seed"),
    Diff(35, "unused work", "none", "a second loader and a logged loss; left out here"),
)
# fmt: on


def authors_settings() -> dict[str, Any]:
    """The overlay of the reading ``authors``: the code's value of every row that is not SUN's alone."""
    values = {
        name: code for row in DIFFERENCES if not row.sun_only for name, (paper, code) in row.settings.items()
    }
    return {name: value for name, value in values.items() if value is not None}


def explain(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """The rows in which a run's settings differ from the paper, for ``zslbench show``.

    Args:
        settings: ``{"embedding": {"stage1.optimizer": "adam", ...}, ...}``.
    """
    if "stage1_epochs" in settings.get("embedding", {}):
        yield "rows that differ from the paper", "unknown: an earlier version computed this run"
        return
    flat = {f"{kind}.{name}": value for kind, values in settings.items() for name, value in values.items()}
    differing = 0
    for row in DIFFERENCES:
        known = {name: pair for name, pair in row.settings.items() if name in flat}
        # A printed value of None means TF-VAEGAN's own, which depends on the data set.
        odd = {n: flat[n] for n, (paper, _) in known.items() if flat[n] != paper and not _open(n, paper)}
        as_code = bool(known) and all(flat[name] == code for name, (_, code) in known.items())
        if not odd and not (row.sun_only and as_code):
            continue
        differing += 1
        values = ", ".join(
            f"{name} = {value}" for name, value in (odd or {n: flat[n] for n in known}).items()
        )
        what = f"as in the authors' code ({row.code})" if as_code else f"neither paper nor code: {values}"
        yield f"row {row.number}: {row.topic}", f"{what}; printed: {row.paper}"
    yield (
        "rows that differ from the paper",
        f"{differing} of {sum(1 for row in DIFFERENCES if row.settings)} that are settings",
    )


def _open(name: str, paper: Any) -> bool:
    return paper is None and name.startswith("generator.")


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
