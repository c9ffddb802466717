"""One writer per state directory: an flock that dies with the process, however the process dies."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from daemon.kernel.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

HOLDER_BYTES_MAX = 32


class StateLocked(Unavailable):
    """Another process writes here; `data["pid"]` names it when it said so."""

    code = "state-locked"


class StateLock:
    """An exclusive lock on a file, held until `release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock at once.

        Raises:
            StateLocked: somebody else holds it.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, HOLDER_BYTES_MAX).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise StateLocked(f"{self._path.parent} is in use by process {holder or 'unknown'}", pid=holder) from error
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._sign(descriptor)

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _sign(self, descriptor: int) -> None:
        # The pid is a courtesy to whoever is refused; a full disk must not keep the lock from being taken.
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            return
