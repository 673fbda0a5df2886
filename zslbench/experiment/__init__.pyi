from .datasets import (
    DataFiles as DataFiles,
    DatasetCache as DatasetCache,
    arrays as arrays,
    load_dataset as load_dataset,
    provenance as provenance,
)
from .execution.events import Display as Display, Quiet as Quiet, stop_requests as stop_requests
from .execution.job import Job as Job, core_version as core_version, seed_numbers as seed_numbers
from .execution.mode import ExecutionMode as ExecutionMode, applied as applied, choose_mode as choose_mode
from .execution.single import STAGES as STAGES, checkpoint_seconds as checkpoint_seconds
from .fitting import embedding_inputs as embedding_inputs
from .options import (
    FitOptions as FitOptions,
    MachineOptions as MachineOptions,
    RunOptions as RunOptions,
    SearchKeywords as SearchKeywords,
    split_options as split_options,
)
from .pipeline import Outcome as Outcome, Validated as Validated, run as run, validate as validate
from .published.results import (
    PublishedResults as PublishedResults,
    published_ablation as published_ablation,
)
from .published.rows import PublishedRow as PublishedRow
from .recipe import Part as Part, Recipe as Recipe, label_text as label_text, resolve as resolve
from .suites.resolving import Line as Line
from .suites.results import Entry as Entry, SuiteOutcome as SuiteOutcome, suite_outcome as suite_outcome
from .suites.suite import Suite as Suite, find_suite as find_suite, suite_names as suite_names
