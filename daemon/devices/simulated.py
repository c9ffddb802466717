"""Our own simulated printer: real IPP on loopback, every received document and its job attributes in a folder.

It serves the demo and the tests, where it shows what an `ippeveprinter` cannot: sheets and colour counts, several jobs,
a stopped state, and faults of the connection itself. Faults are set with `behave` or by the folder's control.json.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import uuid
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import h11
import structlog

from daemon.devices.simulated_attributes import Model, static_attributes
from daemon.devices.simulated_engine import Engine, Faults, SimulatedJob
from daemon.devices.simulated_http import Vanished, serve
from daemon.devices.simulated_operations import Operations
from daemon.ipp.codec import Decoder, encode
from daemon.ipp.message import IppError, Message
from daemon.ipp.registry import Operation, Status
from daemon.ipp.replies import error_reply, reply
from daemon.ipp.requests import check_request
from daemon.kernel.clock import Clock

__all__ = ["Faults", "Model", "SimulatedJob", "SimulatedPrinter"]

log = structlog.get_logger(__name__)

PATH: Final = "/ipp/print"
DOCUMENT_BYTES_MAX: Final = 1 << 30
MIDDLE_BYTES: Final = 1000
"""Where a connection that vanishes in the middle of a document does so, at the latest."""
EXTENSIONS: Final = {
    "application/pdf": ".pdf",
    "image/pwg-raster": ".pwg",
    "image/urf": ".urf",
    "image/jpeg": ".jpg",
}
MAGIC: Final = (
    (b"%PDF", "application/pdf"),
    (b"RaS2", "image/pwg-raster"),
    (b"UNIRAST", "image/urf"),
    (b"\xff\xd8", "image/jpeg"),
)
WBITS: Final = {"gzip": 31, "deflate": -15}
"""IPP's deflate is the bare stream of RFC 1951, not HTTP's zlib wrapping (RFC 8011 section 5.4.32)."""


class SimulatedPrinter:
    """One printer. `start` it, use `uri` (and `secure_uri`), `close` it."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        model: Model | None = None,
        page_ms: int = 50,
        port: int = 0,
        secure_port: int = 0,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.folder = folder
        self.model = model or Model()
        self.port, self.secure_port = port, secure_port
        self.engine = Engine(clock, folder, page_ms, model=self.model)
        self._clock, self._tls, self._host = clock, tls, host
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._operations: Operations | None = None
        self._received = 0
        self.uuid = uuid.uuid5(uuid.NAMESPACE_URL, f"holdfast-simulated:{folder}").urn

    @property
    def uri(self) -> str:
        """The plain address."""
        return f"ipp://{self._host}:{self.port}{PATH}"

    @property
    def secure_uri(self) -> str:
        """The address with TLS, where it was given a context."""
        return f"ipps://{self._host}:{self.secure_port}{PATH}"

    @property
    def jobs(self) -> list[SimulatedJob]:
        """What it remembers, oldest first."""
        return list(self.engine.jobs.values())

    def behave(self, faults: Faults | None = None, **changes: Any) -> None:
        """Change what goes wrong from now on; without arguments nothing does."""
        self.engine.current_faults()
        self.engine.faults = faults or Faults(**changes)

    def documents(self) -> list[Path]:
        """The documents it received whole, oldest first; a `.json` of the same name lies beside each."""
        return sorted(p for p in self.folder.glob("*-job*") if p.suffix not in (".json", ".part"))

    async def start(self) -> None:
        """Listen, and print what comes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._received = max((int(p.name[:5]) for p in self.documents()), default=0)
        plain = await asyncio.start_server(self._accept, self._host, self.port)
        self.port = plain.sockets[0].getsockname()[1]
        self._servers.append(plain)
        if self._tls is not None:
            secure = await asyncio.start_server(self._accept, self._host, self.secure_port, ssl=self._tls)
            self.secure_port = secure.sockets[0].getsockname()[1]
            self._servers.append(secure)
        self._boot()
        log.info("simulated.started", uri=self.uri)

    def _boot(self) -> None:
        uris = [self.uri] if self._tls is None else [self.uri, self.secure_uri]
        self._operations = Operations(
            engine=self.engine,
            model=self.model,
            static=static_attributes(self.model, uris=uris, uuid=self.uuid),
            uris=uris,
            clock=self._clock,
            boot=f"{self.uuid}:{self._clock.now_us()}",
        )
        self._own(self.engine.run())

    async def restart(self) -> None:
        """Power off and on: jobs, counters of time and job numbers begin anew; life counts stay."""
        await self._cancel_tasks()
        old = self.engine
        self.engine = Engine(self._clock, self.folder, old.page_ms, old.faults, model=self.model)
        self.engine.impressions_total, self.engine.sheets_total = old.impressions_total, old.sheets_total
        self._boot()

    async def close(self) -> None:
        """Stop listening and printing."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        await self._cancel_tasks()

    async def _cancel_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _own(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.engine.current_faults().is_dead:
            writer.transport.abort()
            return
        self._own(serve(reader, writer, self._handle))

    async def _handle(self, request: h11.Request, body: AsyncIterator[bytes]) -> tuple[int, bytes]:
        if request.method != b"POST":
            return 405, b""
        decoder = Decoder()
        try:
            message = None
            async for chunk in body:
                message = decoder.feed(chunk)
                if message is not None:
                    break
            if message is None:
                decoder.finish()
                raise AssertionError("finish always raises")
            check_request(message)
            answer = await self._answer(message, decoder.remainder, body)
        except IppError as error:
            if not error.request_id and message is not None:
                error.request_id, error.version = message.request_id, message.version
            answer = error_reply(error)
        faults = self.engine.current_faults()
        if faults.answer_delay_ms:
            await asyncio.sleep(faults.answer_delay_ms / 1000)
        return 200, encode(answer)

    async def _answer(self, message: Message, first: bytes, body: AsyncIterator[bytes]) -> Message:
        assert self._operations is not None
        if message.code not in (Operation.PRINT_JOB, Operation.SEND_DOCUMENT):
            return self._operations.answer(message)
        faults = self.engine.current_faults()
        if faults.vanish == "before":
            raise Vanished
        job, document_format = self._operations.take_document(message)
        await self._receive(job, message, document_format, first, body)
        if self.engine.current_faults().vanish == "after":
            raise Vanished
        return reply(message, Status.SUCCESSFUL_OK, self._operations.job_group(job))

    async def _receive(
        self, job: SimulatedJob, message: Message, document_format: str, first: bytes, body: AsyncIterator[bytes]
    ) -> None:
        """Write the document; the job prints once it is whole, and ends aborted if it never is."""
        self._received += 1
        part = self.folder / f"{self._received:05d}-job{job.id}.part"
        packing = message.operation.text("compression", "none")
        unpack = _unpacker(packing)
        head, size = b"", 0
        try:
            with part.open("wb") as file:
                async for raw in _chained(first, body):
                    chunk = unpack(raw)
                    head = (head + chunk)[:16] if len(head) < 16 else head
                    size += len(chunk)
                    if size > DOCUMENT_BYTES_MAX:
                        raise IppError(Status.CLIENT_ERROR_REQUEST_ENTITY_TOO_LARGE)
                    await asyncio.to_thread(file.write, chunk)
                    if size >= MIDDLE_BYTES:
                        self._vanish_in_the_middle()
            self._vanish_in_the_middle()
        except BaseException as error:
            self.engine.abort_incoming(job)
            with contextlib.suppress(OSError):
                part.unlink()
            if isinstance(error, zlib.error):
                raise IppError(Status.CLIENT_ERROR_COMPRESSION_ERROR) from error
            raise
        job.format = _sniff(head) or document_format
        job.file = part.rename(part.with_suffix(EXTENSIONS.get(job.format, ".bin")))
        self.engine.start_printing(job)
        self.engine.write_record(job)

    def _vanish_in_the_middle(self) -> None:
        if self.engine.current_faults().vanish == "middle":
            raise Vanished


async def _chained(first: bytes, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for chunk in body:
        yield chunk


def _sniff(head: bytes) -> str:
    return next((name for magic, name in MAGIC if head.startswith(magic)), "")


def _unpacker(packing: str) -> Callable[[bytes], bytes]:
    if packing == "none":
        return lambda chunk: chunk
    if packing not in WBITS:
        raise IppError(Status.CLIENT_ERROR_COMPRESSION_NOT_SUPPORTED)
    return zlib.decompressobj(WBITS[packing]).decompress
