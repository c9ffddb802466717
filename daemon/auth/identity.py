"""Who somebody is and how they proved it: the values the rest of the house receives from signing in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from daemon.kernel.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.auth.lockout import Attempts
    from daemon.db.unit import Unit

Method = Literal["pin", "card", "card+password", "password", "code"]
"""How a session was opened; the store's words."""

FULL = "password"
KEYPAD = "keypad-password"


class SignInFailed(Refusal):
    """Wrong, unknown, disabled, locked: one answer for all, after the same work."""

    code = "sign-in-failed"


class SignInPaused(Refusal):
    """This terminal or address failed too often; `data["retry_after_s"]`. Says nothing about any person."""

    code = "too-many-tries"


class SessionEnded(Refusal):
    """No session, or it is over: expired, logged out, replaced, or the person changed."""

    code = "session-ended"


class CardsNotAccepted(Refusal):
    """This terminal's policy is to take no cards."""

    code = "cards-not-accepted"


class StepUpNeeded(Refusal):
    """A card alone does not open this; PIN or card with the password does."""

    code = "step-up-needed"


@dataclass(frozen=True, slots=True)
class Credential:
    """One secret of one person, as stored, with its failure counters."""

    kind: str
    encoded: str
    key_id: str
    attempts: Attempts
    changed_at_us: int

    def __repr__(self) -> str:
        return f"Credential({self.kind})"


@dataclass(frozen=True, slots=True)
class Subject:
    """A person as signing in needs them."""

    id: int
    public_id: str
    name: str
    display_name: str
    email: str
    language: str
    site: str
    pin: str
    is_active: bool
    session_epoch: int
    credentials: Mapping[str, Credential]
    release_on_tap: bool | None = None
    """The person's own wish; None follows the site."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What a kiosk session may do with its own jobs and cards.

    A card alone changes nothing but its own queue (S22). A mailed code proves a mailbox for a moment: enough to print
    and to link a card, not to change what stays or to take what others left.
    """

    release: bool = True
    delete: bool = True
    change: bool = True
    claim: bool = True
    titles: bool = True
    link: bool = True
    prefer: bool = True
    anywhere: bool = True
    """Release at printers this terminal does not stand at."""


RIGHTS: dict[str, Rights] = {
    "pin": Rights(),
    "card+password": Rights(),
    "password": Rights(),
    "code": Rights(claim=False, prefer=False),
    "card": Rights(claim=False, titles=False, link=False, prefer=False, anywhere=False),
}


@dataclass(frozen=True, slots=True)
class Session:
    """An open session; `hash` names its row, the bearer value itself is nowhere. Times are microseconds UTC."""

    hash: bytes
    person_id: int
    person_public_id: str
    person_name: str
    language: str
    terminal_id: int | None
    method: Method
    opened_at_us: int
    expires_at_us: int
    absolute_us: int
    card_id: int | None = None
    """The card that took part."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session just opened and the one copy of its bearer value."""

    token: str
    session: Session
    subject: Subject

    def __repr__(self) -> str:
        return f"SignedIn({self.subject.public_id})"


@dataclass(frozen=True, slots=True)
class PasswordNeeded:
    """The card is known; the terminal's policy wants the password too. `ticket` is good for two minutes, here."""

    ticket: str


@dataclass(frozen=True, slots=True)
class Identity:
    """A person proven by Basic or a personal address: enough to print and to be looked up."""

    person_id: int
    public_id: str
    name: str
    epoch: int


class Recipient(Protocol):
    """Whoever a notice goes to."""

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


class Mailer(Protocol):
    """Appends a mail to the change that causes it (the notices' outbox)."""

    def notify(self, unit: Unit, kind: str, person: Recipient, *, dedupe: str, facts: Mapping[str, object]) -> None: ...
