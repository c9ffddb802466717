"""What a job says about itself (RFC 8011 section 5.3, PWG 5100.7 and 5100.11)."""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import TYPE_CHECKING

from daemon.ipp import build
from daemon.ipp.registry import JobState
from daemon.kernel.clock import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from daemon.ipp.build import Values
    from daemon.jobs.job import Job
    from daemon.jobs.ticket import Ticket
    from daemon.web.ipp.addresses import Base

UP_SINCE_US = 1_577_836_800 * US_PER_S
"""printer-up-time counts from 2020-01-01: it never goes back over a restart, so times of old jobs stay true."""

STATES = {state.keyword: state for state in JobState}
JOB_TEMPLATE = frozenset({
    "copies", "sides", "print-color-mode", "media", "media-col", "page-ranges", "number-up", "finishings", "output-bin",
    "print-quality", "orientation-requested", "printer-resolution", "multiple-document-handling", "print-scaling",
    "job-hold-until", "job-priority", "job-account-id", "job-release-action", "job-sheets",
})  # fmt: skip
LISTED = frozenset({"job-uri", "job-id"})
"""What Get-Jobs answers when nothing is asked for (RFC 8011 section 4.2.6.1)."""
CREATED = frozenset({
    "job-uri", "job-id", "job-uuid", "job-state", "job-state-reasons", "job-state-message",
    "number-of-intervening-jobs",
})  # fmt: skip
"""What answers a job creation (RFC 8011 section 4.2.1.2)."""


def up_time_s(now_us: int) -> int:
    """printer-up-time."""
    return max(1, (now_us - UP_SINCE_US) // US_PER_S)


def job_uuid(job: Job) -> str:
    """urn:uuid of the job, from its public id."""
    try:
        raw = base64.b32decode(job.public_id.upper() + "=" * (-len(job.public_id) % 8))
    except binascii.Error:
        raw = job.public_id.encode()
    return uuid.UUID(bytes=raw[:16].ljust(16, b"\0"), version=4).urn


def wanted_jobs_attributes(requested: Collection[str]) -> frozenset[str] | None:
    """The names a `requested-attributes` asks for; None for all of them."""
    if "all" in requested:
        return None
    names = set(requested)
    if "job-template" in names:
        names |= JOB_TEMPLATE
    return frozenset(names)


def job_attributes(
    job: Job, base: Base, *, now_us: int, wanted: frozenset[str] | None, groups: Collection[str] = ()
) -> dict[str, Values]:
    """The job's attributes, those in `wanted` only; `groups` may name `job-description` besides."""
    found = _status(job, base, now_us=now_us) | _description(job, base) | _counts(job) | _template(job.ticket, job)
    if wanted is None:
        return found
    has_description = "job-description" in groups or "job-status" in groups
    return {
        name: values
        for name, values in found.items()
        if name in wanted or (has_description and name not in JOB_TEMPLATE)
    }


def _status(job: Job, base: Base, *, now_us: int) -> dict[str, Values]:
    up = up_time_s(now_us)
    return {
        "job-uri": build.uri(base.job_uri(job.id)),
        "job-id": build.integer(job.id),
        "job-uuid": build.uri(job_uuid(job)),
        "job-printer-uri": build.uri(base.own_uri),
        "job-state": build.enum(STATES[job.state]),
        "job-state-reasons": build.keyword(*(job.reasons or ("none",))),
        "job-state-message": build.text(_message(job)),
        "number-of-intervening-jobs": build.integer(0),
        "job-printer-up-time": build.integer(up),
        "time-at-creation": build.integer(up_time_s(job.created_at_us)),
        "time-at-processing": _time(job.processing_at_us),
        "time-at-completed": _time(job.completed_at_us),
        "date-time-at-creation": build.date_time(job.created_at_us),
        "date-time-at-processing": build.date_time(job.processing_at_us),
        "date-time-at-completed": build.date_time(job.completed_at_us),
    }


def _time(at_us: int | None) -> Values:
    return build.no_value() if at_us is None else build.integer(up_time_s(at_us))


def _message(job: Job) -> str:
    """What the client shows its user: why it ended, or what to do at the kiosk."""
    if job.message:
        return job.message
    if job.claim_code and job.is_held:
        return f"Type {job.claim_code} at the terminal to print this job."
    return "Waiting at the terminal." if job.is_held else ""


def _description(job: Job, base: Base) -> dict[str, Values]:
    found = {
        "job-name": build.name(job.title),
        "job-originating-user-name": build.name(job.owner_name or job.claimed_name or "anonymous"),
        "job-more-info": build.uri(base.page("")),
        "attributes-charset": build.charset("utf-8"),
        "attributes-natural-language": build.language("en"),
    }
    if job.host:
        found["job-originating-host-name"] = build.name(job.host)
    if job.format:
        found["document-format-detected"] = build.mime(job.format)
    return found


def _counts(job: Job) -> dict[str, Values]:
    """Sizes known so far; those of the document have no value until it has been read."""
    counts, facts = job.counts, job.facts
    pages = len(facts.pages) if facts else None
    known = {
        "job-k-octets": (job.octets + 1023) // 1024,
        "job-pages": pages,
        "job-impressions": counts.impressions if counts else None,
        "job-media-sheets": counts.sheets if counts else None,
    }
    found = {name: build.no_value() if value is None else build.integer(value) for name, value in known.items()}
    is_done = job.state == "completed"
    found["job-impressions-completed"] = build.integer(job.printed_impressions or 0)
    found["job-media-sheets-completed"] = build.integer(job.printed_sheets or 0)
    found["job-k-octets-processed"] = build.integer((job.octets + 1023) // 1024 if is_done else 0)
    found["job-pages-completed"] = build.integer((pages or 0) if is_done else 0)
    return found


def _template(ticket: Ticket, job: Job) -> dict[str, Values]:
    found: dict[str, Values] = {
        "copies": build.integer(ticket.copies),
        "sides": build.keyword(ticket.sides),
        "print-color-mode": build.keyword(ticket.print_color_mode),
        "number-up": build.integer(ticket.number_up),
        "finishings": build.enum(*ticket.finishings),
        "output-bin": build.keyword(ticket.output_bin or "auto"),
        "print-quality": build.enum(ticket.print_quality),
        "print-scaling": build.keyword(ticket.print_scaling),
        "job-sheets": build.keyword("none"),
        "job-hold-until": build.keyword(job.hold_until),
        "job-priority": build.integer(job.priority),
        "job-release-action": build.keyword("job-password" if job.has_password else "owner-authorized"),
    }
    if ticket.media:
        found["media"] = build.keyword(ticket.media)
    if ticket.media_col:
        found["media-col"] = build.collection(_media_col(ticket.media_col))
    if ticket.page_ranges:
        found["page-ranges"] = build.range_of(*ticket.page_ranges)
    if ticket.orientation is not None:
        found["orientation-requested"] = build.enum(ticket.orientation)
    if ticket.resolution is not None:
        found["printer-resolution"] = build.resolution(ticket.resolution)
    if ticket.multiple_document_handling:
        found["multiple-document-handling"] = build.keyword(ticket.multiple_document_handling)
    if job.account_ref:
        found["job-account-id"] = build.name(job.account_ref)
    return found


def _media_col(members: Mapping[str, object]) -> dict[str, Values]:
    """A ticket's media_col as the collection it came from."""
    found: dict[str, Values] = {}
    for key, value in members.items():
        name = key.replace("_", "-")
        if key == "media_size" and isinstance(value, dict):
            found[name] = build.collection({
                "x-dimension": build.integer(int(value["x_dimension"])),
                "y-dimension": build.integer(int(value["y_dimension"])),
            })  # fmt: skip
        elif isinstance(value, int):
            found[name] = build.integer(value)
        else:
            found[name] = build.keyword(str(value))
    return found
