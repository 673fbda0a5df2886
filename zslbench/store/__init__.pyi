from .files import (
    checked_json as checked_json,
    explained as explained,
    make_folder as make_folder,
    parse_checked_json as parse_checked_json,
    read_records as read_records,
    sha256_of as sha256_of,
    sync_folder as sync_folder,
    write_atomically as write_atomically,
)
from .identity import canonical as canonical, run_id as run_id
from .mounts import lock_warning as lock_warning
from .names import (
    checked_name as checked_name,
    name_fault as name_fault,
    path_name as path_name,
)
from .parsing import (
    LARGEST as LARGEST,
    parse_json as parse_json,
    parse_toml as parse_toml,
    small_text as small_text,
)
from .record import (
    FIGURES_ONLY as FIGURES_ONLY,
    RUN_FILE as RUN_FILE,
    RunContent as RunContent,
    RunInfo as RunInfo,
    RunRecord as RunRecord,
)
from .stages import StageStore as StageStore
from .store import RunInUse as RunInUse, Store as Store
