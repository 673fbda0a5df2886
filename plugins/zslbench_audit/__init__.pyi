from .audit import PROBES as PROBES, judge as judge, run as run
from .stored import (
    LIMITS as LIMITS,
    AuditResult as AuditResult,
    AuditStatus as AuditStatus,
    ProbeResult as ProbeResult,
    find as find,
    is_current as is_current,
    save as save,
    status_of as status_of,
    stored as stored,
)
