"""Recovery: at start, everything that was promised is finished. Nothing is ever sent a second time by it.

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
from daemon.kernel.errors import Refusal

if TYPE_CHECKING:
    from daemon.jobs.delivery_store import Delivery
    from daemon.workflows.deliver import Deliver
    from daemon.workflows.house import House
    from daemon.workflows.settle import Settle

log = structlog.get_logger(__name__)

STILL_THERE_S = 60
"""Somebody who released this long ago at most still stands at the printer."""


class Recover:
    """Reads what was promised and finishes it."""

    def __init__(self, house: House, *, deliver: Deliver, settle: Settle) -> None:
        self._house = house
        self._deliver = deliver
        self._settle = settle

    async def run(self) -> int:
        """Takes up every live delivery; returns how many there were."""
        live = await self._house.deliveries.live()
        for delivery in live:
            try:
                await self._take_up(delivery)
            except Refusal as refusal:
                log.warning("recovery.refused", delivery_id=delivery.public_id, code=refusal.code)
        if live:
            log.info("recovery.taken-up", deliveries=len(live))
        return len(live)

    async def _take_up(self, delivery: Delivery) -> None:
        if delivery.phase != "reserved":
            self._deliver.resume(delivery)
            return
        age_us = self._house.clock.now_us() - delivery.created_at_us
        if 0 <= age_us <= STILL_THERE_S * US_PER_S:
            self._deliver.start(delivery.public_id, delivery.printer_id)
            return
        message = "The service restarted before this was sent. Nothing was charged; release it again."
        await self._settle.not_sent(delivery, message=message, code="restarted")
