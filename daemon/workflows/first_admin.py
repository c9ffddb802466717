"""The first administrator: whoever holds the token that `holdfast init` printed makes one person who may do everything.

It works once. From then on, and in a house that got its administrators by command, there is nothing to set up and the
page answers as if it did not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from daemon.auth import permissions
from daemon.auth.tokens import NotSignedIn
from daemon.kernel.errors import NotFound

if TYPE_CHECKING:
    from daemon.auth.credentials import Credentials
    from daemon.auth.tokens import Tokens
    from daemon.db.unit import Unit
    from daemon.people.person import Person
    from daemon.workflows.people import PeopleDesk, PersonDraft

log = structlog.get_logger(__name__)

ROLE = "admin"
TOKEN_NAME = "setup"  # noqa: S105  -- the name `init` gives its token


class SetupDone(NotFound):
    """Somebody is an administrator already."""

    code = "setup-done"


class FirstAdmin:
    """Open until somebody is an administrator."""

    def __init__(self, people: PeopleDesk, credentials: Credentials, tokens: Tokens) -> None:
        self._people = people
        self._credentials = credentials
        self._tokens = tokens

    async def is_open(self) -> bool:
        """Whether nobody has ever been made an administrator here."""
        return not await self._people.store.was_set_up(ROLE)

    async def has_token(self) -> bool:
        """Whether the token of `init` still opens the API."""
        return any(one.name == TOKEN_NAME and one.revoked_at_us is None for one in await self._tokens.list())

    async def make(self, token: str, draft: PersonDraft) -> Person:
        """The first administrator, with the password they chose.

        Raises:
            SetupDone: there is one, or two did this at once and the other was first.
            NotSignedIn: no token of an administrator.
            PasswordRefused, BadName, NameTaken, PinTaken: not as typed; the token still works.
        """
        if not await self.is_open():
            raise SetupDone
        actor = await self._tokens.actor(token.strip())
        if not actor.may(permissions.ROLES_WRITE):
            raise NotSignedIn("this token is not an administrator's")
        self._credentials.check(draft.password, names=(draft.name, draft.display_name, draft.email))

        def once(unit: Unit) -> None:
            self._people.store.set_up(unit, ROLE)

        person = await self._people.add(draft, actor=actor.name, also=once)
        log.info("setup.done", user_id=person.public_id)
        return person
