"""Grants: each period's allowance, once, whenever it is asked for; missed periods are made up for after a sleep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from daemon.accounting.grants import grants_due, next_grant_us
from daemon.db.unit import Unit
from daemon.kernel.errors import Refusal

if TYPE_CHECKING:
    from daemon.accounting.grant_store import GrantStore
    from daemon.people.person import Person
    from daemon.workflows.house import House

log = structlog.get_logger(__name__)

PEOPLE_PER_PASS = 500
CHECK_AGAIN_US = 24 * 3600 * 1_000_000
"""A pot without a next period is looked at again after this long, so that an edited profile takes hold."""


class Grants:
    """Opens accounts and fills them."""

    def __init__(self, house: House, store: GrantStore) -> None:
        self._house = house
        self._store = store

    async def for_person(self, person: Person) -> None:
        """Accounts and everything due to one person, now; safe to repeat."""
        house, now = self._house, self._house.clock.now_us()
        profile = house.rates.profile(person.profile)
        unit = Unit()
        await house.ledger.ensure_accounts(unit, person.id, profile)
        if unit.statements:
            await house.db.commit(unit)
        accounts = {(a.pot, a.unit.code): a for a in await house.ledger.accounts(person.id) if a.kind == "user"}
        states = await self._store.states(person.id)
        unit = Unit()
        if not profile.pots:
            self._store.remember(unit, person.id, "", label="", next_us=now + CHECK_AGAIN_US)
        for rule in profile.pots:
            account = accounts[rule.pot, rule.unit.code]
            last = states.get(rule.lineage)
            due = grants_due(profile, rule, last_label=last, at_us=now)
            for grant in due:
                house.ledger.grant(
                    unit,
                    account_id=account.account_id,
                    amount=grant.amount,
                    cap=grant.cap,
                    lineage=grant.lineage,
                    period=grant.label,
                    at_us=now,
                )
            following = next_grant_us(rule, now, profile.timezone, profile.terms) or now + CHECK_AGAIN_US
            label = due[-1].label if due else last or ""
            self._store.remember(unit, person.id, rule.lineage, label=label, next_us=following)
        if unit.statements:
            await house.db.commit(unit)

    async def for_id(self, person_id: int) -> None:
        """The same by row id; nothing for an unknown one."""
        person = await self._house.people.by_id(person_id)
        if person is not None:
            await self.for_person(person)

    async def catch_up(self) -> None:
        """Housekeeping: everybody whose next period has begun, or who never had one."""
        for person_id in await self._store.due(self._house.clock.now_us(), PEOPLE_PER_PASS):
            person = await self._house.people.by_id(person_id)
            if person is None:
                continue
            try:
                await self.for_person(person)
            except Refusal as refusal:
                log.warning("grant.refused", person_id=person.public_id, code=refusal.code)
