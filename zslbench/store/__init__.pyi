from .files import (
    read_records as read_records,
    remove_parts as remove_parts,
    sha256_of as sha256_of,
    sync_folder as sync_folder,
    write_whole as write_whole,
)
from .identity import canonical as canonical, run_id as run_id
from .publish import make_folder as make_folder
from .record import RunContent as RunContent, RunInfo as RunInfo, RunRecord as RunRecord
from .sealed import seal as seal, unseal as unseal
from .stages import StageStore as StageStore
from .store import Store as Store
from .workspace import Workspaces as Workspaces
