"""A search with everything that its trials need, resolved before the first one.

A trial fits a recipe on the fold of every validation split with every seed; its value is the best mean of an
epoch. Only these folds are made, so nothing here can see a test image.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from zslbench.errors import Interrupted
from zslbench.evaluation import Fold, Metric, Selection, criterion, validation_fold
from zslbench.experiment import (
    STAGES,
    DatasetCache,
    Display,
    Job,
    SearchOptions,
    applied,
    checkpoint_seconds,
    embedding_inputs,
    evaluable,
    resolve,
    seed_numbers,
    validate,
)
from zslbench.plugin import Dataset, Streams, plugin_code, registry
from zslbench.store import StageStore, Store, path_name, run_id
from zslbench.training import Stages, Training
from zslbench_tune.space import SearchSpec, Space, own_ranges, shared_ranges, space_of
from zslbench_tune.splits import class_splits, on_split

STUDIES = "tuning"
"""The store's folder of studies, presets and checkpoints of searches."""

Curve = dict[int | None, float]
"""The value of one seed on one split after each evaluated epoch; the only epoch of a closed form is None."""
Report = Callable[[int, float, bool], None]
"""Receives each step (counted from 0), the value so far, and whether it is the last step. Raises to end the
trial."""


@dataclass(frozen=True)
class Sampling:
    """The number of trials and how they are sampled; not part of a study's identity."""

    trials: int
    sampler: str
    seed: int
    pruner: str


@dataclass(frozen=True)
class TrialValue:
    """What a trial came to, in fractions."""

    value: float
    """The best mean of the metric over all splits and seeds."""
    epoch: int | None
    """The epoch with it; None: closed form."""
    seeds: dict[int, float]
    """Each seed's mean over the splits at this epoch."""
    splits: list[float]
    """Each split's mean over the seeds at this epoch."""


@dataclass
class Search:
    """A search of a recipe's settings on a data set."""

    jobs: tuple[Job, ...]
    """For each validation split, the data set's own first: the method with the settings that all trials
    share, its data, selection and mode; of the first seed."""
    seeds: tuple[int, ...]
    space: Space
    store: Path
    """The store's folder; trials reuse training stages through it."""
    journal: str | Path | None
    """The study's file; None: one in the store."""
    display: Display
    sampling: Sampling
    stop_requested: Callable[[], bool] = lambda: False
    _fold: tuple[Dataset, Fold] | None = field(default=None, init=False)
    """The data set of the validation fold in use, and the fold."""

    @property
    def job(self) -> Job:
        """The job on the data set's own validation split."""
        return self.jobs[0]

    @property
    def judged_on(self) -> str:
        """The images that decide a trial, in words."""
        return "the validation split" if len(self.jobs) == 1 else f"{len(self.jobs)} validation splits"

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that the values of trials depend on except the machine; and the space."""
        job, searched = self.job.identity(), self.space.as_dict()
        settings = {
            kind: {name: value for name, value in values.items() if f"{kind}.{name}" not in searched}
            for kind, values in job["settings"].items()
        }
        common = {key: value for key, value in job.items() if key not in ("seed", "execution", "search")}
        precision = job["execution"]["precision"]
        if precision != "float32":
            common["precision"] = precision
        if len(self.jobs) > 1:
            common["validation_splits"] = {
                "number": len(self.jobs),
                "digest": run_id({"of": self.fingerprints}),
            }
        return {**common, "settings": settings, "space": searched, "seeds": list(self.seeds)}

    @property
    def fingerprints(self) -> list[str]:
        """The fingerprints of the validation splits."""
        return [job.data["validation_fingerprint"] for job in self.jobs]

    @property
    def name(self) -> str:
        """Method, data set and a digest of the identity."""
        return f"{self.job.recipe.method}-{self.job.recipe.parts['dataset'].name}-{run_id(self.identity)[:8]}"

    @property
    def file(self) -> Path:
        """The study's journal."""
        default = self.store / STUDIES / f"{path_name(self.name)}.journal"
        return Path(self.journal or default).expanduser().absolute()

    @property
    def metric(self) -> Metric:
        """The metric of trials on validation images: H, or Acc for a method without GZSL."""
        return criterion(self.job.recipe.tasks)

    def value(self, settings: Mapping[str, Any], title: str, report: Report) -> TrialValue:
        """Compute the trial with these settings.

        Raises:
            Interrupted: stopped on request; a trial with the same settings resumes from the checkpoints.
            Diverged: a loss is not finite.
        """
        recipe = replace(self.job.recipe.with_settings(settings), search={})
        splits = range(len(self.jobs))
        curves: dict[tuple[int, int], Curve] = {}
        with contextlib.ExitStack() as checkpoints:  # of all fits, until the trial is complete
            for split, seed in itertools.product(splits, self.seeds):
                if self.stop_requested():
                    raise Interrupted("stopped on request")
                job = replace(self.jobs[split], recipe=recipe, seed=seed)
                report_epoch = partial(self._report_epoch, report, list(curves.values()), recipe.last or 1)
                place = f"split {split + 1} of {len(splits)} · " if len(splits) > 1 else ""
                shown = f"{title} · {place}seed {seed}"
                curves[split, seed] = self._curve(job, shown, report_epoch, checkpoints)
        # The best epoch on average; of equals the first, as selection ``val`` chooses.
        epochs = set.intersection(*(set(curve) for curve in curves.values()))
        means = {epoch: _mean([curve[epoch] for curve in curves.values()]) for epoch in epochs}
        best = max(means, key=lambda epoch: (means[epoch], -(epoch or 0)))
        return TrialValue(
            means[best],
            best,
            {seed: _mean([curves[split, seed][best] for split in splits]) for seed in self.seeds},
            [_mean([curves[split, seed][best] for seed in self.seeds]) for split in splits],
        )

    def _report_epoch(
        self,
        report: Report,
        previous: Sequence[Curve],
        epochs: int,
        epoch: int | None,
        figures: Mapping[str, float],
    ) -> None:
        """Report the value of one fit after an epoch, averaged with those of the trial's previous fits.

        Values go into the study's file, so the data are checked first.
        """
        self.job.require_sound_data()
        step = len(previous) * epochs + (epoch or 1) - 1
        values = [figures[f"val_{self.metric.key}"]]
        values += [curve[epoch] for curve in previous if epoch in curve]
        report(step, _mean(values), step == len(self.jobs) * len(self.seeds) * epochs - 1)

    def _curve(
        self, job: Job, title: str, report_epoch: Callable[..., None], checkpoints: contextlib.ExitStack
    ) -> Curve:
        folder = _checkpoint_folder(Store(self.store / STUDIES), run_id(job.identity()))
        with applied(job.mode, job.seed) as device, self.display.observer(title) as observer:
            if self._fold is None or self._fold[0] is not job.dataset:  # no searched setting affects it
                self._fold = None  # one at a time in memory
                self._fold = job.dataset, validation_fold(job.dataset, device, embedding_inputs(job.recipe))
            training = Training(
                streams=Streams(job.seed, device),
                folder=checkpoints.enter_context(folder),
                require_sound_data=job.require_sound_data,
                observer=observer,
                checkpoint_seconds=checkpoint_seconds(),
                stop_requested=self.stop_requested,
                stages=Stages(StageStore(self.store / STAGES), job.stage_identity()),
                precision=job.mode.precision,
                graphs=job.mode.new_graphs(),
            )
            with plugin_code(job.recipe.label):
                points = validate(job.recipe, self._fold[1], job.selection, training, report_epoch)
        return {row["epoch"]: row[f"val_{self.metric.key}"] for row in points}


def resolve_search(
    display: Display,
    *,
    sampling: Sampling,
    method: str | None,
    dataset: str,
    search: Mapping[str, SearchSpec] | None,
    seeds: int | Sequence[int],
    variant: str | None,
    components: Mapping[str, str | None],
    journal: str | Path | None,
    validation_splits: int = 1,
    elsewhere: bool = False,
    **options: Any,
) -> Search:
    """Resolve a search and load its data; arguments and errors are those of :func:`~.tune.tune`.

    Args:
        components: of a composition, by kind.
        elsewhere: other machines compute, so this one need not have their GPU.
    """
    given = SearchOptions(**options)
    known = registry()
    recipe = resolve(
        known,
        dataset,
        method=method,
        variant=variant,
        components=components,
        data_root=given.data_root,
        **given.resolved(),
    )
    methods = [one.declaration for one in known.methods()]
    if method is None:
        tunable = shared_ranges(methods, {kind: part.name for kind, part in recipe.parts.items()})
    else:
        tunable = own_ranges(known.method(method).declaration, recipe)
    space = space_of(recipe, requested=search or {}, tunable=tunable, fixed=given.settings or {})
    numbers, selection = seed_numbers(seeds), Selection("val", given.every)
    store = given.open_store()
    store.prepare()
    loaded, provenance = DatasetCache(given.data_root, display.say, "now").load(recipe, given.files)
    recipe = evaluable(recipe, loaded, validates=True)
    job = Job(recipe, loaded, provenance, numbers[0], selection, given.mode(elsewhere))
    drawn = class_splits(loaded, validation_splits)[1:]
    for one in drawn:
        evaluable(recipe, one, validates=True)
    jobs = (job, *(on_split(job, one) for one in drawn))
    return Search(jobs, numbers, space, store.root, journal, display, sampling)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@contextlib.contextmanager
def _checkpoint_folder(studies: Store, trial: str) -> Iterator[Path]:
    """The folder with the checkpoints of a trial, which only remains if the trial is interrupted."""
    with studies.workspace(trial) as folder:
        try:
            yield folder
        except (Interrupted, KeyboardInterrupt):
            raise
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
