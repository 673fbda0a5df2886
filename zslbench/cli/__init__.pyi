from .main import Frame as Frame, cli as cli
from .options import (
    computing_options as computing_options,
    data_root_option as data_root_option,
    fitting_options as fitting_options,
    format_option as format_option,
    note as note,
    searching_options as searching_options,
    store_option as store_option,
    suite_options as suite_options,
)
from .progress import TerminalDisplay as TerminalDisplay, duration as duration
