"""The https listeners and the admin socket: uvicorn servers on the daemon's own loop, started and ended by it.

Several servers share one loop and one application. Signals stay with the daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog
import uvicorn
from starlette.types import ASGIApp

from daemon.kernel.errors import Unavailable
from daemon.settings.sockets import short_name
from daemon.web.guard import HEAD_BYTES_MAX, GuardedProtocol

log = structlog.get_logger(__name__)

BACKLOG = 256
KEEP_ALIVE_S = 30
TLS_HANDSHAKE_S = 10
STOP_S = 2
"""Open requests get this long when the daemon stops; event streams end at once."""
SOCKET_MODE = 0o600


class AddressTaken(Unavailable):
    """Somebody else listens there."""

    code = "address-taken"


class _Server(uvicorn.Server):
    """A uvicorn server without signal handlers and without its ten wake-ups a second."""

    def __init__(self, config: uvicorn.Config, sockets: Sequence[socket.socket]) -> None:
        super().__init__(config)
        self._sockets = sockets
        self._stop = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  -- ours are known
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()
        bounded = self.config.ssl is not None
        self.servers = [
            await loop.create_server(
                self._connection,
                sock=one,
                backlog=BACKLOG,
                ssl=self.config.ssl,
                ssl_handshake_timeout=TLS_HANDSHAKE_S if bounded else None,
            )
            for one in self._sockets
        ]
        self.started = True

    def _connection(self) -> GuardedProtocol:
        return GuardedProtocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=None
        )

    async def main_loop(self) -> None:
        await self._stop.wait()

    def stop(self) -> None:
        """Let `serve` end."""
        self.should_exit = True
        self._stop.set()


class WebServer:
    """One application on one set of listening sockets."""

    def __init__(
        self,
        app: ASGIApp,
        sockets: Sequence[socket.socket],
        *,
        context: ssl.SSLContext | None = None,
        connections_max: int = 512,
    ) -> None:
        config = uvicorn.Config(
            app,
            http=GuardedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=connections_max,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_S,
            h11_max_incomplete_event_size=HEAD_BYTES_MAX,
            ssl_context_factory=(lambda _config, _default: context) if context is not None else None,
        )
        self.addresses = [one.getsockname() for one in sockets]
        self._server = _Server(config, sockets)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve until `close`; returns once connections are accepted."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve(), name="web-server")
        while not self._server.started:
            if self._task.done():
                await self._task
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Stop accepting, give open requests two seconds, end."""
        if self._task is None:
            return
        self._server.stop()
        await self._task
        self._task = None


def listen_tcp(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """One listening socket per IP address; with port 0 all get the port the first one was given.

    Raises:
        AddressTaken: an address is in use or not this machine's.
    """
    opened: list[socket.socket] = []
    try:
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # or asyncio leaves Nagle on
            opened.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address, port or (opened[0].getsockname()[1] if len(opened) > 1 else 0)))
            one.listen(BACKLOG)
            one.setblocking(False)
    except OSError as error:
        for one in opened:
            one.close()
        raise AddressTaken(f"cannot listen on {addresses} port {port}: {error.strerror}", port=port) from error
    return opened


def listen_admin(path: Path) -> socket.socket:
    """The admin socket, 0600 from its first moment; a dead daemon's is replaced (the state lock is held)."""
    path.unlink(missing_ok=True)
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with short_name(path) as name:
            one.bind(name)
    except OSError as error:
        one.close()
        raise AddressTaken(f"cannot listen on {path}: {error.strerror or error}") from error
    finally:
        os.umask(before)
    path.chmod(SOCKET_MODE)
    one.listen(BACKLOG)
    one.setblocking(False)
    return one
