"""The surroundings every verb works in: stores, rules, clock and dice, bundled once by the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.accounting.store import LedgerStore
    from daemon.db.database import Database
    from daemon.jobs.delivery_store import DeliveryStore
    from daemon.jobs.queues import QueueRule
    from daemon.jobs.spool import Spool
    from daemon.jobs.store import JobStore
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice
    from daemon.people.store import PeopleStore
    from daemon.workflows.parts import Mailer, People, Rates

UncertainPolicy = Literal["charge-reported", "charge-quote", "void"]


@dataclass(frozen=True, slots=True)
class ReleasePolicy:
    """How releases are bounded.

    `uncertain`: what is charged when nobody can know whether it printed, after `uncertain_after_s`:
    what the printer had reported (`charge-reported`, nothing if it had reported nothing), the quote, or nothing.
    A job that waits in a stopped printer for `stopped_timeout_s`, or takes longer than `job_timeout_s`, is canceled
    there and settled for what came out.
    """

    uncertain: UncertainPolicy = "charge-reported"
    uncertain_after_s: int = 3600
    reservation_s: int = 7 * 24 * 3600
    status_timeout_s: float = 5.0
    read_wait_s: float = 10.0
    undo_s: int = 30
    lease_s: int = 120
    poll_first_s: float = 0.25
    poll_max_s: float = 5.0
    lost_after_s: float = 20.0
    stopped_timeout_s: int = 1800
    job_timeout_s: int = 4 * 3600


@dataclass(frozen=True, slots=True)
class House:
    """Everything a verb may touch."""

    db: Database
    jobs: JobStore
    deliveries: DeliveryStore
    ledger: LedgerStore
    spool: Spool
    people: People
    people_store: PeopleStore
    mailer: Mailer
    rates: Rates
    queues: Mapping[str, QueueRule]
    clock: Clock
    dice: Dice
    policy: ReleasePolicy
    daemon_id: str
    code_key: bytes
    document_octets_max: int
    held_jobs_max: int = 500
    timezone: str = "UTC"

    def queue(self, name: str) -> QueueRule:
        """The rule of a queue; a queue that left the configuration keeps the defaults for its waiting jobs."""
        from daemon.jobs.queues import QueueRule

        return self.queues.get(name) or QueueRule(name=name, title=name)
