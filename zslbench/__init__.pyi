import typing

from .api import Result as Result, bench as bench, load as load, run as run
from .errors import ZslbenchError as ZslbenchError
from .plugin.declarations import (
    Command as Command,
    Component as Component,
    Executor as Executor,
    Method as Method,
    Options as Options,
    Range as Range,
    Reading as Reading,
    Tracker as Tracker,
    Variant as Variant,
)
from .plugin.hookspecs import hookimpl as hookimpl
from .plugin.settings import ComponentSettings as ComponentSettings
from .report.two_runs import compare as compare

__version__: str

def __getattr__(name: str) -> typing.Any: ...
