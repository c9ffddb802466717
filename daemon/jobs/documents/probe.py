"""What a worker can do once locked in: the attempts hostile code would make, for self-checks and tests."""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import time
from collections.abc import Callable
from typing import Any

from daemon.jobs.documents.sandbox import DOCUMENT_FD, RESULT_FD

_SECCOMP_SYSCALLS = {"x86_64": {"ptrace": 101, "io_uring_setup": 425, "bpf": 321}, "aarch64": {"ptrace": 117}}
_EXEC_BYTES = 4096
_MACHINE = os.uname().machine
_FD_LOOKED_AT = 256
_SLEEP_S = 600.0


def attempts(request: dict[str, Any]) -> dict[str, Any]:
    """{attempt: "refused" or "POSSIBLE"} and what is open; with request["burn"] uses up a resource instead."""
    if request.get("burn") == "cpu":
        while True:
            pass
    if request.get("burn") == "memory":
        held = []
        while True:
            held.append(bytearray(1 << 24))
    if request.get("burn") == "wall":
        time.sleep(_SLEEP_S)
    tries: dict[str, Callable[[], object]] = {
        "open /etc/passwd": lambda: os.open("/etc/passwd", os.O_RDONLY),
        "open own memory": lambda: os.open("/proc/self/mem", os.O_RDWR),
        "write /tmp": lambda: os.open("/tmp/holdfast-probe", os.O_WRONLY | os.O_CREAT, 0o600),  # noqa: S108 -- must fail
        "list /": lambda: os.listdir("/"),  # noqa: PTH208 -- no pathlib here
        "socket inet": lambda: socket.socket(socket.AF_INET),
        "socket unix": lambda: socket.socket(socket.AF_UNIX),
        "socketpair": socket.socketpair,
        "fork": _fork,
        "exec": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 -- must fail
        "kill parent": lambda: os.kill(os.getppid(), 0),
        "memfd": lambda: os.memfd_create("probe"),
        "executable memory": lambda: mmap.mmap(-1, _EXEC_BYTES, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "raise limits": _raise_limits,
        "ptrace": lambda: _syscall("ptrace", 0, 0, 0, 0),
        "io_uring": lambda: _syscall("io_uring_setup", 1, 0, 0, 0),
        "bpf": lambda: _syscall("bpf", 0, 0, 0, 0),
    }
    return {"attempts": {name: _try(call) for name, call in tries.items()}, "open": _open_descriptors()}


def _try(call: Callable[[], object]) -> str:
    try:
        call()
    except (OSError, PermissionError, ValueError):
        return "refused"
    return "POSSIBLE"


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _raise_limits() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _syscall(name: str, *arguments: int) -> None:
    number = _SECCOMP_SYSCALLS.get(_MACHINE, {}).get(name)
    if number is None:
        raise OSError
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) for a in arguments)) < 0:
        raise OSError(ctypes.get_errno(), name)


def _open_descriptors() -> list[int]:
    found = []
    for number in range(_FD_LOOKED_AT):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    expected = [DOCUMENT_FD, RESULT_FD]
    return [n for n in found if n not in expected]
