"""Who did what: the audit log, newest first, with names in place of row numbers where they are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from daemon.auth import permissions as p
from daemon.db.audit_log import Entry
from daemon.kernel.errors import NotFound
from daemon.web.console.gate import Page
from daemon.web.console.visit import Visit, path

PAGE_ENTRIES = 100
SUBJECT_CHARS_MAX = 60
_PERSONAL = frozenset({"user", "credential", "console", "card", "account", "password-link", "address"})
"""First parts of actions whose subject is a person or what a person has."""
_Named = tuple[str, str]
"""A name and the address of its page, empty where there is none."""
_NOBODY: _Named = ("", "")


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
    """Entries with names; each person and thing is looked up once."""
    things = await _things(visit, entries)
    actors = {one.actor: await _actor(visit, one.actor, things) for one in _first_of(entries, "actor")}
    subjects: dict[str, _Named] = {}
    for one in _first_of(entries, "subject") if with_subject else ():
        subjects[one.subject] = await _subject(visit, one, things)
    return [
        Told(
            at_us=one.at_us,
            who=actors[one.actor][0],
            who_path=actors[one.actor][1],
            what=visit.speech.some(f"action.{one.action}", one.action),
            subject=subjects.get(one.subject, _NOBODY)[0],
            subject_path=subjects.get(one.subject, _NOBODY)[1],
            detail=_detail(one.detail),
        )
        for one in entries
    ]


def _first_of(entries: Sequence[Entry], field: str) -> list[Entry]:
    """One entry for each different value of a field."""
    return list({getattr(one, field): one for one in entries}.values())


async def _things(visit: Visit, entries: Sequence[Entry]) -> dict[str, _Named]:
    """Terminals and printers by id, where any entry is about one."""
    nouns = {one.action.partition(".")[0] for one in entries} | {one.actor.partition(":")[0] for one in entries}
    known: dict[str, _Named] = {}
    if nouns & {"terminal", "taps"}:
        for one in await visit.services.api.terminals.list():
            known[one["terminal_id"]] = (one["name"], path("terminals", one["terminal_id"]))
    if "printer" in nouns:
        for one in await visit.services.api.printers.list():
            known[one["printer_id"]] = (one["name"], path("printers", one["printer_id"]))
    return known


async def _actor(visit: Visit, actor: str, things: Mapping[str, _Named]) -> _Named:
    """Who acted, in the audit's words: `user:<row>`, `terminal:<id>`, `local:<uid>`, `token:<name>`, `system`."""
    kind, _, name = actor.partition(":")
    if kind == "user" and name.isdigit():
        person = await visit.services.api.people.by_id(int(name))
        if person is not None:
            return person.display_name or person.name, path("people", person.public_id)
    if kind == "terminal" and name in things:
        return things[name]
    return visit.speech.some(f"actor.{kind}").format(name=name) or actor, ""


async def _subject(visit: Visit, entry: Entry, things: Mapping[str, _Named]) -> _Named:
    noun = entry.action.partition(".")[0]
    if entry.subject in things:
        return things[entry.subject]
    if noun in _PERSONAL:
        whose = str(entry.detail.get("user_id", "")) if noun == "card" else entry.subject
        person = await visit.services.api.people.store.by_public(whose)
        if person is not None:
            return person.display_name or person.name, path("people", person.public_id)
    if noun == "job":
        try:
            job = await visit.services.api.jobs.by_public(entry.subject)
        except NotFound:
            return entry.subject[:SUBJECT_CHARS_MAX], ""
        return visit.speech("jobs.one", number=job.id), path("jobs", entry.subject)
    return str(entry.detail.get("name", "")) or entry.subject[:SUBJECT_CHARS_MAX], ""


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
