"""Locks that hold on one machine only are recognised from the table of mounts, as Linux writes it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from zslbench.store import mounts
from zslbench.store.mounts import lock_warning
from zslbench.store.store import Store

TABLE = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 22 0:40 / /shared rw,noatime shared:9 - nfs4 files:/export rw,vers=4.2,hard,local_lock=none,addr=10.0.0.1
31 22 0:41 / /old rw,noatime - nfs files:/old rw,vers=3,hard,nolock,local_lock=all,addr=10.0.0.1
32 30 0:42 / /shared/half rw - nfs files:/half rw,vers=3,local_lock=posix,addr=10.0.0.1
33 22 0:43 / /with\040space rw - cifs //files/x rw,vers=3.0,nobrl
34 22 0:44 / /lustre rw shared:3 master:1 - lustre mds@tcp:/fs rw,localflock
35 22 0:45 / /scratch rw shared:3 - lustre mds@tcp:/fs rw,flock
36 22 0:46 / /far rw,nosuid - fuse.sshfs me@there: rw,user_id=0
37 22 0:47 / /twice rw - nfs files:/a rw,nolock
38 37 0:48 / /twice rw - ext4 /dev/vdb rw
broken line
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(TABLE)
    return path


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("/old/store", ["nfs", "nolock", "local_lock=all"]),
        ("/shared/half/store", ["local_lock=posix"]),
        ("/with space/store", ["cifs", "nobrl"]),
        ("/lustre/me/store", ["localflock"]),
        ("/far/store", ["sshfs"]),
    ],
)
def test_mounts_whose_locks_other_machines_do_not_see(table: Path, folder: str, names: list[str]) -> None:
    warning = lock_warning(Path(folder), table)
    assert folder in warning and "\n" not in warning
    assert all(one in warning for one in names)


@pytest.mark.parametrize(
    "folder", ["/home/me/store", "/shared/store", "/shared/halfway", "/scratch/store", "/twice/store"]
)
def test_mounts_with_shared_locks(table: Path, folder: str) -> None:
    assert lock_warning(Path(folder), table) == ""


def test_a_machine_without_such_a_table(tmp_path: Path) -> None:
    assert lock_warning(tmp_path, tmp_path / "none") == ""


def test_a_link_leads_to_the_mount_behind_it(table: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/old")
    assert "nolock" in lock_warning(tmp_path / "link" / "store", table)


def test_a_store_warns_before_it_computes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "store")
    store.prepare()
    assert caplog.messages == []
    monkeypatch.setattr(mounts, "_mount_of", lambda *_: ("nfs", ["rw", "nolock"]))
    with caplog.at_level(logging.WARNING):
        store.prepare()
    assert len(caplog.messages) == 1 and "nolock" in caplog.messages[0]
