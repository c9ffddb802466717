"""The system call filter of a document worker: an allow-list; everything else answers EPERM (seccomp(2), BPF).

Allowed is what computing on memory and two open descriptors needs. There is no way to open a file or socket, to start
or trace a process, to make memory executable, or to reach another process. A call of a foreign architecture kills.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_RET_ALLOW = 0x7FFF0000
_RET_ERRNO = 0x00050000 | errno.EPERM
_RET_KILL_PROCESS = 0x80000000
_LD_W_ABS, _JEQ_K, _JGE_K, _JSET_K, _RET_K = 0x20, 0x15, 0x35, 0x45, 0x06
_OFFSET_NR, _OFFSET_ARCH, _OFFSET_ARG2 = 0, 4, 32
_X32_BIT = 0x40000000
_PROT_EXEC = 4

# Most frequent first: the filter is walked from the top on every call.
_X86_64 = {
    "read": 0, "write": 1, "lseek": 8, "futex": 202, "munmap": 11, "brk": 12, "madvise": 28, "mremap": 25,
    "clock_gettime": 228, "gettimeofday": 96, "time": 201, "close": 3, "fstat": 5, "pread64": 17,
    "readv": 19, "writev": 20,
    "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "sigaltstack": 131, "poll": 7, "ppoll": 271,
    "getpid": 39, "gettid": 186, "getrandom": 318, "getrusage": 98, "sched_yield": 24, "sched_getaffinity": 204,
    "nanosleep": 35, "clock_nanosleep": 230, "restart_syscall": 219, "membarrier": 324, "rseq": 334,
    "set_robust_list": 273, "exit": 60, "exit_group": 231,
}  # fmt: skip
_AARCH64 = {
    "read": 63, "write": 64, "lseek": 62, "futex": 98, "munmap": 215, "brk": 214, "madvise": 233, "mremap": 216,
    "clock_gettime": 113, "gettimeofday": 169, "close": 57, "fstat": 80, "pread64": 67, "readv": 65, "writev": 66,
    "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "sigaltstack": 132, "ppoll": 73,
    "getpid": 172, "gettid": 178, "getrandom": 278, "getrusage": 165, "sched_yield": 124, "sched_getaffinity": 123,
    "nanosleep": 101, "clock_nanosleep": 115, "restart_syscall": 128, "membarrier": 283, "rseq": 293,
    "set_robust_list": 99, "exit": 93, "exit_group": 94,
}  # fmt: skip
_MAPPING = {"x86_64": (9, 10), "aarch64": (222, 226)}
"""mmap and mprotect: allowed unless they ask for executable memory."""
_ARCHITECTURES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def is_known_machine() -> bool:
    """True where this module has a list of system call numbers."""
    return platform.machine() in _ARCHITECTURES


def program(machine: str) -> bytes:
    """The filter for a machine as `struct sock_filter[]`."""
    arch, allowed = _ARCHITECTURES[machine]
    rules = [
        _op(_LD_W_ABS, _OFFSET_ARCH),
        _op(_JEQ_K, arch, 1, 0),
        _op(_RET_K, _RET_KILL_PROCESS),
        _op(_LD_W_ABS, _OFFSET_NR),
    ]
    if machine == "x86_64":
        rules += [_op(_JGE_K, _X32_BIT, 0, 1), _op(_RET_K, _RET_KILL_PROCESS)]
    for number in allowed.values():
        rules += [_op(_JEQ_K, number, 0, 1), _op(_RET_K, _RET_ALLOW)]
    for number in _MAPPING[machine]:
        rules += [
            _op(_JEQ_K, number, 0, 4),
            _op(_LD_W_ABS, _OFFSET_ARG2),
            _op(_JSET_K, _PROT_EXEC, 1, 0),
            _op(_RET_K, _RET_ALLOW),
            _op(_RET_K, _RET_ERRNO),
        ]
    rules.append(_op(_RET_K, _RET_ERRNO))
    return b"".join(rules)


def no_new_privileges() -> None:
    """Nothing this process does can gain rights any more; needed before a filter and before Landlock.

    Raises:
        OSError: the kernel refuses.
    """
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def apply() -> None:
    """Put the filter in force for this process, for good.

    Raises:
        OSError: the kernel has no seccomp, or this machine has no list here.
    """
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system call list for {machine}")
    code = program(machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(_Program(len(code) // 8, ctypes.addressof(buffer))))


def _op(code: int, k: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, jump_true, jump_false, k)


def _prctl(option: int, value: int, pointer: object = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    given = pointer or zero
    if libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), given, zero, zero) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
