"""How a document worker locks itself in, before it looks at the first byte of a document.

In this order: own session, dies with its parent; only the document and the result pipe stay open; another uid if it
started as root; resource limits; no new privileges; Landlock; seccomp. Then it tries the locks.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass

from daemon.jobs.documents import landlock, seccomp

DOCUMENT_FD = 3
RESULT_FD = 4
_FREE_FD_FROM = 16
_PR_SET_PDEATHSIG = 1
_NOBODY = 65534
OPEN_FILES_MAX = 16


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker may use: address space, processor seconds."""

    memory_bytes: int
    cpu_s: int


class NotConfined(Exception):
    """A lock is missing or does not hold; the document must not be touched."""


def abilities() -> dict[str, int]:
    """What this kernel offers: {"seccomp": 0 or 1, "landlock": ABI version}."""
    has_filter = seccomp.is_known_machine() and _kernel_has_seccomp()
    return {"seccomp": int(has_filter), "landlock": landlock.abi()}


def keep_only(document: int, result: int) -> None:
    """Leave two descriptors open: the document at `DOCUMENT_FD`, the result pipe at `RESULT_FD`."""
    document = fcntl.fcntl(document, fcntl.F_DUPFD_CLOEXEC, _FREE_FD_FROM)
    result = fcntl.fcntl(result, fcntl.F_DUPFD_CLOEXEC, _FREE_FD_FROM)
    os.dup2(document, DOCUMENT_FD, inheritable=False)
    os.dup2(result, RESULT_FD, inheritable=False)
    os.closerange(0, DOCUMENT_FD)
    os.closerange(RESULT_FD + 1, os.sysconf("SC_OPEN_MAX"))


def confine(limits: Limits, *, allow_unconfined: bool = False) -> None:
    """Lock this process in. With `allow_unconfined` a kernel without the locks is put up with; the limits always hold.

    Raises:
        NotConfined: a lock cannot be had, or does not hold.
    """
    _die_with_parent()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        _die_with_parent()  # a change of uid clears it
    for what, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_NPROC, 0, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES_MAX, OPEN_FILES_MAX),
        (resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + 1),
        (resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
    ):
        resource.setrlimit(what, (soft, hard))
    try:
        seccomp.no_new_privileges()
        landlock.apply()
        seccomp.apply()
    except OSError as error:
        if not allow_unconfined:
            raise NotConfined(str(error)) from error
        return
    _try_the_locks()


def _try_the_locks() -> None:
    """A filter that was accepted but does not hold would be worse than none."""
    for attempt in (lambda: os.open("/", os.O_RDONLY), lambda: socket.socket().close(), os.fork):
        try:
            attempt()
        except OSError:
            continue
        raise NotConfined("a lock does not hold")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _kernel_has_seccomp() -> bool:
    with suppress(OSError), open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 -- no pathlib in a worker
        return any(line.startswith("Seccomp:") for line in status)
    return False
