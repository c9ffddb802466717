"""Each effect of the state machine as one request of the terminal API. I/O.

The only place that joins what the machine decided with the secrets the agent holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kiosk.link import NoAnswer
from kiosk.state import (
    Cancel,
    Claim,
    Delete,
    Effect,
    Extend,
    FetchJobs,
    FetchQuote,
    LinkCard,
    Logout,
    MailCode,
    Prefer,
    Release,
    SignIn,
    StepUp,
    Undo,
)

if TYPE_CHECKING:
    from daemon.devices.readers.reading import Read
    from kiosk.link import DaemonLink

HEARTBEAT_S = 1.6
"""A daemon that does not answer a heartbeat in this is away."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a request may need beside its effect: the card just read, where one was, and the daemon's tickets."""

    read: Read | None = None
    reader: str = ""
    ticket: str = field(default="", repr=False)
    link_ticket: str = field(default="", repr=False)


async def call(link: DaemonLink, effect: Effect, *, token: str, secrets: Secrets) -> dict[str, Any]:
    """Ask the daemon; raises what `DaemonLink.post` raises."""
    if isinstance(effect, SignIn):
        return await link.post("/session", _credentials(effect, secrets))
    if isinstance(effect, LinkCard):
        label = {"label": effect.label} if effect.label else {}
        return await link.post("/link", {"ticket": secrets.link_ticket} | label, session=token)
    if isinstance(effect, Logout):
        return await link.post("/logout", {}, session=token) if token else {}
    if isinstance(effect, FetchJobs):
        query = f"?printer_id={quote(effect.printer_id, safe='')}" if effect.printer_id else ""
        return await link.get("/jobs" + query, session=token)
    path, body = _request(effect)
    return await link.post(path, body, session=token)


def _credentials(effect: SignIn, secrets: Secrets) -> dict[str, str]:
    if effect.is_card:
        if secrets.read is None:
            raise NoAnswer("the card was read by somebody else's tap")
        return {"reader": secrets.read.reader, "raw": secrets.read.raw}
    if effect.is_ticket:
        return {"ticket": secrets.ticket, "password": effect.password, "reader": secrets.reader}
    if effect.code:
        return {"pin": effect.pin, "code": effect.code}
    return {"pin": effect.pin, "password": effect.password}


def _request(effect: Effect) -> tuple[str, dict[str, Any]]:
    if isinstance(effect, FetchQuote):
        body = {"job_ids": list(effect.job_ids), "changes": dict(effect.changes)}
        return "/quote", body | _at(effect.printer_id)
    if isinstance(effect, Release):
        body = {"job_ids": list(effect.job_ids), "changes": dict(effect.changes), "key": effect.key}
        body |= {"codes": dict(effect.codes)} if effect.codes else {}
        body |= {"total": dict(effect.total)} if effect.total else {}
        return "/release", body | _at(effect.printer_id)
    if isinstance(effect, Delete):
        return "/delete", {"job_ids": list(effect.job_ids)}
    if isinstance(effect, Undo):
        return "/undo", {"job_ids": list(effect.job_ids)}
    if isinstance(effect, Claim):
        return "/claim", {"code": effect.code}
    if isinstance(effect, Cancel):
        return "/cancel", {"job_id": effect.job_id}
    if isinstance(effect, MailCode):
        return "/code", {"pin": effect.pin}
    if isinstance(effect, StepUp):
        return "/step-up", {"password": effect.password}
    if isinstance(effect, Prefer):
        return "/preferences", {"release_on_tap": effect.release_on_tap}
    assert isinstance(effect, Extend)
    return "/extend", {}


def _at(printer_id: str) -> dict[str, str]:
    return {"printer_id": printer_id} if printer_id else {}
