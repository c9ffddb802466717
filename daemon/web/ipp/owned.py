"""Operations on jobs that exist. Others' jobs are hidden in lists; touching one needs an identity that owns it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.ipp import build
from daemon.ipp.message import Attribute, Attributes, Message
from daemon.ipp.registry import GroupTag, Status
from daemon.jobs.lifecycle import FINAL
from daemon.jobs.queues import HOLD_KEYWORDS
from daemon.web.ipp import capability
from daemon.web.ipp.backend import JobChange
from daemon.web.ipp.call import Call, Unsupported
from daemon.web.ipp.identity import is_mine
from daemon.web.ipp.job_attributes import LISTED, job_attributes, wanted_jobs_attributes
from daemon.web.ipp.ticket_in import read_ticket

if TYPE_CHECKING:
    from daemon.jobs.job import Job

LIST_MAX = 500
WHICH = ("completed", "not-completed", "all")
CANCEL_MAX = 500


async def own_job(call: Call, job_id: int) -> Job:
    """The job, if whoever asks may see it.

    Raises:
        IppError: `client-error-not-found`; for another person's job `client-error-not-authenticated` where nobody has
            been proven, else `client-error-forbidden`.
    """
    job = await call.backend.get(job_id)
    if job is None or job.queue != call.queue.name:
        raise call.error(Status.CLIENT_ERROR_NOT_FOUND, "there is no such job")
    if is_mine(job, call.submitter):
        return job
    if call.identity is None:
        raise call.error(Status.CLIENT_ERROR_NOT_AUTHENTICATED, "this job belongs to somebody else")
    raise call.error(Status.CLIENT_ERROR_FORBIDDEN, "this job belongs to somebody else")


async def get_job_attributes(call: Call, job_id: int) -> Message:
    """RFC 8011 section 4.3.4."""
    job = await own_job(call, job_id)
    requested = call.requested or ("all",)
    found = job_attributes(
        job, call.base, now_us=call.now_us, wanted=wanted_jobs_attributes(requested), groups=requested
    )
    return call.answer(Status.SUCCESSFUL_OK, build.group(GroupTag.JOB, found))


async def get_jobs(call: Call) -> Message:
    """The asker's own jobs (RFC 8011 section 4.2.6); what belongs to others does not show."""
    which = call.operation.text("which-jobs", "not-completed")
    if which not in WHICH:
        raise Unsupported(
            call, Status.CLIENT_ERROR_ATTRIBUTES_OR_VALUES_NOT_SUPPORTED,
            {"which-jobs": call.operation.attributes["which-jobs"]},
        )  # fmt: skip
    limit = call.operation.integer("limit", LIST_MAX)
    if limit is not None and limit < 1:
        raise call.bad_request("limit must be 1 or more")
    who = call.submitter
    jobs = await call.backend.list(
        queue=call.queue.name, which=which, person_id=who.person_id, claimed_name=who.claimed_name, host=who.host,
        limit=min(limit or LIST_MAX, LIST_MAX), first_id=call.operation.integer("first-job-id", 0) or 0,
    )  # fmt: skip
    requested = call.requested
    wanted = wanted_jobs_attributes(requested) if requested else LISTED
    groups = [
        build.group(GroupTag.JOB, job_attributes(job, call.base, now_us=call.now_us, wanted=wanted, groups=requested))
        for job in jobs
        if is_mine(job, who)
    ]
    return call.answer(Status.SUCCESSFUL_OK, *groups)


async def cancel_job(call: Call, job_id: int) -> Message:
    """RFC 8011 section 4.3.3."""
    job = await own_job(call, job_id)
    _refuse_ended(call, job)
    await call.backend.cancel(job, actor=call.actor)
    return call.answer(Status.SUCCESSFUL_OK)


async def cancel_my_jobs(call: Call) -> Message:
    """All of the asker's jobs that have not ended, or those in job-ids: all of them or none (PWG 5100.11 4.2)."""
    ids = call.operation.all("job-ids")
    if ids:
        jobs = [await own_job(call, int(job_id)) for job_id in dict.fromkeys(ids[:CANCEL_MAX])]
        for job in jobs:
            _refuse_ended(call, job)
    else:
        who = call.submitter
        listed = await call.backend.list(
            queue=call.queue.name, which="not-completed", person_id=who.person_id, claimed_name=who.claimed_name,
            host=who.host, limit=CANCEL_MAX, first_id=0,
        )  # fmt: skip
        jobs = [job for job in listed if is_mine(job, who) and job.state not in FINAL]
    for job in jobs:
        await call.backend.cancel(job, actor=call.actor)
    return call.answer(Status.SUCCESSFUL_OK)


async def hold_job(call: Call, job_id: int) -> Message:
    """An own hold time (RFC 8011 section 4.3.5)."""
    job = await own_job(call, job_id)
    _may_steer(call)
    until = call.operation.text("job-hold-until", "indefinite")
    if until not in HOLD_KEYWORDS:
        attribute = call.operation.attributes["job-hold-until"]
        raise Unsupported(call, Status.CLIENT_ERROR_ATTRIBUTES_OR_VALUES_NOT_SUPPORTED, {"job-hold-until": attribute})
    _refuse_not_waiting(call, job)
    await call.backend.hold(job, hold_until=until, actor=call.actor)
    return call.answer(Status.SUCCESSFUL_OK)


async def release_job(call: Call, job_id: int) -> Message:
    """Take an own hold time away (RFC 8011 section 4.3.6). It never prints: that is done at the terminal."""
    job = await own_job(call, job_id)
    _may_steer(call)
    _refuse_not_waiting(call, job)
    await call.backend.unhold(job, actor=call.actor)
    return call.answer(Status.SUCCESSFUL_OK)


async def set_job_attributes(call: Call, job_id: int) -> Message:
    """job-settable-attributes-supported of a waiting job (RFC 3380 section 4.2)."""
    job = await own_job(call, job_id)
    group = call.message.group(GroupTag.JOB)
    if not group.attributes:
        raise call.bad_request("nothing to set")
    refused: Attributes = {
        name: Attribute(name, build.unsupported()) for name in group.attributes if name not in capability.SETTABLE
    }
    if refused:
        raise Unsupported(call, Status.CLIENT_ERROR_ATTRIBUTES_NOT_SETTABLE, refused)
    _may_steer(call)
    _refuse_not_waiting(call, job)
    name = group.text("job-name") or None
    group.attributes.pop("job-name", None)
    wanted = read_ticket(group, call.queue)
    if wanted.unsupported:
        raise Unsupported(call, Status.CLIENT_ERROR_ATTRIBUTES_OR_VALUES_NOT_SUPPORTED, wanted.unsupported)
    fields = {key: getattr(wanted.ticket, key) for key in ("copies", "sides", "print_color_mode")
              if key.replace("_", "-") in group.attributes}  # fmt: skip
    change = JobChange(
        ticket=replace(job.ticket, **fields) if fields else None,
        name=name,
        priority=wanted.priority if "job-priority" in group else None,
        hold_until=wanted.hold_until if "job-hold-until" in group else None,
    )
    await call.backend.change(job, change, actor=call.actor)
    return call.answer(Status.SUCCESSFUL_OK)


def _may_steer(call: Call) -> None:
    """Holding, releasing and changing want a proven owner wherever a job waits for one.

    Raises:
        IppError: `client-error-not-authenticated`.
    """
    if call.identity is None and call.queue.is_held:
        raise call.error(Status.CLIENT_ERROR_NOT_AUTHENTICATED, "sign in over ipps, or change the job at the terminal")


def _refuse_ended(call: Call, job: Job) -> None:
    if job.state in FINAL:
        raise call.error(Status.CLIENT_ERROR_NOT_POSSIBLE, "this job has ended")


def _refuse_not_waiting(call: Call, job: Job) -> None:
    if job.state not in ("pending", "pending-held"):
        raise call.error(Status.CLIENT_ERROR_NOT_POSSIBLE, "this job no longer waits")
