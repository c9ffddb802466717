"""A job as the printer sees it: state and counters, from its own attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from daemon.devices.capabilities import clean, words
from daemon.ipp.message import Group
from daemon.ipp.registry import JobState

JOB_REQUESTED: Final = (
    "job-id", "job-uuid", "job-name", "job-originating-user-name", "job-state", "job-state-reasons",
    "job-state-message", "job-impressions", "job-impressions-completed", "job-impressions-completed-col",
    "job-media-sheets", "job-media-sheets-completed", "job-pages-completed", "job-printer-up-time",
    "time-at-creation", "time-at-completed",
)  # fmt: skip
ENDED: Final = frozenset({"completed", "canceled", "aborted", "gone"})
_COLOR_MEMBERS: Final = ("full-color", "full-color-two-sided", "highlight-color", "highlight-color-two-sided")
_STATES: Final = {int(state): state.keyword for state in JobState}


@dataclass(frozen=True, slots=True)
class PrinterJob:
    """A job the printer accepted. `ignored`: attributes it will not honour."""

    job_id: int
    job_uuid: str
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PrinterJobStatus:
    """A look at a job on its printer.

    `state` is a job-state keyword, `gone` (forgotten by the printer) or `unknown`. Counts are what came out so far,
    all copies, None where the printer does not report them; many report 0 or part of the truth.
    """

    job_id: int
    state: str
    reasons: tuple[str, ...] = ()
    impressions: int | None = None
    color_impressions: int | None = None
    sheets: int | None = None
    up_time_s: int | None = None
    job_uuid: str = ""
    name: str = ""
    message: str = ""
    impressions_expected: int | None = None
    user_name: str = ""

    @property
    def is_ended(self) -> bool:
        """True if nothing more will come out."""
        return self.state in ENDED


def job_state_of(number: object) -> str:
    """The keyword of a job-state enum, `unknown` for anything else."""
    return _STATES.get(number, "unknown") if isinstance(number, int) else "unknown"


def parse_job(group: Group, *, job_id: int = 0) -> PrinterJobStatus:
    """A job group as data; whatever does not have the expected syntax is left out."""
    return PrinterJobStatus(
        job_id=group.integer("job-id") or job_id,
        state=job_state_of(group.first("job-state")),
        reasons=tuple(r for r in words(group.all("job-state-reasons")) if r != "none"),
        impressions=_count(group, "job-impressions-completed"),
        color_impressions=_color(group),
        sheets=_count(group, "job-media-sheets-completed"),
        up_time_s=_count(group, "job-printer-up-time"),
        job_uuid=clean(group.first("job-uuid")),
        name=clean(group.first("job-name")),
        message=clean(group.first("job-state-message")),
        impressions_expected=_count(group, "job-impressions"),
        user_name=clean(group.first("job-originating-user-name")),
    )


def _count(group: Group, name: str) -> int | None:
    number = group.integer(name)
    return number if number is not None and number >= 0 else None


def _color(group: Group) -> int | None:
    """Colour sides out of the collection of PWG 5100.7 section 6.6.2, None if the printer does not split its count."""
    split = group.first("job-impressions-completed-col")
    if not isinstance(split, dict):
        return None
    members = Group(0, split)
    counts = [_count(members, name) for name in _COLOR_MEMBERS]
    return sum(count for count in counts if count is not None) if any(c is not None for c in counts) else None
