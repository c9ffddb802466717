"""What is proven by holding a long random value: API tokens and personal queue addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.auth import permissions
from daemon.auth.identity import Identity
from daemon.auth.sessions import hashed, new_token
from daemon.db.unit import Unit
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import Refusal
from daemon.kernel.events import Event
from daemon.kernel.ids import new_id

if TYPE_CHECKING:
    from daemon.auth.permissions import Actor
    from daemon.auth.service import SignIn
    from daemon.auth.store import AuthStore
    from daemon.auth.token_store import ApiToken, TokenStore
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice

API_PREFIX = "hfa_"
TOKEN_CHARS_MAX = 100
NAME_CHARS_MAX = 64
USED_EVERY_US = 60 * US_PER_S
ADDRESS_CHARS = 26


class NotSignedIn(Refusal):
    """No token, or one that is unknown, expired or revoked."""

    code = "not-signed-in"


@dataclass(frozen=True, slots=True)
class NewApiToken:
    """The one copy of a token's value."""

    token: str

    def __repr__(self) -> str:
        return "NewApiToken(...)"


class Tokens:
    """Makes and recognises them; only hashes are stored."""

    def __init__(self, db: Database, store: TokenStore, people: AuthStore, *, clock: Clock, dice: Dice) -> None:
        self._db = db
        self._store = store
        self._people = people
        self._clock = clock
        self._dice = dice

    async def create(self, name: str, *, role: str, actor: str, expires_at_us: int | None = None) -> NewApiToken:
        """A new API token with the permissions of `role` at all sites.

        Raises:
            permissions.RoleUnknown: no such role.
            UnitRefused: `name-taken`.
        """
        permissions.check_role(role)
        title = name.strip()
        if not title or len(title) > NAME_CHARS_MAX or not title.isprintable():
            raise Refusal(f"a token's name has 1 to {NAME_CHARS_MAX} printable characters", code="bad-name")
        token = new_token(self._dice, API_PREFIX)
        now = self._clock.now_us()
        unit = Unit()
        self._store.add_api(
            unit, name=title, value=hashed(token), role=role, created_at_us=now, expires_at_us=expires_at_us
        )
        unit.audit(actor=actor, action="token.created", subject=title, detail={"role": role}, at_us=now)
        await self._db.commit(unit)
        return NewApiToken(token)

    async def revoke(self, name: str, *, actor: str) -> None:
        """End a token now.

        Raises:
            UnitRefused: `not-found`.
        """
        now = self._clock.now_us()
        unit = Unit()
        self._store.revoke_api(unit, name=name, at_us=now)
        unit.audit(actor=actor, action="token.revoked", subject=name, detail={}, at_us=now)
        await self._db.commit(unit)

    async def list(self) -> list[ApiToken]:
        """Every token ever made; never a value."""
        return await self._store.all_api()

    async def actor(self, token: str) -> Actor:
        """Who holds this bearer value.

        Raises:
            NotSignedIn: nobody.
        """
        if not token.startswith(API_PREFIX) or len(token) > TOKEN_CHARS_MAX:
            raise NotSignedIn
        now = self._clock.now_us()
        known = await self._store.api(hashed(token), now_us=now)
        if known is None:
            raise NotSignedIn
        if now - (known.last_used_at_us or 0) > USED_EVERY_US:
            unit = Unit()
            self._store.api_used(unit, token_id=known.id, at_us=now)
            await self._db.commit(unit)
        return permissions.actor(f"token:{known.name}", [(known.role, permissions.EVERY_SITE)])

    async def person_actor(self, sign_in: SignIn, name: str, password: str, *, peer: str) -> Actor:
        """The person behind a Basic header, with their roles.

        Raises:
            NotSignedIn: unknown, wrong, locked, switched off, or this address failed too often.
        """
        identity = await sign_in.basic(name, password, peer=peer)
        if identity is None:
            raise NotSignedIn
        roles = await self._people.roles(identity.person_id)
        return permissions.actor(f"user:{identity.person_id}", roles, person_id=identity.person_id)

    async def new_address(self, person_id: int, *, public_id: str, actor: str) -> str:
        """A secret personal queue address (the last part of its path); the one before stops working."""
        secret = new_id(self._dice)
        now = self._clock.now_us()
        unit = Unit()
        self._store.add_address(unit, value=hashed(secret), person_id=person_id, at_us=now)
        unit.event(Event("address.made", public_id, person_id), now)
        unit.audit(actor=actor, action="address.made", subject=public_id, detail={}, at_us=now)
        await self._db.commit(unit)
        return secret

    async def personal(self, secret: str) -> Identity | None:
        """Whose queue address that is; None for unknown, replaced, or a person switched off."""
        if len(secret) != ADDRESS_CHARS:
            return None
        row = await self._store.address(hashed(secret))
        return Identity(row["person_id"], row["public_id"], row["name"], row["session_epoch"]) if row else None
