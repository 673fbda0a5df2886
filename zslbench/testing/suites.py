"""Which checks belong to which kind, and the functions that authors call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from zslbench.plugin.declarations import Kind
from zslbench.plugin.discovery import registry as installed
from zslbench.plugin.lookup import Registry
from zslbench.plugin.settings import build
from zslbench.plugin.targets import settings_model
from zslbench.testing import declared, fitting, methods, sources, steps, use
from zslbench.testing.check import Check, run_all, with_expected_failures
from zslbench.testing.inputs import TinyInputs
from zslbench.testing.methods import Trial
from zslbench.testing.sources import Source
from zslbench.testing.subject import Subject

S = TypeVar("S")

_DECLARED = (
    declared.declaration,
    declared.settings_documented,
    declared.settings_round_trip,
    declared.cheap_to_list,
)
_FITTED = (
    fitting.fit_form,
    fitting.networks_well_formed,
    fitting.view_unchanged,
    fitting.same_seed_same_bits,
    fitting.follows_the_seed,
    fitting.no_global_randomness,
    fitting.state_in_networks,
    fitting.reuse_changes_nothing,
    steps.step_losses,
    steps.steps_pure,
    steps.steps_lift,
    steps.noise_declared,
    steps.seeds_together,
    use.output_shape,
    use.rows_independent,
    use.use_is_pure,
)
_OF_KIND: dict[str, tuple[Callable[[Subject], None], ...]] = {
    "extractor": (sources.extracts_regions, sources.extraction_repeats, sources.images_independent),
    "embedding": (*_FITTED, use.guide_scores),
    "generator": (
        *_FITTED,
        fitting.guide_is_optional,
        use.sample_shape,
        use.sample_uses_semantics_and_noise,
        use.transform_widths,
    ),
    "classifier": (*_FITTED, use.scores_unseen_classes),
}
_DATASET = (
    sources.loads_or_says_what_is_missing,
    sources.dataset_valid,
    sources.dataset_deterministic,
    sources.regions_by_row,
)
_METHOD = (
    methods.method_declared,
    methods.components_exist,
    methods.settings_valid,
    methods.presets_valid,
    methods.readings_resolve,
    methods.variants_resolve,
    methods.explains,
    methods.published_figures,
    methods.search_valid,
    methods.runs,
    methods.repeats,
    methods.variants_run,
)
_NOTHING: Mapping[str, Any] = {}


def checks_for(
    kind: Kind,
    name: str,
    *,
    settings: Mapping[str, Any] = _NOTHING,
    inputs: TinyInputs | None = None,
    data_root: Path | None = None,
    device: str = "cpu",
    expected_failures: Mapping[str, str] = _NOTHING,
    registry: Registry | None = None,
) -> tuple[Check, ...]:
    """The checks of one registered component; each is a function without arguments.

    Args:
        settings: the component's settings for the checks, ``{"hidden": 8}``; small ones keep them quick.
            Training is cut to one epoch anyway.
        inputs: sizes of the generated inputs, for a component that needs particular ones.
        data_root: where a data set's files lie; checks that need them are skipped without them.
        device: where components are fitted.
        expected_failures: names of checks that are known to fail, each with the reason.
        registry: the plugins to look in; None: the installed ones.

    Raises:
        UnknownName: nobody registered the component, or there is no check of that name.
        SettingsError: unknown setting or wrong value.
    """
    registered = (registry or installed()).component(kind, name)
    subject = f"{kind} '{name}'"
    values = build(settings_model(registered), settings, subject)
    checks = _bound(subject, _DECLARED, registered)
    if kind == "dataset":
        checks += _bound(subject, _DATASET, Source(registered, values, data_root))
    else:
        checks += _bound(subject, _OF_KIND[kind], Subject(registered, values, inputs or TinyInputs(), device))
    return with_expected_failures(checks, expected_failures)


def checks_for_method(
    name: str,
    *,
    dataset: str = "toy",
    settings: Mapping[str, Any] = _NOTHING,
    data_root: Path | None = None,
    expected_failures: Mapping[str, str] = _NOTHING,
    registry: Registry | None = None,
) -> tuple[Check, ...]:
    """The checks of one registered method, some of which run it on a data set.

    Args:
        dataset: what the tiny runs are on; ``toy`` needs no files.
        settings: for the tiny runs, ``{"generator.epochs": 2}``; a variant that swaps a component out
            takes those that the other component has.

    The other arguments and the errors are those of :func:`checks_for`.
    """
    known = registry or installed()
    trial = Trial(known, known.method(name), dataset, dict(settings), data_root)
    return with_expected_failures(_bound(f"method '{name}'", _METHOD, trial), expected_failures)


def check_component(kind: Kind, name: str, **options: Any) -> None:
    """Run all checks of a component; the options are those of :func:`checks_for`.

    Raises:
        ConformanceError: lists every check that fails, and every expected failure that passes.
    """
    run_all(checks_for(kind, name, **options))


def check_method(name: str, **options: Any) -> None:
    """Run all checks of a method; the options are those of :func:`checks_for_method`.

    Raises:
        ConformanceError: lists every check that fails, and every expected failure that passes.
    """
    run_all(checks_for_method(name, **options))


def _bound(subject: str, functions: Sequence[Callable[[S], None]], argument: S) -> tuple[Check, ...]:
    return tuple(
        Check(subject, one.__name__, (one.__doc__ or "").strip(), partial(one, argument)) for one in functions
    )
