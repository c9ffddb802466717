"""What every request over https passes first: safe headers, a body limit, a request id, one place for bugs.

Pure ASGI, no buffering: event streams and downloads pass through.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

BODY_BYTES_MAX = 1_048_576
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})

CONTENT_POLICY = (
    "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self'"
)
SAFE_HEADERS: Sequence[tuple[bytes, bytes]] = (
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    (b"cache-control", b"no-store"),
)


class BodyTooLarge(Exception):
    """Raised into the application when a body without a length passes the limit."""


def error_body(code: str, message: str, **more: object) -> bytes:
    """The error shape of every JSON door."""
    return json.dumps({"error": {"code": code, "message": message, "details": [], **more}}).encode()


async def answer(send: Send, status: int, body: bytes, *, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """A small JSON answer."""
    start = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


class Door:
    """Sends each path to its application: the longest prefix wins; everything else is not found.

    `apps` maps a path prefix such as `/terminal/v1` to the application that sees the whole path.
    """

    def __init__(
        self, apps: Mapping[str, ASGIApp], *, new_request_id: Callable[[], str], body_bytes_max: int = BODY_BYTES_MAX
    ) -> None:
        self._apps = sorted(apps.items(), key=lambda item: -len(item[0]))
        self._new_request_id = new_request_id
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        state = _Sent()
        request_id = self._new_request_id()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        guarded_send = _with_headers(send, state, request_id)
        try:
            await self._pass(scope, receive, guarded_send, state)
        except BodyTooLarge:
            if not state.has_started:
                body = error_body("body-too-large", f"a body has at most {self._body_bytes_max} bytes")
                await answer(guarded_send, 413, body, headers=[(b"connection", b"close")])
        except Exception:
            log.exception("request.failed", path=scope["path"].split("/")[1:2])
            if not state.has_started:
                body = error_body("internal-error", "a bug; the log has the details", request_id=request_id)
                await answer(guarded_send, 500, body)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")

    async def _pass(self, scope: Scope, receive: Receive, send: Send, state: _Sent) -> None:
        if scope["method"] not in METHODS:
            await answer(send, 405, error_body("method-not-allowed", "no such method here"))
            return
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if int(length) > self._body_bytes_max:
            raise BodyTooLarge
        for prefix, app in self._apps:
            if prefix == "/" or scope["path"] == prefix or scope["path"].startswith(prefix + "/"):
                await app(scope, _limited(receive, self._body_bytes_max, state), send)
                return
        await answer(send, 404, error_body("not-found", "nothing here"))


class _Sent:
    """How far the answer is, and whether the body went past the limit (parsers turn that into a plain 400)."""

    has_started = False
    is_too_large = False


def _with_headers(send: Send, state: _Sent, request_id: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            state.has_started = True
            if state.is_too_large:
                message = {**message, "status": 413}
            present = {name.lower() for name, _ in message.get("headers", ())}
            added = [pair for pair in SAFE_HEADERS if pair[0] not in present]
            message = {
                **message,
                "headers": [*message.get("headers", ()), *added, (b"x-request-id", request_id.encode())],
            }
        await send(message)

    return sending


def _limited(receive: Receive, bytes_max: int, state: _Sent) -> Receive:
    total = 0

    async def receiving() -> Message:
        nonlocal total
        message = await receive()
        if message["type"] == "http.request":
            total += len(message.get("body", b""))
            if total > bytes_max:
                state.is_too_large = True
                raise BodyTooLarge
        return message

    return receiving
