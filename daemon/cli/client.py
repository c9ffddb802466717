"""The command line is a client of the admin API: over the daemon's socket, or of the same application in this process.

With a daemon running, its socket answers. Without one, the command takes the state lock and runs the very same
application itself, so there is one code path and one set of rules. Either way the actor is `local:<uid>`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from daemon.kernel.errors import Unavailable
from daemon.settings import Log, Settings
from daemon.settings.sockets import short_name

if TYPE_CHECKING:
    import httpx
    from starlette.types import ASGIApp, Receive, Scope, Send


TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 5.0
BASE_URL = "http://holdfast.local"

T = TypeVar("T")


class CallFailed(Exception):
    """The API said no; `error` is its error object, `status` the HTTP status."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(error.get("message", ""))
        self.status = status
        self.error = error


class DaemonNeeded(Unavailable):
    """The command works through a running daemon only."""

    code = "daemon-not-running"


class Api:
    """Calls of /api/v1."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def get(self, path: str, **query: Any) -> Any:
        """GET; empty query values are left out."""
        return await self._call("GET", path, params={k: v for k, v in query.items() if v not in (None, "")})

    async def post(self, path: str, body: dict[str, Any] | None = None, *, key: str = "") -> Any:
        """POST; `key` is the caller's idempotency key."""
        headers = {"Idempotency-Key": key} if key else {}
        return await self._call("POST", path, json=body or {}, headers=headers)

    async def patch(self, path: str, body: dict[str, Any]) -> Any:
        """PATCH."""
        return await self._call("PATCH", path, json=body)

    async def delete(self, path: str) -> Any:
        """DELETE."""
        return await self._call("DELETE", path)

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        import httpx

        try:
            answer = await self._http.request(method, f"/api/v1{path}", **options)
        except httpx.HTTPError as error:
            raise Unavailable(f"the daemon did not answer: {error or type(error).__name__}") from error
        body = answer.json() if answer.content else {}
        if answer.status_code >= 400:
            raise CallFailed(answer.status_code, body.get("error", {"code": "internal-error", "message": answer.text}))
        return body


def has_daemon(admin_socket: Path) -> bool:
    """Whether somebody accepts connections on the admin socket."""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.settimeout(CONNECT_TIMEOUT_S)
    try:
        with short_name(admin_socket) as name:
            probe.connect(name)
    except OSError:
        return False
    finally:
        probe.close()
    return True


class LocalDoor:
    """Says who asks, as the kernel says it for the admin socket."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {**scope.get("state", {}), "peer_uid": os.getuid()}
        await self._app(scope, receive, send)


@contextlib.asynccontextmanager
async def connected(settings: Settings, *, needs_daemon: bool = False) -> AsyncIterator[Api]:
    """The API of the installation.

    Raises:
        StateLocked: no socket answers but somebody holds the lock (a daemon that starts or stops).
        DaemonNeeded: none is running and the command cannot do without.
    """
    import httpx

    if has_daemon(settings.admin_socket):
        with short_name(settings.admin_socket) as name:
            transport = httpx.AsyncHTTPTransport(uds=name)
            async with httpx.AsyncClient(transport=transport, base_url=BASE_URL, timeout=TIMEOUT_S) as http:
                yield Api(http)
        return
    if needs_daemon:
        raise DaemonNeeded("the daemon is not running here; start it with `holdfast daemon --config FILE`")
    from daemon.app.offline import offline_api
    from daemon.cli.logs import log_to_stderr

    log_to_stderr(Log(level="warning", format="text"))
    async with offline_api(settings) as app:
        local = httpx.ASGITransport(app=LocalDoor(app), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=local, base_url=BASE_URL, timeout=TIMEOUT_S) as http:
            yield Api(http)


def with_api(settings: Settings, work: Callable[[Api], Awaitable[T]], *, needs_daemon: bool = False) -> T:
    """Run `work` with the API."""

    async def run() -> T:
        async with connected(settings, needs_daemon=needs_daemon) as api:
            return await work(api)

    return asyncio.run(run())
