"""Writing and reading one spool file, and the directory fsync writers share. Blocking: runs in the spool's threads."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from daemon.jobs.spool_keys import sync_directory
from daemon.jobs.spool_seal import HEADER_BYTES, TAG_BYTES, Damaged, Seal

if TYPE_CHECKING:
    from pathlib import Path


class SharedSync:
    """One directory fsync for every writer that waits for it.

    A writer needs an fsync that *began* after its file was named. Whoever gets the lock syncs for all who came before.
    """

    def __init__(self) -> None:
        self._counter = threading.Lock()
        self._locks: dict[Path, threading.Lock] = {}
        self._asked: dict[Path, int] = {}
        self._done: dict[Path, int] = {}

    def sync(self, directory: Path) -> None:
        """Return when the directory's names, as they were when this was called, are durable."""
        with self._counter:
            mine = self._asked[directory] = self._asked.get(directory, 0) + 1
            lock = self._locks.setdefault(directory, threading.Lock())
        with lock:
            if self._done.get(directory, 0) >= mine:
                return
            with self._counter:
                upto = self._asked[directory]
            sync_directory(directory)
            self._done[directory] = upto

    def forget(self, directory: Path) -> None:
        """Drop what is kept about a directory that was removed."""
        with self._counter:
            self._locks.pop(directory, None)
            self._asked.pop(directory, None)
            self._done.pop(directory, None)


class FileWriter:
    """A spool file being written. After `abort`, or an error in any call, nothing of it is left."""

    def __init__(self, path: Path, seal: Seal, sync: SharedSync) -> None:
        self._path = path
        self._seal = seal
        self._sync = sync
        self._lock = threading.Lock()
        self._handle = -1
        self._index = 0
        self._is_dead = False

    def append(self, plain: bytes) -> None:
        """Seal and write one full chunk that is not the last."""
        with self._lock:
            self._write(plain, is_last=False)

    def finish(self, plain: bytes) -> None:
        """Seal and write the last chunk (of any size up to a full one) and make file and name durable."""
        with self._lock:
            self._write(plain, is_last=True)
            os.fsync(self._handle)
            self._close()
            self._sync.sync(self._path.parent)

    def abort(self) -> None:
        """Remove what was written, whenever called: also after `finish`, and while another call is running."""
        with self._lock:
            self._is_dead = True
            self._close()
            self._path.unlink(missing_ok=True)

    def _write(self, plain: bytes, *, is_last: bool) -> None:
        if self._is_dead:
            raise FileNotFoundError(str(self._path))
        if self._handle < 0:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            _write_all(self._handle, self._seal.header)
        _write_all(self._handle, self._seal.close(self._index, plain, is_last=is_last))
        self._index += 1

    def _close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class FileReader:
    """A spool file being read, chunk by chunk; `chunks` is how many it has.

    Raises:
        FileNotFoundError: no such file.
        Damaged: not a spool file of `octets` plain bytes sealed with this key.
    """

    def __init__(self, path: Path, key: bytes, *, octets: int) -> None:
        self._lock = threading.Lock()
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            self._seal = Seal.of_header(key, path.name, os.pread(self._handle, HEADER_BYTES, 0))
            self._sealed_bytes = self._seal.chunk_bytes + TAG_BYTES
            body = os.fstat(self._handle).st_size - HEADER_BYTES
            self.chunks = max(1, -(-body // self._sealed_bytes))
            if body - self.chunks * TAG_BYTES != octets:
                raise Damaged("the file has not the document's size")
        except BaseException:
            self.close()
            raise

    def chunk(self, index: int) -> bytes:
        """Plain text of one chunk.

        Raises:
            Damaged: it does not open, or the file is already closed.
        """
        with self._lock:
            if self._handle < 0:
                raise Damaged("closed")
            sealed = os.pread(self._handle, self._sealed_bytes, HEADER_BYTES + index * self._sealed_bytes)
        return self._seal.open(index, sealed, is_last=index == self.chunks - 1)

    def close(self) -> None:
        """Close the file; waits for a read that is running."""
        with self._lock:
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
