"""The spool's day keys: one file per day, made on the day's first document, destroyed with its last.

Blocking: called in the spool's threads only. A key file is complete and durable before the first document sealed under
it is written, so a crash leaves no document without its key.
"""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from daemon.jobs.spool_seal import KEY_BYTES, Damaged

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.kernel.ids import Dice

_FILE = re.compile(r"^spool-(\d{4}-\d{2}-\d{2})\.key$")
DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class DayKeys:
    """Keys in files of mode 0600 under one directory; held in memory once read. Thread-safe."""

    def __init__(self, directory: Path, dice: Dice) -> None:
        self._directory = directory
        self._dice = dice
        self._lock = threading.Lock()
        self._held: dict[str, bytes] = {}

    def get(self, day: str) -> bytes:
        """The key of a day that has one.

        Raises:
            Damaged: there is none; its documents are gone for good.
        """
        with self._lock:
            return self._get(day)

    def get_or_make(self, day: str) -> bytes:
        """The key of a day, made durable first if it is new."""
        with self._lock:
            try:
                return self._get(day)
            except Damaged:
                key = self._dice.token(KEY_BYTES)
                self._write(day, key)
                self._held[day] = key
                return key

    def destroy(self, day: str) -> None:
        """Forget a day's key: overwritten, removed, and what it wrapped cannot be read any more."""
        with self._lock:
            self._held.pop(day, None)
            path = self._path(day)
            with suppress(FileNotFoundError):
                with path.open("r+b") as file:
                    file.write(bytes(KEY_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
                path.unlink()
                sync_directory(self._directory)

    def days(self) -> list[str]:
        """Days that have a key."""
        return sorted(found[1] for name in os.listdir(self._directory) if (found := _FILE.match(name)))  # noqa: PTH208 -- names only

    def _path(self, day: str) -> Path:
        if not DAY.match(day):
            raise Damaged(f"no such day: {day!r}")
        return self._directory / f"spool-{day}.key"

    def _get(self, day: str) -> bytes:
        held = self._held.get(day)
        if held is not None:
            return held
        try:
            key = self._path(day).read_bytes()
        except FileNotFoundError as error:
            raise Damaged(f"the spool key of {day} is gone") from error
        if len(key) != KEY_BYTES:
            raise Damaged(f"the spool key of {day} is damaged")
        self._held[day] = key
        return key

    def _write(self, day: str, key: bytes) -> None:
        path = self._path(day)
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(handle, key)
            os.fsync(handle)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
        fresh.rename(path)
        sync_directory(self._directory)
