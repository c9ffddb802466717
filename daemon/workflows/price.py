"""Prices: what a job costs a person on a printer, and what it takes from which pot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from daemon.accounting.allowance import amounts, charges
from daemon.accounting.pricing import quote
from daemon.kernel.money import Amount, unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.accounting.allowance import Profile
    from daemon.accounting.pricing import Quote
    from daemon.accounting.tariff import Tariff
    from daemon.db.unit import Unit as DbUnit
    from daemon.jobs.job import Job
    from daemon.kernel.counts import Counts
    from daemon.kernel.money import Unit
    from daemon.people.person import Person
    from daemon.workflows.house import House


@dataclass(frozen=True, slots=True)
class Priced:
    """A quote, what it takes per unit code, and the amount shown as *the price*: that in the person's first unit."""

    quote: Quote
    charges: dict[str, int]
    price: Amount


class Prices:
    """Quotes for people at printers."""

    def __init__(self, house: House, *, default_tariff: str) -> None:
        self._house = house
        self._default_tariff = default_tariff

    async def at(self, person: Person, counts: Counts, *, tariff: str, printer: str) -> Priced:
        """The price of `counts` for a person on a printer that names `tariff`."""
        before = await self.volume(person.id)
        return self.with_volume(person, counts, tariff=tariff, printer=printer, impressions_before=before)

    def with_volume(
        self, person: Person, counts: Counts, *, tariff: str, printer: str, impressions_before: int
    ) -> Priced:
        """The same with this month's impressions already known: settlement prices from the base of the quote."""
        rate = self._house.rates.tariff(tariff)
        return self.with_tariff(person, counts, tariff=rate, printer=printer, impressions_before=impressions_before)

    def with_tariff(
        self, person: Person, counts: Counts, *, tariff: Tariff, printer: str, impressions_before: int
    ) -> Priced:
        """The same by a tariff in hand: settlement prices by the very tariff the quote was made by."""
        priced = quote(tariff, counts, impressions_before=impressions_before, printer=printer)
        return self.of(self._house.rates.profile(person.profile), priced)

    def as_quoted(
        self,
        counts: Counts,
        *,
        tariff: Tariff,
        printer: str,
        impressions_before: int,
        units: Sequence[str],
        shown_in: str,
    ) -> Priced:
        """The price of what came out, in the very units that were quoted, whatever the payer's profile says by now."""
        priced = quote(tariff, counts, impressions_before=impressions_before, printer=printer)
        taken = {code: amount for code, amount in amounts(priced).items() if code in units}
        return Priced(priced, taken, Amount(unit_of(shown_in), amounts(priced).get(shown_in, 0)))

    def of(self, profile: Profile, priced: Quote) -> Priced:
        """What a quote takes from the pots of a profile."""
        taken = charges(profile, priced)
        return Priced(priced, taken, shown(profile, priced, taken))

    def unit_shown(self, person: Person) -> Unit:
        """The unit a person's prices and balance are shown in."""
        profile = self._house.rates.profile(person.profile)
        return profile.pots[0].unit if profile.pots else self._house.rates.tariff(self._default_tariff).unit

    async def volume(self, person_id: int) -> int:
        """Impressions of a person this calendar month, charged or under way: the base of volume steps."""
        return await self._house.deliveries.volume_since(person_id, self._month_start_us())

    def require_volume(self, unit: DbUnit, person_id: int, *, tariff: str, volume: int) -> None:
        """Append that nothing else of the person was released meanwhile, where the tariff has volume steps."""
        if self._house.rates.tariff(tariff).steps:
            self._house.deliveries.require_volume(unit, person_id, self._month_start_us(), volume=volume)

    async def first_price(self, job: Job, counts: Counts) -> Amount | None:
        """What a job would cost its owner at the house tariff, before a printer is known; None without an owner."""
        person = await self._house.people.by_id(job.person_id) if job.person_id else None
        if person is None:
            return None
        return (await self.at(person, counts, tariff=self._default_tariff, printer="")).price

    def _month_start_us(self) -> int:
        now = datetime.fromtimestamp(self._house.clock.now_us() / 1_000_000, UTC)
        local = now.astimezone(ZoneInfo(self._house.timezone))
        start = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return int(start.timestamp()) * 1_000_000


def shown(profile: Profile, priced: Quote, taken: dict[str, int]) -> Amount:
    """The amount a person sees as the price: in the unit of the profile's first pot, else the tariff's money."""
    if profile.pots:
        unit = profile.pots[0].unit
        return Amount(unit, taken.get(unit.code, 0))
    return Amount(priced.unit, priced.price)
