"""Tickets: what a terminal carries from one request to the next, sealed so that it can neither read nor make one.

A *password ticket* says whose card was tapped; the password completes it. A *link ticket* holds the read of an
unknown card until somebody signs in and links it, so the number itself never lies anywhere in between. Both are good
for minutes, at the terminal they were given to.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.auth.keys import SealBroken
from daemon.kernel.clock import US_PER_S

if TYPE_CHECKING:
    from daemon.auth.keys import SecretBox
    from daemon.kernel.clock import Clock

PASSWORD_TICKET_S = 120
LINK_TICKET_S = 300
TICKET_CHARS_MAX = 4000
_PASSWORD = "sign-in-ticket"  # noqa: S105  -- the place a value is sealed for, no secret
_LINK = "card-link-ticket"


@dataclass(frozen=True, slots=True)
class PasswordTicket:
    """Whose card was tapped."""

    person_id: int
    card_id: int


@dataclass(frozen=True, slots=True)
class LinkTicket:
    """An unknown card: the format it was read by, and the read."""

    format: str
    raw: str
    reader: str = ""

    def __repr__(self) -> str:
        return f"LinkTicket({self.format!r})"


class Tickets:
    """Seals and opens tickets."""

    def __init__(self, box: SecretBox, clock: Clock) -> None:
        self._box = box
        self._clock = clock

    def for_password(self, ticket: PasswordTicket, *, terminal_id: int) -> str:
        """Good for two minutes."""
        return self._sealed([ticket.person_id, ticket.card_id], _PASSWORD, terminal_id, PASSWORD_TICKET_S)

    def password(self, text: str, *, terminal_id: int) -> PasswordTicket | None:
        """What the ticket says; None when it is not ours, too old, or another terminal's."""
        says = self._opened(text, _PASSWORD, terminal_id)
        return PasswordTicket(*says) if says else None

    def for_link(self, ticket: LinkTicket, *, terminal_id: int) -> str:
        """Good for five minutes."""
        return self._sealed([ticket.format, ticket.raw, ticket.reader], _LINK, terminal_id, LINK_TICKET_S)

    def link(self, text: str, *, terminal_id: int) -> LinkTicket | None:
        """What the ticket says; None when it is not ours, too old, or another terminal's."""
        says = self._opened(text, _LINK, terminal_id)
        return LinkTicket(*says) if says else None

    def _sealed(self, says: list[Any], place: str, terminal_id: int, life_s: int) -> str:
        until = self._clock.now_us() + life_s * US_PER_S
        text = json.dumps([terminal_id, until, *says]).encode()
        return base64.urlsafe_b64encode(self._box.seal(text, place=place)).decode("ascii")

    def _opened(self, text: str, place: str, terminal_id: int) -> list[Any]:
        try:
            sealed = base64.urlsafe_b64decode(text[:TICKET_CHARS_MAX].encode("ascii"))
            where, until, *says = json.loads(self._box.open(sealed, place=place))
        except (SealBroken, ValueError):
            return []
        return says if where == terminal_id and self._clock.now_us() < until else []
