from .candidates import (
    TEST as TEST,
    candidates_of as candidates_of,
    protocol_notes as protocol_notes,
    with_candidates as with_candidates,
)
from .evaluator import Evaluation as Evaluation, evaluate as evaluate
from .folds import (
    Fold as Fold,
    final_fold as final_fold,
    transductive_knowledge as transductive_knowledge,
    validation_fold as validation_fold,
)
from .given import evaluate_scores as evaluate_scores
from .leaders import Leaders as Leaders, Sides as Sides
from .metrics import (
    METRICS as METRICS,
    Metric as Metric,
    criteria as criteria,
    criterion as criterion,
    headline_metrics as headline_metrics,
    metrics_named as metrics_named,
)
from .selection import EXTERNAL as EXTERNAL, Selection as Selection, uses_test_images as uses_test_images
from .splits import (
    fingerprint as fingerprint,
    split_fingerprint as split_fingerprint,
    validation_split as validation_split,
)
