"""Who did what: the audit log, newest first, with names in place of row numbers where they are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from daemon.auth import permissions as p
from daemon.db.audit_log import Entry
from daemon.web.console.gate import Page
from daemon.web.console.visit import Visit, path

PAGE_ENTRIES = 100
SUBJECT_CHARS_MAX = 60
_NOUNS = {"user": "people", "credential": "people", "console": "people", "card": "people", "account": "people"}
"""First part of an action -> where its subject has its page, when that is a person or what a person has."""
_OTHERS = {"job": "jobs", "printer": "printers", "terminal": "terminals"}


@dataclass(frozen=True, slots=True)
class Told:
    """An audit entry as a page shows it."""

    at_us: int
    who: str
    who_path: str
    what: str
    subject: str
    subject_path: str
    detail: str


async def told(visit: Visit, entries: Sequence[Entry], *, with_subject: bool = True) -> list[Told]:
    """Entries with names; each person is looked up once."""
    people = visit.services.api.people
    names: dict[str, tuple[str, str]] = {}
    for actor in {one.actor for one in entries if one.actor.startswith("user:")}:
        row = actor.removeprefix("user:")
        person = await people.by_id(int(row)) if row.isdigit() else None
        if person is not None:
            names[actor] = (person.display_name or person.name, path("people", person.public_id))
    subjects: dict[str, tuple[str, str]] = {}
    for one in entries if with_subject else ():
        if one.subject not in subjects:
            subjects[one.subject] = await _subject(visit, one)
    return [
        Told(
            at_us=one.at_us,
            who=names.get(one.actor, (one.actor, ""))[0],
            who_path=names.get(one.actor, ("", ""))[1],
            what=visit.speech.some(f"action.{one.action}", one.action),
            subject=subjects.get(one.subject, ("", ""))[0],
            subject_path=subjects.get(one.subject, ("", ""))[1],
            detail=_detail(one.detail),
        )
        for one in entries
    ]


async def _subject(visit: Visit, entry: Entry) -> tuple[str, str]:
    noun = entry.action.partition(".")[0]
    whose = str(entry.detail.get("user_id", "")) if noun == "card" else entry.subject
    person = await visit.services.api.people.store.by_public(whose) if noun in _NOUNS else None
    if person is not None:
        return person.display_name or person.name, path("people", person.public_id)
    if noun in _OTHERS:
        return str(entry.detail.get("name", "")) or visit.speech("details"), path(_OTHERS[noun], entry.subject)
    return entry.subject[:SUBJECT_CHARS_MAX], ""


def _detail(detail: dict[str, Any]) -> str:
    return "; ".join(f"{key}: {_plain(value)}" for key, value in detail.items()) if detail else ""


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(one) for one in value) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(one)}" for key, one in value.items())
    return str(value)


async def listing(visit: Visit) -> Response:
    """GET /console/audit: `action` is a beginning such as `user.`; the address holds the filter."""
    before, action = visit.asked("before", 18), visit.asked("action", 40)
    entries = await visit.services.audit.page(
        before_id=int(before) if before.isascii() and before.isdigit() else 0, limit=PAGE_ENTRIES + 1, action=action
    )
    shown = entries[:PAGE_ENTRIES]
    return visit.page(
        "audit",
        visit.speech("audit.title"),
        entries=await told(visit, shown),
        action=action,
        following=str(shown[-1].id) if len(entries) > PAGE_ENTRIES else "",
    )


PAGES = (Page("GET", "/console/audit", listing, p.AUDIT_READ),)
