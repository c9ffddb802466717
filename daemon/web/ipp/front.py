"""The IPP front door: from an HTTP request to an operation and back. It promises that nothing is stored on a refusal.

Order of refusals, cheapest first: path, method and type (HTTP status, before the body), wrong credentials (401), then
the IPP message itself (IPP status), then a missing identity (401 over TLS, 426 in clear), then the operation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from daemon.ipp import build
from daemon.ipp.codec import Decoder, encode
from daemon.ipp.message import Group, IppError, Message
from daemon.ipp.registry import GroupTag, Operation, Status, status_keyword
from daemon.kernel.errors import Refusal, Unavailable
from daemon.web.ipp import capability, checks, owned, submission
from daemon.web.ipp.addresses import PAGES_PREFIX, PERSONAL_PREFIX, QUEUE_PREFIX, Ports, base_of
from daemon.web.ipp.attributes import printer_group
from daemon.web.ipp.call import Call, Unsupported
from daemon.web.ipp.http import Answer, Body, BodyBroken, ClientGone, Head, Reply, plain
from daemon.web.ipp.identity import BasicGate, challenge, claimed_name, upgrade_required
from daemon.web.ipp.pages import page
from daemon.web.ipp.queues import Queues, QueueView, Rule
from daemon.web.ipp.refusals import status_of

if TYPE_CHECKING:
    from daemon.kernel.clock import Clock
    from daemon.web.ipp.backend import Backend, Identity

log = structlog.get_logger(__name__)

IPP_TYPE = "application/ipp"
ALLOWED = "GET, HEAD, OPTIONS, POST"
SECRET_CHARS_MAX = 200
DOCUMENT_BYTES_MAX = 2 * 1024**3

PrinterOperation = Callable[[Call], Awaitable[Message]]
JobOperation = Callable[[Call, int], Awaitable[Message]]


@dataclass(frozen=True, slots=True)
class Target:
    """The queue an address leads to. `aliases` are other paths that mean it; `owner` whose secret address it is."""

    queue: QueueView
    path: str
    aliases: tuple[str, ...] = ()
    owner: Identity | None = None


class IppFront:
    """Serves both listeners (`http.Handler`). `key` is random per process; it hides remembered credentials."""

    def __init__(
        self,
        *,
        queues: Queues,
        backend: Backend,
        ports: Ports,
        clock: Clock,
        key: bytes,
        document_bytes_max: int = DOCUMENT_BYTES_MAX,
        strip_domains: bool = True,
    ) -> None:
        self.queues = queues
        self.ports = ports
        self._backend = backend
        self._clock = clock
        self._gate = BasicGate(backend, clock, key=key)
        self._document_bytes_max = document_bytes_max
        self._name_of = partial(claimed_name, strip_domains=strip_domains)

    # ----- HTTP -----

    async def begin(self, head: Head) -> Reply | Answer:
        """Everything the head alone decides."""
        if head.method == "OPTIONS":
            return Reply(200, headers=(("Allow", ALLOWED),))
        if head.method in ("GET", "HEAD"):
            return self._page(head.path)
        if head.method != "POST":
            return plain(405, headers=(("Allow", ALLOWED),), is_last=True)
        target = await self._target(head.path)
        if target is None:
            return plain(404, is_last=True)
        kind = head.headers.get("content-type", "").split(";", 1)[0].strip().lower()
        if kind != IPP_TYPE or head.headers.get("content-encoding", "identity").lower() != "identity":
            return plain(415, is_last=True)
        proven = target.owner or await self._gate.check(head)
        if isinstance(proven, Reply):
            return proven

        async def answer(body: Body) -> Reply:
            return await self._post(head, target, proven, body)

        return answer

    def _page(self, path: str) -> Reply:
        if path == PAGES_PREFIX or path.startswith(f"{PAGES_PREFIX}/"):
            titles = tuple(queue.title for queue in self.queues.by_name.values())
            return page(path.removeprefix(PAGES_PREFIX).strip("/"), titles)
        if path in ("/", QUEUE_PREFIX) or path.removeprefix(f"{QUEUE_PREFIX}/") in self.queues.by_name:
            return page("", tuple(queue.title for queue in self.queues.by_name.values()))
        return plain(404)

    async def _target(self, path: str) -> Target | None:
        """The queue at a path; unknown, personal by name, and revoked addresses all look alike."""
        trimmed = path.rstrip("/")
        if trimmed.startswith(PERSONAL_PREFIX):
            secret = trimmed.removeprefix(PERSONAL_PREFIX)
            if not secret or len(secret) > SECRET_CHARS_MAX or "/" in secret:
                return None
            found = await self._backend.personal(secret)
            queue = self.queues.by_name.get(found.queue) if found else None
            return Target(queue, trimmed, owner=found.identity) if queue and found else None
        default = self.queues.default
        named = trimmed.removeprefix(f"{QUEUE_PREFIX}/")
        queue = default if trimmed == QUEUE_PREFIX else self.queues.by_name.get(named)
        if queue is None or queue.rule is Rule.PERSONAL:
            return None
        own = f"{QUEUE_PREFIX}/{queue.name}"
        others = (QUEUE_PREFIX,) if queue is default else ()
        return Target(queue, own, others) if trimmed == own else Target(queue, trimmed, (own,))

    # ----- IPP -----

    async def _post(self, head: Head, target: Target, identity: Identity | None, body: Body) -> Reply:
        """Read the message, do the operation, encode the answer."""
        decoder = Decoder()
        message: Message | None = None
        try:
            message = await _read(decoder, body)
            checks.check_version(message)
            checks.check_request(message)
            job_id = checks.check_target(message, target.path, aliases=target.aliases)
            refusal = _missing_identity(message, target.queue, identity, is_tls=head.is_tls)
            if refusal is not None:
                return refusal
            call = self._call(head, target, identity, message, _document(decoder.remainder, body))
            answer = await _perform(call, job_id)
        except (BodyBroken, ClientGone, TimeoutError, asyncio.CancelledError):
            raise
        except (Refusal, Unavailable) as error:
            answer = _error_answer(error, message)
            log.info("ipp.refused", queue=target.queue.name, status=status_keyword(answer.code),
                     operation=message.code if message else None, reason=error.code)  # fmt: skip
        except Exception:
            log.exception("ipp.operation_failed", queue=target.queue.name, operation=message.code if message else None)
            answer = _error_answer(IppError(Status.SERVER_ERROR_INTERNAL_ERROR, "an internal error"), message)
        return Reply(200, encode(answer), IPP_TYPE)

    def _call(
        self, head: Head, target: Target, identity: Identity | None, message: Message, document: AsyncIterator[bytes]
    ) -> Call:
        return Call(
            message=message, queue=target.queue, base=base_of(head, self.ports, target.path), backend=self._backend,
            identity=identity, identity_key=str(target.owner.person_id) if target.owner else "", peer=head.peer,
            now_us=self._clock.now_us(), document=document, document_bytes_max=self._document_bytes_max,
            name_of=self._name_of,
        )  # fmt: skip


async def _read(decoder: Decoder, body: Body) -> Message:
    """The message from the body's beginning.

    Raises:
        IppError: malformed, too large or cut off.
    """
    async for chunk in body:
        message = decoder.feed(chunk)
        if message is not None:
            return message
    decoder.finish()
    raise AssertionError("finish always raises")


async def _document(first: bytes, body: Body) -> AsyncIterator[bytes]:
    """What follows the message."""
    if first:
        yield first
    async for chunk in body:
        yield chunk


def _missing_identity(message: Message, queue: QueueView, identity: Identity | None, *, is_tls: bool) -> Reply | None:
    """An authenticated queue answers anyone what it is, and nobody unknown anything else."""
    if queue.rule is not Rule.AUTHENTICATED or identity is not None:
        return None
    if message.code == Operation.GET_PRINTER_ATTRIBUTES:
        return None
    return challenge() if is_tls else upgrade_required()


def _error_answer(error: Refusal | Unavailable, message: Message | None) -> Message:
    """The answer to a refusal, in the request's version and with its id as far as they are known."""
    version, request_id = (2, 0), 0
    if message is not None:
        version, request_id = message.version, message.request_id
    elif isinstance(error, IppError):
        version, request_id = error.version, error.request_id
    if version[0] not in checks.VERSIONS_MAJOR:
        version = (2, 0)
    head = build.group(GroupTag.OPERATION, {"status-message": build.text(error.message)})
    groups = [head]
    if isinstance(error, Unsupported):
        groups.append(Group(GroupTag.UNSUPPORTED, error.attributes))
    return build.message(status_of(error), *groups, request_id=request_id, version=version)


async def _perform(call: Call, job_id: int | None) -> Message:
    code = call.message.code
    if job_id is None:
        operation = PRINTER_OPERATIONS.get(code)
        if operation is not None:
            return await operation(call)
    else:
        on_job = JOB_OPERATIONS.get(code)
        if on_job is not None:
            return await on_job(call, job_id)
    raise call.error(Status.SERVER_ERROR_OPERATION_NOT_SUPPORTED, f"operation 0x{code:04x} is not supported")


async def get_printer_attributes(call: Call) -> Message:
    """RFC 8011 section 4.2.5."""
    declared = call.operation.get("document-format")
    if declared is not None and str(declared.first).lower() not in capability.FORMATS:
        raise Unsupported(call, Status.CLIENT_ERROR_DOCUMENT_FORMAT_NOT_SUPPORTED, {"document-format": declared})
    status = await call.backend.status(call.queue.name)
    group = printer_group(
        call.queue, call.base, status, now_us=call.now_us, requested=call.requested, identity_key=call.identity_key
    )
    return call.answer(Status.SUCCESSFUL_OK, group)


async def identify_printer(call: Call) -> Message:
    """PWG 5100.13 section 3.1; `display` is what we can do."""
    actions = call.operation.get("identify-actions")
    if actions is not None and "display" not in call.operation.all("identify-actions"):
        refused = {"identify-actions": actions}
        raise Unsupported(call, Status.CLIENT_ERROR_ATTRIBUTES_OR_VALUES_NOT_SUPPORTED, refused)
    await call.backend.identify(call.queue.name)
    return call.answer(Status.SUCCESSFUL_OK)


PRINTER_OPERATIONS: dict[int, PrinterOperation] = {
    Operation.PRINT_JOB: submission.print_job,
    Operation.VALIDATE_JOB: submission.validate_job,
    Operation.CREATE_JOB: submission.create_job,
    Operation.GET_JOBS: owned.get_jobs,
    Operation.GET_PRINTER_ATTRIBUTES: get_printer_attributes,
    Operation.CANCEL_MY_JOBS: owned.cancel_my_jobs,
    Operation.IDENTIFY_PRINTER: identify_printer,
}
JOB_OPERATIONS: dict[int, JobOperation] = {
    Operation.SEND_DOCUMENT: submission.send_document,
    Operation.CLOSE_JOB: submission.close_job,
    Operation.GET_JOB_ATTRIBUTES: owned.get_job_attributes,
    Operation.CANCEL_JOB: owned.cancel_job,
    Operation.HOLD_JOB: owned.hold_job,
    Operation.RELEASE_JOB: owned.release_job,
    Operation.SET_JOB_ATTRIBUTES: owned.set_job_attributes,
}
"""What is implemented, and nothing else: a test holds this against operations-supported."""
