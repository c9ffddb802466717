"""People: added by an administrator or by their first print, stopped, let in again, given a way to sign in.

A person, their accounts and their credential are written in one unit; the first grants follow, and are repeated by
housekeeping if the machine dies between the two.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from daemon.accounting.store import LedgerStore
from daemon.auth import permissions, pins
from daemon.auth.credentials import Credentials
from daemon.auth.identity import KEYPAD
from daemon.auth.store import AuthStore
from daemon.db.database import Database
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.clock import Clock
from daemon.kernel.errors import BadInput, Conflict, NotFound
from daemon.kernel.events import Event
from daemon.kernel.ids import Dice, new_id
from daemon.people import names
from daemon.people.person import NewPerson, Origin, Person
from daemon.people.store import PeopleStore
from daemon.workflows.parts import Rates

log = structlog.get_logger(__name__)

AUTO = "auto"
ADMIN = "admin"
"""The role that must not die out; only a command on the machine itself may take the last one away."""


class NameTaken(Conflict):
    """Somebody else has this name, alias or PIN."""

    code = "name-taken"


class LastAdmin(Conflict):
    """Nobody active with a password would be an administrator any more."""

    code = "last-admin"


class ProfileUnknown(BadInput):
    """No profile of that name in the configuration."""

    code = "profile-unknown"


@dataclass(frozen=True, slots=True)
class PeopleRules:
    """What the site decided about people."""

    default_profile: str
    site: str = "main"
    strip_domains: bool = True
    mail_domain: str = ""


@dataclass(frozen=True, slots=True)
class PersonDraft:
    """Somebody to add, as typed; `pin` may be `auto`, `password` empty for none yet."""

    name: str
    display_name: str = ""
    email: str = ""
    pin: str = AUTO
    profile: str = ""
    site: str = ""
    language: str = ""
    password: str = ""
    roles: Sequence[str] = ()

    def __repr__(self) -> str:
        return f"PersonDraft({self.name!r})"


class PeopleDesk:
    """Reads and changes of people. Implements `workflows.parts.People`."""

    def __init__(
        self,
        *,
        db: Database,
        store: PeopleStore,
        auth: AuthStore,
        credentials: Credentials,
        ledger: LedgerStore,
        rates: Rates,
        clock: Clock,
        dice: Dice,
        rules: PeopleRules,
    ) -> None:
        self.store = store
        self._db = db
        self._auth = auth
        self._credentials = credentials
        self._ledger = ledger
        self._rates = rates
        self._clock = clock
        self._dice = dice
        self._rules = rules
        self._grant: Callable[[int], Awaitable[None]] | None = None

    def grant_with(self, grant: Callable[[int], Awaitable[None]]) -> None:
        """Say how somebody new gets the first allowances (set once, when the house stands)."""
        self._grant = grant

    # ----- reads -----
    async def by_id(self, person_id: int) -> Person | None:
        """By row id."""
        return await self.store.by_id(person_id)

    async def by_name(self, name: str) -> Person | None:
        """By network name or alias in any spelling, active or not; what cannot be a name is nobody's."""
        try:
            return await self.store.by_name(self._normalised(name))
        except names.BadName:
            return None

    async def find(self, name_or_id: str) -> Person:
        """By public id or name, as administrators type it.

        Raises:
            NotFound: nobody.
        """
        person = await self.store.by_public(name_or_id) or await self.by_name(name_or_id)
        if person is None:
            raise NotFound(f"nobody is called {name_or_id!r}", code="user-unknown")
        return person

    # ----- changes -----
    async def add(self, draft: PersonDraft, *, actor: str, also: Callable[[Unit], None] | None = None) -> Person:
        """A new person with accounts, and with a password where one is given; `also` joins the same write.

        Raises:
            BadName, ProfileUnknown, PinRefused, PasswordRefused, RoleUnknown: not as typed.
            NameTaken, PinTaken: somebody has it.
        """
        name = self._normalised(draft.name)
        if await self.store.by_name(name) is not None:
            raise NameTaken(f"{name!r} exists already")
        for role in draft.roles:
            permissions.check_role(role)
        pin = await self._pin(draft.pin)
        stored = None
        if draft.password:
            stored = await self._credentials.prepare(draft.password, is_initial=True)
        new = self._new(draft, name=name, pin=pin, origin="admin")
        unit = Unit()
        self._append(unit, new, actor=actor)
        for role in draft.roles:
            self.store.grant_role(unit, new.public_id, role)
        if stored is not None:
            self._credentials.append_new(unit, public_id=new.public_id, stored=stored)
        if also is not None:
            also(unit)
        return await self._write(unit, new)

    async def create_at_first_print(self, name: str) -> Person:
        """A person for a name seen for the first time: default profile, a PIN, no way to sign in yet.

        Where the site says in which domain people have their mail, a link to choose a password goes there. Two first
        jobs at once make one person.

        Raises:
            BadName: it cannot be a network name.
        """
        clean = self._normalised(name)
        draft = PersonDraft(clean, email=self._mail_of(clean))
        new = self._new(draft, name=clean, pin=await self._pin(AUTO), origin="first-print")
        unit = Unit()
        self._append(unit, new, actor="system")
        try:
            person = await self._write(unit, new)
        except (NameTaken, UnitRefused):
            known = await self.store.by_name(clean)
            if known is None:
                raise
            return known
        if person.email:
            await self._credentials.send_link(person.id, actor="system")
        return person

    async def change(
        self, person: Person, *, display_name: str | None = None, email: str | None = None, actor: str
    ) -> Person:
        """Another full name or mail address; None leaves it. Links already mailed stay good.

        Raises:
            BadName: not as typed.
            UnitRefused: `conflict`, somebody else changed them since `person` was read.
        """
        shown = person.display_name if display_name is None else names.printable(display_name, what="a full name")
        address = person.email if email is None else names.email_address(email)
        changed = {"display_name": shown != person.display_name, "email": address != person.email}
        if not any(changed.values()):
            return person
        now = self._clock.now_us()
        unit = Unit()
        self.store.set_contact(unit, person, display_name=shown, email=address)
        unit.event(Event("user.changed", person.public_id, person.id), now)
        detail: dict[str, object] = {"changed": [key for key, is_new in changed.items() if is_new]}
        unit.audit(actor=actor, action="user.changed", subject=person.public_id, detail=detail, at_us=now)
        await self._db.commit(unit)
        return await self.find(person.public_id)

    async def wish(self, person: Person, *, release_on_tap: bool | None, actor: str) -> Person:
        """Whether a tap of this person begins to print everything that waits; None follows the site."""
        if person.release_on_tap == release_on_tap:
            return person
        now = self._clock.now_us()
        unit = Unit()
        self.store.set_release_on_tap(unit, person, release_on_tap)
        unit.event(Event("user.changed", person.public_id, person.id), now)
        detail: dict[str, object] = {"release_on_tap": release_on_tap}
        unit.audit(actor=actor, action="user.changed", subject=person.public_id, detail=detail, at_us=now)
        await self._db.commit(unit)
        return await self.find(person.public_id)

    async def disable(self, person: Person, *, actor: str) -> Person:
        """Nobody signs in as this person any more; every session, stream and mailed link ends now."""
        return await self._switch(person, is_active=False, actor=actor)

    async def enable(self, person: Person, *, actor: str) -> Person:
        """The person may sign in again, with the same password."""
        return await self._switch(person, is_active=True, actor=actor)

    async def unlock(self, person: Person, *, actor: str) -> None:
        """Forget wrong passwords: waits end, a disabled password works again."""
        await self._credentials.unlock(person.id, actor=actor)

    async def set_password(self, person: Person, secret: str, *, kind: str, actor: str) -> None:
        """A new password; everything open under the old one ends.

        Raises:
            PasswordRefused: too short, too common, the person's own name, or a kind this site does not have.
        """
        if kind == KEYPAD:
            await self._credentials.set_keypad(person.id, secret, actor=actor)
        else:
            await self._credentials.set_password(person.id, secret, actor=actor, is_initial=True)

    def password_note(self, person: Person, secret: str) -> str:
        """Why this password is good only to begin with; empty when the person could have chosen it themselves."""
        names = (person.name, *person.display_name.split(), person.email.split("@", 1)[0])
        why = self._credentials.weakness(secret, names=names) if secret else ""
        return f"good only to begin with: {why}" if why else ""

    async def send_link(self, person: Person, *, actor: str) -> str:
        """Mail a link to choose a password; the address it goes to.

        Raises:
            NoMailAddress: the person has none.
        """
        await self._credentials.send_link(person.id, actor=actor)
        return person.email

    @property
    def profiles(self) -> Sequence[str]:
        """Names of the profiles somebody can have, the usual one first."""
        usual = self._rules.default_profile
        return (usual, *sorted(name for name in self._rates.profiles if name != usual))

    # ----- inside -----
    def _normalised(self, name: str) -> str:
        return names.normalise(name, strip_domains=self._rules.strip_domains)

    def _mail_of(self, name: str) -> str:
        """Where somebody of this network name has mail; empty where the site does not say, or it cannot be one."""
        if not self._rules.mail_domain:
            return ""
        try:
            return names.email_address(f"{name.partition('@')[0]}@{self._rules.mail_domain}")
        except names.BadName:
            return ""

    def _new(self, draft: PersonDraft, *, name: str, pin: str, origin: Origin) -> NewPerson:
        return NewPerson(
            public_id=new_id(self._dice),
            name=name,
            display_name=names.printable(draft.display_name, what="a full name"),
            email=names.email_address(draft.email),
            pin=pin,
            profile=self._profile(draft.profile),
            site=draft.site or self._rules.site,
            language=names.printable(draft.language, what="a language", chars_max=16),
            origin=origin,
            created_at_us=self._clock.now_us(),
        )

    def _profile(self, name: str) -> str:
        wanted = name or self._rules.default_profile
        if wanted not in self._rates.profiles:
            known = ", ".join(sorted(self._rates.profiles))
            raise ProfileUnknown(f"no profile {wanted!r} in the configuration; there are: {known}")
        return wanted

    async def _pin(self, wanted: str) -> str:
        if wanted != AUTO:
            pin = pins.check(wanted)
            if await self.store.has_pin(pin):
                raise pins.PinTaken("somebody has this PIN already; leave it to be chosen")
            return pin
        return await self._credentials.free_pin()

    def _append(self, unit: Unit, new: NewPerson, *, actor: str) -> None:
        self.store.insert(unit, new)
        self._ledger.account_store.open_new(unit, new.public_id, self._rates.profile(new.profile))
        detail: dict[str, object] = {"profile": new.profile, "site": new.site, "origin": new.origin}
        unit.audit(actor=actor, action="user.added", subject=new.public_id, detail=detail, at_us=new.created_at_us)
        unit.event(Event("user.added", new.public_id), new.created_at_us)

    async def _write(self, unit: Unit, new: NewPerson) -> Person:
        try:
            await self._db.commit(unit)
        except UnitRefused as refused:
            if refused.code == "name-taken":
                raise NameTaken(f"{new.name!r} or its PIN was taken at the same moment") from refused
            raise
        person = await self.store.by_public(new.public_id)
        if person is None:
            raise NotFound
        if self._grant is not None:
            await self._grant(person.id)
        log.info("user.added", user_id=person.public_id, origin=new.origin)
        return person

    async def _switch(self, person: Person, *, is_active: bool, actor: str) -> Person:
        now = self._clock.now_us()
        action = "user.enabled" if is_active else "user.disabled"
        if person.is_active != is_active:
            unit = Unit()
            self.store.set_active(unit, person, is_active=is_active)
            if not is_active and ADMIN in await self.store.roles(person.id) and not actor.startswith("local:"):
                self.store.require_holder(unit, ADMIN)
            self._auth.void_sessions(unit, person_id=person.id, at_us=now)
            unit.event(Event(action, person.public_id, person.id), now)
            unit.audit(actor=actor, action=action, subject=person.public_id, detail={}, at_us=now)
            try:
                await self._db.commit(unit)
            except UnitRefused as refused:
                if refused.code == LastAdmin.code:
                    raise LastAdmin("somebody must stay an administrator") from refused
                raise
        return await self.find(person.public_id)
