"""What needs somebody: one list of everything that does not mend itself, for whoever may act on it.

Each need says what, where, since when; what to do stands with its kind in the texts of whoever shows it. A need is
read from the state of the house each time somebody looks, so it is gone as soon as its cause is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from daemon.auth import permissions as p
from daemon.kernel.clock import US_PER_S, from_rfc3339

if TYPE_CHECKING:
    from daemon.auth.lock_store import LockStore
    from daemon.auth.permissions import Actor
    from daemon.db.audit_log import AuditLog
    from daemon.devices.store import PrinterStore
    from daemon.kernel.clock import Clock
    from daemon.notices.mail_store import MailStore
    from daemon.workflows.decide import Decide
    from daemon.workflows.terminal_desk import TerminalDesk

Severity = Literal["critical", "warning", "notice"]
_ORDER = {"critical": 0, "warning": 1, "notice": 2}

SLOWED_US = 24 * 3600 * US_PER_S
"""Somebody slowed down by wrong passwords is shown for a day after the last one."""
SPRAY_US = 3600 * US_PER_S
ATTEMPTS: Mapping[str, tuple[str, Severity, int]] = {
    "sign-in.sprayed": ("sign-in-sprayed", "critical", SPRAY_US),
    "sign-in.paused": ("sign-in-paused", "warning", SPRAY_US),
    "taps.paused": ("taps-paused", "warning", SPRAY_US),
    "taps.strangers": ("taps-strangers", "warning", SPRAY_US),
    "taps.unreadable": ("taps-unreadable", "warning", SPRAY_US),
    "card.blocked-used": ("card-blocked-used", "warning", SLOWED_US),
    "terminal.forged": ("terminal-forged", "critical", SLOWED_US),
    "reader.forged": ("reader-forged", "critical", SLOWED_US),
}
"""Audit action -> kind of need, how grave it is, and how long it is shown after the last time."""
MAIL_WAITS_US = 900 * US_PER_S
MAIL_FAILED_US = 7 * 86_400 * US_PER_S


@dataclass(frozen=True, slots=True)
class Need:
    """One thing to look after. `noun` and `id` name its page (`people`, `jobs`, ...), `subject` its name."""

    kind: str
    severity: Severity
    noun: str = ""
    id: str = ""
    subject: str = ""
    since_us: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where needs are read. `parts` tells which part of the daemon is not well (as /readyz)."""

    locks: LockStore
    decide: Decide | None
    printers: PrinterStore
    terminals: TerminalDesk
    mails: MailStore
    audit: AuditLog
    parts: Callable[[], Awaitable[dict[str, str]]]
    has_setup_token: Callable[[], Awaitable[bool]]


class Attention:
    """Reads every source for what an actor may see."""

    def __init__(self, sources: Sources, clock: Clock) -> None:
        self._sources = sources
        self._clock = clock

    async def needs(self, actor: Actor) -> list[Need]:
        """Everything this actor may act on or see, the worst first, then the longest."""
        readers: tuple[tuple[str, Callable[[], Awaitable[Iterable[Need]]]], ...] = (
            (p.STATUS_READ, self._house),
            (p.USERS_READ, self._locks),
            (p.STATUS_READ, self._attacks),
            (p.JOBS_READ, self._doubts),
            (p.PRINTERS_READ, self._printers),
            (p.TERMINALS_READ, self._terminals),
            (p.STATUS_READ, self._mails),
            (p.TOKENS_WRITE, self._setup_token),
        )
        found: list[Need] = []
        for permission, read in readers:
            if actor.may(permission):
                found += await read()
        now = self._clock.now_us()
        return sorted(found, key=lambda need: (_ORDER[need.severity], need.since_us or now))

    async def _house(self) -> list[Need]:
        parts = await self._sources.parts()
        return [
            Need(f"part-{name}", "critical", facts={"state": state}) for name, state in parts.items() if state != "ok"
        ]

    async def _locks(self) -> list[Need]:
        now = self._clock.now_us()
        return [
            Need(
                "sign-in-locked" if one.is_disabled else "sign-in-slowed",
                "warning" if one.is_disabled else "notice",
                noun="people",
                id=one.public_id,
                subject=one.display_name or one.name,
                since_us=one.last_failure_us,
                facts={"name": one.name, "failures": one.failures, "credential": one.kind},
            )
            for one in await self._sources.locks.failing(since_us=now - SLOWED_US)
        ]

    async def _attacks(self) -> list[Need]:
        """Attempts of the last hour, and blocked cards of the last day; of several in one place the newest."""
        now = self._clock.now_us()
        found = await self._sources.audit.since(now - SLOWED_US, tuple(ATTEMPTS))
        names = {one["terminal_id"]: one["name"] for one in await self._sources.terminals.list()} if found else {}
        needs = []
        for one in _latest(found):
            kind, severity, kept_us = ATTEMPTS[one.action]
            if one.at_us <= now - kept_us:
                continue
            facts = {"where": str(one.detail.get("terminal") or names.get(one.subject, one.subject)), **one.detail}
            is_terminal = one.subject in names
            needs.append(
                Need(
                    kind,
                    severity,
                    noun="terminals" if is_terminal else "audit",
                    id=one.subject if is_terminal else "",
                    subject=names.get(one.subject, one.subject),
                    since_us=one.at_us,
                    facts=facts,
                )
            )
        return needs

    async def _doubts(self) -> list[Need]:
        doubts = await self._sources.decide.doubts() if self._sources.decide is not None else []
        names = {one.id: one.name for one in await self._sources.printers.page()} if doubts else {}
        return [
            Need(
                "job-uncertain",
                "critical",
                noun="jobs",
                id=doubt.job.public_id,
                subject=doubt.job.owner_name,
                since_us=doubt.since_us,
                facts={
                    "printer": names.get(doubt.delivery.printer_id, ""),
                    "most": doubt.most,
                    "seen": doubt.seen,
                    "decide_at_us": doubt.decide_at_us,
                },
            )
            for doubt in doubts
        ]

    async def _printers(self) -> list[Need]:
        found = []
        for one in await self._sources.printers.page():
            if one.state in ("stopped", "unreachable"):
                since = await self._sources.printers.changed_at(one) or one.checked_at_us
                severity: Severity = "warning"
                facts = {"reasons": list(one.reasons), "location": one.location}
                found.append(Need(f"printer-{one.state}", severity, "printers", one.public_id, one.name, since, facts))
        return found

    async def _terminals(self) -> list[Need]:
        found: list[Need] = []
        for one in await self._sources.terminals.list():
            if one["state"] != "enrolled":
                continue
            place: dict[str, Any] = {"noun": "terminals", "id": one["terminal_id"], "subject": one["name"]}
            if one["paused_until"]:
                until = from_rfc3339(one["paused_until"])
                found.append(Need("terminal-paused", "warning", **place, facts={"until_us": until}))
            found += [
                Need(
                    problem["kind"],
                    "warning",
                    **place,
                    since_us=from_rfc3339(problem["since"]),
                    facts={"reader": problem["reader"], "code": problem["code"]},
                )
                for problem in one["problems"]
            ]
        return found

    async def _mails(self) -> list[Need]:
        now = self._clock.now_us()
        found = []
        count, oldest = await self._sources.mails.waiting()
        if oldest is not None and now - oldest > MAIL_WAITS_US:
            found.append(Need("mail-waits", "warning", since_us=oldest, facts={"count": count}))
        failed, at_us, error = await self._sources.mails.failed_since(now - MAIL_FAILED_US)
        if failed:
            found.append(Need("mail-failed", "notice", since_us=at_us, facts={"count": failed, "error": error}))
        return found

    async def _setup_token(self) -> list[Need]:
        return [Need("setup-token", "notice", noun="tokens")] if await self._sources.has_setup_token() else []


def _latest(entries: Iterable[Any]) -> list[Any]:
    """Of several entries about one thing the newest; they come newest first."""
    seen: dict[tuple[str, str], Any] = {}
    for one in entries:
        seen.setdefault((one.action, one.subject), one)
    return list(seen.values())
