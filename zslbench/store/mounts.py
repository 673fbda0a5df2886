"""Whether other machines see the locks of a store, as far as Linux shows how its file system is mounted."""

from __future__ import annotations

import re
from pathlib import Path

_LOCAL = {
    "nfs": r"nolock|local_lock=(?!none).*",
    "nfs4": r"nolock|local_lock=(?!none).*",
    "cifs": "nobrl",
    "smb3": "nobrl",
    "lustre": "localflock|noflock",
}
"""Options by type of file system with which a lock is unknown to other machines."""

_NEVER = ("fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone")
"""Their locks hold on one machine only, or their renames are not atomic, whatever the options."""


def lock_warning(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """One line about locks that other machines do not see; empty if none is known.

    Args:
        mounts: the table of mounts (man 5 proc_pid_mountinfo).
    """
    kind, options = _mount_of(folder, mounts)
    pattern = _LOCAL.get(kind)
    wrong = [one for one in options if pattern and re.fullmatch(pattern, one)]
    if not wrong and kind not in _NEVER:
        return ""
    how = f"{kind}, mounted with {', '.join(wrong)}" if wrong else kind
    return (
        f"{folder}: its file system ({how}) does not show locks to other machines, so several of them may "
        "compute the same run; use this store on one machine only, or mount it with shared locks"
    )


def _mount_of(folder: Path, mounts: Path) -> tuple[str, list[str]]:
    """The type and options of the file system that holds a folder, which need not exist; empty: unknown."""
    place, found = folder.resolve(), ("", list[str]())
    longest = -1
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:  # not Linux
        return found
    for line in lines:
        before, dash, after = line.partition(" - ")
        fields, system = before.split(" "), after.split(" ")
        if not dash or len(fields) < 6 or len(system) < 3:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        if len(point.parts) >= longest and place.is_relative_to(point):  # of several in one place, the last
            longest = len(point.parts)
            found = system[0], [*fields[5].split(","), *system[2].split(",")]
    return found
