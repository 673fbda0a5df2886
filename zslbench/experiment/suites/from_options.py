"""Suites that commands make of their options: the runs of one method, and an ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zslbench.errors import SettingsError, UnknownName, did_you_mean
from zslbench.evaluation.selection import Mode, Selection
from zslbench.experiment.options import AllOptions
from zslbench.experiment.recipe import composition
from zslbench.experiment.suites.definition import Row, Suite, as_list
from zslbench.plugin.declarations import FULL, Method


def ablation_suite(
    method: Method,
    variants: Sequence[str] | None,
    datasets: Sequence[str],
    seeds: Sequence[int],
    select: str,
    fit: AllOptions,
) -> Suite:
    """The variants of a method as a suite: lines are labelled by variant, in the order of declaration.

    Args:
        variants: only these, and always the whole method (``full``) to compare with; None: all.

    Raises:
        SettingsError: the method has no variants, or there is no data set.
        UnknownName: it has no such variant.
    """
    mode = Selection(select, fit.every).mode  # type: ignore[arg-type]  # checks it
    names = [variant.name for variant in method.variants]
    if not names:
        raise SettingsError(f"method '{method.name}' has no variants, which an ablation compares")
    if not datasets:
        raise SettingsError("an ablation needs a data set")
    if FULL not in names:
        names.append(FULL)
    for name in variants or ():
        if name not in names:
            raise UnknownName(f"method '{method.name}' has no variant '{name}', {did_you_mean(name, names)}")
    rows = [
        _row_of(fit, method=method.name, variants=(name,), label=name)
        for name in names
        if variants is None or name in (*variants, FULL)
    ]
    return _suite_of(f"ablation of {method.name}", rows, datasets, seeds, mode)


def run_suite(
    method: str | None,
    components: Mapping[str, str | None],
    variant: str | None,
    dataset: str,
    seeds: Sequence[int],
    select: str,
    keep_weights: bool,
    fit: AllOptions,
) -> Suite:
    """The runs of one method, or of a composition of components, as a suite of one line.

    Raises:
        SettingsError: the selection is unknown, or both a method and components are named, or neither.
    """
    mode = Selection(select, fit.every).mode  # type: ignore[arg-type]  # checks it
    named = {kind: name for kind, name in components.items() if name is not None}
    if bool(named) == (method is not None) or (named and not {"embedding", "classifier"} <= named.keys()):
        raise SettingsError(
            "name a method, or an embedding, a classifier and, if needed, a generator; not both"
        )
    own = {**named, "method": method or composition(**named).name, "keep_weights": keep_weights}
    row = _row_of(fit, variants=(variant,) if variant else (), label=own["method"], **own)
    return _suite_of(str(own["method"]), [row], [dataset], seeds, mode)


def _row_of(fit: AllOptions, **own: Any) -> Row:
    """A row with the options of a command line. It is not validated: faults are found, and explained, when it
    is resolved to a recipe."""
    common = ("epochs", "every", "features", "semantics", "regions", "images")
    return Row.model_construct(
        readings=(fit.reading,) if fit.reading else (),
        settings=dict(fit.settings or {}),
        preset=tuple(as_list(fit.preset) or ()),
        candidates=fit.files.candidates,
        **{name: getattr(fit, name) for name in common},
        **own,
    )


def _suite_of(
    name: str, rows: Sequence[Row], datasets: Sequence[str], seeds: Sequence[int], mode: Mode
) -> Suite:
    return Suite.model_construct(
        name=name,
        title=name,
        where=name,
        datasets=tuple(dict.fromkeys(datasets)),
        seeds=tuple(seeds),
        select=(mode,),
        methods=tuple(rows),
    )
