"""One HTTP/1.1 connection of an IPP client: h11 for the protocol, asyncio for the bytes, guards of our own.

What general web servers do not give an IPP printer: refusals before the body is read (`Expect: 100-continue`),
bodies that stream with back-pressure, `Upgrade: TLS/1.0` on the plain port (RFC 2817), and bounded patience with slow
heads, stalled bodies and readers who never read.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import h11
import structlog

from daemon.kernel.clock import US_PER_S, Clock
from daemon.web.ipp import http as h
from daemon.web.ipp.http import BodyBroken, BodyTooLarge, ClientGone, Handler, Head, HttpCounts, HttpLimits, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = structlog.get_logger(__name__)

_NO_BODY_STATUS = 304


class Owner(Protocol):
    """The listener: it owns every connection's task, counts them and says when to stop."""

    limits: HttpLimits
    counts: HttpCounts
    clock: Clock
    handler: Handler
    upgrade_context: ssl.SSLContext | None

    def admit(self, connection: Connection) -> bool:
        """Register a fresh connection and start its task; False when a limit is reached."""
        ...

    def forget(self, connection: Connection) -> None:
        """The connection is over."""
        ...


class Connection(asyncio.Protocol):
    """Bytes in, requests out, one at a time; pipelined requests wait in the buffer."""

    def __init__(self, owner: Owner, *, is_tls: bool) -> None:
        self.owner = owner
        self.is_tls = is_tls
        self.peer = ""
        self.port = 0
        self.is_idle = True
        self._limits = owner.limits
        self._transport: asyncio.Transport | None = None
        self._chunks: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._is_paused = False
        self._is_eof = False
        self._is_lost = False
        self._is_admitted = False
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._http = self._fresh()

    # ----- asyncio.Protocol -----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """First on accept; once more after an upgrade to TLS, with the new transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._is_admitted:
            return
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) else "local"
        name = transport.get_extra_info("sockname")
        self.port = int(name[1]) if isinstance(name, tuple) else 0
        self._is_admitted = self.owner.admit(self)
        if not self._is_admitted:
            transport.write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
                            b"Content-Length: 0\r\n\r\n")  # fmt: skip
            transport.close()

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._buffered_bytes += len(data)
        if self._buffered_bytes > self._limits.buffer_bytes_max and not self._is_paused and self._transport:
            self._is_paused = True
            self._transport.pause_reading()
        self._readable.set()

    def eof_received(self) -> bool:
        """A half-closed plain client still gets its answer; TLS cannot be half closed."""
        self._is_eof = True
        self._readable.set()
        return not self.is_tls

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  -- asyncio's signature
        self._is_lost = True
        self._readable.set()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # ----- the life of the connection -----

    async def run(self) -> None:
        """Serve requests until either side closes. Never raises: the last resort is closing the connection."""
        try:
            for _ in range(self._limits.requests_per_connection_max):
                if not await self._serve_one():
                    break
                self._http.start_next_cycle()
        except (ClientGone, h11.ProtocolError, OSError, ssl.SSLError) as error:
            log.debug("ipp.connection_ended", peer=self.peer, reason=type(error).__name__)
        except asyncio.CancelledError:
            pass
        except Exception:
            log.exception("ipp.connection_failed", peer=self.peer)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close now; buffered output is still flushed by the transport."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
        self.owner.forget(self)

    async def _serve_one(self) -> bool:
        """One request and its answer; False when the connection is finished."""
        try:
            event = await self._next_head()
        except h11.RemoteProtocolError as error:
            self.owner.counts.protocol_errors += 1
            await self._reply(None, h.plain(error.error_status_hint, is_last=True))
            await self._linger()
            return False
        except TimeoutError:
            self.owner.counts.timeouts += 1
            if not self.is_idle:
                await self._reply(None, h.plain(408, is_last=True))
            return False
        if event is None:
            return False
        self.is_idle = False
        head = self._head(event)
        self.owner.counts.requests += 1
        reply = await self._answer(head)
        if reply is None:
            return await self._upgrade(event)
        return await self._finish(head, reply)

    async def _finish(self, head: Head, reply: Reply) -> bool:
        """Send the answer, then bring the request to its end: a short unread body is swallowed, a long one closes."""
        unread = self._http.their_state is h11.SEND_BODY
        if unread and not (self._http.they_are_waiting_for_100_continue or self._is_short_rest(head)):
            reply = Reply(reply.status, reply.body, reply.content_type, reply.headers, is_last=True)
        if unread and self._http.they_are_waiting_for_100_continue:
            reply = Reply(reply.status, reply.body, reply.content_type, reply.headers, is_last=True)
        await self._reply(head, reply)
        if self._http.their_state is h11.SEND_BODY and not reply.is_last:
            async for _ in self._body():
                pass
        if self._http.our_state is h11.MUST_CLOSE or reply.is_last or self._http.their_state is not h11.DONE:
            await self._linger()
            return False
        self.is_idle = True
        return not self._is_lost

    def _is_short_rest(self, head: Head) -> bool:
        """No body, or a declared one small enough to read and forget rather than to close over."""
        if not head.has_body:
            return True
        size = head.content_length
        return size is not None and size <= self._limits.linger_bytes_max

    async def _answer(self, head: Head) -> Reply | None:
        """The handler's answer; None means: switch to TLS first, then ask again."""
        try:
            refusal = h.refuse_head(head, self._limits)
            if refusal is not None:
                return refusal
            if self._wants_upgrade(head):
                return None
            begun = await self.owner.handler.begin(head)
            if isinstance(begun, Reply):
                return begun
            return await begun(self._body(expects=head.headers.get("expect", "") != ""))
        except BodyTooLarge:
            return h.plain(413, is_last=True)
        except TimeoutError:
            self.owner.counts.timeouts += 1
            return h.plain(408, is_last=True)
        except BodyBroken:
            return h.plain(400, is_last=True)
        except ClientGone:
            raise
        except h11.RemoteProtocolError as error:
            self.owner.counts.protocol_errors += 1
            return h.plain(error.error_status_hint, is_last=True)
        except Exception:
            log.exception("ipp.request_failed", method=head.method)
            return h.plain(500, is_last=True)

    # ----- reading -----

    async def _next_head(self) -> h11.Request | None:
        """The next request's head; None when the client closed between requests.

        Raises:
            TimeoutError: nothing came for the idle time, or the head was not complete in time.
        """
        started_s: float | None = None
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                return event
            if isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                return None
            if started_s is None and (self._chunks or self._http.trailing_data[0]):
                started_s = self.owner.clock.monotonic_s()
                self.is_idle = False
            if started_s is None:
                await self._feed(timeout_s=self._limits.idle_timeout_s)
            else:
                left_s = started_s + self._limits.head_timeout_s - self.owner.clock.monotonic_s()
                await self._feed(timeout_s=max(left_s, 0.0))

    async def _feed(self, *, timeout_s: float) -> None:
        """Give h11 the next bytes (or the end), waiting at most `timeout_s` seconds for them."""
        if not self._chunks and not self._is_eof and not self._is_lost:
            self._readable.clear()
            async with asyncio.timeout(timeout_s):
                await self._readable.wait()
        if self._chunks:
            data = self._chunks.popleft()
            self._buffered_bytes -= len(data)
            if self._is_paused and self._buffered_bytes <= self._limits.buffer_bytes_max // 2 and self._transport:
                self._is_paused = False
                self._transport.resume_reading()
            self._http.receive_data(data)
        elif self._is_eof or self._is_lost:
            self._http.receive_data(b"")

    async def _body(self, *, expects: bool = False) -> AsyncIterator[bytes]:
        """The request's body as it arrives; asking for it is what sends `100 Continue`.

        It is sent even if some of the body is here already: CUPS sends the attributes at once and then waits up to a
        second for the permission to go on.

        Raises:
            BodyTooLarge: more bytes than the listener takes.
            BodyBroken: the framing is not HTTP's, or ended early.
            ClientGone: the client closed.
            TimeoutError: stalled, or slower than the least rate.
        """
        received, started_s = 0, self.owner.clock.monotonic_s()
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                self.owner.counts.protocol_errors += 1
                raise BodyBroken("the body is not framed as HTTP says") from error
            if expects and event is not h11.PAUSED and not isinstance(event, h11.EndOfMessage):
                expects = False
                await self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
            if isinstance(event, h11.Data):
                received += len(event.data)
                if received > self._limits.body_bytes_max:
                    raise BodyTooLarge
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            elif event is h11.NEED_DATA:
                self._check_rate(received, started_s)
                await self._feed(timeout_s=self._limits.body_stall_s)
            else:
                raise ClientGone("the body broke off")

    def _check_rate(self, received: int, started_s: float) -> None:
        elapsed_s = self.owner.clock.monotonic_s() - started_s
        if elapsed_s > self._limits.body_rate_grace_s and received < elapsed_s * self._limits.body_rate_min_bytes_per_s:
            raise TimeoutError

    # ----- writing -----

    async def _send(self, *events: h11.Event) -> None:
        data = b"".join(self._http.send(event) or b"" for event in events)
        await self._write(data)

    async def _write(self, data: bytes) -> None:
        if self._is_lost or self._transport is None or self._transport.is_closing():
            raise ClientGone
        self._transport.write(data)
        if not self._writable.is_set():
            async with asyncio.timeout(self._limits.write_stall_s):
                await self._writable.wait()

    async def _reply(self, head: Head | None, reply: Reply) -> None:
        """Send one complete answer; the length is always known, so keep-alive always works."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            raise ClientGone
        headers = [("Date", formatdate(self.owner.clock.now_us() // US_PER_S, usegmt=True)), *reply.headers]
        if reply.status != _NO_BODY_STATUS:
            headers += [("Content-Type", reply.content_type), ("Content-Length", str(len(reply.body)))]
        if reply.is_last:
            headers.append(("Connection", "close"))
        events: list[h11.Event] = [
            h11.Response(status_code=reply.status, headers=headers, reason=HTTPStatus(reply.status).phrase)
        ]
        if head is None or head.method != "HEAD":
            events.append(h11.Data(data=reply.body))
        await self._send(*events, h11.EndOfMessage())

    async def _linger(self) -> None:
        """Read on for a moment so that the answer is not lost in a reset (RFC 9112 section 9.6)."""
        if self._transport is None or self._is_lost:
            return
        if not self.is_tls and self._transport.can_write_eof():
            self._transport.write_eof()
        swallowed = 0
        try:
            async with asyncio.timeout(self._limits.linger_s):
                while not self._is_eof and not self._is_lost and swallowed < self._limits.linger_bytes_max:
                    swallowed += sum(map(len, self._chunks))
                    self._chunks.clear()
                    self._buffered_bytes = 0
                    if self._is_paused:
                        self._is_paused = False
                        self._transport.resume_reading()
                    self._readable.clear()
                    await self._readable.wait()
        except TimeoutError:
            return

    # ----- upgrade -----

    def _wants_upgrade(self, head: Head) -> bool:
        """True for a request without body that offers TLS on the plain port (RFC 2817 section 3)."""
        if self.is_tls or self.owner.upgrade_context is None or head.has_body:
            return False
        offered = [token.strip().upper() for token in head.headers.get("upgrade", "").split(",")]
        named = [token.strip().lower() for token in head.headers.get("connection", "").split(",")]
        return "upgrade" in named and any(token.startswith("TLS/") for token in offered)

    async def _upgrade(self, event: h11.Request) -> bool:
        """101, the handshake, and the same request again inside TLS, where it gets its real answer."""
        context, old = self.owner.upgrade_context, self._transport
        assert context is not None
        assert old is not None
        self._http.next_event()
        headers = [("Connection", "Upgrade"), ("Upgrade", "TLS/1.2, HTTP/1.1")]
        await self._send(h11.InformationalResponse(status_code=101, headers=headers, reason=b"Switching Protocols"))
        if self._chunks or self._http.trailing_data[0]:
            return False  # bytes sent before our 101 would be plain text inside what must be TLS
        new = await asyncio.get_running_loop().start_tls(
            old, self, context, server_side=True, ssl_handshake_timeout=self._limits.tls_handshake_s,
            ssl_shutdown_timeout=self._limits.tls_shutdown_s)  # fmt: skip
        if new is None:
            return False
        self._transport, self.is_tls = new, True
        self._http = self._fresh()
        skipped = (b"upgrade", b"connection")
        lines = [event.method + b" " + event.target + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in event.headers if name not in skipped]
        self._http.receive_data(b"\r\n".join(lines) + b"\r\n\r\n")
        return await self._serve_one()

    # ----- small parts -----

    def _fresh(self) -> h11.Connection:
        return h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.head_bytes_max)

    def _head(self, event: h11.Request) -> Head:
        headers: dict[str, str] = {}
        for raw_name, raw_value in event.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return Head(
            method=event.method.decode("latin-1"), target=event.target.decode("latin-1"), headers=headers,
            is_tls=self.is_tls, peer=self.peer, port=self.port,
        )  # fmt: skip
