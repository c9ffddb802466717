"""One HTTP/1.1 connection with guards that uvicorn leaves out: slow heads, slow bodies, too many from one host.

h11 is used on purpose: with httptools an ignored `Upgrade` header loses the body and still answers 200.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections import Counter
from typing import Any, ClassVar

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

log = structlog.get_logger(__name__)

HEAD_TIMEOUT_S = 10
"""From the connection, or the first byte of a further request, to the end of its head."""
BODY_TIMEOUT_S = 60
"""From the end of the head to the end of the body; bodies here are small."""
HEAD_BYTES_MAX = 16_384
CONNECTIONS_PER_HOST_MAX = 256
"""A branch office behind one address is one host here, and each of its terminals keeps three. Loopback is not counted:
everyone there is this machine."""
PEER_UID = "peer_uid"
"""Key in the request's state: the user id on the other end of the admin socket, told by the kernel."""
_UCRED = struct.Struct("3i")


class GuardedProtocol(H11Protocol):
    """uvicorn's h11 protocol with deadlines and the peer's user id on unix sockets."""

    hosts: ClassVar[Counter[str]] = Counter()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._phase = ""
        self._counted = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            self.app_state = {**self.app_state, PEER_UID: _UCRED.unpack(raw)[1]}
        elif self.client and not ipaddress.ip_address(self.client[0].split("%")[0]).is_loopback:
            if self.hosts[self.client[0]] >= CONNECTIONS_PER_HOST_MAX:
                transport.abort()
                return
            self._counted = self.client[0]
            self.hosts[self._counted] += 1
        self._arm("head", HEAD_TIMEOUT_S)

    def data_received(self, data: bytes) -> None:
        # In slices: h11 measures only heads that are incomplete, and a large one may arrive all at once.
        for start in range(0, len(data), HEAD_BYTES_MAX):
            if self.transport.is_closing():
                break
            super().data_received(data[start : start + HEAD_BYTES_MAX])
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        if self._counted:
            self.hosts[self._counted] -= 1
            if self.hosts[self._counted] <= 0:
                del self.hosts[self._counted]
            self._counted = ""
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Keep one deadline: for the head that has begun or the body that has not ended."""
        if self.transport.is_closing():
            self._disarm()
        elif self.conn.their_state is h11.SEND_BODY:
            self._arm("body", BODY_TIMEOUT_S)
        elif self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._arm("head", HEAD_TIMEOUT_S)
        else:
            self._disarm()

    def _arm(self, phase: str, seconds: int) -> None:
        # Absolute per phase: one byte every few seconds must not keep it alive.
        if self._phase == phase:
            return
        self._disarm()
        self._phase = phase
        self._deadline = self.loop.call_later(seconds, self._late)

    def _disarm(self) -> None:
        self._phase = ""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        log.info("http.too_slow", phase=self._phase)
        self._disarm()
        self.transport.abort()
