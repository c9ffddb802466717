"""What a request and an answer are on the IPP listeners, and every limit of the HTTP layer by name.

A handler sees the head first. It answers at once (a refusal: nothing of the body is read and a waiting client never
gets its `100 Continue`) or returns a function that takes the body as it arrives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

from daemon.kernel.errors import Refusal, Unavailable


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of one listener; every wait, buffer and count has one."""

    connections_max: int = 512
    connections_per_host_max: int = 256
    head_bytes_max: int = 32 * 1024
    headers_max: int = 100
    body_bytes_max: int = 2 * 1024**3
    head_timeout_s: float = 15.0
    idle_timeout_s: float = 60.0
    body_stall_s: float = 60.0
    body_rate_grace_s: float = 120.0
    body_rate_min_bytes_per_s: float = 100.0
    write_stall_s: float = 60.0
    tls_handshake_s: float = 15.0
    tls_shutdown_s: float = 2.0
    linger_s: float = 2.0
    linger_bytes_max: int = 1024 * 1024
    buffer_bytes_max: int = 256 * 1024
    requests_per_connection_max: int = 10_000
    close_grace_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Head:
    """The head of one request; header names are lower case, repeated headers joined by a comma."""

    method: str
    target: str
    headers: dict[str, str]
    is_tls: bool
    peer: str
    port: int

    @property
    def path(self) -> str:
        """The target's path without its query; absolute-form targets (RFC 9112 section 3.2.2) lose their authority."""
        target = self.target
        if "://" in target:
            rest = target.split("://", 1)[1]
            target = "/" + rest.split("/", 1)[1] if "/" in rest else "/"
        return target.split("?", 1)[0]

    @property
    def content_length(self) -> int | None:
        """The declared body size; None when chunked or absent."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() else None

    @property
    def has_body(self) -> bool:
        """True if a body follows the head."""
        return "transfer-encoding" in self.headers or (self.content_length or 0) > 0


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. `is_last` closes the connection after it."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    is_last: bool = False


Body = AsyncIterator[bytes]
Answer = Callable[[Body], Awaitable[Reply]]


class Handler(Protocol):
    """Whatever serves a listener."""

    async def begin(self, head: Head) -> Reply | Answer:
        """Check the head; a Reply refuses (or needs no body), an Answer is called with the body."""
        ...


class BodyTooLarge(Refusal):
    """The body is larger than the listener takes; answered 413."""

    code = "request-entity-too-large"


class BodyBroken(Refusal):
    """The body is not framed as HTTP says (chunk sizes, or fewer bytes than announced); answered 400."""

    code = "body-broken"


class ClientGone(Unavailable):
    """The client closed or stalled in the middle of its body; nobody is left to answer."""

    code = "client-gone"


def plain(status: int, text: str = "", *, headers: tuple[tuple[str, str], ...] = (), is_last: bool = False) -> Reply:
    """A short text answer."""
    words = text or f"{status} {HTTPStatus(status).phrase}"
    return Reply(status=status, body=f"{words}\n".encode(), headers=headers, is_last=is_last)


def refuse_head(head: Head, limits: HttpLimits) -> Reply | None:
    """What no path takes (RFC 9110 sections 7.2, 10.1.1; RFC 9112 section 3.2)."""
    head_bytes = len(head.target) + sum(len(name) + len(value) + 4 for name, value in head.headers.items())
    if len(head.headers) > limits.headers_max or head_bytes > limits.head_bytes_max:
        return plain(431, is_last=True)
    if "transfer-encoding" in head.headers and head.headers["transfer-encoding"].lower() != "chunked":
        return plain(501, is_last=True)
    if (head.content_length or 0) > limits.body_bytes_max:
        return plain(413, is_last=True)
    expect = head.headers.get("expect", "").lower()
    if expect and expect != "100-continue":
        return plain(417, is_last=True)
    return None


@dataclass(slots=True)
class HttpCounts:
    """What one listener has seen since its start, for metrics."""

    accepted: int = 0
    refused_full: int = 0
    requests: int = 0
    timeouts: int = 0
    protocol_errors: int = 0
    by_host: dict[str, int] = field(default_factory=dict)
