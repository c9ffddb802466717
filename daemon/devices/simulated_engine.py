"""The inside of a simulated printer: its jobs, its paper path, and what goes wrong on demand."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import structlog

from daemon.devices.simulated_attributes import SIZES, Model
from daemon.devices.simulated_count import NotADocument, count_pages
from daemon.ipp.message import Attributes, plain
from daemon.ipp.registry import JobState, PrinterState
from daemon.kernel.clock import Clock

log = structlog.get_logger(__name__)

JOBS_KEPT_MAX: Final = 1000
QUEUE_MAX: Final = 500
FAULT_POLL_S: Final = 0.02
US_PER_S: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong; every field is a fault of its own, the default printer has none.

    `*_after` count impressions of the job being printed. jam, empty and stop wait until the fault is taken away again.
    `vanish`: drop the connection `before` a document's first octet is taken, in the `middle`, or `after` it is whole
    (the job then prints, but its sender never learns it). `is_dead`: every connection is dropped.
    """

    jam_after: int | None = None
    empty_after: int | None = None
    abort_after: int | None = None
    cancel_after: int | None = None
    is_stopped: bool = False
    is_refusing: bool = False
    is_busy: bool = False
    is_dead: bool = False
    is_mute: bool = False
    is_forgetful: bool = False
    vanish: str = ""
    answer_delay_ms: int = 0

    @classmethod
    def from_json(cls, text: str) -> Faults:
        """The content of a control file; unknown keys and anything unreadable are ignored, it is a test's toy."""
        try:
            found = json.loads(text)
        except ValueError:
            return cls()
        names = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in found.items() if k in names}) if isinstance(found, dict) else cls()


@dataclass(slots=True)
class SimulatedJob:
    """One job in the printer."""

    id: int
    uuid: str
    name: str
    user: str
    attributes: Attributes
    created_s: int
    state: JobState = JobState.PENDING
    reasons: tuple[str, ...] = ("job-incoming",)
    message: str = ""
    format: str = ""
    file: Path | None = None
    impressions: int = 0
    impressions_completed: int = 0
    color_completed: int = 0
    sheets: int = 0
    sheets_completed: int = 0
    processing_s: int | None = None
    completed_s: int | None = None
    is_canceling: bool = False
    has_document: bool = False

    @property
    def is_ended(self) -> bool:
        return self.state >= JobState.CANCELED


@dataclass(slots=True)
class Engine:
    """Prints one job after the other, a page each `page_ms`."""

    clock: Clock
    folder: Path
    page_ms: int
    faults: Faults = field(default_factory=Faults)
    model: Model = field(default_factory=Model)
    jobs: dict[int, SimulatedJob] = field(default_factory=dict)
    waiting: deque[SimulatedJob] = field(default_factory=deque)
    state: PrinterState = PrinterState.IDLE
    reasons: tuple[str, ...] = ("none",)
    impressions_total: int = 0
    sheets_total: int = 0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _control_mtime_ns: int = 0

    @property
    def control_file(self) -> Path:
        """Faults can be written here as JSON, while it runs."""
        return self.folder / "control.json"

    def current_faults(self) -> Faults:
        """The faults of now; a control file that changed since the last look replaces what `behave` said."""
        try:
            changed = self.control_file.stat().st_mtime_ns
        except OSError:
            changed = 0
        if changed != self._control_mtime_ns:
            self._control_mtime_ns = changed
            self.faults = Faults.from_json(self.control_file.read_text()) if changed else Faults()
        return self.faults

    def add(self, job: SimulatedJob) -> None:
        """Take a job in; the oldest ended ones are forgotten."""
        self.jobs[job.id] = job
        for old in [j for j in self.jobs.values() if j.is_ended][: max(0, len(self.jobs) - JOBS_KEPT_MAX)]:
            del self.jobs[old.id]

    def start_printing(self, job: SimulatedJob) -> None:
        """The document is whole: the job waits for its turn."""
        job.has_document = True
        job.reasons = ("none",)
        self.waiting.append(job)
        self._wake.set()

    def abort_incoming(self, job: SimulatedJob) -> None:
        """The document never became whole."""
        self._end(job, JobState.ABORTED, "aborted-by-system")

    def cancel(self, job: SimulatedJob) -> None:
        """Stop a job: at once if it only waits, at the next page if it prints."""
        if job.state in (JobState.PENDING, JobState.PENDING_HELD):
            self._end(job, JobState.CANCELED, "job-canceled-by-user")
        else:
            job.is_canceling = True
            job.reasons = ("processing-to-stop-point",)

    async def run(self) -> None:
        """Print for ever; cancelled at the end."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self.waiting:
                job = self.waiting.popleft()
                if not job.is_ended:
                    await self._print(job)

    async def _print(self, job: SimulatedJob) -> None:
        self._enter(job, PrinterState.PROCESSING, ("none",))
        job.state, job.reasons, job.processing_s = JobState.PROCESSING, ("job-printing",), self._now_s()
        pages = await self._pages(job)
        if pages is None:
            self._end(job, JobState.ABORTED, "document-format-error")
            self._enter(job, PrinterState.IDLE, ("none",))
            return
        copies = _number(job.attributes, "copies")
        is_two_sided = _text(job.attributes, "sides").startswith("two-sided")
        per_copy = -(-len(pages) // 2) if is_two_sided else len(pages)
        job.impressions, job.sheets = len(pages) * copies, per_copy * copies
        await self._wait_for_media(job)
        for _copy in range(copies):
            for number, is_color in enumerate(pages, start=1):
                ends_sheet = not is_two_sided or number % 2 == 0 or number == len(pages)
                if not await self._print_page(job, is_color=is_color, ends_sheet=ends_sheet):
                    self._enter(job, PrinterState.IDLE, ("none",))
                    return
        self._end(job, JobState.COMPLETED, "job-completed-successfully")
        self._enter(job, PrinterState.IDLE, ("none",))

    async def _print_page(self, job: SimulatedJob, *, is_color: bool, ends_sheet: bool) -> bool:
        """One side; False when the job ended instead."""
        await self._wait_out(job)
        faults, done = self.current_faults(), job.impressions_completed
        if faults.abort_after is not None and done >= faults.abort_after:
            self._end(job, JobState.ABORTED, "aborted-by-system")
        elif faults.cancel_after is not None and done >= faults.cancel_after:
            self._end(job, JobState.CANCELED, "job-canceled-at-device")
        elif job.is_canceling:
            self._end(job, JobState.CANCELED, "job-canceled-by-user")
        if job.is_ended:
            return False
        await asyncio.sleep(self.page_ms / 1000)
        job.impressions_completed += 1
        job.color_completed += is_color
        job.sheets_completed += ends_sheet
        self.impressions_total += 1
        self.sheets_total += ends_sheet
        return True

    async def _wait_for_media(self, job: SimulatedJob) -> None:
        """A job for paper that is not loaded keeps `processing` until somebody comes, or it is cancelled."""
        wanted = _media(job.attributes)
        if not wanted or wanted in self.model.media_ready or not self.model.media_wait_s:
            return
        until_s = self.clock.monotonic_s() + self.model.media_wait_s
        self._enter(job, PrinterState.PROCESSING, ("media-needed",))
        while self.clock.monotonic_s() < until_s and not job.is_canceling:  # noqa: ASYNC110  -- two conditions, a toy
            await asyncio.sleep(FAULT_POLL_S)
        self._enter(job, PrinterState.PROCESSING, ("none",))

    async def _wait_out(self, job: SimulatedJob) -> None:
        """Stand still while paper is jammed, out, or the printer is stopped; a cancel ends the wait."""
        while (reason := self._standing_reason(job)) and not job.is_canceling:
            self._enter(job, PrinterState.STOPPED, (reason,))
            job.state, job.reasons = JobState.PROCESSING_STOPPED, ("printer-stopped",)
            await asyncio.sleep(FAULT_POLL_S)
        if job.state == JobState.PROCESSING_STOPPED:
            job.state, job.reasons = JobState.PROCESSING, ("job-printing",)
            self._enter(job, PrinterState.PROCESSING, ("none",))

    def _standing_reason(self, job: SimulatedJob) -> str:
        faults, done = self.current_faults(), job.impressions_completed
        if faults.is_stopped:
            return "paused"
        if faults.jam_after is not None and done >= faults.jam_after:
            return "media-jam-error"
        if faults.empty_after is not None and done >= faults.empty_after:
            return "media-empty-error"
        return ""

    async def _pages(self, job: SimulatedJob) -> list[bool] | None:
        """Colour per side of one copy, with page-ranges, number-up and print-color-mode applied; None if damaged."""
        assert job.file is not None
        try:
            pages = await asyncio.to_thread(count_pages, job.file, job.format)
        except (NotADocument, OSError) as error:
            log.info("simulated.document-damaged", job_id=job.id, error=str(error))
            return None
        ranges = [v.value for v in job.attributes["page-ranges"].values] if "page-ranges" in job.attributes else []
        if ranges:
            pages = [p for n, p in enumerate(pages, start=1) if any(low <= n <= high for low, high in ranges)]
        up = _number(job.attributes, "number-up")
        pages = [any(pages[i : i + up]) for i in range(0, len(pages), up)]
        if "monochrome" in _text(job.attributes, "print-color-mode"):
            pages = [False] * len(pages)
        return pages

    def _enter(self, job: SimulatedJob, state: PrinterState, reasons: tuple[str, ...]) -> None:
        if (state, reasons) != (self.state, self.reasons):
            log.debug("simulated.state", job_id=job.id, state=state.keyword, reasons=reasons)
        self.state, self.reasons = state, reasons

    def _end(self, job: SimulatedJob, state: JobState, reason: str) -> None:
        job.state, job.reasons, job.completed_s = state, (reason,), self._now_s()
        self.write_record(job)

    def write_record(self, job: SimulatedJob) -> None:
        """What the printer knows of the job, as JSON beside the document."""
        if job.file is None:
            return
        record: dict[str, Any] = {
            "job_id": job.id,
            "job_uuid": job.uuid,
            "job_name": job.name,
            "user_name": job.user,
            "format": job.format,
            "file": job.file.name,
            "state": job.state.keyword,
            "reasons": list(job.reasons),
            "impressions": job.impressions_completed,
            "color_impressions": job.color_completed,
            "sheets": job.sheets_completed,
            "attributes": plain(job.attributes.values()),
        }
        job.file.with_suffix(".json").write_text(json.dumps(record, indent=1))

    def _now_s(self) -> int:
        return self.clock.now_us() // US_PER_S


def _number(attributes: Attributes, name: str) -> int:
    value = attributes[name].first if name in attributes else 1
    return max(1, value) if isinstance(value, int) else 1


def _text(attributes: Attributes, name: str) -> str:
    return str(attributes[name].first) if name in attributes else ""


def _media(attributes: Attributes) -> str:
    """The size asked for by name, in `media` or inside `media-col`; empty when it does not matter."""
    members = attributes["media-col"].first if "media-col" in attributes else None
    if isinstance(members, dict) and "media-size-name" in members:
        return str(members["media-size-name"].first)
    if isinstance(members, dict) and "media-size" in members:
        size = members["media-size"].first
        wanted = (size["x-dimension"].first, size["y-dimension"].first)
        return next((name for name, both in SIZES.items() if both == wanted), "")
    return _text(attributes, "media")
