"""Printing on an IPP printer, following the job there, and finding it again (RFC 8011, PWG 5100.14).

What a printer answers is data: decoded leniently, cleaned, bounded. What we do not know is said as None or by an
exception with `may_have_sent`, never guessed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from daemon.devices import capabilities as caps
from daemon.devices.capabilities import Capabilities, clean
from daemon.devices.errors import PrinterRefused, PrinterUnreachable
from daemon.devices.http_exchange import Exchange, Sending, Timeouts
from daemon.devices.printer_job import JOB_REQUESTED, PrinterJob, PrinterJobStatus, job_state_of, parse_job
from daemon.devices.targets import Network, parse_uri
from daemon.devices.trust import check_scheme, parse_tls
from daemon.ipp import build
from daemon.ipp.codec import LENIENT, decode, encode
from daemon.ipp.message import Group, IppError, Message
from daemon.ipp.registry import SUCCESS_MAX, GroupTag, Operation, PrinterState, Status
from daemon.ipp.requests import JOB_CREATING, printer_request
from daemon.ipp.typed import typed_attributes

log = structlog.get_logger(__name__)

BUSY_TRIES_MAX: Final = 5
BUSY_WAIT_S: Final = 1.0
JOBS_MAX: Final = 5000
GZIP_WBITS: Final = 31
GZIP_LEVEL: Final = 1
COMPRESSIBLE: Final = frozenset({"image/pwg-raster", "image/urf"})
"""Formats worth compressing on the way; PDF and JPEG are compressed already."""
VERSION_FALLBACK: Final = (1, 1)
STATES: Final = {PrinterState.IDLE: "idle", PrinterState.PROCESSING: "processing", PrinterState.STOPPED: "stopped"}


@dataclass(frozen=True, slots=True)
class PrinterStatus:
    """What a printer says of itself now. `state` is idle, processing, stopped or unknown.

    `up_time_s` smaller than last time means that it restarted. The counters are the device's life counts, None where
    it does not tell.
    """

    state: str
    reasons: tuple[str, ...]
    accepting: bool
    up_time_s: int | None
    uuid: str
    capabilities: Capabilities
    message: str = ""
    queued_jobs: int | None = None
    impressions_completed: int | None = None
    sheets_completed: int | None = None


class PrinterClient:
    """One printer, by its URI. Holds no connection between calls; safe for concurrent use."""

    def __init__(
        self,
        uri: str,
        *,
        tls: str = "verify",
        ca_file: str = "",
        allow_networks: Sequence[Network] = (),
        timeouts: Timeouts | None = None,
        user_name: str = "holdfast",
        capabilities: Capabilities | None = None,
    ) -> None:
        """A client for `uri` (ipp or ipps). With `capabilities` from a moment ago, printing asks one question less.

        Raises:
            BadPrinterUri: not an address this client speaks to.
        """
        self.target = parse_uri(uri)
        self.tls = parse_tls(tls)
        check_scheme(self.target, self.tls)
        self._exchange = Exchange(self.target, self.tls, ca_file, allow_networks, timeouts or Timeouts())
        self._user_name = user_name
        self._request_ids = itertools.count(1)
        self._version = (2, 0)
        self._capabilities = capabilities

    async def status(self) -> PrinterStatus:
        """State and capabilities in one question.

        Raises:
            PrinterUnreachable, PrinterRefused, AddressForbidden.
        """
        printer = (await self._ask(Operation.GET_PRINTER_ATTRIBUTES, requested=caps.REQUESTED)).printer
        self._capabilities = caps.parse(printer)
        return PrinterStatus(
            state=STATES.get(printer.first("printer-state"), "unknown"),
            reasons=tuple(r for r in caps.words(printer.all("printer-state-reasons")) if r != "none"),
            accepting=printer.first("printer-is-accepting-jobs", True) is not False,
            up_time_s=printer.integer("printer-up-time"),
            uuid=clean(printer.first("printer-uuid")),
            capabilities=self._capabilities,
            message=clean(printer.first("printer-state-message")),
            queued_jobs=printer.integer("queued-job-count"),
            impressions_completed=_count(printer, "printer-impressions-completed"),
            sheets_completed=_count(printer, "printer-media-sheets-completed"),
        )

    async def print_document(
        self,
        *,
        format: str,  # noqa: A002  -- the attribute's name
        attributes: Mapping[str, Any],
        job_name: str,
        user_name: str,
        body: AsyncIterator[bytes],
        on_sending: Callable[[], Awaitable[None]],
    ) -> PrinterJob:
        """Print one document: Validate-Job, then Create-Job and Send-Document, or Print-Job where that is all there is.

        `attributes` are job template attributes by IPP name, plain or typed. `on_sending` is awaited once, connected,
        directly before the first octet of a job-creating request.

        Raises:
            PrinterRefused: no job of ours will print.
            PrinterUnreachable: see `may_have_sent`.
        """
        printer = self._capabilities or (await self.status()).capabilities
        job_values = typed_attributes(attributes)
        is_zipped = format in COMPRESSIBLE and "gzip" in printer.compression
        document = {"document-format": build.mime(format)}
        if is_zipped:
            document["compression"] = build.keyword("gzip")
        naming = {"job-name": build.name(job_name)}
        order = _Order(user_name, naming, document, job_values)
        if printer.supports(Operation.VALIDATE_JOB):
            await self._retry_busy(lambda: self._job_request(Operation.VALIDATE_JOB, order, Sending()))
        sending = Sending(is_job_creating=True, on_sending=on_sending)
        chunks = _gzip(body) if is_zipped else body
        if printer.supports(Operation.CREATE_JOB) and printer.supports(Operation.SEND_DOCUMENT):
            return await self._create_and_send(order, sending, chunks)
        answer = await self._job_request(Operation.PRINT_JOB, order, sending, chunks)
        return self._printer_job(answer, sending)

    async def _create_and_send(self, order: _Order, sending: Sending, chunks: AsyncIterator[bytes]) -> PrinterJob:
        created = await self._retry_busy(lambda: self._job_request(Operation.CREATE_JOB, order, sending))
        job = self._printer_job(created, sending)
        values = {**order.naming_document, **order.document, "last-document": build.boolean(True)}
        try:
            answer = await self._ask(
                Operation.SEND_DOCUMENT,
                user=order.user_name,
                job_id=job.job_id,
                operation_values=values,
                body=chunks,
                sending=sending,
            )
        except PrinterUnreachable as error:
            error.printer_job = job
            raise
        except PrinterRefused:
            await self._clear_away(job, order.user_name)
            raise
        return self._printer_job(answer, sending, known=job)

    async def _clear_away(self, job: PrinterJob, user_name: str) -> None:
        """Cancel a job whose document was refused; what fails here times out on the printer by itself."""
        with contextlib.suppress(PrinterRefused, PrinterUnreachable):
            await self.cancel(job.job_id, user_name=user_name)

    async def _retry_busy(self, attempt: Callable[[], Awaitable[Message]]) -> Message:
        for number in itertools.count(1):
            try:
                return await attempt()
            except PrinterRefused as refused:
                if not refused.is_busy or number == BUSY_TRIES_MAX:
                    raise
                await asyncio.sleep(BUSY_WAIT_S)
        raise AssertionError("unreachable")

    async def _job_request(
        self, operation: Operation, order: _Order, sending: Sending, body: AsyncIterator[bytes] | None = None
    ) -> Message:
        document = {} if operation == Operation.CREATE_JOB else dict(order.document)
        if operation == Operation.VALIDATE_JOB:
            document.pop("compression", None)  # ippeveprinter then waits for a compressed document that never comes
        return await self._ask(
            operation,
            user=order.user_name,
            operation_values={**order.naming, **document},
            job_values=order.job_values,
            body=body,
            sending=sending,
        )

    def _printer_job(self, answer: Message, sending: Sending, known: PrinterJob | None = None) -> PrinterJob:
        group = answer.group(GroupTag.JOB)
        job_id = group.integer("job-id") or (known.job_id if known else None)
        if not job_id:
            raise sending.failure("the printer took a job and gave it no number", code="printer-not-ipp")
        ignored = tuple(clean(a.name) for a in itertools.islice(answer.group(GroupTag.UNSUPPORTED), JOBS_MAX))
        uuid = clean(group.first("job-uuid")) or (known.job_uuid if known else "")
        return PrinterJob(job_id, uuid, ignored or (known.ignored if known else ()))

    async def find_job(self, *, uuid: str = "", name: str = "", user_name: str = "") -> PrinterJobStatus | None:
        """Our own job by its UUID or by exactly its name, among all the printer remembers; the newest of several.

        `user_name` is the one it was sent for: some printers show the names of a person's own jobs only.
        None means that the printer does not know it: never received, or forgotten.

        Raises:
            PrinterUnreachable, PrinterRefused.
        """
        found: PrinterJobStatus | None = None
        for which in ("not-completed", "completed"):
            try:
                answer = await self._ask(
                    Operation.GET_JOBS,
                    user=user_name,
                    operation_values={"which-jobs": build.keyword(which)},
                    requested=JOB_REQUESTED,
                )
            except PrinterRefused as refused:
                if refused.status == Status.CLIENT_ERROR_NOT_FOUND:
                    continue
                raise
            for group in answer.jobs[:JOBS_MAX]:
                job = parse_job(group)
                is_ours = (uuid and job.job_uuid == uuid) or (name and job.name == clean(name))
                if is_ours and (found is None or job.job_id > found.job_id):
                    found = job
        return found

    async def job_status(self, job_id: int, *, user_name: str = "") -> PrinterJobStatus:
        """State and counters of a job; state `gone` when the printer no longer knows it (its end is unknown then).

        Raises:
            PrinterUnreachable, PrinterRefused.
        """
        try:
            answer = await self._ask(
                Operation.GET_JOB_ATTRIBUTES, job_id=job_id, user=user_name, requested=JOB_REQUESTED
            )
        except PrinterRefused as refused:
            if refused.status in (Status.CLIENT_ERROR_NOT_FOUND, Status.CLIENT_ERROR_GONE):
                return PrinterJobStatus(job_id=job_id, state="gone")
            raise
        return parse_job(answer.group(GroupTag.JOB), job_id=job_id)

    async def cancel(self, job_id: int, *, user_name: str = "") -> bool:
        """Ask the printer to stop a job. False if there was nothing left to stop; counters may still rise after True.

        Raises:
            PrinterUnreachable, PrinterRefused.
        """
        try:
            await self._ask(Operation.CANCEL_JOB, job_id=job_id, user=user_name)
        except PrinterRefused as refused:
            if refused.status in (
                Status.CLIENT_ERROR_NOT_FOUND,
                Status.CLIENT_ERROR_GONE,
                Status.CLIENT_ERROR_NOT_POSSIBLE,
            ):
                return False
            raise
        return True

    async def identify(self, *, actions: Sequence[str] = (), message: str = "") -> None:
        """Let the printer show which one it is.

        Raises:
            PrinterUnreachable, PrinterRefused.
        """
        values: dict[str, build.Values] = {}
        if actions:
            values["identify-actions"] = build.keyword(*actions)
        if message:
            values["message"] = build.text(message)
        await self._ask(Operation.IDENTIFY_PRINTER, operation_values=values)

    async def _ask(
        self,
        operation: Operation,
        *,
        user: str = "",
        job_id: int | None = None,
        operation_values: Mapping[str, build.Values] | None = None,
        job_values: Mapping[str, build.Values] | None = None,
        requested: Sequence[str] = (),
        body: AsyncIterator[bytes] | None = None,
        sending: Sending | None = None,
    ) -> Message:
        sending = sending or Sending()
        request = printer_request(
            operation,
            uri=self.target.uri,
            request_id=next(self._request_ids),
            user=user or self._user_name,
            operation_values=operation_values,
            job_values=job_values,
            job_id=job_id,
            requested=requested,
            version=self._version,
        )
        answer = await self._exchange.post(encode(request), sending=sending, body=body)
        try:
            message, _used = decode(answer, LENIENT)
        except IppError as error:
            raise sending.failure("the printer's answer is not IPP", code="printer-not-ipp") from error
        if message.code <= SUCCESS_MAX:
            return message
        if message.code == Status.SERVER_ERROR_VERSION_NOT_SUPPORTED and self._version != VERSION_FALLBACK:
            self._version = VERSION_FALLBACK
            if operation not in JOB_CREATING or body is None:
                return await self._ask(
                    operation, user=user, job_id=job_id, operation_values=operation_values, job_values=job_values,
                    requested=requested, sending=sending,
                )  # fmt: skip
        sending.has_request = False  # answered with a definite no: this request created nothing
        text = clean(message.operation.first("status-message"))
        log.info("printer.refused", operation=operation.keyword, status=message.code)
        raise PrinterRefused(text, status=message.code, attributes=_unsupported(message))


@dataclass(frozen=True, slots=True)
class _Order:
    """What the requests for one document have in common."""

    user_name: str
    naming: Mapping[str, build.Values]
    document: Mapping[str, build.Values]
    job_values: Mapping[str, build.Values]

    @property
    def naming_document(self) -> dict[str, build.Values]:
        """The document goes by the job's name."""
        return {"document-name": self.naming["job-name"]}


def _unsupported(message: Message) -> list[str]:
    return [clean(a.name) for a in itertools.islice(message.group(GroupTag.UNSUPPORTED), JOBS_MAX)]


def _count(group: Group, name: str) -> int | None:
    number = group.integer(name)
    return number if number is not None and number >= 0 else None


async def _gzip(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same octets as a gzip stream."""
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WBITS)
    async for chunk in body:
        packed = packer.compress(chunk)
        if packed:
            yield packed
    yield packer.flush()


__all__ = ["PrinterClient", "PrinterJob", "PrinterJobStatus", "PrinterStatus", "job_state_of"]
