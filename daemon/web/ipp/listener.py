"""Listeners of the IPP front door: plain and TLS, on addresses of our own or on sockets handed over by systemd."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import structlog

from daemon.web.ipp.connection import Connection
from daemon.web.ipp.http import Handler, HttpCounts, HttpLimits

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from daemon.kernel.clock import Clock

log = structlog.get_logger(__name__)

BACKLOG = 512


class IppListener:
    """Accepts, counts and ends the connections of one scheme.

    `context` makes it an `ipps` listener; `upgrade_context` lets clients of a plain one change to TLS (RFC 2817).
    """

    def __init__(
        self,
        *,
        handler: Handler,
        clock: Clock,
        limits: HttpLimits | None = None,
        context: ssl.SSLContext | None = None,
        upgrade_context: ssl.SSLContext | None = None,
    ) -> None:
        self.handler = handler
        self.clock = clock
        self.limits = limits or HttpLimits()
        self.counts = HttpCounts()
        self.context = context
        self.upgrade_context = upgrade_context if context is None else None
        for one in (context, upgrade_context):
            if one is not None:
                one.num_tickets = 0  # CUPS takes a TLS 1.3 session ticket for an answer and hangs up
        self._servers: list[asyncio.Server] = []
        self._open: dict[Connection, asyncio.Task[None]] = {}
        self._is_closing = False

    async def start(
        self, *, host: str = "127.0.0.1", port: int = 0, sockets: Sequence[socket.socket] = ()
    ) -> list[tuple[str, int]]:
        """Listen on the given open sockets, or on host and port (0: the system chooses); returns the addresses.

        Raises:
            OSError: the address is taken or not ours.
        """
        loop = asyncio.get_running_loop()
        listening = list(sockets) or _bind(host, port)
        for one in listening:
            one.setblocking(False)
            bounded = self.context is not None
            server = await loop.create_server(
                self._connection, sock=one, backlog=BACKLOG, ssl=self.context,
                ssl_handshake_timeout=self.limits.tls_handshake_s if bounded else None,
                ssl_shutdown_timeout=self.limits.tls_shutdown_s if bounded else None,
            )  # fmt: skip
            self._servers.append(server)
        return self.addresses

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """(host, port) of every listening socket."""
        names = (sock.getsockname() for server in self._servers for sock in server.sockets)
        return [(str(name[0]), int(name[1])) for name in names if isinstance(name, tuple)]

    @property
    def open_connections(self) -> int:
        """Connections now open."""
        return len(self._open)

    async def close(self) -> None:
        """Stop accepting, end idle connections at once, give busy ones a bounded grace, then end them too."""
        self._is_closing = True
        for server in self._servers:
            server.close()
        for connection in [c for c in self._open if c.is_idle]:
            self._open[connection].cancel()
        tasks = list(self._open.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self.limits.close_grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._servers.clear()

    # ----- what a connection asks of its owner -----

    def admit(self, connection: Connection) -> bool:
        """Count it in and start its task; False when closing, full, or its host has too many."""
        held = self.counts.by_host.get(connection.peer, 0)
        is_full = len(self._open) >= self.limits.connections_max or held >= self.limits.connections_per_host_max
        if self._is_closing or is_full:
            self.counts.refused_full += 1
            return False
        self.counts.accepted += 1
        self.counts.by_host[connection.peer] = held + 1
        self._open[connection] = asyncio.get_running_loop().create_task(connection.run(), name="ipp-connection")
        return True

    def forget(self, connection: Connection) -> None:
        """Count it out, once."""
        if self._open.pop(connection, None) is None:
            return
        left = self.counts.by_host.get(connection.peer, 1) - 1
        if left > 0:
            self.counts.by_host[connection.peer] = left
        else:
            self.counts.by_host.pop(connection.peer, None)

    def _connection(self) -> Connection:
        return Connection(self, is_tls=self.context is not None)


def _bind(host: str, port: int) -> list[socket.socket]:
    """One listening socket per address of `host`; with port 0 the second family takes the first one's port."""
    bound: list[socket.socket] = []
    seen: set[tuple[int, str]] = set()
    try:
        for family, kind, proto, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            if (family, str(address[0])) in seen or family not in (socket.AF_INET, socket.AF_INET6):
                continue
            seen.add((family, str(address[0])))
            one = socket.socket(family, kind, proto)
            bound.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            chosen = port or (int(bound[0].getsockname()[1]) if len(bound) > 1 else 0)
            one.bind((address[0], chosen))
    except OSError:
        for one in bound:
            one.close()
        raise
    return bound
