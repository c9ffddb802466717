"""The screen's server: loopback only, for one browser, with nothing worth caching. I/O.

Guards, in order: the Host must be ours, an Origin (where a browser sends one) must be ours, and everything but the
first page needs the cookie that `/?t=TOKEN` gives (HttpOnly, SameSite=Strict, another secret than the token). The
token is new at every start. Nothing is cacheable, scripts come from here only, and after a session the browser is told
to forget (`Clear-Site-Data`).
"""

from __future__ import annotations

import asyncio
import hmac
import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from daemon.devices.readers.reading import Hiccup
from kiosk.actions import ACTIONS
from kiosk.state import Act

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from daemon.devices.readers.simulated import SimulatedReader
    from daemon.kernel.ids import Dice
    from kiosk.agent import Agent

STATIC = Path(__file__).parent / "static"
TEXTS = Path(__file__).parent / "texts"
COOKIE = "holdfast-screen"
BODY_BYTES_MAX = 16 * 1024
PING_S = 2.0
"""The browser takes a stream silent for longer than twice this for a dead kiosk program."""
TEXT_CHARS_MAX = 1024
PIXELS_MAX, DPI_MAX = 20_000, 2000
KEY_BYTES = 16
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts allow-same-origin allow-forms"
)
"""Sandboxed: the page opens no window, no dialog and no download, whatever a script in it would try."""
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=(), hid=(), bluetooth=(), midi=(), "
    "fullscreen=(), display-capture=(), clipboard-read=(), clipboard-write=(), picture-in-picture=(), payment=()",
}
CLEAR = '"cache", "storage"'
_STRINGS = tuple(field.name for field in fields(Act) if field.type == "str" and field.name not in ("do", "key"))


class ScreenGuard:
    """Pure ASGI middleware: who may speak to the screen at all, and the headers of every answer."""

    def __init__(self, app: ASGIApp, *, port: int, token: str, cookie: str) -> None:
        self._app, self._token, self._cookie = app, token, cookie
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *(item for item in extra if item[0] not in present)]
            await send(message)

        refusal = self._refusal(Request(scope))
        if refusal is not None:
            refusal.headers["connection"] = "close"  # a stranger keeps no connection
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.get("host", "") not in self._hosts:
            return _no(421, "wrong-host", "This is a terminal's own screen.")
        origin = request.headers.get("origin")
        if origin is not None and origin not in self._origins:
            return _no(403, "wrong-origin", "Only the terminal's own screen may ask.")
        if request.url.path == "/" and _same(request.query_params.get("t", ""), self._token):
            return self._enter()
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _no(403, "wrong-origin", "Only the terminal's own screen may ask.")
        if not _same(request.cookies.get(COOKIE, ""), self._cookie):
            return _no(401, "no-token", "Open the address that the kiosk program printed when it started.")
        return None

    def _enter(self) -> Response:
        """The cookie for the token.

        A page rather than a redirect: started from a local file, a redirect would count as cross-site and lose the
        strict cookie. The page's own refresh is ours, and replaces the token in the history.
        """
        answer = HTMLResponse('<!doctype html><meta http-equiv="refresh" content="0;url=/"><title>Holdfast</title>')
        answer.set_cookie(COOKIE, self._cookie, httponly=True, samesite="strict", path="/")
        return answer


def build(
    agent: Agent,
    *,
    port: int,
    token: str,
    dice: Dice,
    readers: Sequence[SimulatedReader],
    dpi: float,
    inches: float = 0.0,
) -> ASGIApp:
    """The guarded application. `token` opens it; `dice` makes the cookie and the keys of releases."""
    screen = _Screen(agent, dice=dice, readers=readers, dpi=dpi, inches=inches)
    routes = [
        Route("/", screen.page),
        Route("/ui/view", screen.view),
        Route("/ui/events", screen.events),
        Route("/ui/act", screen.act, methods=["POST"]),
        Route("/ui/clean", screen.clean, methods=["POST"]),
        Route("/ui/screen", screen.profile, methods=["POST"]),
        Route("/ui/preview/{job_id}", screen.preview),
        Route("/texts/{name}", screen.texts),
        Route("/static/{name:path}", screen.static),
    ]
    if readers:
        routes.append(Route("/ui/tap", screen.tap, methods=["POST"]))
    return ScreenGuard(Starlette(routes=routes), port=port, token=token, cookie=dice.token(32).hex())


class _Screen:
    def __init__(
        self, agent: Agent, *, dice: Dice, readers: Sequence[SimulatedReader], dpi: float, inches: float
    ) -> None:
        self._agent, self._dice = agent, dice
        self._static, self._texts = _files(STATIC), _files(TEXTS)
        self._readers = {reader.name: reader for reader in readers}
        self._frame = {"dpi": dpi, "inches": inches, "start": dice.token(8).hex()}

    async def page(self, _request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-store"})

    async def view(self, _request: Request) -> Response:
        return JSONResponse(self._agent.view() | self._frame)

    async def events(self, _request: Request) -> Response:
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[bytes]:
        """Views as they change, a comment at least every `PING_S`."""
        yield b"retry: 700\n\n"
        views = self._agent.views()
        pending: asyncio.Task[dict[str, Any]] | None = None
        try:
            while True:
                pending = pending or asyncio.ensure_future(anext(views))
                done, _ = await asyncio.wait({pending}, timeout=PING_S)
                if not done:
                    yield b"event: ping\ndata: 1\n\n"
                    continue
                shown = pending.result() | self._frame
                pending = None
                yield b"event: view\ndata: " + json.dumps(shown).encode() + b"\n\n"
        finally:
            if pending is not None:
                pending.cancel()

    async def act(self, request: Request) -> Response:
        body = await _json(request)
        act = None if body is None else _parse(body, self._dice.token(KEY_BYTES).hex())
        if act is None:
            return _no(400, "bad-input", "No such action.")
        had = self._agent.state.person is not None
        shown = await self._agent.act(act, settle=(body or {}).get("settle") is not False)
        answer = JSONResponse(shown | self._frame)
        if had and shown["person"] is None:
            answer.headers["clear-site-data"] = CLEAR
        return answer

    async def clean(self, _request: Request) -> Response:
        return Response(status_code=204, headers={"clear-site-data": CLEAR})

    async def profile(self, request: Request) -> Response:
        """What the browser says of its glass: {"width","height","dpi"}, pixels and dots per inch."""
        body = await _json(request) or {}
        width, height, dpi = body.get("width"), body.get("height"), body.get("dpi")
        if type(width) is not int or type(height) is not int or not isinstance(dpi, (int, float)):
            return _no(400, "bad-input", 'A screen is {"width": pixels, "height": pixels, "dpi": number}.')
        if not (0 < width <= PIXELS_MAX and 0 < height <= PIXELS_MAX and 0 <= dpi <= DPI_MAX):
            return _no(400, "bad-input", "There is no such screen.")
        self._agent.watch.screen_is({"width": width, "height": height, "dpi": round(float(dpi), 1)})
        return Response(status_code=204)

    async def tap(self, request: Request) -> Response:
        """With a simulated reader only: {"raw"}, or a trouble: {"missed": why} or {"plugged": true or false}."""
        body = await _json(request) or {}
        name = str(body.get("reader") or "")
        reader = self._readers.get(name) or next(iter(self._readers.values()))
        raw, missed, plugged = body.get("raw"), body.get("missed"), body.get("plugged")
        if isinstance(raw, str):
            is_taken = reader.tap(raw, reader=name)
        elif isinstance(missed, str) and missed in set(Hiccup):
            is_taken = reader.miss(Hiccup(missed))
        elif isinstance(plugged, bool):
            is_taken = reader.plug(is_in=plugged)
        else:
            is_taken = False
        return Response(status_code=202) if is_taken else _no(400, "bad-input", 'A tap is {"raw": "..."}.')

    async def preview(self, request: Request) -> Response:
        data = await self._agent.preview(request.path_params["job_id"])
        return _no(404, "not-found", "No preview.") if data is None else Response(data, media_type="image/png")

    async def texts(self, request: Request) -> Response:
        return _file(self._texts, request.path_params["name"])

    async def static(self, request: Request) -> Response:
        return _file(self._static, request.path_params["name"])


def _parse(body: dict[str, Any], key: str) -> Act | None:
    """An action as the screen sends it, typed and bounded; None when it is not one."""
    if body.get("do") not in ACTIONS:
        return None
    values: dict[str, Any] = {name: body.get(name, "") for name in _STRINGS}
    if any(not isinstance(value, str) or len(value) > TEXT_CHARS_MAX for value in values.values()):
        return None
    change, on, visit = body.get("change", {}), body.get("on", False), body.get("visit", -1)
    if not isinstance(change, dict) or not isinstance(on, bool) or type(visit) is not int:
        return None
    return Act(do=body["do"], key=key, change=change, on=on, visit=visit, **values)


async def _json(request: Request) -> dict[str, Any] | None:
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        return None
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY_BYTES_MAX:
            return None
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _files(directory: Path) -> dict[str, Path]:
    """What there is to serve, by the name it is asked for: no other path is ever opened."""
    return {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}


def _file(files: dict[str, Path], name: str) -> Response:
    path = files.get(name)
    return PlainTextResponse("not found", 404) if path is None else FileResponse(path)


def _same(first: str, second: str) -> bool:
    return hmac.compare_digest(first.encode(), second.encode())


def _no(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
