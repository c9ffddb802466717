"""A whole office in one process: real database, spool, workers, ledger and simulated printers; it speaks the clerk's verbs.

Nothing is mocked. Only the fronts (IPP, https) are left out: the verbs they call are called directly.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon.app.parts import Parts, open_parts
from daemon.app.verbs import Verbs, build_verbs
from daemon.checks import check_installation
from daemon.cli import install
from daemon.db.unit import Unit
from daemon.devices.printer import NewPrinter, Printer
from daemon.devices.simulated import Model, SimulatedPrinter
from daemon.jobs.job import Job
from daemon.jobs.lifecycle import FINAL
from daemon.jobs.ticket import Ticket
from daemon.kernel.ids import new_id
from daemon.people.person import Person
from daemon.system import SystemClock, SystemDice
from daemon.workflows.people import PersonDraft
from daemon.workflows.release import ReleaseRequest, ReleaseResult
from daemon.workflows.submit import NewJob, Submitter
from tests.helpers.documents import numbered

WAIT_S = 20.0
QUEUE = "findme"


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 65536):
        yield content[start : start + 65536]


class Office:
    """One installation with people and printers."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.printers: dict[str, SimulatedPrinter] = {}
        self.parts: Parts
        self.verbs: Verbs
        self._tasks: list[asyncio.Task[None]] = []
        self._keys = itertools.count(1)

    # ----- opening and closing -----
    @classmethod
    def make(cls, state: Path, *, config: str = "", prepare: Callable[[Path], None] | None = None) -> Office:
        """A new installation on disk; `config` is appended to its configuration, `prepare` adds what else it needs."""
        install.init(state, base_port=0 + 8630, name="localhost")
        if config:
            file = state / "conf.d" / "test.toml"
            file.parent.mkdir()
            file.write_text(config)
        if prepare:
            prepare(state)
        return cls(state)

    async def open(self, **policy: Any) -> None:
        """Start the daemon's insides, recovery first; `policy` changes the release policy (times)."""
        checked = check_installation(self.state / "holdfast.toml", environment={})
        self.parts = await open_parts(
            checked.settings, checked.tariffs, formats=checked.formats, clock=SystemClock(), dice=SystemDice()
        )
        fast = {"lost_after_s": 2.0, "poll_first_s": 0.05, "poll_max_s": 0.2, "status_timeout_s": 3.0} | policy
        object.__setattr__(self.parts.house, "policy", replace(self.parts.house.policy, **fast))
        self.verbs = build_verbs(self.parts)
        await self.verbs.workshop.start()
        await self.verbs.housekeep.sweep()
        await self.verbs.recover.run()
        self._tasks = [
            asyncio.create_task(self.verbs.read.run()),
            asyncio.create_task(self.verbs.auto.run()),
        ]

    async def close(self) -> None:
        """Stop as the daemon does."""
        await self.verbs.deliver.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.verbs.workshop.close()
        await self.parts.close()

    async def restart(self, **policy: Any) -> None:
        """Stop and start over the same state directory."""
        await self.close()
        await self.open(**policy)

    # ----- people and devices -----
    async def hire(self, name: str, **draft: Any) -> Person:
        """A person with the standard profile and its first grant."""
        return await self.parts.people.add(PersonDraft(name=name, **draft), actor="test")

    async def buy_printer(self, name: str, *, model: Model | None = None, page_ms: int = 5, **row: Any) -> Printer:
        """A simulated printer, registered and asked."""
        device = SimulatedPrinter(self.state.parent / f"out-{name}", clock=SystemClock(), model=model, page_ms=page_ms)
        await device.start()
        self.printers[name] = device
        return await self.register(name, device.uri, **row)

    async def register(self, name: str, uri: str, **row: Any) -> Printer:
        """A printer at an address."""
        unit = Unit()
        new = NewPrinter(
            public_id=new_id(self.parts.dice), name=name, uri=uri, created_at_us=self.parts.clock.now_us(), **row
        )
        self.parts.printer_store.insert(unit, new)
        await self.parts.db.commit(unit)
        return await self.parts.printers.named(name)

    # ----- the clerk -----
    async def submit(
        self, person: Person, pages: int = 1, *, content: bytes | None = None, title: str = "Report", **ticket: Any
    ) -> Job:
        """One job in the find-me queue, by Print-Job's verb."""
        submitter = Submitter(QUEUE, person.name, person.id, "127.0.0.1", is_authenticated=True)
        new = NewJob(submitter, title, Ticket(**ticket))
        document = content if content is not None else numbered(pages)
        return await self.verbs.submit.print(new, _chunks(document), declared_format="application/pdf")

    async def release(
        self, person: Person, jobs: Sequence[Job], printer: Printer, *, key: str = "", **more: Any
    ) -> ReleaseResult:
        """Print these jobs here."""
        request = ReleaseRequest(
            person_id=person.id,
            job_ids=tuple(job.public_id for job in jobs),
            printer_id=printer.id,
            key=key or f"tap-{next(self._keys)}",
            actor="test",
            **more,
        )
        return await self.verbs.release.release(request)

    async def finished(self, job: Job, *, states: frozenset[str] = FINAL, wait_s: float = WAIT_S) -> Job:
        """The job once it is in one of `states`."""
        async with asyncio.timeout(wait_s):
            while True:
                fresh = await self.verbs.jobs.by_public(job.public_id)
                if fresh.state in states:
                    return fresh
                await asyncio.sleep(0.02)

    async def read(self, job: Job) -> Job:
        """The job once its document has been read, or it has ended."""
        await self.verbs.read.wait_read(job.public_id, WAIT_S)
        return await self.verbs.jobs.by_public(job.public_id)

    # ----- the books -----
    async def balance(self, person: Person, unit: str | None = None) -> int:
        """Balance of a person's pots in one unit (the first one's)."""
        accounts = [a for a in await self.parts.ledger.accounts(person.id) if a.kind == "user"]
        wanted = unit or accounts[0].unit_code
        return sum(a.balance for a in accounts if a.unit_code == wanted)

    async def reserved(self, person: Person) -> int:
        """What is promised to jobs under way, over all pots."""
        return sum(a.reserved for a in await self.parts.ledger.accounts(person.id))

    async def books(self) -> dict[str, Any]:
        """The ledger's own check."""
        from daemon.accounting.books import Books

        return (await Books(self.parts.db).verify()).to_json()


@contextlib.asynccontextmanager
async def office(
    folder: Path, *, config: str = "", prepare: Callable[[Path], None] | None = None, **policy: Any
) -> AsyncIterator[Office]:
    """An open office, closed again whatever happens."""
    made = await asyncio.to_thread(Office.make, folder / "state", config=config, prepare=prepare)
    await made.open(**policy)
    try:
        yield made
    finally:
        await made.close()
        for device in made.printers.values():
            await device.close()
