"""What the verbs need from their surroundings, as small protocols; the composition root passes the real things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.accounting.allowance import Profile
    from daemon.accounting.pricing import Tariff
    from daemon.db.unit import Unit
    from daemon.jobs.job import Job


@dataclass(frozen=True, slots=True)
class PersonView:
    """A person as the verbs need them."""

    id: int
    public_id: str
    name: str
    email: str
    profile: str
    language: str
    is_active: bool
    session_epoch: int


class People(Protocol):
    """Lookup of people, and their creation at first print where the site allows it."""

    async def by_id(self, person_id: int) -> PersonView | None: ...

    async def by_name(self, name: str) -> PersonView | None:
        """By network name or alias, active or not."""
        ...

    async def create_at_first_print(self, name: str) -> PersonView:
        """A new person with the default profile and no way to sign in yet."""
        ...


class Mailer(Protocol):
    """Appends a mail to the change that causes it; sent after the commit."""

    def notify(
        self, unit: Unit, kind: str, person: PersonView, *, dedupe: str, facts: Mapping[str, object]
    ) -> None: ...


class Rates(Protocol):
    """Prices and allowances as configured."""

    def tariff(self, name: str) -> Tariff: ...

    def profile(self, name: str) -> Profile: ...


class Watchers(Protocol):
    """Told after a commit that events wait to be read; never carries the truth itself."""

    def nudge(self) -> None: ...


def job_facts(job: Job) -> Mapping[str, object]:
    """What a mail says of a job: its title and times."""
    return {"title": job.title, "held_until_us": job.held_until_us, "created_at_us": job.created_at_us}


def ids_of(jobs: Sequence[Job]) -> list[str]:
    """Public ids, in order."""
    return [job.public_id for job in jobs]
