from .datasets import (
    Data as Data,
    arrays as arrays,
    load_dataset as load_dataset,
    provenance as provenance,
)
from .execution.interrupt import stop_requests as stop_requests
from .execution.local import (
    STAGES as STAGES,
    Display as Display,
    Job as Job,
    checkpoint_seconds as checkpoint_seconds,
)
from .execution.mode import ExecutionMode as ExecutionMode, applied as applied, choose_mode as choose_mode
from .fitting import embedding_inputs as embedding_inputs
from .pipeline import Outcome as Outcome, Validated as Validated, run as run, validate as validate
from .published.ablations import published_ablation as published_ablation
from .published.results import PublishedResults as PublishedResults
from .published.row import PublishedRow as PublishedRow
from .recipe import Part as Part, Recipe as Recipe, label_text as label_text, resolve as resolve
from .suites.catalogue import Suite as Suite, find_suite as find_suite, suite_names as suite_names
from .suites.outcome import Entry as Entry, Line as Line, SuiteOutcome as SuiteOutcome
from .suites.status import suite_outcome as suite_outcome
