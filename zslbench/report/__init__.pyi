from .ablation import Ablation as Ablation, ablation_of as ablation_of
from .bootstrap import difference_over_classes as difference_over_classes, over_classes as over_classes
from .comparison import comparison_frame as comparison_frame, comparison_table as comparison_table
from .console import Console as Console, TextColumn as TextColumn
from .figures import parse_choices as parse_choices
from .filters import Filters as Filters
from .findings import (
    leak_table as leak_table,
    suite_findings as suite_findings,
    suite_ranks as suite_ranks,
)
from .one_run import (
    explain_run as explain_run,
    explain_settings as explain_settings,
    final_metrics as final_metrics,
    last_evaluations as last_evaluations,
    run_details as run_details,
    run_parameters as run_parameters,
    run_tags as run_tags,
    run_title as run_title,
    stage_rows as stage_rows,
    stages_line as stages_line,
)
from .orders import (
    RANKS_NOTE as RANKS_NOTE,
    Rank as Rank,
    order_agreement as order_agreement,
    ranks as ranks,
)
from .predictions import (
    confusions_frame as confusions_frame,
    image_files as image_files,
    most_confused as most_confused,
    predictions_frame as predictions_frame,
)
from .published import (
    published_lookup as published_lookup,
    published_table as published_table,
    verdict as verdict,
)
from .results import (
    ORACLE_MARK as ORACLE_MARK,
    SELECTIONS as SELECTIONS,
    candidates_label as candidates_label,
    dataset_label as dataset_label,
    differences_text as differences_text,
    is_simulated as is_simulated,
    knowledge_of_test as knowledge_of_test,
    mean_std as mean_std,
    method_label as method_label,
    method_name as method_name,
    percent as percent,
    runs_apart as runs_apart,
    runs_frame as runs_frame,
    seeds_table as seeds_table,
    selection_label as selection_label,
    selection_mark as selection_mark,
    trust_mark as trust_mark,
    trust_notes as trust_notes,
    usual_facts as usual_facts,
    without_seed as without_seed,
)
from .statistics import (
    Interval as Interval,
    Paired as Paired,
    Ranking as Ranking,
    against_best as against_best,
    compare_seeds as compare_seeds,
    interval as interval,
    seeds_needed as seeds_needed,
)
from .suite import suite_table as suite_table
from .tables.markup import markdown_escaped as markdown_escaped
from .tables.model import (
    MISSING as MISSING,
    Cell as Cell,
    Column as Column,
    Row as Row,
    Table as Table,
    as_table as as_table,
    header_spans as header_spans,
    signed as signed,
    table_notes as table_notes,
)
from .tables.render import (
    FORMATS as FORMATS,
    csv_safe as csv_safe,
    emit as emit,
    json_text as json_text,
    render as render,
)
