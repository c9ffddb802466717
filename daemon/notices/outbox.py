"""The outbox: a mail is appended to the change that causes it, so neither happens without the other.

What a mail says is sealed in the store (it may carry a link or a title) and forgotten once it has left.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Protocol

import structlog

from daemon.db.unit import Unit
from daemon.kernel.clock import US_PER_S
from daemon.kernel.ids import new_id
from daemon.notices.templates import Letterhead, write

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice
    from daemon.notices.mail_store import MailRow, MailStore

log = structlog.get_logger(__name__)

DEDUPE_CHARS_MAX = 200
KEEP_US = 30 * 86_400 * US_PER_S
ADDRESS_CHARS_MAX = 254


class Seal(Protocol):
    """The secret box."""

    def seal(self, plain: bytes, *, place: str) -> bytes: ...

    def open(self, sealed: bytes, *, place: str) -> bytes: ...


class Recipient(Protocol):
    """Whoever a mail goes to."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def display_name(self) -> str: ...

    @property
    def email(self) -> str: ...

    @property
    def language(self) -> str: ...


class Outbox:
    """Writes mails; `daemon.notices.sender` sends them."""

    def __init__(self, store: MailStore, *, seal: Seal, clock: Clock, dice: Dice, letterhead: Letterhead) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock
        self._dice = dice
        self._letterhead = letterhead

    def notify(self, unit: Unit, kind: str, person: Recipient, *, dedupe: str, facts: Mapping[str, object]) -> None:
        """Append a mail of this kind to a person; without an address, or said before (`dedupe`), nothing is added."""
        if not is_address(person.email):
            return
        name = person.display_name or person.name
        written = write(kind, person=name, language=person.language, facts=facts, letterhead=self._letterhead)
        self.append(
            unit,
            dedupe_key=dedupe,
            kind=kind,
            person_id=person.id,
            recipient=person.email,
            subject=written.subject,
            text=written.text,
        )

    def append(
        self, unit: Unit, *, dedupe_key: str, kind: str, person_id: int | None, recipient: str, subject: str, text: str
    ) -> None:
        """Append a mail already written."""
        public_id = new_id(self._dice)
        self._store.insert(
            unit,
            public_id=public_id,
            dedupe_key=dedupe_key[:DEDUPE_CHARS_MAX],
            kind=kind,
            person_id=person_id,
            recipient=recipient,
            subject=self._sealed(subject, public_id, "subject"),
            text=self._sealed(text, public_id, "text"),
            at_us=self._clock.now_us(),
        )

    async def prune(self) -> None:
        """Housekeeping: forget mails written a month ago, also those no server was ever there for."""
        unit = Unit()
        self._store.prune(unit, before_us=self._clock.now_us() - KEEP_US)
        await self._store.commit(unit)

    def read(self, mail: MailRow) -> tuple[str, str]:
        """Subject and text of a mail that waits."""
        return self._opened(mail.subject, mail.public_id, "subject"), self._opened(mail.text, mail.public_id, "text")

    def _sealed(self, text: str, public_id: str, part: str) -> str:
        return base64.b64encode(self._seal.seal(text.encode(), place=f"mail:{public_id}:{part}")).decode("ascii")

    def _opened(self, sealed: str, public_id: str, part: str) -> str:
        return self._seal.open(base64.b64decode(sealed), place=f"mail:{public_id}:{part}").decode()


def is_address(text: str) -> bool:
    """Whether this can stand in a To header as it is: one address, no control characters, no list, no comment."""
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or len(text) > ADDRESS_CHARS_MAX:
        return False
    return all("!" <= char <= "~" and char not in '<>()[],;:"\\' for char in local + domain)
