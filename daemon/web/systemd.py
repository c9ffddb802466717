"""What the service manager and the daemon tell each other: readiness, liveness, sockets opened beforehand. I/O.

sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds_with_names(3), spoken directly: a datagram and three variables.
Outside systemd every function does nothing and says so.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import MutableMapping

import structlog

log = structlog.get_logger(__name__)

FIRST_FD = 3
FDS_MAX = 64
US_PER_S = 1_000_000
SEND_TIMEOUT_S = 1.0
WATCHDOG_SHARE = 2
"""The watchdog is fed this many times in each of its intervals."""


def notify(*states: str, environment: MutableMapping[str, str] = os.environ) -> bool:
    """Tell the service manager, one line each: `READY=1`, `STOPPING=1`, `WATCHDOG=1`, `STATUS=...`.

    False when nobody listens. A manager that does not take the message is logged, never an error: the service itself
    is not worse for it.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    name = "\0" + address[1:] if address.startswith("@") else address
    message = "\n".join(state.replace("\n", " ") for state in states).encode()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(SEND_TIMEOUT_S)
            channel.connect(name)
            channel.sendall(message)
    except OSError as error:
        log.warning("systemd.not-told", error=error.strerror)
        return False
    return True


def watchdog_interval_s(*, environment: MutableMapping[str, str] = os.environ) -> float | None:
    """Seconds between feedings, half of what the manager allows; None when it does not watch this process."""
    allowed = environment.get("WATCHDOG_USEC", "")
    watched = environment.get("WATCHDOG_PID", "")
    if not allowed.isdecimal() or int(allowed) == 0 or (watched and watched != str(os.getpid())):
        return None
    return int(allowed) / US_PER_S / WATCHDOG_SHARE


async def feed_watchdog(*, environment: MutableMapping[str, str] = os.environ) -> None:
    """Feed from the event loop until cancelled, so that a loop that hangs is noticed; returns if nobody watches."""
    interval_s = watchdog_interval_s(environment=environment)
    if interval_s is None:
        return
    while True:
        notify("WATCHDOG=1", environment=environment)
        await asyncio.sleep(interval_s)


def listen_fds(
    *, environment: MutableMapping[str, str] = os.environ, first: int = FIRST_FD
) -> dict[str, list[socket.socket]]:
    """Sockets the manager opened for this process, by `FileDescriptorName=`; taken once, children never see them.

    The caller owns them from then on. Anything that is not a listening stream socket is left alone and logged.
    """
    count = environment.pop("LISTEN_FDS", "")
    pid = environment.pop("LISTEN_PID", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdecimal():
        return {}
    found: dict[str, list[socket.socket]] = {}
    for index in range(min(int(count), FDS_MAX)):
        name = names[index] if index < len(names) else ""
        taken = _listening(first + index)
        if taken is None:
            log.warning("systemd.socket-unusable", name=name)
        else:
            found.setdefault(name or "unknown", []).append(taken)
    return found


def _listening(descriptor: int) -> socket.socket | None:
    """The descriptor as a socket if it is one that listens; it is not inherited any further."""
    try:
        os.set_inheritable(descriptor, False)
        taken = socket.socket(fileno=descriptor)
    except OSError:
        return None
    try:
        is_listening = taken.type == socket.SOCK_STREAM and taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        is_listening = False
    if not is_listening:
        taken.detach()
        return None
    taken.setblocking(False)
    return taken
