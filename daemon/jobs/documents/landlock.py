"""Landlock for a document worker: no file system access, no TCP, no signals or sockets out of its own domain.

landlock(7). An empty ruleset that handles every right the kernel knows grants none of them.
"""

from __future__ import annotations

import ctypes
import os
import struct

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_VERSION_QUERY = 1
_FS_RIGHTS = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}
"""File system rights by ABI version; later versions have those of 5."""
_NET_SINCE, _SCOPE_SINCE = 4, 6
_NET_RIGHTS = 0b11  # bind and connect TCP
_SCOPES = 0b11  # abstract unix sockets, signals


def abi() -> int:
    """The kernel's Landlock ABI version; 0 when it has none or it is switched off."""
    return max(0, _syscall(_CREATE_RULESET, None, 0, _VERSION_QUERY))


def apply() -> None:
    """Deny everything Landlock can deny, for good. `no_new_privileges` must have been called.

    Raises:
        OSError: no Landlock here.
    """
    version = abi()
    if version < 1:
        raise OSError(ctypes.get_errno(), "no Landlock in this kernel")
    files = _FS_RIGHTS[min(version, max(_FS_RIGHTS))]
    network = _NET_RIGHTS if version >= _NET_SINCE else 0
    scope = _SCOPES if version >= _SCOPE_SINCE else 0
    attributes = struct.pack("=QQQ", files, network, scope)
    ruleset = _syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "cannot make a Landlock ruleset")
    try:
        if _syscall(_RESTRICT_SELF, ruleset, 0) != 0:
            raise OSError(ctypes.get_errno(), "Landlock refuses")
    finally:
        os.close(ruleset)


def _syscall(number: int, *arguments: bytes | int | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    given = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return int(libc.syscall(ctypes.c_long(number), *given))
