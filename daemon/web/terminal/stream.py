"""GET events: what happens to the signed-in person's jobs and to this terminal's printers, as server-sent events.

Each event is read from the table after its commit, its data as of now; ids are the table's numbers, so a stream that
broke off resumes with Last-Event-ID. The stream ends within a second of its session or its terminal ending.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import StreamingResponse

from daemon.auth.identity import SessionEnded
from daemon.auth.sessions import terminal_subject
from daemon.kernel.clock import US_PER_S, rfc3339
from daemon.kernel.errors import Refusal, Unavailable
from daemon.wire.messages import PING_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.responses import Response

    from daemon.notices.event_store import Happened
    from daemon.notices.feed import Watch
    from daemon.web.terminal.door import Call

LIST_TOPICS = frozenset(
    {
        "job.held", "job.read", "job.unreadable", "job.expired", "job.deleted", "job.undeleted", "job.claimed",
        "job.hold-set", "job.hold-cleared", "job.incomplete",
    }
)  # fmt: skip
"""After these the list is asked for again; any other job event tells how one job fares."""
SILENT_TOPICS = frozenset({"job.created"})
RECHECK = ("session.", "credential.", "user.")
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
            async for frame in _frames(call, watch):
                yield frame
    except SessionEnded:
        yield _frame("session", {"state": "ended"}, None)
    except (Refusal, Unavailable):
        return


async def _frames(call: Call, watch: Watch) -> AsyncIterator[bytes]:
    """Frames without end.

    Raises:
        FeedClosed: the daemon stops.
        SessionEnded: the session is over.
        NotFound: the terminal was revoked.
    """
    expires_us = call.session.expires_at_us if call.session else 0
    while True:
        happened, is_lost = await watch.take(_patience_s(call, expires_us))
        if not happened or any(_may_end(call, event) for event in happened):
            expires_us = await _recheck(call)
        if is_lost and call.session is not None:
            yield _frame("jobs", {}, watch.seq)
        told = False
        for event, data_name, data in await _news(call, happened):
            told = True
            yield _frame(data_name, data, event.seq)
        if not told and not is_lost:
            yield b": ping\n\n"


def _patience_s(call: Call, expires_us: int) -> float:
    """How long silence lasts: until the next ping, or the session's end if that is sooner."""
    if call.session is None:
        return SILENCE_S
    left_s = (expires_us - call.services.clock.now_us()) / US_PER_S
    return min(SILENCE_S, max(left_s + 0.05, 0.05))


def _may_end(call: Call, event: Happened) -> bool:
    """Whether an event may have ended this stream's session or terminal."""
    if event.topic.startswith("terminal."):
        return event.subject == call.terminal.public_id
    if call.session is None or not event.topic.startswith(RECHECK):
        return False
    return event.user_id == call.session.person_id or event.subject == terminal_subject(call.terminal.id)


async def _recheck(call: Call) -> int:
    """Terminal and session still stand; returns when the session ends by itself."""
    terminal = await call.services.terminals.get(call.terminal.public_id)
    if call.session is None:
        return 0
    session = await call.services.sessions.recheck(call.session.hash, terminal_id=terminal.id)
    return session.expires_at_us


async def _news(call: Call, happened: list[Happened]) -> list[tuple[Happened, str, Any]]:
    """What of it this stream tells; of several changes of one thing only the last, which shows the thing as it is."""
    latest: dict[tuple[str, str], Happened] = {}
    for event in happened:
        name = _name(call, event)
        if name:
            subject = "" if name == "jobs" else event.subject
            latest.pop((name, subject), None)
            latest[name, subject] = event
    news: list[tuple[Happened, str, Any]] = []
    for (name, _), event in latest.items():
        data = await _data(call, name, event)
        if data is not None:
            news.append((event, name, data))
    return news


def _name(call: Call, event: Happened) -> str:
    if event.topic.startswith("printer."):
        return "printer"
    session = call.session
    if session is None or event.user_id != session.person_id or event.topic in SILENT_TOPICS:
        return ""
    if event.topic in LIST_TOPICS:
        return "jobs"
    return "job" if event.topic.startswith("job.") else ""


async def _data(call: Call, name: str, event: Happened) -> Any:
    if name == "jobs":
        return {}
    if name == "job":
        return await call.services.backend.job_event(call.signed_in, event.subject)
    printers = await call.services.backend.printers(call.terminal)
    return next((printer for printer in printers if printer["printer_id"] == event.subject), None)


def _frame(name: str, data: Any, seq: int | None) -> bytes:
    identified = f"id: {seq}\n" if seq is not None else ""
    return f"event: {name}\n{identified}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
