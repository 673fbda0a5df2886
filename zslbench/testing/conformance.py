"""The functions that authors call, and the checks of each kind."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from zslbench.errors import UnknownName, did_you_mean
from zslbench.plugin.declarations import Kind
from zslbench.plugin.discovery import registry as installed
from zslbench.plugin.lookup import Registry
from zslbench.plugin.settings import build
from zslbench.plugin.targets import settings_model
from zslbench.testing import (
    data_checks,
    declared_checks,
    fit_checks,
    generator_checks,
    process_checks,
    schedule_checks,
    step_checks,
)
from zslbench.testing.check import Check, ConformanceError, NotApplicable
from zslbench.testing.data_checks import DatasetCase
from zslbench.testing.declared_checks import MethodCase
from zslbench.testing.harness import ComponentCase, TinyInputs

CaseT = TypeVar("CaseT")

# fmt: off
_DECLARED = (
    declared_checks.declaration, declared_checks.settings_documented,
    declared_checks.settings_round_trip, declared_checks.cheap_to_list,
)
_FITTED = (
    fit_checks.fit_form, fit_checks.networks_well_formed, fit_checks.view_unchanged,
    fit_checks.same_seed_same_bits, fit_checks.follows_the_seed, fit_checks.no_global_randomness,
    fit_checks.state_in_networks, fit_checks.reuse_changes_nothing, schedule_checks.selected_is_refitted,
    step_checks.step_losses, step_checks.steps_pure, step_checks.steps_lift,
    step_checks.noise_declared, step_checks.seeds_together,
    step_checks.output_shape, step_checks.rows_independent, step_checks.use_is_pure,
    process_checks.leaves_process_alone,
)
_OF_KIND: dict[str, tuple[Callable[[ComponentCase], None], ...]] = {
    "extractor": (
        data_checks.extracts_regions, data_checks.extraction_repeats, data_checks.images_independent,
        process_checks.leaves_process_alone,
    ),
    "embedding": (*_FITTED, step_checks.guide_scores),
    "generator": (
        *_FITTED, fit_checks.guide_is_optional, generator_checks.counts_per_class,
        generator_checks.sample_shape, generator_checks.sample_uses_semantics_and_noise,
        generator_checks.transform_widths, generator_checks.transform_uses_noise,
        generator_checks.encodes_by_row,
    ),
    "classifier": (*_FITTED, fit_checks.encoder_is_optional, step_checks.scores_unseen_classes),
}
_DATASET = (
    data_checks.loads_or_says_what_is_missing, data_checks.dataset_valid,
    data_checks.dataset_deterministic, data_checks.regions_by_row, process_checks.leaves_process_alone,
)
_METHOD = (
    declared_checks.method_declared, declared_checks.components_exist, declared_checks.settings_valid,
    declared_checks.presets_valid, declared_checks.readings_resolve, declared_checks.variants_resolve,
    declared_checks.explains, declared_checks.published_figures, declared_checks.search_valid,
    declared_checks.runs, declared_checks.repeats, declared_checks.variants_run,
)
# fmt: on
_NONE: Mapping[str, Any] = {}


def checks_for(
    kind: Kind,
    name: str,
    *,
    settings: Mapping[str, Any] = _NONE,
    inputs: TinyInputs | None = None,
    data_root: Path | None = None,
    device: str = "cpu",
    expected_failures: Mapping[str, str] = _NONE,
    registry: Registry | None = None,
) -> tuple[Check, ...]:
    """The checks of one registered component; each is a function without arguments.

    Args:
        settings: the component's settings, ``{"hidden": 8}``; small ones make the checks fast. Training is
            shortened to one epoch anyway.
        inputs: sizes of the generated inputs, for a component that needs particular ones.
        data_root: the folder with a data set's files; checks that need them are skipped without them.
        device: where components are fitted.
        expected_failures: names of checks that are known to fail, each with the reason.
        registry: the plugins to look in; None: the installed ones.

    Raises:
        UnknownName: no plugin registers the component, or there is no check of that name.
        SettingsError: a setting is unknown or has an invalid value.
    """
    registered = (registry or installed()).component(kind, name)
    subject = f"{kind} '{name}'"
    values = build(settings_model(registered), settings, subject)
    checks = _bound(subject, _DECLARED, registered)
    if kind == "dataset":
        checks += _bound(subject, _DATASET, DatasetCase(registered, values, data_root))
    else:
        case = ComponentCase(registered, values, inputs or TinyInputs(), device)
        checks += _bound(subject, _OF_KIND[kind], case)
    return with_expected_failures(checks, expected_failures)


def checks_for_method(
    name: str,
    *,
    dataset: str = "toy",
    settings: Mapping[str, Any] = _NONE,
    data_root: Path | None = None,
    expected_failures: Mapping[str, str] = _NONE,
    registry: Registry | None = None,
) -> tuple[Check, ...]:
    """The checks of one registered method, some of which run it on a data set.

    Args:
        dataset: the data set of the tiny runs; ``toy`` needs no files.
        settings: of the tiny runs, ``{"generator.epochs": 2}``; a variant that replaces a component ignores
            settings that the other component does not have.

    The other arguments and the errors are those of :func:`checks_for`.
    """
    known = registry or installed()
    case = MethodCase(known, known.method(name), dataset, dict(settings), data_root)
    return with_expected_failures(_bound(f"method '{name}'", _METHOD, case), expected_failures)


def check_component(kind: Kind, name: str, **options: Any) -> None:
    """Run all checks of a component; the options are those of :func:`checks_for`.

    Raises:
        ConformanceError: lists every check that fails, and every expected failure that passes.
    """
    run_all(checks_for(kind, name, **options))


def check_method(name: str, **options: Any) -> None:
    """Run all checks of a method, as :func:`check_component` does; options: :func:`checks_for_method`."""
    run_all(checks_for_method(name, **options))


def parametrize_with_checks(checks: Iterable[Check]) -> Any:
    """A pytest decorator: the test's argument ``check`` becomes each of the checks in turn.

    Expected failures become strict ``xfail`` marks, so that one which passes is reported.
    """
    import pytest  # only authors' tests need it

    def parameter(check: Check) -> Any:
        name = f"{check.subject} {check.name}".replace(" ", "-").replace("'", "")
        if check.expected_failure is None:
            return pytest.param(check, id=name)
        failing = pytest.mark.xfail(reason=check.expected_failure, strict=True, raises=ConformanceError)
        return pytest.param(check, id=name, marks=failing)

    return pytest.mark.parametrize("check", [parameter(check) for check in checks])


def _bound(subject: str, functions: Sequence[Callable[[CaseT], None]], case: CaseT) -> tuple[Check, ...]:
    reported: dict[Hashable, str] = {}
    return tuple(
        Check(
            subject, one.__name__, " ".join((one.__doc__ or "").split()), partial(one, case), None, reported
        )
        for one in functions
    )


def with_expected_failures(checks: Sequence[Check], expected: Mapping[str, str]) -> tuple[Check, ...]:
    """The checks, with the reasons of those named in ``expected``; UnknownName if there is no such check."""
    known = [check.name for check in checks]
    for name in expected:
        if name not in known:
            raise UnknownName(f"expected_failures: no check '{name}', {did_you_mean(name, known)}")
    return tuple(replace(one, expected_failure=expected.get(one.name)) for one in checks)


def run_all(checks: Sequence[Check]) -> None:
    """Run every check, then raise one error that lists all faults, and expected failures that pass."""
    faults = []
    for check in checks:
        try:
            check()
        except NotApplicable:
            continue
        except ConformanceError as error:
            if check.expected_failure is None:
                faults.append(str(error))
            continue
        if check.expected_failure is not None:
            passes = f"{check.subject} passes check '{check.name}'"
            faults.append(
                f"{passes}, which expected_failures lists ({check.expected_failure}); remove it there"
            )
    if faults:
        raise ConformanceError(f"{len(faults)} of {len(checks)} checks: " + "\n".join(faults))
