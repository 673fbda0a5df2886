from .datasets import (
    DataFiles as DataFiles,
    DatasetCache as DatasetCache,
    arrays as arrays,
    load_dataset as load_dataset,
    provenance as provenance,
)
from .events import Display as Display, Quiet as Quiet, stop_requests as stop_requests
from .execution import checkpoint_seconds as checkpoint_seconds
from .fitted_run import FittedRun as FittedRun, Notify as Notify, load_run as load_run
from .fitting import (
    Fitter as Fitter,
    embedding_inputs as embedding_inputs,
    embedding_needs as embedding_needs,
)
from .job import (
    ExecutionMode as ExecutionMode,
    Job as Job,
    applied as applied,
    choose_mode as choose_mode,
    core_version as core_version,
    seed_numbers as seed_numbers,
)
from .open_run import STAGES as STAGES
from .options import (
    AllOptions as AllOptions,
    FitOptions as FitOptions,
    MachineOptions as MachineOptions,
    RunOptions as RunOptions,
    SearchOptions as SearchOptions,
    takes as takes,
)
from .pipeline import Outcome as Outcome, evaluable as evaluable, run as run, validate as validate
from .published import (
    PublishedResults as PublishedResults,
    PublishedRow as PublishedRow,
    normal as normal,
    published_ablation as published_ablation,
)
from .recipe import (
    Part as Part,
    Recipe as Recipe,
    label_text as label_text,
    paced_of as paced_of,
    resolve as resolve,
)
from .suites.cells import (
    Entry as Entry,
    SuiteOutcome as SuiteOutcome,
    recorded_outcome as recorded_outcome,
    suite_outcome as suite_outcome,
)
from .suites.definition import Suite as Suite, find_suite as find_suite, suite_names as suite_names
from .suites.executor import (
    RunExecutor as RunExecutor,
    Watch as Watch,
    executor_class as executor_class,
    requested_executor as requested_executor,
)
from .suites.from_options import ablation_suite as ablation_suite
from .suites.group_state import GroupReport as GroupReport, GroupState as GroupState
from .suites.lines import Line as Line
from .suites.run import Bench as Bench, Watcher as Watcher, prepare as prepare
from .suites.submission import (
    PlannedCell as PlannedCell,
    PlannedGroup as PlannedGroup,
    Submission as Submission,
    last_lines as last_lines,
    submissions as submissions,
)
from .suites.worker import ReportingDisplay as ReportingDisplay
