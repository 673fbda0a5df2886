from .bench import emit_plan as emit_plan
from .completion import complete_datasets as complete_datasets, complete_methods as complete_methods
from .grid import watching as watching
from .main import (
    LazyGroup as LazyGroup,
    cli as cli,
    refuse_options as refuse_options,
    sets_environment as sets_environment,
)
from .options import (
    COUNT as COUNT,
    SEED as SEED,
    SEEDS as SEEDS,
    SELECTIONS as SELECTIONS,
    STORED_SELECTIONS as STORED_SELECTIONS,
    candidates_option as candidates_option,
    confirm as confirm,
    data_root_option as data_root_option,
    dry_run_option as dry_run_option,
    emit_notes as emit_notes,
    filter_options as filter_options,
    fitting_options as fitting_options,
    format_option as format_option,
    machine_options as machine_options,
    metrics_option as metrics_option,
    note as note,
    note_empty as note_empty,
    options_of as options_of,
    remark as remark,
    running_options as running_options,
    select_option as select_option,
    store_option as store_option,
)
from .progress import TerminalDisplay as TerminalDisplay, duration as duration
