"""A house full of held jobs, made by the real stores while no daemon runs.

Every document is sealed into the spool by `Spool.write` and every row written by `JobStore`, in units of a few hundred
instead of one per job; fsync is switched off while the hoard is made, and the one document all copies are of is read by
a confined worker once instead of once per copy. What stands in the state directory afterwards is what as many
submissions would have left.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.app.parts import Parts, open_parts
from daemon.auth import tls
from daemon.checks import check_installation
from daemon.db.unit import Unit
from daemon.devices.printer import NewPrinter
from daemon.jobs.analysis import Analyser, Workshop
from daemon.jobs.counting import adopt, count
from daemon.jobs.draft import Draft
from daemon.jobs.lifecycle import Happening, advance
from daemon.jobs.ticket import Ticket
from daemon.kernel.events import Event
from daemon.kernel.ids import new_id
from daemon.system import SystemClock, SystemDice
from daemon.wire import signing
from daemon.workflows.people import PersonDraft
from kiosk import identity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from daemon.people.person import Person

PASSWORD = "tinned peaches at nine"
HOLD_US = 7 * 86_400_000_000
UNIT_JOBS = 200
AT_ONCE = 16
QUEUE = "findme"


@dataclass(frozen=True, slots=True)
class Plan:
    """`residents` sign in and have `jobs_each` jobs; others with `jobs_of_others` each bring the house to `jobs`."""

    jobs: int
    residents: int
    jobs_each: int
    jobs_of_others: int = 10


@dataclass(frozen=True, slots=True)
class Station:
    """An enrolled terminal, and who signs in there."""

    terminal_id: str
    key: Ed25519PrivateKey
    pin: str
    home: Path


@contextmanager
def without_fsync() -> Iterator[None]:
    """The hoard need not survive a power cut."""
    real = os.fsync
    os.fsync = lambda _handle: None
    try:
        yield
    finally:
        os.fsync = real


async def fill(state: Path, plan: Plan, document: bytes, printer_uris: Sequence[str]) -> list[Station]:
    """Make people, jobs, printers and terminals; one terminal per resident, at printers in turn."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    checked = check_installation(state / "holdfast.toml", environment={})
    parts = await open_parts(checked.settings, checked.tariffs, clock=SystemClock(), dice=SystemDice())
    workshop = Workshop()
    try:
        with without_fsync():
            residents = [
                await _person(parts, f"resident{n}", pin=str(5000 + n), password=PASSWORD)
                for n in range(plan.residents)
            ]
            others = -(-(plan.jobs - plan.residents * plan.jobs_each) // plan.jobs_of_others)
            rest = [await _person(parts, f"other{n}", pin="auto") for n in range(others)]
            owners = [person for person in residents for _ in range(plan.jobs_each)]
            owners += [person for person in rest for _ in range(plan.jobs_of_others)]
            await _jobs(parts, Analyser(workshop), owners[: plan.jobs], document)
            names = await _printers(parts, printer_uris)
            return [
                await _terminal(parts, state, n, printer=names[n % len(names)], pin=str(5000 + n))
                for n in range(plan.residents if names else 0)
            ]
    finally:
        await workshop.close()
        await parts.close()


async def _person(parts: Parts, name: str, *, pin: str, password: str = "") -> Person:
    return await parts.people.add(PersonDraft(name, pin=pin, password=password), actor="system")


async def _jobs(parts: Parts, analyser: Analyser, owners: Sequence[Person], document: bytes) -> None:
    house = parts.house

    async def chunks() -> AsyncIterator[bytes]:
        yield document

    facts = await analyser.analyse(chunks)
    ticket = adopt(Ticket(), facts)
    counts = count(facts, ticket)
    for start in range(0, len(owners), UNIT_JOBS):
        some = owners[start : start + UNIT_JOBS]
        entries = await asyncio.gather(*(house.spool.write(chunks(), bytes_max=len(document)) for _ in some))
        unit = Unit()
        drafts = [_draft(parts, person, start + n) for n, person in enumerate(some)]
        for draft, entry in zip(drafts, entries, strict=True):
            house.jobs.insert(unit, draft, entry, document_format="application/pdf")
            unit.event(Event("job.held", draft.public_id, draft.person_id), draft.created_at_us)
        await house.db.commit(unit)
        unit = Unit()
        written = await house.jobs.many([draft.public_id for draft in drafts])
        price = await parts.prices.first_price(written[0], counts)  # one document, one profile: one price
        for job in written:
            house.jobs.set_facts(unit, job, facts, ticket=ticket, counts=counts, price=price)
        await house.db.commit(unit)


def _draft(parts: Parts, person: Person, number: int) -> Draft:
    now = parts.clock.now_us()
    return Draft(
        public_id=new_id(parts.dice), queue=QUEUE, person_id=person.id, claimed_name=person.name,
        title=f"Report {number}.pdf", host="127.0.0.1", step=advance("", Happening.ARRIVED), ticket=Ticket(),
        account_ref="", password_hash="", claim_code=None, priority=50, hold_until="indefinite", hold_until_us=None,
        created_at_us=now, held_until_us=now + HOLD_US,
    )  # fmt: skip


async def _printers(parts: Parts, uris: Sequence[str]) -> list[str]:
    unit = Unit()
    names = [f"printer{number}" for number in range(len(uris))]
    for name, uri in zip(names, uris, strict=True):
        now = parts.clock.now_us()
        new = NewPrinter(public_id=new_id(parts.dice), name=name, uri=uri, created_at_us=now)
        parts.printer_store.insert(unit, new)
    await parts.house.db.commit(unit)
    return names


async def _terminal(parts: Parts, state: Path, number: int, *, printer: str, pin: str) -> Station:
    """Added and enrolled by the daemon's own service, the wire left out."""
    made = await parts.terminals.add(f"terminal{number}", printers=[printer], policy="card+password", actor="system")
    code = signing.parse_code(made.code)
    secret = await asyncio.to_thread(signing.code_key, code)
    key = identity.new_key()
    public = identity.public_bytes(key)
    seen = tls.server_key_sha256(parts.tls)
    proof = signing.terminal_proof(secret, public_key=public, server_key_sha256=seen)
    done = await parts.terminals.enrol(locator=code.locator, public_key=public, proof=proof, version="bench")
    home = state.parent / f"terminal{number}"
    home.mkdir()
    return Station(done.terminal.public_id, key, pin, home)
