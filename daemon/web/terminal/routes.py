"""The routes of the terminal API. Thin: read the fields, ask the house, answer."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from daemon.auth.terminal_reports import report_of
from daemon.auth.terminals import EnrolmentFailed
from daemon.kernel.clock import US_PER_S, rfc3339
from daemon.kernel.errors import Refusal
from daemon.web.terminal.answers import NO_STORE, ok, refused
from daemon.web.terminal.door import Call, TerminalServices, read_body, signed, unsigned
from daemon.web.terminal.entry import ask_code, link, needs, open_session, preferences, step_up
from daemon.web.terminal.fields import CODE_CHARS_MAX, ID_CHARS_MAX, KEY_CHARS_MAX, Fields
from daemon.web.terminal.stream import events
from daemon.wire.messages import COMMAND_ANSWER_BYTES_MAX, COMMAND_BODY_BYTES_MAX, PREFIX

if TYPE_CHECKING:
    from starlette.requests import Request

ENROLMENTS_MAX = 10
ENROLMENT_WINDOW_US = 60 * US_PER_S
ENROLMENT_RETRY_S = 60


class Enrolments:
    """Enrolment is the one unsigned route: at most ten tries a minute for the whole house, good ones not counted."""

    def __init__(self, services: TerminalServices) -> None:
        self._services = services
        self._tried_at_us: list[int] = []

    async def __call__(self, request: Request) -> Response:
        """POST enrol."""
        now = self._services.clock.now_us()
        self._tried_at_us = [at for at in self._tried_at_us if at > now - ENROLMENT_WINDOW_US]
        if len(self._tried_at_us) >= ENROLMENTS_MAX:
            raise Refusal("Too many enrolments.", code="too-many-tries", retry_after_s=ENROLMENT_RETRY_S)
        self._tried_at_us.append(now)
        fields = Fields(await read_body(request))
        locator = fields.text("locator", most=16)
        key, proof = fields.text("public_key", most=100), fields.text("proof", most=100)
        version = fields.text("version", most=64, needed=False)
        fields.done()
        try:
            raw_key, raw_proof = base64.b64decode(key, validate=True), base64.b64decode(proof, validate=True)
        except (ValueError, binascii.Error) as error:
            raise EnrolmentFailed("key and proof are base64") from error
        enrolled = await self._services.terminals.enrol(
            locator=locator, public_key=raw_key, proof=raw_proof, version=version
        )
        if now in self._tried_at_us:
            self._tried_at_us.remove(now)
        terminal = enrolled.terminal
        answer = {"terminal_id": terminal.public_id, "name": terminal.name, "ca_pem": enrolled.ca_pem}
        return ok(answer | {"proof": base64.b64encode(enrolled.proof).decode("ascii")})


async def extend(call: Call) -> Response:
    """POST extend: the person is still there."""
    until = await call.services.sessions.extend(call.signed_in)
    return ok({"expires_at": rfc3339(until)})


async def logout(call: Call) -> Response:
    """POST logout."""
    await call.services.sessions.end(call.signed_in)
    return ok({})


async def heartbeat(call: Call) -> Response:
    """POST heartbeat: the terminal is alive; it tells of itself and learns the time, its policy and its printers."""
    services, screen = call.services, call.services.screen
    newest = await services.feed.newest()  # first: whatever changes while the rest is read is told on the stream
    await services.terminals.heard(call.terminal, report_of(call.fields.plain))
    opening = services.hours.now(call.terminal)
    return ok(
        {
            "now": rfc3339(services.clock.now_us()),
            "name": call.terminal.name,
            "policy": call.terminal.policy,
            "printers": await services.backend.printers(call.terminal),
            "languages": list(screen.languages),
            "idle_s": screen.idle_s,
            "countdown_s": screen.countdown_s,
            "enrolment": {"link": screen.link, "mailed_code": screen.mailed_code},
            "open": opening.is_open,
            "opens_at": rfc3339(opening.opens_at_us),
            "notice": "",
            "event_id": str(newest),
        }
    )


async def command(call: Call) -> Response:
    """POST command: the terminal's answer to what an operator asked of it, once."""
    fields = call.fields
    command_id = fields.text("command_id", most=ID_CHARS_MAX)
    text = fields.text("answer", most=COMMAND_ANSWER_BYTES_MAX, needed=False)
    fields.done()
    await call.services.commands.answered(call.terminal, command_id, text)
    return ok({"command_id": command_id})


async def jobs(call: Call) -> Response:
    """GET jobs."""
    printer_id = call.request.query_params.get("printer_id", "")[:ID_CHARS_MAX]
    return ok(dict(await call.services.backend.jobs(call.signed_in, call.terminal, printer_id=printer_id)))


async def quote(call: Call) -> Response:
    """POST quote."""
    fields = call.fields
    job_ids, changes = fields.ids("job_ids"), fields.changes()
    printer_id = fields.text("printer_id", most=ID_CHARS_MAX, needed=False)
    fields.done()
    needs(call, "change" if changes else "release")
    answer = await call.services.backend.quote(
        call.signed_in, call.terminal, job_ids=job_ids, printer_id=printer_id, changes=changes
    )
    return ok(dict(answer))


async def release(call: Call) -> Response:
    """POST release. With `total`, the price on the screen: another one by now is refused, nothing charged."""
    fields = call.fields
    job_ids, changes, codes = fields.ids("job_ids"), fields.changes(), fields.texts("codes")
    printer_id = fields.text("printer_id", most=ID_CHARS_MAX, needed=False)
    key, total = fields.text("key", most=KEY_CHARS_MAX), fields.amount("total")
    fields.done()
    needs(call, "release")
    if changes:
        needs(call, "change")
    answer = await call.services.backend.release(
        call.signed_in,
        call.terminal,
        job_ids=job_ids,
        printer_id=printer_id,
        changes=changes,
        codes=codes,
        key=key,
        total=total,
    )
    return ok(answer, status=202)


async def delete(call: Call) -> Response:
    """POST delete."""
    job_ids = _job_ids(call)
    needs(call, "delete")
    until = await call.services.backend.delete(call.signed_in, job_ids)
    return ok({"undo_until": rfc3339(until), "job_ids": list(job_ids)})


async def undo(call: Call) -> Response:
    """POST undo."""
    job_ids = _job_ids(call)
    needs(call, "delete")
    await call.services.backend.undo(call.signed_in, job_ids)
    return ok({"job_ids": list(job_ids)})


async def claim(call: Call) -> Response:
    """POST claim: a job sent without a name, taken by its code."""
    fields = call.fields
    code = fields.text("code", most=CODE_CHARS_MAX)
    fields.done()
    needs(call, "claim")
    return ok({"job_id": await call.services.backend.claim(call.signed_in, code)})


async def cancel(call: Call) -> Response:
    """POST cancel."""
    fields = call.fields
    job_id = fields.text("job_id", most=ID_CHARS_MAX)
    fields.done()
    needs(call, "delete")
    await call.services.backend.cancel(call.signed_in, job_id)
    return ok({"job_id": job_id})


async def preview(call: Call) -> Response:
    """GET preview/JOB: the first page as PNG."""
    needs(call, "titles")
    job_id = str(call.request.path_params["job_id"])[:ID_CHARS_MAX]
    return Response(
        await call.services.backend.preview(call.signed_in, job_id), media_type="image/png", headers=NO_STORE
    )


async def _not_found(_request: Request, _error: Exception) -> Response:
    return refused(Refusal("There is nothing here.", code="not-found"))


async def _bug(_request: Request, _error: Exception) -> Response:
    error = {"code": "internal-error", "message": "Something went wrong here. It has been noted.", "details": []}
    return ok({"error": error}, status=500)


def create_terminal_api(services: TerminalServices) -> Starlette:
    """The terminal API as an ASGI application that answers below `/terminal/v1`."""

    def post(path: str, handler: Any, **options: Any) -> Route:
        return Route(PREFIX + path, signed(services, handler, **options), methods=["POST"])

    def get(path: str, handler: Any, **options: Any) -> Route:
        return Route(PREFIX + path, signed(services, handler, **options), methods=["GET"])

    routes = [
        Route(PREFIX + "/enrol", unsigned(Enrolments(services)), methods=["POST"]),
        post("/session", open_session, needs_session=False),
        post("/step-up", step_up),
        post("/code", ask_code, needs_session=False),
        post("/link", link, is_use=True),
        post("/preferences", preferences, is_use=True),
        post("/heartbeat", heartbeat, needs_session=False),
        post("/command", command, needs_session=False, body_bytes_max=COMMAND_BODY_BYTES_MAX),
        get("/events", events, needs_session=False),
        get("/jobs", jobs),
        get("/preview/{job_id}", preview),
        post("/quote", quote, is_use=True, money=True),
        post("/release", release, is_use=True, money=True),
        post("/delete", delete, is_use=True, money=True),
        post("/undo", undo, is_use=True, money=True),
        post("/claim", claim, is_use=True),
        post("/cancel", cancel, is_use=True),
        post("/extend", extend),
        post("/logout", logout),
    ]
    return Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_found, 500: _bug})


def _job_ids(call: Call) -> tuple[str, ...]:
    fields = call.fields
    job_ids = fields.ids("job_ids")
    fields.done()
    return job_ids
