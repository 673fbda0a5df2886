from .check import (
    Check as Check,
    ConformanceError as ConformanceError,
    NotApplicable as NotApplicable,
    global_seed as global_seed,
    leaves as leaves,
)
from .conformance import (
    check_component as check_component,
    check_method as check_method,
    checks_for as checks_for,
    checks_for_method as checks_for_method,
    parametrize_with_checks as parametrize_with_checks,
)
from .harness import TinyInputs as TinyInputs
