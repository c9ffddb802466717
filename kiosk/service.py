"""What the terminal program tells systemd: that its screen is served, and that its loop is alive (sd_notify(3)). I/O.

The daemon has a helper of its own; the kiosk imports nothing of the daemon's edges.
"""

from __future__ import annotations

import asyncio
import os
import socket

SEND_TIMEOUT_S = 1.0
US_PER_S = 1_000_000


def is_managed() -> bool:
    """Whether a service manager started this process and will start it again."""
    return bool(os.environ.get("INVOCATION_ID") or os.environ.get("NOTIFY_SOCKET"))


def notify(state: str) -> None:
    """Send one state such as `READY=1`; without a service manager, or one that does not listen, nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    name = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(SEND_TIMEOUT_S)
            channel.connect(name)
            channel.sendall(state.encode())
    except OSError:
        return  # the next feeding tries again; a manager that is gone cannot be told so


async def feed_watchdog() -> None:
    """Feed from the event loop, twice per interval, until cancelled; returns when nobody watches this process."""
    allowed = os.environ.get("WATCHDOG_USEC", "")
    watched = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not allowed.isdecimal() or int(allowed) == 0 or watched != str(os.getpid()):
        return
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(int(allowed) / US_PER_S / 2)
