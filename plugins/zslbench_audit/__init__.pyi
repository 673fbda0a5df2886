from .audit import PROBES as PROBES, run as run
from .result import LIMITS as LIMITS, AuditResult as AuditResult, ProbeResult as ProbeResult
from .stored import (
    AuditedCode as AuditedCode,
    AuditStatus as AuditStatus,
    find as find,
    is_current as is_current,
    save as save,
    status_of as status_of,
    stored as stored,
)
