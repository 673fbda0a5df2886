from .bits import leaves as leaves
from .check import (
    Check as Check,
    ConformanceError as ConformanceError,
    NotApplicable as NotApplicable,
    parametrize_with_checks as parametrize_with_checks,
)
from .inputs import TinyInputs as TinyInputs
from .subject import global_seed as global_seed
from .suites import (
    check_component as check_component,
    check_method as check_method,
    checks_for as checks_for,
    checks_for_method as checks_for_method,
)
