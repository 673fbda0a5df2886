"""Which worker computes which group of a submission."""

from __future__ import annotations

import os
from collections.abc import Iterator

from zslbench.errors import ZslbenchError
from zslbench.experiment.suites.group_state import names_in
from zslbench.experiment.suites.submission import Submission

_COUNTER = 10**9
"""The byte that is locked while the number of groups handed out is read and written."""


class Claims:
    """Which groups this process computes. A process must not open the claims of a submission twice."""

    def __init__(self, submission: Submission) -> None:
        try:
            import fcntl
        except ImportError:
            raise ZslbenchError("workers need a system with POSIX locks, which Windows lacks") from None
        self._locks, self._submission = fcntl, submission
        self._file = os.open(submission.folder / "claims", os.O_RDWR | os.O_CREAT, 0o666)

    def close(self) -> None:
        """Release everything; so does the end of the process."""
        os.close(self._file)

    def take(self, group: int) -> bool:
        """Claim a group; False: another process has it, or it has ended."""
        try:
            self._locks.lockf(self._file, self._locks.LOCK_EX | self._locks.LOCK_NB, 1, group)
        except OSError:
            return False
        if self.has_ended(group):
            self.release(group)
            return False
        return True

    def has_ended(self, group: int) -> bool:
        """Whether each of its cells has."""
        return (self._submission.folder / f"{group}.ended.json").exists()

    def release(self, group: int) -> None:
        """Give a group back."""
        self._locks.lockf(self._file, self._locks.LOCK_UN, 1, group)

    def remaining(self) -> Iterator[int]:
        """Groups of this process, one by one: first those that nobody has begun, then what others left."""
        count = len(self._submission.groups)
        while (group := self._handed_out()) < count:
            if self.take(group):
                yield group
        ended = {
            int(name.partition(".")[0]) for name in names_in(self._submission.folder) if ".ended." in name
        }
        for group in range(count):
            if group not in ended and self.take(group):
                yield group

    def _handed_out(self) -> int:
        """The next group that nobody has begun. A wrong number costs a look at each group, no more."""
        self._locks.lockf(self._file, self._locks.LOCK_EX, 1, _COUNTER)
        try:
            text = os.pread(self._file, 20, 0).strip()
            group = int(text) if text.isdigit() else 0
            os.pwrite(self._file, b"%-20d" % (group + 1), 0)
            return group
        finally:
            self._locks.lockf(self._file, self._locks.LOCK_UN, 1, _COUNTER)
