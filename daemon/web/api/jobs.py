"""/api/v1/jobs: jobs, and what an operator may do to them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from daemon.auth import permissions as p
from daemon.auth.permissions import Actor
from daemon.jobs.job import Job
from daemon.kernel.errors import Conflict, NotFound, Unavailable
from daemon.web.api import shapes
from daemon.web.api.access import PAGE_DEFAULT, After, IdempotencyKey, Limit, Services, needs, position
from daemon.workflows.release import ReleaseRequest

router = APIRouter(prefix="/jobs", tags=["jobs"])

Reads = Annotated[Actor, Depends(needs(p.JOBS_READ))]
Controls = Annotated[Actor, Depends(needs(p.JOBS_CONTROL))]

State = Literal[
    "", "all", "pending", "pending-held", "processing", "processing-stopped", "canceled", "aborted", "completed"
]


NUMBER_CHARS_MAX = 18
"""Digits of the largest row id."""


class NotClaimed(Conflict):
    """Nobody owns the job yet, so nobody can pay for it."""

    code = "job-not-claimed"


class ReleaseBody(BaseModel):
    """Where the job comes out, by printer id or name."""

    model_config = ConfigDict(extra="forbid")

    printer: str = Field(max_length=128)


class Decision(BaseModel):
    """What came out of an uncertain job, in impressions; with `preview` nothing is changed."""

    model_config = ConfigDict(extra="forbid")

    printed: int = Field(ge=0, le=1_000_000)
    preview: bool = False


async def _shown(services: Services, jobs: list[Job]) -> list[dict[str, Any]]:
    names = await services.printers.names() if any(job.printer_id for job in jobs) else {}
    return [shapes.job(job, printer=names.get(job.printer_id or 0, "")) for job in jobs]


async def _find(services: Services, job_id: str) -> Job:
    """By id, or by the number IPP clients show (`lp` prints it)."""
    if job_id.isascii() and job_id.isdigit() and len(job_id) <= NUMBER_CHARS_MAX:
        job = await services.jobs.get(int(job_id))
        if job is not None:
            return job
    return await services.jobs.by_public(job_id)


@router.get("")
async def list_jobs(
    services: Services, _actor: Reads, user: str = "", state: State = "", limit: Limit = PAGE_DEFAULT, after: After = ""
) -> dict[str, Any]:
    """Jobs by id, of one owner or in one state. A name nobody has is looked for among the claims."""
    where: dict[str, Any] = {}
    if user:
        person = await services.people.store.by_public(user) or await services.people.by_name(user)
        where = {"person_id": person.id} if person is not None else {"claimed_name": user}
    states = () if state in ("", "all") else (state,)
    found = await services.jobs.list(which="all", states=states, limit=limit, after_id=position(after), **where)
    if not found and "claimed_name" in where and not await services.jobs.list(which="all", limit=1, **where):
        raise NotFound(f"nobody is called {user!r}, and no job was sent under that name", code="user-unknown")
    return {"items": await _shown(services, found), "next": str(found[-1].id) if len(found) == limit else None}


@router.get("/{job_id}")
async def show_job(services: Services, _actor: Reads, job_id: str) -> dict[str, Any]:
    """One job."""
    return (await _shown(services, [await _find(services, job_id)]))[0]


@router.post("/{job_id}/cancel")
async def cancel_job(services: Services, actor: Controls, job_id: str) -> dict[str, Any]:
    """Cancel a job; one on a printer is asked to stop there and charged for what came out."""
    job = await _find(services, job_id)
    await services.cancel.one(job, message="Canceled by an administrator.", actor=actor.name)
    return (await _shown(services, [await _find(services, job_id)]))[0]


@router.post("/{job_id}/release", status_code=202)
async def release_job(
    services: Services, actor: Controls, job_id: str, body: ReleaseBody, key: IdempotencyKey
) -> dict[str, Any]:
    """Print a held job now, paid by its owner. The same key releases once."""
    if services.release is None:
        raise Unavailable("only the running daemon can release", code="daemon-not-running")
    job = await _find(services, job_id)
    if job.person_id is None:
        raise NotClaimed("nobody owns this job yet; its owner claims it at a terminal")
    printer = await services.printers.find(body.printer)
    request = ReleaseRequest(
        person_id=job.person_id,
        job_ids=(job.public_id,),
        printer_id=printer.id,
        key=f"{actor.name}:{key}",
        actor=actor.name,
        needs_codes=False,
    )
    result = await services.release.release(request)
    return {"release_id": result.release_id, "items": list(result.items), "total": result.total}


@router.post("/{job_id}/decide")
async def decide_job(services: Services, actor: Controls, job_id: str, body: Decision) -> dict[str, Any]:
    """Say how much of an uncertain job came out: that is charged, the rest given back; 0 lets it wait again."""
    if services.decide is None:
        raise Unavailable("only the running daemon can decide", code="daemon-not-running")
    job = await _find(services, job_id)
    weighed = await services.decide.preview(job, body.printed)
    if not body.preview:
        await services.decide.decide(job, body.printed, actor=actor.name)
    shown = (await _shown(services, [await _find(services, job_id)]))[0]
    return {
        **shown,
        "decided": {
            "printed": body.printed,
            "preview": body.preview,
            "charged": [amount.to_json() for amount in weighed.charged],
            "given_back": [amount.to_json() for amount in weighed.given_back],
        },
    }
