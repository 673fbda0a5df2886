from .auditing import run as run
from .kept import (
    Subject as Subject,
    Told as Told,
    find as find,
    is_current as is_current,
    keep as keep,
    stored as stored,
    told as told,
)
from .result import LIMITS as LIMITS, AuditResult as AuditResult, ProbeResult as ProbeResult
