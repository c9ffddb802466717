"""Recovery: everything that was promised is finished, at start and whenever a delivery lost its task.

Nothing is ever sent a second time by it.

| phase found | what may have happened | what is done |
|---|---|---|
| reserved | not a byte left | sent now if released a moment ago, else given back: its owner has gone |
| sending | bytes may have left | asked for by our name: followed, or given back if it never arrived, or uncertain |
| printing | the printer has it | followed by its own job id to the end |
| uncertain | nobody knows | asked on, until it answers or the policy decides |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import Refusal, Unavailable

if TYPE_CHECKING:
    from daemon.jobs.delivery_store import Delivery
    from daemon.workflows.deliver import Deliver
    from daemon.workflows.house import House
    from daemon.workflows.settle import Settle

log = structlog.get_logger(__name__)

STILL_THERE_S = 60
"""Somebody who released this long ago at most still stands at the printer."""


RETRY_FIRST_S = 2.0
RETRY_MAX_S = 300.0
FAILURES_MAX = 8
"""About four minutes of trying; then nobody can know."""


class Recover:
    """Reads what was promised and finishes it."""

    def __init__(self, house: House, *, deliver: Deliver, settle: Settle) -> None:
        self._house = house
        self._deliver = deliver
        self._settle = settle
        self._next_s: dict[str, float] = {}

    async def run(self) -> int:
        """Takes up every live delivery; returns how many there were. What cannot be done yet, `orphans` does later."""
        live = await self._house.deliveries.live()
        for delivery in live:
            await self._try(delivery)
        if live:
            log.info("recovery.taken-up", deliveries=len(live))
        return len(live)

    async def orphans(self) -> None:
        """Housekeeping: takes up again what nobody works on, as a restart would.

        Its task failed (a full disk, a bug), or the release that promised it was cut short before it began. One that
        keeps failing waits longer every time; after `FAILURES_MAX` it becomes uncertain, or is given back unsent.
        """
        live = await self._house.deliveries.live()
        self._next_s = {d.public_id: self._next_s[d.public_id] for d in live if d.public_id in self._next_s}
        now = self._house.clock.monotonic_s()
        for delivery in self._deliver.orphans(live):
            failures = self._deliver.failures(delivery)
            if self._next_s.get(delivery.public_id, 0.0) > now:
                continue
            self._next_s[delivery.public_id] = now + min(RETRY_FIRST_S * 2**failures, RETRY_MAX_S)
            log.warning("delivery.orphan", delivery_id=delivery.public_id, phase=delivery.phase, failures=failures)
            await self._try(delivery)

    # ----- inside -----
    async def _try(self, delivery: Delivery) -> None:
        """One that cannot be taken up never keeps the others, nor the daemon from starting."""
        try:
            await self._take_up(delivery)
        except (Refusal, Unavailable) as problem:
            log.warning("recovery.refused", delivery_id=delivery.public_id, code=problem.code)

    async def _take_up(self, delivery: Delivery) -> None:
        is_hopeless = self._deliver.failures(delivery) >= FAILURES_MAX
        if is_hopeless and delivery.phase in ("sending", "printing"):
            await self._settle.uncertain(delivery, message="It could not be found out what became of this job.")
            return
        if delivery.phase != "reserved":
            self._deliver.resume(delivery)
            return
        age_us = self._house.clock.now_us() - delivery.created_at_us
        if not is_hopeless and 0 <= age_us <= STILL_THERE_S * US_PER_S:
            self._deliver.start(delivery.public_id, delivery.printer_id)
            return
        message = "The service was interrupted before this was sent. Nothing was charged; release it again."
        await self._settle.not_sent(delivery, message=message, code="restarted")
