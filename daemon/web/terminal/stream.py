"""GET events: what happens to the signed-in person's jobs and to this terminal's printers, as server-sent events.

Each event is read from the table after its commit, its data as of now; ids are the table's numbers, so a stream that
broke off resumes with Last-Event-ID. The stream ends within a second of its session or its terminal ending; what
operators ask of the terminal is told on its own stream, again after each reconnect until it is answered.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import StreamingResponse

from daemon.auth.identity import SessionEnded
from daemon.auth.recognition import TerminalRevoked
from daemon.auth.sessions import terminal_subject
from daemon.kernel.clock import US_PER_S, rfc3339
from daemon.kernel.errors import Refusal, Unavailable
from daemon.wire.messages import PING_S, PULSE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.responses import Response

    from daemon.notices.event_store import Happened
    from daemon.notices.feed import Watch
    from daemon.web.terminal.door import Call
    from daemon.wire.messages import PrinterJson

LIST_TOPICS = frozenset(
    {
        "job.held", "job.read", "job.unreadable", "job.expired", "job.deleted", "job.undeleted", "job.claimed",
        "job.hold-set", "job.hold-cleared", "job.incomplete",
    }
)  # fmt: skip
"""After these the list is asked for again; any other job event tells how one job fares."""
SILENT_TOPICS = frozenset({"job.created"})
RECHECK = ("session.", "credential.", "user.")
ENDING = frozenset({"terminal.revoked", "terminal.enrolled"})
SILENCE_S = PING_S * 0.9
LAST_ID_CHARS_MAX = 19
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def events(call: Call) -> Response:
    """The stream. Session optional: without one only printers are told."""
    last = call.request.headers.get("last-event-id", "")
    after = int(last) if last.isascii() and last.isdigit() and len(last) <= LAST_ID_CHARS_MAX else None
    return StreamingResponse(_stream(call, after), media_type="text/event-stream", headers=HEADERS)


async def _stream(call: Call, after: int | None) -> AsyncIterator[bytes]:
    services = call.services
    try:
        async with services.feed.watch(after) as watch:
            yield _frame("hello", {"now": rfc3339(services.clock.now_us())}, watch.seq)
            async for frame in _Telling(call).frames(watch):
                yield frame
    except TerminalRevoked:
        yield _frame("revoked", {}, None)
    except SessionEnded:
        yield _frame("session", {"state": "ended"}, None)
    except (Refusal, Unavailable):
        return


class _Telling:
    """What one stream tells: which printers its terminal stands at, and until when its session lasts."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._services = call.services
        self._bound: dict[str, PrinterJson] = {}
        self._checked_s = 0.0
        self._expires_us = call.session.expires_at_us if call.session else 0

    async def frames(self, watch: Watch) -> AsyncIterator[bytes]:
        """Frames without end.

        Raises:
            FeedClosed: the daemon stops.
            SessionEnded: the session is over.
            TerminalRevoked: the terminal was revoked or enrolled anew.
        """
        await self._recheck()
        await self._bind()
        for frame in await self._commands():
            yield frame
        while True:
            happened, is_lost = await watch.take(self._patience_s())
            if is_lost or self._is_due(happened) or any(self._may_end(event) for event in happened):
                await self._recheck()
            if is_lost:
                async for frame in self._afresh(watch):
                    yield frame
            told = False
            async for event, name, data in self._news(happened):
                told = True
                yield _frame(name, data, event.seq)
            if not told and not is_lost:
                yield b": ping\n\n"

    def _patience_s(self) -> float:
        """How long silence lasts: a pulse, or until the next ping, or the session's end if that is sooner."""
        if self._call.session is None:
            return PULSE_S
        left_s = (self._expires_us - self._services.clock.now_us()) / US_PER_S
        return min(SILENCE_S, max(left_s + 0.05, 0.05))

    def _is_due(self, happened: list[Happened]) -> bool:
        """Whether it is time to look at session and terminal without a reason."""
        is_silent = not happened and self._call.session is not None
        return is_silent or self._services.clock.monotonic_s() - self._checked_s >= SILENCE_S

    def _may_end(self, event: Happened) -> bool:
        """Whether an event may have ended this stream's session or terminal."""
        call = self._call
        if event.topic in ENDING:
            return event.subject == call.terminal.public_id
        if call.session is None or not event.topic.startswith(RECHECK):
            return False
        return event.user_id == call.session.person_id or event.subject == terminal_subject(call.terminal.id)

    async def _recheck(self) -> None:
        """Terminal and session still stand."""
        call = self._call
        self._checked_s = self._services.clock.monotonic_s()
        await self._services.terminals.still(call.terminal)
        if call.session is not None:
            session = await self._services.sessions.recheck(call.session.hash, terminal_id=call.terminal.id)
            self._expires_us = session.expires_at_us

    async def _bind(self) -> None:
        printers = await self._services.backend.printers(self._call.terminal)
        self._bound = {printer["printer_id"]: printer for printer in printers}

    async def _commands(self) -> list[bytes]:
        """What operators asked and nobody answered: told on the terminal's own stream, not on a person's."""
        if self._call.session is not None:
            return []
        waiting = await self._services.commands.waiting(self._call.terminal)
        return [_frame("command", {"command_id": one.public_id, "kind": one.kind}, None) for one in waiting]

    async def _afresh(self, watch: Watch) -> AsyncIterator[bytes]:
        """Everything told before may be old."""
        await self._bind()
        yield _frame("heartbeat", {}, watch.seq)
        if self._call.session is not None:
            yield _frame("jobs", {}, watch.seq)
        for frame in await self._commands():
            yield frame

    async def _news(self, happened: list[Happened]) -> AsyncIterator[tuple[Happened, str, Any]]:
        """What of it this stream tells; of several changes of one thing only the last, which shows it as it is."""
        latest: dict[tuple[str, str], Happened] = {}
        for event in happened:
            name = self._name(event)
            if name:
                subject = "" if name == "jobs" else event.subject
                latest.pop((name, subject), None)
                latest[name, subject] = event
        for (name, _), event in latest.items():
            if name == "command":
                for one in await self._services.commands.waiting(self._call.terminal):
                    yield event, name, {"command_id": one.public_id, "kind": one.kind}
                continue
            data = await self._data(name, event)
            if data is not None:
                yield event, name, data

    def _name(self, event: Happened) -> str:
        if event.topic.startswith("printer."):
            return "printer" if event.subject in self._bound else ""
        session = self._call.session
        if event.subject == self._call.terminal.public_id:
            if event.topic == "terminal.commanded":
                return "command" if session is None else ""
            return "heartbeat" if event.topic == "terminal.changed" else ""
        if session is None or event.user_id != session.person_id or event.topic in SILENT_TOPICS:
            return ""
        if event.topic in LIST_TOPICS:
            return "jobs"
        return "job" if event.topic.startswith("job.") else ""

    async def _data(self, name: str, event: Happened) -> Any:
        if name == "jobs":
            return {}
        if name == "heartbeat":
            await self._bind()
            return {}
        if name == "job":
            return await self._services.backend.job_event(self._call.signed_in, event.subject)
        printer = await self._services.printer_news.after(event.subject, event.seq)
        return None if printer is None else {**printer, "reader": self._bound[event.subject].get("reader", "")}


def _frame(name: str, data: Any, seq: int | None) -> bytes:
    identified = f"id: {seq}\n" if seq is not None else ""
    return f"event: {name}\n{identified}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
