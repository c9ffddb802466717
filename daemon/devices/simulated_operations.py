"""The IPP operations of a simulated printer."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Final

from daemon.devices.simulated_attributes import OPERATIONS, Model
from daemon.devices.simulated_engine import QUEUE_MAX, Engine, SimulatedJob
from daemon.ipp import build as b
from daemon.ipp.message import Attributes, Group, IppError, Message
from daemon.ipp.registry import GroupTag, Operation, PrinterState, Status
from daemon.ipp.replies import reply
from daemon.kernel.clock import US_PER_S, Clock

JOBS_ANSWERED_MAX: Final = 500
JOB_MINIMUM: Final = frozenset({"job-id", "job-uri", "job-uuid", "job-state", "job-state-reasons", "job-state-message"})
GROUP_WORDS: Final = frozenset({"all", "job-template", "job-description", "job-status", "printer-description"})
OCTET_STREAM: Final = "application/octet-stream"


class Operations:
    """Requests in, answers out; documents are received by `simulated`."""

    def __init__(
        self, *, engine: Engine, model: Model, static: Attributes, uris: list[str], clock: Clock, boot: str
    ) -> None:
        self._engine, self._model, self._static, self._uris = engine, model, static, uris
        self._clock, self._boot = clock, boot
        self._booted_s = self._now_s()
        self._last_id = 0
        self._handlers: dict[int, Callable[[Message], Message]] = {
            Operation.VALIDATE_JOB: self._validate,
            Operation.CREATE_JOB: self._create,
            Operation.CLOSE_JOB: self._close,
            Operation.CANCEL_JOB: self._cancel,
            Operation.CANCEL_MY_JOBS: self._cancel_mine,
            Operation.GET_JOB_ATTRIBUTES: self._get_job,
            Operation.GET_JOBS: self._get_jobs,
            Operation.GET_PRINTER_ATTRIBUTES: self._get_printer,
            Operation.IDENTIFY_PRINTER: lambda request: reply(request, Status.SUCCESSFUL_OK),
        }

    def answer(self, request: Message) -> Message:
        """The answer to a request without a document.

        Raises:
            IppError: refused.
        """
        handler = self._handlers.get(request.code)
        is_missing = request.code == Operation.CREATE_JOB and not self._model.has_create_job
        if handler is None or is_missing or request.code not in OPERATIONS:
            raise IppError(Status.SERVER_ERROR_OPERATION_NOT_SUPPORTED)
        return handler(request)

    def take_document(self, request: Message) -> tuple[SimulatedJob, str]:
        """The job a document belongs to and its declared format: a new one, or the one it was created for.

        Raises:
            IppError: refused; nothing of the document is read.
        """
        declared = self._check_job(request)
        if request.code == Operation.PRINT_JOB:
            return self._new_job(request), declared
        if not isinstance(request.operation.first("last-document"), bool):
            raise IppError(Status.CLIENT_ERROR_BAD_REQUEST, "last-document says whether it is the last")
        job = self._job(request)
        if job.has_document or job.is_ended:
            raise IppError(Status.CLIENT_ERROR_NOT_POSSIBLE, "the job has its document")
        return job, declared

    def job_group(self, job: SimulatedJob) -> Group:
        """What an answer to a job-creating request says."""
        attributes = self._job_attributes(job)
        return Group(GroupTag.JOB, {name: attributes[name] for name in JOB_MINIMUM if name in attributes})

    # ----- jobs -----
    def _check_job(self, request: Message) -> str:
        faults = self._engine.current_faults()
        if faults.is_refusing:
            raise IppError(Status.SERVER_ERROR_NOT_ACCEPTING_JOBS)
        if faults.is_busy or len(self._engine.waiting) >= QUEUE_MAX:
            raise IppError(Status.SERVER_ERROR_BUSY)
        declared = request.operation.text("document-format", OCTET_STREAM)
        if declared not in (OCTET_STREAM, *self._model.formats):
            raise IppError(Status.CLIENT_ERROR_DOCUMENT_FORMAT_NOT_SUPPORTED)
        if request.operation.text("compression", "none") not in ("none", "gzip", "deflate"):
            raise IppError(Status.CLIENT_ERROR_COMPRESSION_NOT_SUPPORTED)
        return declared

    def _validate(self, request: Message) -> Message:
        self._check_job(request)
        return reply(request, Status.SUCCESSFUL_OK)

    def _create(self, request: Message) -> Message:
        self._check_job(request)
        return reply(request, Status.SUCCESSFUL_OK, self.job_group(self._new_job(request)))

    def _close(self, request: Message) -> Message:
        self._job(request)
        return reply(request, Status.SUCCESSFUL_OK)

    def _new_job(self, request: Message) -> SimulatedJob:
        self._last_id += 1
        job = SimulatedJob(
            id=self._last_id,
            uuid=uuid.uuid5(uuid.NAMESPACE_URL, f"{self._boot}:{self._last_id}").urn,
            name=request.operation.text("job-name", "Untitled"),
            user=request.operation.text("requesting-user-name", "anonymous"),
            attributes=request.group(GroupTag.JOB).attributes,
            created_s=self._now_s(),
        )
        self._engine.add(job)
        return job

    def _job(self, request: Message) -> SimulatedJob:
        job_id = request.operation.integer("job-id")
        if job_id is None:
            tail = request.operation.text("job-uri").rpartition("/")[2]
            job_id = int(tail) if tail.isdecimal() else 0
        job = self._engine.jobs.get(job_id)
        if job is None or (job.is_ended and self._engine.current_faults().is_forgetful):
            raise IppError(Status.CLIENT_ERROR_NOT_FOUND)
        return job

    def _cancel(self, request: Message) -> Message:
        job = self._job(request)
        if job.is_ended:
            raise IppError(Status.CLIENT_ERROR_NOT_POSSIBLE, "the job has ended")
        self._engine.cancel(job)
        return reply(request, Status.SUCCESSFUL_OK)

    def _cancel_mine(self, request: Message) -> Message:
        user = request.operation.text("requesting-user-name")
        for job in list(self._engine.jobs.values()):
            if job.user == user and not job.is_ended:
                self._engine.cancel(job)
        return reply(request, Status.SUCCESSFUL_OK)

    def _get_job(self, request: Message) -> Message:
        job = self._job(request)
        group = Group(GroupTag.JOB, _selected(self._job_attributes(job), request, ("all",)))
        return reply(request, Status.SUCCESSFUL_OK, group)

    def _get_jobs(self, request: Message) -> Message:
        which = request.operation.text("which-jobs", "not-completed")
        user = request.operation.text("requesting-user-name")
        is_mine = request.operation.first("my-jobs") is True
        limit = request.operation.integer("limit") or JOBS_ANSWERED_MAX
        found = [
            job
            for job in self._engine.jobs.values()
            if (which == "all" or job.is_ended == (which == "completed")) and (not is_mine or job.user == user)
        ]
        if self._engine.current_faults().is_forgetful:
            found = [job for job in found if not job.is_ended]
        found.sort(key=lambda job: (job.is_ended, -(job.completed_s or 0), job.id))
        groups = [
            Group(GroupTag.JOB, _selected(self._job_attributes(job), request, ("job-id", "job-uri")))
            for job in found[: min(limit, JOBS_ANSWERED_MAX)]
        ]
        return reply(request, Status.SUCCESSFUL_OK, *groups)

    def _job_attributes(self, job: SimulatedJob) -> Attributes:
        values = {
            "job-id": b.integer(job.id),
            "job-uri": b.uri(f"{self._uris[0]}/{job.id}"),
            "job-printer-uri": b.uri(self._uris[0]),
            "job-uuid": b.uri(job.uuid),
            "job-name": b.name(job.name),
            "job-originating-user-name": b.name(job.user),
            "job-state": b.enum(job.state),
            "job-state-reasons": b.keyword(*job.reasons),
            "job-state-message": b.text(job.message),
            "job-printer-up-time": b.integer(self._up_time_s()),
            "time-at-creation": b.integer(max(1, job.created_s - self._booted_s)),
            "time-at-processing": self._time(job.processing_s),
            "time-at-completed": self._time(job.completed_s),
        }
        if not self._engine.current_faults().is_mute:
            color = job.color_completed
            values |= {
                "job-impressions": b.integer(job.impressions),
                "job-impressions-completed": b.integer(job.impressions_completed),
                "job-impressions-completed-col": b.collection(
                    {
                        "blank": b.integer(0),
                        "full-color": b.integer(color),
                        "monochrome": b.integer(job.impressions_completed - color),
                    }
                ),
                "job-media-sheets": b.integer(job.sheets),
                "job-media-sheets-completed": b.integer(job.sheets_completed),
            }
        return {**job.attributes, **b.attributes(values)}

    # ----- the printer -----
    def _get_printer(self, request: Message) -> Message:
        live = b.attributes(self._live())
        group = Group(GroupTag.PRINTER, _selected({**live, **self._static}, request, ("all",)))
        return reply(request, Status.SUCCESSFUL_OK, group)

    def _live(self) -> dict[str, b.Values]:
        engine, faults = self._engine, self._engine.current_faults()
        state, reasons = engine.state, engine.reasons
        if faults.is_stopped and state != PrinterState.STOPPED:
            state, reasons = PrinterState.STOPPED, ("paused",)
        elif state == PrinterState.IDLE and 0 in (faults.jam_after, faults.empty_after):
            state = PrinterState.STOPPED
            reasons = ("media-jam-error",) if faults.jam_after == 0 else ("media-empty-error",)
        queued = sum(not job.is_ended for job in engine.jobs.values())
        values = {
            "printer-state": b.enum(state),
            "printer-state-reasons": b.keyword(*reasons),
            "printer-state-message": b.text(""),
            "printer-is-accepting-jobs": b.boolean(not faults.is_refusing),
            "printer-up-time": b.integer(self._up_time_s()),
            "printer-current-time": b.date_time(self._clock.now_us()),
            "printer-state-change-time": b.integer(1),
            "printer-config-change-time": b.integer(1),
            "queued-job-count": b.integer(queued),
        }
        if not faults.is_mute:
            values["printer-impressions-completed"] = b.integer(engine.impressions_total)
            values["printer-media-sheets-completed"] = b.integer(engine.sheets_total)
        return values

    def _now_s(self) -> int:
        return self._clock.now_us() // US_PER_S

    def _up_time_s(self) -> int:
        return max(1, self._now_s() - self._booted_s + 1)

    def _time(self, at_s: int | None) -> b.Values:
        return b.no_value() if at_s is None else b.integer(max(1, at_s - self._booted_s))


def _selected(attributes: Attributes, request: Message, default: tuple[str, ...]) -> Attributes:
    """The requested attributes; every group word stands for all."""
    wanted = {str(word) for word in request.operation.all("requested-attributes")} or set(default)
    if wanted & GROUP_WORDS:
        return attributes
    return {name: attribute for name, attribute in attributes.items() if name in wanted}
