"""Tells when something changes in directories (inotify(7)), by the C library: no udev library is needed. I/O."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# linux/inotify.h. A new device node is first root's alone: that it became readable is a change of its attributes.
IN_ATTRIB, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x4, 0x80, 0x100, 0x200
WATCHED = IN_ATTRIB | IN_MOVED_TO | IN_CREATE | IN_DELETE
EVENTS_BYTES = 64 * 1024


class Watch:
    """Its `fd` becomes readable when an entry of a watched directory comes, goes or changes its rights."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def add(self, directory: Path) -> bool:
        """Watch a directory; watching it again changes nothing. False when it does not exist (yet)."""
        return bool(self._library.inotify_add_watch(self.fd, os.fsencode(directory), WATCHED) >= 0)

    def drain(self) -> None:
        """Forget what has been told so far: who asks looks at the directories anyway."""
        try:
            while os.read(self.fd, EVENTS_BYTES):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        os.close(self.fd)
