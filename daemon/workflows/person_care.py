"""What administrators change about a person beside their names: the PIN, and the roles that open the console."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from daemon.auth import permissions
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.events import Event
from daemon.workflows.people import ADMIN, LastAdmin

if TYPE_CHECKING:
    from daemon.auth.credentials import Credentials
    from daemon.auth.permissions import Actor
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.people.person import Person
    from daemon.workflows.parts import Mailer
    from daemon.workflows.people import PeopleDesk


class PersonCare:
    """PINs and roles."""

    def __init__(
        self, db: Database, people: PeopleDesk, credentials: Credentials, mailer: Mailer, clock: Clock
    ) -> None:
        self._db = db
        self._people = people
        self._credentials = credentials
        self._mailer = mailer
        self._clock = clock

    async def new_pin(self, person: Person, *, actor: str) -> str:
        """A PIN nobody has, in place of the person's; they are told by mail, without the number.

        Raises:
            PinsExhausted: too many of that length are given out.
            UnitRefused: `pin-taken`, somebody changed it at the same time.
        """
        now = self._clock.now_us()
        pin = await self._credentials.free_pin()
        unit = Unit()
        self._people.store.replace_pin(unit, person, pin)
        unit.event(Event("user.changed", person.public_id, person.id), now)
        unit.audit(actor=actor, action="user.pin-changed", subject=person.public_id, detail={}, at_us=now)
        if person.email:
            dedupe = f"pin-changed:{person.public_id}:{now}"
            self._mailer.notify(unit, "pin-changed", person, dedupe=dedupe, facts={"at_us": now})
        await self._db.commit(unit)
        return pin

    async def set_roles(self, person: Person, roles: Iterable[str], *, actor: Actor) -> list[str]:
        """Exactly these roles for the whole house; roles for single sites stay. Effective with the next request.

        Raises:
            Forbidden: the actor may not give roles.
            RoleUnknown: no such role.
            LastAdmin: it would take the last administrator away.
        """
        actor.require(permissions.ROLES_WRITE)
        wanted = {permissions.check_role(role) for role in roles}
        had = {role for role in await self._people.store.roles(person.id) if "@" not in role}
        if wanted == had:
            return sorted(wanted)
        now = self._clock.now_us()
        unit = Unit()
        for role in sorted(wanted - had):
            self._people.store.grant_role(unit, person.public_id, role)
        for role in sorted(had - wanted):
            self._people.store.revoke_role(unit, person.public_id, role)
        if ADMIN in had - wanted:
            self._people.store.require_holder(unit, ADMIN)
        unit.event(Event("user.changed", person.public_id, person.id), now)
        detail: dict[str, object] = {"before": sorted(had), "after": sorted(wanted)}
        unit.audit(actor=actor.name, action="user.roles-changed", subject=person.public_id, detail=detail, at_us=now)
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            if refused.code == LastAdmin.code:
                raise LastAdmin("somebody must stay an administrator") from refused
            raise
        return sorted(wanted)
