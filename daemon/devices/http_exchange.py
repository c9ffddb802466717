"""One HTTP/1.1 exchange with a printer: our own h11 client on asyncio streams, bounded in time and octets.

One connection per request: printers close idle connections at times of their own, and a request written into a
connection that just died is exactly the request whose fate nobody knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import h11

from daemon.devices.errors import DocumentInterrupted, PrinterRefused, PrinterUnreachable, PrinterUntrusted
from daemon.devices.targets import Network, Target, resolve
from daemon.devices.trust import check_pin, context_for

READ_BYTES: Final = 65_536
HEADER_BYTES_MAX: Final = 32_768
ANSWER_BYTES_MAX: Final = 2 << 20
"""A printer's longest believable answer (all attributes, or the list of all jobs)."""
EARLY_ANSWER_S: Final = 2.0
"""After the printer cut the connection while we were sending: how long its answer may still be on the way."""
HTTP_CONTINUE: Final = 100
HTTP_OK: Final = 200
HTTP_EXPECTATION_FAILED: Final = 417
REFUSED_BY_HTTP: Final = {
    401: "printer-needs-password",
    403: "printer-forbids",
    404: "printer-path-unknown",
    413: "client-error-request-entity-too-large",
    426: "printer-wants-tls",
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `stall_s`: how long the printer may take no further octet of the document (it may be out of paper).

    `continue_s` is short: many printers never say 100 Continue, and somebody stands waiting; an early refusal is read
    while the document is on its way.
    """

    connect_s: float = 5.0
    answer_s: float = 30.0
    continue_s: float = 0.05
    stall_s: float = 900.0
    document_answer_s: float = 300.0


@dataclass(slots=True)
class Sending:
    """What has left us so far, kept up to date while it happens."""

    is_job_creating: bool = False
    has_request: bool = False
    has_document: bool = False
    on_sending: Callable[[], Awaitable[None]] | None = None

    def failure(
        self, message: str, cls: type[PrinterUnreachable] = PrinterUnreachable, **data: Any
    ) -> PrinterUnreachable:
        """An error that says how far we came."""
        has_sent = self.is_job_creating and self.has_request
        return cls(message, may_have_sent=has_sent, may_have_printed=self.has_document, **data)


@dataclass(slots=True)
class Exchange:
    """A way to one printer: where, how it proves itself, and how long everything may take."""

    target: Target
    tls: str = "verify"
    ca_file: str = ""
    allow_networks: Sequence[Network] = ()
    timeouts: Timeouts = field(default_factory=Timeouts)

    async def post(
        self, head: bytes, *, sending: Sending, body: AsyncIterator[bytes] | None = None, expect: bool = True
    ) -> bytes:
        """POST an IPP message, with a document behind it if given, and return the answer's octets.

        Raises:
            PrinterUnreachable: no connection, no answer, or none in time.
            PrinterUntrusted: the certificate; nothing was sent.
            PrinterRefused: an HTTP status other than 200.
        """
        reader, writer = await self.connect()
        try:
            if sending.on_sending is not None:
                callback, sending.on_sending = sending.on_sending, None
                await callback()
            wire = _Wire(reader, writer, self.timeouts, sending)
            status, answer = await wire.exchange(self._request(head, body, expect), head, body)
        finally:
            writer.transport.abort()
        if status == HTTP_EXPECTATION_FAILED and body is not None and expect and not sending.has_request:
            return await self.post(head, sending=sending, body=body, expect=False)
        if status == HTTP_OK:
            return answer
        if status >= 500:
            raise sending.failure(f"the printer answered HTTP {status}", http_status=status)
        raise PrinterRefused(
            f"the printer answered HTTP {status}",
            code=REFUSED_BY_HTTP.get(status, "printer-http-refused"),
            http_status=status,
        )

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the first address that answers, proven by its certificate for ipps."""
        last: Exception | None = None
        context = await context_for(self.target, self.tls, self.ca_file)
        for address in await resolve(self.target, self.allow_networks):
            try:
                async with asyncio.timeout(self.timeouts.connect_s):
                    reader, writer = await asyncio.open_connection(
                        address, self.target.port, ssl=context, server_hostname=self.target.host if context else None
                    )
            except (OSError, TimeoutError) as error:
                last = error
                if isinstance(error, ssl.SSLCertVerificationError):
                    break
                continue
            try:
                check_pin(self.tls, writer)
            except BaseException:
                writer.transport.abort()
                raise
            return reader, writer
        if isinstance(last, ssl.SSLCertVerificationError):
            raise PrinterUntrusted(f"the printer's certificate: {last.verify_message}") from last
        raise PrinterUnreachable("the printer does not answer") from last

    def _request(self, head: bytes, body: AsyncIterator[bytes] | None, expect: bool) -> h11.Request:
        headers = [
            ("Host", self.target.authority),
            ("Content-Type", "application/ipp"),
            ("Accept", "application/ipp"),
            ("User-Agent", "Holdfast"),
            ("Connection", "close"),
        ]
        if body is None:
            headers.append(("Content-Length", str(len(head))))
        else:
            headers.append(("Transfer-Encoding", "chunked"))
            if expect:
                headers.append(("Expect", "100-continue"))
        return h11.Request(method="POST", target=self.target.path, headers=headers)


class _Wire:
    """h11 between two streams for one exchange."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeouts: Timeouts, sending: Sending
    ) -> None:
        self.reader, self.writer, self.timeouts, self.sending = reader, writer, timeouts, sending
        self.http = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=HEADER_BYTES_MAX)
        self.may_continue = asyncio.Event()
        self.answered = asyncio.Event()

    async def exchange(self, request: h11.Request, head: bytes, body: AsyncIterator[bytes] | None) -> tuple[int, bytes]:
        """Send and read at the same time: a printer may refuse before it has taken everything."""
        sender = asyncio.create_task(self._send(request, head, body), name="printer-send")
        answer = asyncio.create_task(self._read(), name="printer-answer")
        try:
            await asyncio.wait({sender, answer}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                await self._after_sending(sender, answer, has_body=body is not None)
            return await answer
        except (OSError, EOFError, h11.RemoteProtocolError, h11.LocalProtocolError) as error:
            raise self.sending.failure("the printer cut the connection") from error
        finally:
            for task in (sender, answer):
                task.cancel()
            await asyncio.gather(sender, answer, return_exceptions=True)

    async def _after_sending(
        self, sender: asyncio.Task[None], answer: asyncio.Task[tuple[int, bytes]], *, has_body: bool
    ) -> None:
        """The sender ended first: well, then the answer is due; badly, then the answer may explain why."""
        error = sender.exception()
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            await asyncio.wait({answer}, timeout=EARLY_ANSWER_S)
            if not answer.done() or answer.exception() is not None:
                raise error
            return
        if error is not None:
            raise error
        limit = self.timeouts.document_answer_s if has_body else self.timeouts.answer_s
        await asyncio.wait({answer}, timeout=limit)
        if not answer.done():
            raise self.sending.failure("the printer did not answer in time", code="printer-timeout")

    async def _send(self, request: h11.Request, head: bytes, body: AsyncIterator[bytes] | None) -> None:
        self.sending.has_request = body is None
        await self._write(request)
        if self._expects(request):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.timeouts.continue_s):
                    await self.may_continue.wait()
        self.sending.has_request = True
        await self._write(h11.Data(data=head))
        if body is not None:
            await self._send_document(body)
        await self._write(h11.EndOfMessage())

    @staticmethod
    def _expects(request: h11.Request) -> bool:
        return any(name.lower() == b"expect" for name, _value in request.headers)

    async def _send_document(self, body: AsyncIterator[bytes]) -> None:
        while True:
            try:
                chunk = await anext(body)
            except StopAsyncIteration:
                return
            except Exception as error:
                raise self.sending.failure("the document could not be read", DocumentInterrupted) from error
            if chunk:
                self.sending.has_document = True
                await self._write(h11.Data(data=chunk))

    async def _write(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        self.writer.write(self.http.send(event) or b"")
        try:
            async with asyncio.timeout(self.timeouts.stall_s):
                await self.writer.drain()
        except TimeoutError as error:
            raise self.sending.failure("the printer takes no more data", code="printer-stalled") from error

    async def _read(self) -> tuple[int, bytes]:
        """The final status and the answer's body."""
        status, parts, size = 0, list[bytes](), 0
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA:
                data = await self.reader.read(READ_BYTES)
                if not data and status == 0 and self.http.their_state is h11.SEND_RESPONSE:
                    raise EOFError("closed before an answer")
                self.http.receive_data(data)
            elif isinstance(event, h11.InformationalResponse):
                if event.status_code == HTTP_CONTINUE:
                    self.may_continue.set()
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size > ANSWER_BYTES_MAX:
                    raise self.sending.failure("the printer's answer is too long")
                parts.append(bytes(event.data))
            else:
                return status, b"".join(parts)
