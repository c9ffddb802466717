"""What the verbs need from their surroundings, as small protocols; the composition root passes the real things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.accounting.allowance import Profile
    from daemon.accounting.pricing import Tariff
    from daemon.db.unit import Unit
    from daemon.people.person import Person


class People(Protocol):
    """Lookup of people, and their creation at first print where the site allows it."""

    async def by_id(self, person_id: int) -> Person | None: ...

    async def by_name(self, name: str) -> Person | None:
        """By network name or alias, active or not."""
        ...

    async def create_at_first_print(self, name: str) -> Person:
        """A new person with the default profile and no way to sign in yet."""
        ...


class Mailer(Protocol):
    """Appends a mail to the change that causes it; sent after the commit."""

    def notify(self, unit: Unit, kind: str, person: Person, *, dedupe: str, facts: Mapping[str, object]) -> None: ...


class Rates(Protocol):
    """Prices and allowances as configured."""

    def tariff(self, name: str) -> Tariff: ...

    async def tariff_at(self, ref: str) -> Tariff:
        """The tariff a quote was made by (`name@digest`), also after the file has changed."""
        ...

    @property
    def profiles(self) -> Mapping[str, Profile]: ...

    def profile(self, name: str) -> Profile: ...

    def remember(self, unit: Unit, name: str, *, at_us: int) -> None:
        """Appends the tariff in force to the unit that quotes by it."""
        ...
