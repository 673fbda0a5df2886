from .metrics import (
    METRICS as METRICS,
    Metric as Metric,
    criteria as criteria,
    criterion as criterion,
    headline_metrics as headline_metrics,
)
