"""/api/v1/users: people."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from daemon.auth import permissions as p
from daemon.auth.permissions import Actor
from daemon.kernel.errors import BadInput
from daemon.people.person import Person
from daemon.web.api import shapes
from daemon.web.api.access import PAGE_DEFAULT, After, Limit, Services, needs, position
from daemon.workflows.people import PersonDraft

router = APIRouter(prefix="/users", tags=["users"])

Reads = Annotated[Actor, Depends(needs(p.USERS_READ))]
Writes = Annotated[Actor, Depends(needs(p.USERS_WRITE))]
Unlocks = Annotated[Actor, Depends(needs(p.USERS_UNLOCK))]
SetsPasswords = Annotated[Actor, Depends(needs(p.USERS_PASSWORD))]


WISHES: dict[str, bool | None] = {"on": True, "off": False, "site": None}
"""What people may wish for their taps; None follows the site."""


class NewUser(BaseModel):
    """A person to add; `pin` is `auto` or 4 to 12 digits."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=256)
    display_name: str = Field("", max_length=256)
    email: str = Field("", max_length=256)
    pin: str = Field("auto", max_length=16)
    password: str = Field("", max_length=2048, repr=False)
    profile: str = Field("", max_length=64)
    site: str = Field("", max_length=64)
    language: str = Field("", max_length=16)
    roles: list[Annotated[str, Field(max_length=64)]] = Field(default_factory=list, max_length=16)


class UserChange(BaseModel):
    """What to change about a person."""

    model_config = ConfigDict(extra="forbid")

    display_name: str | None = Field(None, max_length=256)
    email: str | None = Field(None, max_length=256)
    release_on_tap: Literal["on", "off", "site"] | None = Field(
        None, description="Whether a tap begins to print everything that waits; site: as the site says."
    )


class NewPassword(BaseModel):
    """Either a new secret or `link`: true, which mails a link to choose one."""

    model_config = ConfigDict(extra="forbid")

    password: str = Field("", max_length=2048, repr=False)
    kind: Literal["password", "keypad-password"] = "password"
    link: bool = False


async def _show(services: Services, person: Person) -> dict[str, Any]:
    store = services.people.store
    return shapes.user(
        person,
        roles=await store.roles(person.id),
        cards=await store.cards(person.id),
        aliases=await store.aliases(person.id),
        has_password=await store.has_password(person.id),
        locks=await store.locks(person.id, now_us=services.clock.now_us()),
    )


def _noted(services: Services, person: Person, secret: str) -> dict[str, str]:
    """`password_note`, where an administrator's choice falls short of what people must choose themselves."""
    note = services.people.password_note(person, secret)
    return {"password_note": note} if note else {}


@router.get("")
async def list_users(
    services: Services, _actor: Reads, limit: Limit = PAGE_DEFAULT, after: After = "", contains: str = ""
) -> dict[str, Any]:
    """People in the order they were added."""
    found = await services.people.store.page(
        after_id=position(after), limit=limit, contains=contains.strip().casefold()[:128]
    )
    items = [shapes.user(person) for person in found]
    return {"items": items, "next": str(found[-1].id) if len(found) == limit else None}


@router.post("", status_code=201)
async def add_user(services: Services, actor: Writes, new: NewUser) -> dict[str, Any]:
    """Add a person; the PIN is in the answer."""
    if new.roles:
        actor.require(p.ROLES_WRITE)
    if new.password:
        actor.require(p.USERS_PASSWORD)
    draft = PersonDraft(**new.model_dump())
    person = await services.people.add(draft, actor=actor.name)
    return await _show(services, person) | _noted(services, person, new.password)


@router.get("/{user}")
async def show_user(services: Services, _actor: Reads, user: str) -> dict[str, Any]:
    """One person, by id or network name."""
    return await _show(services, await services.people.find(user))


@router.patch("/{user}")
async def change_user(services: Services, actor: Writes, user: str, change: UserChange) -> dict[str, Any]:
    """Change the full name, the mail address or what a tap does; what is left out stays."""
    person = await services.people.find(user)
    given = change.model_dump()
    wish = given.pop("release_on_tap")
    person = await services.people.change(person, **given, actor=actor.name)
    if wish is not None:
        person = await services.people.wish(person, release_on_tap=WISHES[wish], actor=actor.name)
    return await _show(services, person)


@router.post("/{user}/address")
async def new_address(services: Services, actor: SetsPasswords, user: str) -> dict[str, Any]:
    """A secret printer address that prints as this person; shown once, and the one before stops working."""
    person = await services.people.find(user)
    secret = await services.tokens.new_address(person.id, public_id=person.public_id, actor=actor.name)
    return {"user_id": person.public_id, "name": person.name, "urls": services.personal_urls(secret)}


@router.post("/{user}/disable")
async def disable_user(services: Services, actor: Writes, user: str) -> dict[str, Any]:
    """Stop a person from signing in; every session ends. Repeating it changes nothing."""
    return await _show(services, await services.people.disable(await services.people.find(user), actor=actor.name))


@router.post("/{user}/enable")
async def enable_user(services: Services, actor: Writes, user: str) -> dict[str, Any]:
    """Let a disabled person sign in again."""
    return await _show(services, await services.people.enable(await services.people.find(user), actor=actor.name))


@router.post("/{user}/unlock")
async def unlock_user(services: Services, actor: Unlocks, user: str) -> dict[str, Any]:
    """Clear the counts of wrong passwords."""
    person = await services.people.find(user)
    await services.people.unlock(person, actor=actor.name)
    return await _show(services, person)


@router.post("/{user}/password")
async def set_password(services: Services, actor: SetsPasswords, user: str, new: NewPassword) -> dict[str, Any]:
    """Set a password, or mail a link to choose one."""
    person = await services.people.find(user)
    if new.link == bool(new.password):
        raise BadInput("either a password or link", code="bad-input")
    if new.link:
        mailed_to = await services.people.send_link(person, actor=actor.name)
        return {"user_id": person.public_id, "name": person.name, "mailed_to": mailed_to}
    await services.people.set_password(person, new.password, kind=new.kind, actor=actor.name)
    noted = _noted(services, person, new.password) if new.kind == "password" else {}
    return {"user_id": person.public_id, "name": person.name} | noted
