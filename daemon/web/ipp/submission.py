"""Operations that bring jobs: Print-Job, Validate-Job, Create-Job, Send-Document, Close-Job (RFC 8011 section 4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.ipp import build
from daemon.ipp.message import Attribute, Attributes, Message
from daemon.ipp.registry import GroupTag, Status
from daemon.web.ipp import capability, compression
from daemon.web.ipp.call import Call, Unsupported
from daemon.web.ipp.job_attributes import CREATED, job_attributes
from daemon.web.ipp.owned import own_job
from daemon.web.ipp.ticket_in import TicketIn, read_ticket, wrongly_typed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.jobs.job import Job
    from daemon.workflows.submit import NewJob

SHA256_BYTES = 32
JOB_NAME_DEFAULT = "Untitled"
IN_OPERATION_GROUP = ("job-hold-until", "job-account-id", "job-accounting-user-id", "job-priority")
"""Job attributes that some clients send as operation attributes; read there when the job group has none."""


async def print_job(call: Call) -> Message:
    """One job with its document; answered when it is durable."""
    new, wanted = _new_job(call)
    _check_document(call)
    document = await _document(call)
    if document is None:
        raise call.bad_request("the document is missing")
    declared = call.operation.text("document-format", capability.FORMATS[0])
    job = await call.backend.print(new, document, declared_format=declared)
    return _created(call, job, wanted)


async def validate_job(call: Call) -> Message:
    """Print-Job without a document, and without a job."""
    new, wanted = _new_job(call)
    _check_document(call)
    await call.backend.validate(new)
    return call.answer(_status(wanted), unsupported=wanted.unsupported)


async def create_job(call: Call) -> Message:
    """A job whose document comes by Send-Document."""
    new, wanted = _new_job(call)
    return _created(call, await call.backend.create(new), wanted)


async def send_document(call: Call, job_id: int) -> Message:
    """The document of a created job. A second one is refused, an empty last one closes (RFC 8011 section 4.3.1)."""
    last = call.operation.first("last-document")
    if not isinstance(last, bool):
        raise call.bad_request("last-document is missing")
    job = await own_job(call, job_id)
    _check_document(call)
    document = await _document(call)
    if document is None:
        if not last:
            raise call.bad_request("the document is missing")
        job = job if job.has_document else await call.backend.close(job_id, call.submitter)
        return _job_answer(call, job)
    if job.has_document:
        raise call.error(Status.SERVER_ERROR_MULTIPLE_DOCUMENT_JOBS_NOT_SUPPORTED, "jobs here have one document")
    declared = call.operation.text("document-format", capability.FORMATS[0])
    return _job_answer(call, await call.backend.send(job_id, call.submitter, document, declared_format=declared))


async def close_job(call: Call, job_id: int) -> Message:
    """No document will follow (PWG 5100.11 section 4.1)."""
    await own_job(call, job_id)
    await call.backend.close(job_id, call.submitter)
    return call.answer(Status.SUCCESSFUL_OK)


def _new_job(call: Call) -> tuple[NewJob, TicketIn]:
    """The job as asked for, refused where fidelity is demanded and something is not supported."""
    from daemon.workflows.submit import NewJob

    if not call.queue.is_accepting:
        raise call.error(Status.SERVER_ERROR_NOT_ACCEPTING_JOBS, "this queue takes no jobs now")
    group = call.message.group(GroupTag.JOB)
    for name in IN_OPERATION_GROUP:
        moved = call.operation.get(name)
        if moved is not None and name not in group:
            group.attributes[name] = moved
    mistyped = wrongly_typed(group)
    if mistyped:
        text = f"a value of the wrong type: {', '.join(mistyped)}"
        raise Unsupported(call, Status.CLIENT_ERROR_BAD_REQUEST, mistyped, text)
    wanted = read_ticket(group, call.queue)
    if call.operation.get("document-password") is not None:
        wanted.unsupported["document-password"] = Attribute("document-password", build.unsupported())
    _check_fidelity(call, wanted)
    password, encryption = _password(call)
    if call.queue.needs_account and not wanted.account_ref:
        raise call.error(0x049C, "say which account pays: job-account-id is missing")
    new = NewJob(
        submitter=call.submitter,
        name=call.operation.text("job-name") or call.operation.text("document-name") or JOB_NAME_DEFAULT,
        ticket=wanted.ticket,
        account_ref=wanted.account_ref,
        password=password,
        password_encryption=encryption,
        hold_until=wanted.hold_until,
        priority=wanted.priority,
    )
    return new, wanted


def _check_fidelity(call: Call, wanted: TicketIn) -> None:
    """RFC 8011 section 4.2.1.1, and job-mandatory-attributes (PWG 5100.13 section 5.2.4)."""
    if not wanted.unsupported:
        return
    mandatory = set(call.operation.all("job-mandatory-attributes"))
    is_exact = call.operation.first("ipp-attribute-fidelity") is True
    if is_exact or mandatory & set(wanted.unsupported):
        status = Status.CLIENT_ERROR_ATTRIBUTES_OR_VALUES_NOT_SUPPORTED
        raise Unsupported(call, status, wanted.unsupported, "not everything asked for is supported")


def _password(call: Call) -> tuple[bytes, str]:
    """job-password and its encryption (PWG 5100.11 section 5.1.5); an empty one is none."""
    password = call.operation.first("job-password", b"")
    encryption = call.operation.text("job-password-encryption", "none")
    if not password:
        return b"", "none"
    shortest, longest = capability.PASSWORD_LENGTH
    fits = len(password) == SHA256_BYTES if encryption == "sha2-256" else shortest <= len(password) <= longest
    if encryption not in ("none", "sha2-256") or not fits:
        names = ("job-password-encryption",) if fits else ("job-password",)
        refused: Attributes = {name: Attribute(name, build.unsupported()) for name in names}
        raise Unsupported(
            call, Status.CLIENT_ERROR_ATTRIBUTES_OR_VALUES_NOT_SUPPORTED, refused, "this job code cannot be used here"
        )
    return password, encryption


def _check_document(call: Call) -> None:
    """Compression and format, before a byte of the document is read."""
    method, declared = call.operation.get("compression"), call.operation.get("document-format")
    if method is not None and method.first not in compression.SUPPORTED:
        raise Unsupported(call, Status.CLIENT_ERROR_COMPRESSION_NOT_SUPPORTED, {"compression": method})
    if declared is not None and str(declared.first).lower() not in capability.FORMATS:
        raise Unsupported(call, Status.CLIENT_ERROR_DOCUMENT_FORMAT_NOT_SUPPORTED, {"document-format": declared})


async def _document(call: Call) -> AsyncIterator[bytes] | None:
    """The document's stream, None when nothing follows the attributes."""
    raw = call.document
    first = b""
    async for chunk in raw:
        if chunk:
            first = chunk
            break
    if not first:
        return None
    method = call.operation.text("compression", "none")
    return compression.unpack(_prepend(first, raw), method, bytes_max=call.document_bytes_max)


async def _prepend(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _status(wanted: TicketIn) -> int:
    if wanted.unsupported:
        return Status.SUCCESSFUL_OK_IGNORED_OR_SUBSTITUTED_ATTRIBUTES
    return Status.SUCCESSFUL_OK


def _created(call: Call, job: Job, wanted: TicketIn) -> Message:
    group = build.group(GroupTag.JOB, job_attributes(job, call.base, now_us=call.now_us, wanted=CREATED))
    return call.answer(_status(wanted), group, unsupported=wanted.unsupported)


def _job_answer(call: Call, job: Job) -> Message:
    group = build.group(GroupTag.JOB, job_attributes(job, call.base, now_us=call.now_us, wanted=CREATED))
    return call.answer(Status.SUCCESSFUL_OK, group)
