"""The table of metrics. A metric is declared once, here; every record, table, report and export uses it.

Imports nothing heavy; the arithmetic is in :mod:`zslbench.evaluation.evaluator`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, Literal, get_args

from zslbench.errors import SettingsError, did_you_mean

Group = Literal["CZSL", "GZSL", "calibrated"]


@dataclass(frozen=True)
class Metric:
    """One metric: how it is measured, what it is called, and where it is shown."""

    key: str
    """Its name in run records (``h``) and in keys of tables (``cub_h_mean``)."""
    name: str
    """Its column and heading (``H``)."""
    group: Group
    """``calibrated``: measured with the validation's offset subtracted from scores of seen classes."""
    measure: Callable[[Any], float]
    """From an :class:`~zslbench.evaluation.evaluator.Evaluation`; a fraction if ``percent``; NaN without
    scores."""
    higher_is_better: bool = True
    percent: bool = True
    """Whether records hold a fraction that tables show in percent."""
    headline: bool = False
    """Whether comparisons, suites and ablations give it a column for each data set. Other metrics are shown
    with single runs."""
    on_request: bool = False
    """Whether tables show it only when asked for it by name (:func:`metrics_named`)."""
    needs_scores: bool = False
    """Whether it needs scores; for other metrics, predicted classes are enough."""
    criterion: bool = False
    """Whether models are selected and searched by it, and ablations and charts show it; one each for CZSL and
    GZSL."""
    published: bool = False
    """Whether files of published results have it, in the column ``key``."""
    classes: tuple[str, ...] = ()
    """For a mean over classes, which: ``czsl``, ``unseen`` or ``seen``; two for a harmonic mean. Such metrics
    get an interval over classes."""

    def __post_init__(self) -> None:
        if self.criterion and not self.higher_is_better:
            raise ValueError(
                f"metric '{self.key}': models are only selected by a metric that is better when higher"
            )

    @property
    def digits(self) -> int:
        """Decimals in tables."""
        return 1 if self.percent else 3

    def of(self, figures: Mapping[str, object]) -> float:
        """Its value in a run's ``record.metrics``, as tables show it; NaN if missing."""
        value = figures.get(self.key)
        if not isinstance(value, int | float):
            return math.nan
        return 100 * float(value) if self.percent else float(value)


_shown = partial(Metric, headline=True, published=True)
_extra = partial(Metric, on_request=True)

METRICS: dict[str, Metric] = {
    one.key: one
    for one in (
        _shown("acc", "Acc", "CZSL", attrgetter("acc"), criterion=True, classes=("czsl",)),
        _shown("u", "U", "GZSL", attrgetter("u"), classes=("unseen",)),
        _shown("s", "S", "GZSL", attrgetter("s"), classes=("seen",)),
        _shown("h", "H", "GZSL", attrgetter("h"), criterion=True, classes=("unseen", "seen")),
        Metric("ausuc", "AUSUC", "GZSL", attrgetter("ausuc"), needs_scores=True),
        Metric("u_cal", "U_cal", "calibrated", attrgetter("u"), needs_scores=True),
        Metric("s_cal", "S_cal", "calibrated", attrgetter("s"), needs_scores=True),
        Metric("h_cal", "H_cal", "calibrated", attrgetter("h"), needs_scores=True),
        _extra("acc_micro", "Acc_micro", "CZSL", attrgetter("acc_micro")),
        _extra("acc_top5", "Acc_top5", "CZSL", attrgetter("acc_top5"), needs_scores=True),
        _extra("micro", "Micro", "GZSL", attrgetter("micro")),
        _extra("u_top5", "U_top5", "GZSL", attrgetter("u_top5"), needs_scores=True),
        _extra("s_top5", "S_top5", "GZSL", attrgetter("s_top5"), needs_scores=True),
    )
}
"""By key, in the order of columns."""


def headline_metrics() -> tuple[Metric, ...]:
    """The metrics of comparisons, those of CZSL first."""
    return _by_group(one for one in METRICS.values() if one.headline)


def _by_group(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """Without repetitions and by group, since headers of tables span groups."""
    return tuple(sorted(dict.fromkeys(metrics), key=lambda one: get_args(Group).index(one.group)))


def metrics_named(text: str | None) -> tuple[Metric, ...]:
    """The metrics in ``--metrics A,B`` (keys or names), those of CZSL first; None: the headline ones.

    Raises:
        SettingsError: an unknown name, or none.
    """
    if text is None:
        return headline_metrics()
    known = {name.lower(): one for one in METRICS.values() for name in (one.key, one.name)}
    wanted = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise SettingsError(f"--metrics {name}: {did_you_mean(name, METRICS)}")
    if not wanted:
        raise SettingsError(f"--metrics is empty; {did_you_mean('', METRICS)}")
    return _by_group(known[name] for name in dict.fromkeys(wanted))


def criteria() -> tuple[Metric, ...]:
    """The metrics that models are selected by, that of CZSL first."""
    return tuple(one for one in METRICS.values() if one.criterion)


def criterion(tasks: Collection[str]) -> Metric:
    """The metric by which a model for these tasks is selected: H, or Acc without ``gzsl``."""
    group = "GZSL" if "gzsl" in tasks else "CZSL"
    return next(one for one in criteria() if one.group == group)
