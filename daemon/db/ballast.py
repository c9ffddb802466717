"""A file that does nothing but take room, so that a full disk still has some for what was already promised.

When SQLite reports the disk full the ballast goes; settlements and states of paper already out use its room, new work
is refused until the ballast fits again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

BALLAST_BYTES = 1024 * 1024


class Ballast:
    """One preallocated file beside the database. All calls block for one small file operation."""

    def __init__(self, path: Path, *, size_bytes: int = BALLAST_BYTES) -> None:
        self._path = path
        self._size_bytes = size_bytes

    @property
    def is_held(self) -> bool:
        """True while the room is reserved."""
        try:
            return self._path.stat().st_size >= self._size_bytes
        except OSError:
            return False

    def hold(self) -> bool:
        """Reserve the room; False when the disk has none to reserve."""
        if self.is_held:
            return True
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            os.posix_fallocate(descriptor, 0, self._size_bytes)
        except OSError:
            os.ftruncate(descriptor, 0)
            return False
        else:
            return True
        finally:
            os.close(descriptor)

    def drop(self) -> bool:
        """Give the room to the database; False when there was none to give."""
        if not self.is_held:
            return False
        os.truncate(self._path, 0)
        return True
