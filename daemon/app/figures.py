"""What /metrics tells of this house, read from the stores when somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon import __version__
from daemon.auth.outages import is_away
from daemon.kernel.clock import US_PER_S
from daemon.notices.mail_store import MailStore
from daemon.web.metrics import Figures, Metrics

if TYPE_CHECKING:
    from daemon.app.parts import Parts


def house_metrics(parts: Parts) -> Metrics:
    """The figures of this house."""
    mails = MailStore(parts.db)

    async def read() -> Figures:
        waiting, oldest_us = await mails.waiting()
        age_us = parts.clock.now_us() - oldest_us if oldest_us is not None else 0
        return Figures(
            jobs_by_state=await parts.house.jobs.counts_by_state(),
            printers_up={p.name: p.state != "unreachable" for p in await parts.printer_store.page()},
            mails_waiting=waiting,
            oldest_mail_s=max(0, age_us) / US_PER_S,
            is_storage_full=parts.db.is_storage_full,
            people=await parts.people_store.count(),
            login_failures=dict(parts.sign_in.failures_total) | {"card": parts.cards.sign_in.failures_total},
            card_taps=dict(parts.cards.sign_in.taps_total),
            terminals_up=await _terminals_up(parts),
            terminal_refusals=parts.terminals.refusals,
            deliveries_uncertain=await parts.house.deliveries.count_uncertain(),
            ledger_differences=parts.book_check.differences_total,
            is_ledger_ok=not parts.book_check.are_wrong,
            ledger_checked_s=parts.book_check.at_us / US_PER_S,
        )

    return Metrics(read, version=__version__, clock=parts.clock)


async def _terminals_up(parts: Parts) -> dict[str, bool]:
    """Every terminal in use by name, and whether it was heard of within its grace."""
    now, graces = parts.clock.now_us(), parts.terminal_care.graces
    return {
        one.name: not is_away(parts.terminals.heard_us(one), now, graces)
        for one in await parts.terminals.list()
        if one.enrolled_at_us is not None and one.revoked_at_us is None
    }
