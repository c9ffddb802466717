"""Confined document workers, seen from the daemon: one process per document, forked by a preloaded server.

`Workshop.job` hands a document to a new worker through a sealed memory file and reads its frames from a pipe. Limits:
workers at once, jobs waiting, memory and processor time (kernel), wall clock (here, by kill). A worker that dies, hangs
or says nonsense costs its document a refusal and the daemon nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from daemon.jobs.documents.frames import BODY_BYTES_MAX, DATA, HEADER, REFUSED, RESULT, RESULT_BYTES_MAX
from daemon.kernel.errors import Busy, Refusal, StorageFull, Unavailable

log = structlog.get_logger(__name__)

Read = Callable[[], AsyncIterator[bytes]]
"""Opens a document for reading from its start."""

START_S = 30.0
EXIT_S = 5.0
WAITING_MAX = 256
MESSAGE_BYTES_MAX = 160 << 10
CONTROL_BYTES_MAX = 4096
SPARE_WALL_S = 5.0
OUT_OF_MEMORY_SHARE = 0.5
"""A worker that crashed with more than this of its memory in use ran out of it: the libraries do not always check."""
_ROOT = Path(__file__).resolve().parents[2]
_COMMAND = """
import sys
sys.path.insert(0, sys.argv[2])
from daemon.jobs.documents.server import main
main(int(sys.argv[1]))
"""
_ENVIRONMENT = {"LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, SHRINK, GROW, WRITE
_BROKEN_READER = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS})


class DocumentRefused(Refusal):
    """A document cannot be read or printed.

    Codes: document-format-error, document-password-error, document-format-not-supported, document-too-complex,
    document-too-large, sandbox-unavailable.
    """

    code = "document-format-error"


class WorkshopDown(Unavailable):
    """The fork server cannot be started or ended; it is started again for the next document."""

    code = "documents-unavailable"


@dataclass(frozen=True, slots=True)
class WorkshopLimits:
    """How much document work may go on.

    `workers` read at once, `deliveries` are converted at once (most of that time they wait for a printer); per
    document: address space besides the document itself, processor seconds, wall seconds, and its size.
    """

    workers: int = 2
    deliveries: int = 16
    memory_bytes: int = 1 << 30
    cpu_s: int = 120
    wall_s: float = 300.0
    document_bytes_max: int = 2 << 30
    allow_unconfined: bool = False


@dataclass(frozen=True, slots=True)
class _Exit:
    status: int
    cpu_s: float
    memory_bytes: int


class Workshop:
    """The fork server and the workers it makes. `start` may be left out: the first job starts it."""

    def __init__(self, limits: WorkshopLimits | None = None) -> None:
        self.limits = limits or WorkshopLimits()
        self.sandbox: dict[str, int] = {}
        self._readers = asyncio.Semaphore(self.limits.workers)
        self._deliveries = asyncio.Semaphore(self.limits.deliveries)
        self._waiting = 0
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._listener: asyncio.Task[None] | None = None
        self._exits: dict[int, asyncio.Future[_Exit]] = {}
        self._next_id = 1

    async def start(self) -> None:
        """Start the fork server, or again after it died.

        Raises:
            WorkshopDown: it does not come up.
        """
        async with self._starting:
            if self._control is not None:
                return
            await self._stop()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setblocking(False)
            try:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", _COMMAND, str(theirs.fileno()), str(_ROOT),
                    pass_fds=(theirs.fileno(),), env=_ENVIRONMENT, stdin=asyncio.subprocess.DEVNULL, cwd="/",
                )  # fmt: skip
                theirs.close()
                async with asyncio.timeout(START_S):
                    hello = json.loads(await asyncio.get_running_loop().sock_recv(ours, CONTROL_BYTES_MAX) or b"null")
                self.sandbox = dict(hello["sandbox"])
            except (OSError, TimeoutError, TypeError, KeyError, ValueError) as error:
                ours.close()
                theirs.close()
                await self._stop()
                raise WorkshopDown("the document reader does not start") from error
            self._control = ours
            self._listener = asyncio.create_task(self._listen(ours), name="workshop-listener")
            log.info("workshop.started", sandbox=self.sandbox)

    @property
    def is_confined(self) -> bool:
        """True when the kernel offers both locks (known after `start`)."""
        return bool(self.sandbox.get("seccomp")) and bool(self.sandbox.get("landlock"))

    async def close(self) -> None:
        """Kill all workers and end the server."""
        async with self._starting:
            await self._stop()

    @contextlib.asynccontextmanager
    async def job(
        self,
        kind: str,
        read: Read,
        request: dict[str, Any],
        *,
        wall_s: float | None = None,
        cpu_s: int | None = None,
        is_delivery: bool = False,
    ) -> AsyncIterator[WorkerJob]:
        """A worker with the document in its hands; leaving the block ends it, whatever it is doing.

        Raises:
            Busy: too many documents are waiting.
            DocumentRefused: the document is too large to read at all.
            WorkshopDown: no worker can be started.
        """
        if self._waiting >= WAITING_MAX:
            raise Busy("too many documents are waiting to be read", retry_after_s=30)
        self._waiting += 1
        slots = self._deliveries if is_delivery else self._readers
        try:
            await slots.acquire()
        finally:
            self._waiting -= 1
        try:
            limits = replace(self.limits, wall_s=wall_s or self.limits.wall_s, cpu_s=cpu_s or self.limits.cpu_s)
            job = await self._launch(kind, read, request, limits)
            try:
                yield job
            finally:
                await job.end()
        finally:
            slots.release()

    async def _launch(self, kind: str, read: Read, request: dict[str, Any], limits: WorkshopLimits) -> WorkerJob:
        await self.start()
        document = await self._memory_file(read)
        results, theirs = os.pipe2(os.O_CLOEXEC)
        identity, self._next_id = self._next_id, self._next_id + 1
        ended: asyncio.Future[_Exit] = asyncio.get_running_loop().create_future()
        self._exits[identity] = ended
        told = {
            "memory_bytes": limits.memory_bytes,
            "cpu_s": limits.cpu_s,
            "allow_unconfined": limits.allow_unconfined,
        }
        order = {"id": identity, "kind": kind, "request": request, "limits": told}
        try:
            if self._control is None:
                raise WorkshopDown("the document reader ended")
            await asyncio.wait_for(self._send(json.dumps(order).encode(), [document, theirs]), SPARE_WALL_S)
        except BaseException as error:
            os.close(results)
            self._exits.pop(identity, None)
            if isinstance(error, OSError | TimeoutError):
                raise WorkshopDown("the document reader ended") from error
            raise
        finally:
            os.close(document)
            os.close(theirs)
        return WorkerJob(self, identity, results, ended, wall_s=limits.wall_s)

    async def _memory_file(self, read: Read) -> int:
        """The document in a sealed memory file: nobody can change it under the reader's eyes."""
        handle = os.memfd_create("document", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            octets = 0
            async for chunk in read():
                octets += len(chunk)
                if octets > self.limits.document_bytes_max:
                    raise DocumentRefused("the document is too large to be read", code="document-too-large")
                view = memoryview(chunk)
                while view:
                    view = view[os.write(handle, view) :]
            fcntl.fcntl(handle, fcntl.F_ADD_SEALS, _SEALS)
        except OSError as error:
            os.close(handle)
            raise StorageFull("no memory to read the document", retry_after_s=30) from error
        except BaseException:
            os.close(handle)
            raise
        return handle

    async def _send(self, message: bytes, handles: list[int]) -> None:
        while True:
            if self._control is None:
                raise WorkshopDown("the document reader ended")
            try:
                socket.send_fds(self._control, [message], handles)
            except BlockingIOError:
                await asyncio.sleep(0.005)  # the server answers within microseconds unless the machine is overloaded
            else:
                return

    def kill(self, identity: int) -> None:
        """End a worker now."""
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.send(json.dumps({"kill": identity}).encode())

    async def _listen(self, control: socket.socket) -> None:
        """Hand out the workers' ends until the server is gone."""
        loop = asyncio.get_running_loop()
        try:
            while message := await loop.sock_recv(control, CONTROL_BYTES_MAX):
                content = json.loads(message)
                ended = self._exits.pop(content["exit"], None)
                if ended is not None and not ended.done():
                    ended.set_result(_Exit(content["status"], content["cpu_s"], content["memory_bytes"]))
        except OSError as error:
            log.warning("workshop.lost", problem=type(error).__name__)
        finally:
            self._control = None
            control.close()
            for ended in self._exits.values():
                if not ended.done():
                    ended.set_result(_Exit(-signal.SIGTERM, 0.0, 0))
            self._exits.clear()

    async def _stop(self) -> None:
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
            self._listener = None
        if self._control is not None:  # a listener that never ran has closed nothing
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                await asyncio.wait_for(self._process.wait(), EXIT_S)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
            self._process = None


class WorkerJob:
    """One worker at one document: read its `frames`, or just its `result`."""

    def __init__(
        self, shop: Workshop, identity: int, results: int, ended: asyncio.Future[_Exit], *, wall_s: float
    ) -> None:
        self._shop = shop
        self._identity = identity
        self._handle = results
        self._ended = ended
        self._wall_s = wall_s
        self._transport: asyncio.ReadTransport | None = None

    async def result(self) -> dict[str, Any]:
        """The worker's result; its output, if any, is thrown away.

        Raises:
            DocumentRefused: the worker refused, died, or took too long.
        """
        found: dict[str, Any] = {}
        async for kind, body in self.frames():
            if kind == RESULT:
                found = json.loads(body)
        return found

    async def frames(self) -> AsyncIterator[tuple[bytes, bytes]]:
        """(`DATA`, piece)... and at the end (`RESULT`, JSON).

        The wall clock runs only while the worker is waited for: a slow reader of this iterator does not kill it.

        Raises:
            DocumentRefused: the worker refused, died, or took too long.
        """
        reader = asyncio.StreamReader(limit=BODY_BYTES_MAX)
        file = os.fdopen(self._handle, "rb", buffering=0)
        self._handle = -1
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
        left_s = self._wall_s
        while True:
            began = loop.time()
            try:
                async with asyncio.timeout(left_s):
                    kind, size = HEADER.unpack(await reader.readexactly(HEADER.size))
                    if size > (BODY_BYTES_MAX if kind == DATA else RESULT_BYTES_MAX):
                        raise DocumentRefused("the document could not be read")
                    body = await reader.readexactly(size)
            except TimeoutError as error:
                raise _too_slow() from error
            except asyncio.IncompleteReadError as error:
                raise await self._death() from error
            left_s -= loop.time() - began
            if kind == REFUSED:
                said = json.loads(body)
                if said.get("detail"):
                    log.warning("worker.refused", code=said["code"], detail=said["detail"])
                raise DocumentRefused(str(said["message"]), code=str(said["code"]))
            yield kind, body
            if kind == RESULT:
                return

    async def end(self) -> None:
        """Kill the worker if it still lives, wait for its end, close the pipe."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        if self._transport is not None:
            self._transport.close()
        if not self._ended.done():
            self._shop.kill(self._identity)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._ended), EXIT_S)

    async def _death(self) -> DocumentRefused:
        """Why a worker ended without a last word."""
        try:
            how = await asyncio.wait_for(asyncio.shield(self._ended), EXIT_S)
        except TimeoutError:
            return _too_slow()
        number = -how.status
        is_out_of_memory = how.memory_bytes > self._shop.limits.memory_bytes * OUT_OF_MEMORY_SHARE
        log.warning("worker.died", status=how.status, cpu_s=round(how.cpu_s, 2), memory_bytes=how.memory_bytes)
        if number in _BROKEN_READER and not is_out_of_memory:
            return DocumentRefused("the document is damaged and cannot be read", code="document-format-error")
        return DocumentRefused(
            "the document needs more memory or time than one document may use",
            code="document-too-complex",
        )


def _too_slow() -> DocumentRefused:
    return DocumentRefused("the document takes too long to be read", code="document-too-complex")
