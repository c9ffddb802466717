"""What may happen to a job: one transition table (RFC 8011 section 5.3.7, PWG 5100.7 for reasons).

A job arrives `pending-held`, waits for its owner, is released once, is followed on the printer to its end, and is
settled. Bytes that may have left are never taken back: from `processing` a job returns to `pending-held` only when it
is certain that nothing of it can come out of a printer, or when an uncertain outcome was decided in the owner's favour.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from daemon.kernel.errors import Conflict

FINAL = frozenset({"canceled", "aborted", "completed"})
ACTIVE = frozenset({"pending", "processing", "processing-stopped"})

HELD = ("job-held-for-release", "job-release-wait")
STOP_ASKED = ("processing-to-stop-point", "job-canceled-by-user")
"""Reasons of a job on a printer whose owner (or operator) wants it stopped (RFC 8011 section 5.3.8)."""


class Happening(Enum):
    """What happened; the value is the event's topic after `job.`."""

    CREATED = "created"
    ARRIVED = "held"
    HELD_BY_OWNER = "hold-set"
    FREED_BY_OWNER = "hold-cleared"
    UNREADABLE = "unreadable"
    CLAIMED = "claimed"
    DELETED = "deleted"
    UNDELETED = "undeleted"
    EXPIRED = "expired"
    INCOMPLETE = "incomplete"
    RELEASED = "released"
    PRINTING = "printing"
    STOPPED = "stopped"
    NOT_SENT = "not-sent"
    WITHDRAWN = "withdrawn"
    UNCERTAIN = "uncertain"
    COMPLETED = "completed"
    PARTIAL = "partial"
    CANCELED_ON_PRINTER = "canceled"
    ABORTED_BY_PRINTER = "aborted"
    DECIDED_NOT_PRINTED = "decided-not-printed"
    DECIDED_PRINTED = "decided-printed"


@dataclass(frozen=True, slots=True)
class Step:
    """Where a happening leads: the new job-state and job-state-reasons."""

    state: str
    reasons: tuple[str, ...]


def _table() -> dict[tuple[str, Happening], Step]:
    h = Happening
    held = Step("pending-held", HELD)
    rows: dict[tuple[str, Happening], Step] = {
        ("", h.CREATED): Step("pending-held", ("job-incoming", "job-data-insufficient")),
        ("", h.ARRIVED): held,
        ("pending-held", h.ARRIVED): held,
        ("pending-held", h.HELD_BY_OWNER): Step("pending-held", ("job-hold-until-specified",)),
        ("pending-held", h.FREED_BY_OWNER): held,
        ("pending-held", h.UNREADABLE): Step("aborted", ("aborted-by-system",)),
        ("pending-held", h.CLAIMED): held,
        ("pending-held", h.DELETED): Step("canceled", ("job-canceled-by-user",)),
        ("canceled", h.UNDELETED): held,
        ("pending-held", h.EXPIRED): Step("canceled", ("job-canceled-after-timeout",)),
        ("pending-held", h.INCOMPLETE): Step("aborted", ("aborted-by-system", "job-data-insufficient")),
        ("pending-held", h.RELEASED): Step("processing", ("job-outgoing",)),
        ("processing", h.WITHDRAWN): Step("canceled", ("job-canceled-by-user",)),
    }
    for active in ("processing", "processing-stopped"):
        rows |= {
            (active, h.PRINTING): Step("processing", ("job-printing",)),
            (active, h.NOT_SENT): held,
            (active, h.STOPPED): Step("processing-stopped", ("printer-stopped",)),
            (active, h.UNCERTAIN): Step("processing-stopped", ("service-off-line",)),
            (active, h.COMPLETED): Step("completed", ("job-completed-successfully",)),
            (active, h.PARTIAL): Step("completed", ("job-completed-with-errors",)),
            (active, h.CANCELED_ON_PRINTER): Step("canceled", ("job-canceled-at-device",)),
            (active, h.ABORTED_BY_PRINTER): Step("aborted", ("aborted-by-system",)),
        }
    rows |= {
        ("processing-stopped", h.DECIDED_NOT_PRINTED): held,
        ("processing-stopped", h.DECIDED_PRINTED): Step("completed", ("job-completed-with-errors",)),
    }
    return rows


TRANSITIONS = _table()
"""(job-state before, happening) -> step. What is not here cannot happen."""


class CannotHappen(Conflict):
    """The job is not in a state in which this may happen."""

    code = "job-not-held"


def advance(state: str, happening: Happening, *extra_reasons: str) -> Step:
    """The step from `state`; `extra_reasons` are put before the table's own.

    Raises:
        CannotHappen: the table has no such transition.
    """
    step = TRANSITIONS.get((state, happening))
    if step is None:
        raise CannotHappen(f"a job that is {state or 'new'} cannot be {happening.value}", state=state)
    reasons = extra_reasons + tuple(r for r in step.reasons if r not in extra_reasons)
    return Step(step.state, reasons)


def held_reasons(*, has_password: bool, is_time_held: bool) -> tuple[str, ...]:
    """Reasons a held job shows before the usual two: an own hold time, a job code to be typed (PWG 5100.11)."""
    extra: list[str] = []
    if is_time_held:
        extra.append("job-hold-until-specified")
    if has_password:
        extra.append("job-password-wait")
    return tuple(extra)
