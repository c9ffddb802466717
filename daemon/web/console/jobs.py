"""Jobs: found by owner and state, stopped, decided where nobody knows whether they printed. Titles are the owner's."""

from __future__ import annotations

from starlette.responses import Response

from daemon.auth import permissions as p
from daemon.jobs.job import Job
from daemon.kernel.errors import BadInput
from daemon.web.console.audit import told
from daemon.web.console.gate import Page
from daemon.web.console.visit import Visit, path
from daemon.workflows.decide import Consequence, NotUncertain

PAGE_JOBS = 50
STATES = ("open", "pending-held", "processing", "processing-stopped", "completed", "canceled", "aborted", "uncertain")
COUNT_DIGITS_MAX = 7


async def listing(visit: Visit) -> Response:
    """GET /console/jobs: by `user` and `state`, newest first."""
    api = visit.services.api
    state = visit.asked("state") or "open"
    state = state if state in (*STATES, "all") else "open"
    name, after = visit.asked("user", 128), visit.asked("after", 18)
    owner = await api.people.by_name(name) if name else None
    jobs: list[Job] = []
    if state == "uncertain":
        jobs = [doubt.job for doubt in await visit.services.decide.doubts()]
        jobs = [job for job in jobs if owner is None or job.person_id == owner.id]
    elif not name or owner is not None:
        jobs = await api.jobs.list(
            which="not-completed" if state == "open" else "all",
            states=() if state in ("open", "all") else (state,),
            person_id=owner.id if owner is not None else None,
            limit=PAGE_JOBS + 1,
            after_id=int(after) if after.isascii() and after.isdigit() else 0,
            newest_first=True,
        )
    shown = jobs[:PAGE_JOBS]
    return visit.page(
        "jobs",
        visit.speech("jobs.title"),
        jobs=shown,
        user=name,
        is_unknown=bool(name) and owner is None,
        state=state,
        states=(*STATES, "all"),
        printers=await api.printers.names(),
        following=str(shown[-1].id) if len(jobs) > PAGE_JOBS else "",
    )


async def show(visit: Visit) -> Response:
    """GET /console/jobs/{id}."""
    job, services = await _job(visit), visit.services
    return visit.page(
        "job",
        visit.speech("jobs.one", number=job.id),
        job=job,
        doubt=await services.decide.doubt(job),
        printers=await services.api.printers.names(),
        history=await told(visit, await services.audit.of(job.public_id), with_subject=False)
        if visit.may(p.AUDIT_READ)
        else [],
    )


async def cancel(visit: Visit) -> Response:
    """POST .../cancel: a waiting job ends, one on a printer is asked to stop there and charged for what came out."""
    job = await _job(visit)
    await visit.services.api.cancel.one(job, message="Canceled by an administrator.", actor=visit.who.name)
    return visit.go(path("jobs", job.public_id), "note.canceled", number=job.id)


async def decide_page(visit: Visit) -> Response:
    """GET .../decide: how much came out? With `printed` it says what would follow; nothing is changed."""
    return await _decide(
        visit, visit.asked("printed", COUNT_DIGITS_MAX) if "printed" in visit.request.query_params else ""
    )


async def decide(visit: Visit) -> Response:
    """POST .../decide: settle by what somebody saw."""
    job = await _job(visit)
    count = _count(visit.form.line("printed", COUNT_DIGITS_MAX))
    if count is None:
        return await _decide(visit, visit.form.line("printed", COUNT_DIGITS_MAX) or "?")
    await visit.services.decide.decide(job, count, actor=visit.who.name)
    if count == 0:
        return visit.go(path("jobs", job.public_id), "note.decided-nothing")
    key = "note.decided-printed.one" if count == 1 else "note.decided-printed.other"
    return visit.go(path("jobs", job.public_id), key, n=visit.speech.number(count))


async def _decide(visit: Visit, typed: str) -> Response:
    job = await _job(visit)
    doubt = await visit.services.decide.doubt(job)
    if doubt is None:
        raise NotUncertain
    problem, consequence = "", None
    if typed:
        try:
            consequence = await _weighed(visit, job, typed)
        except BadInput as refusal:
            problem = visit.speech.refusal(refusal)
    return visit.page(
        "job_decide",
        visit.speech("decide.title"),
        status=422 if problem else 200,
        job=job,
        doubt=doubt,
        typed=typed,
        problem=problem,
        consequence=consequence,
        printers=await visit.services.api.printers.names(),
    )


async def _weighed(visit: Visit, job: Job, typed: str) -> Consequence:
    count = _count(typed)
    if count is None:
        raise BadInput(code="bad-count")
    return await visit.services.decide.preview(job, count)


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


async def _job(visit: Visit) -> Job:
    return await visit.services.api.jobs.by_public(visit.part("id"))


_ONE = "/console/jobs/{id}"
PAGES = (
    Page("GET", "/console/jobs", listing, p.JOBS_READ),
    Page("GET", _ONE, show, p.JOBS_READ),
    Page("POST", f"{_ONE}/cancel", cancel, p.JOBS_CONTROL),
    Page("GET", f"{_ONE}/decide", decide_page, p.JOBS_CONTROL),
    Page("POST", f"{_ONE}/decide", decide, p.JOBS_CONTROL),
)
