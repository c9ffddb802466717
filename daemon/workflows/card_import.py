"""Cards from a file: every row is judged by itself, tried first, written only when asked to.

A row is written or refused by the very rules of one card at the desk, so what is in the file cannot be more than what
an administrator could type. Rows that are fine go in also when others are not; a file applied twice changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.kernel.errors import BadInput, Conflict, Refusal
from daemon.workflows.card_enrolment import CardDraft

if TYPE_CHECKING:
    from daemon.auth.permissions import Actor
    from daemon.people.person import Person
    from daemon.workflows.card_enrolment import CardEnrolment
    from daemon.workflows.people import PeopleDesk

ROWS_MAX = 1000
"""Of one request; longer files come in several."""


class CardTwice(Conflict):
    """The same card stands in the file before, for somebody else or for the same person."""

    code = "card-twice"


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A row as it stands in the file; `line` is what problems are told by."""

    line: int
    user: str
    raw: str
    format: str = ""
    label: str = ""
    expires: str = ""

    def __repr__(self) -> str:
        return f"ImportRow({self.line})"


class CardImport:
    """Tries and applies rows."""

    def __init__(self, cards: CardEnrolment, people: PeopleDesk) -> None:
        self._cards = cards
        self._people = people

    async def run(self, rows: Sequence[ImportRow], *, apply: bool, actor: Actor) -> dict[str, Any]:
        """What would become, or became, of each row: added, unchanged or refused, the latter with code and reason.

        Raises:
            BadInput: more rows than one request may have.
        """
        if len(rows) > ROWS_MAX:
            raise BadInput(f"at most {ROWS_MAX} rows at once")
        seen: dict[bytes, int] = {}
        new_of: Counter[int] = Counter()
        items = [await self._row(row, seen, new_of, apply=apply, actor=actor) for row in rows]
        counts = Counter(item["state"] for item in items)
        return {
            "items": items,
            "applied": apply,
            "added": counts["added"],
            "unchanged": counts["unchanged"],
            "refused": counts["refused"],
        }

    async def _row(
        self, row: ImportRow, seen: dict[bytes, int], new_of: Counter[int], *, apply: bool, actor: Actor
    ) -> dict[str, Any]:
        told: dict[str, Any] = {"line": row.line, "user": row.user}
        try:
            person = await self._people.find(row.user)
            expires = self._cards.expiry(row.expires)
            draft = CardDraft(row.raw, row.format, row.label, expires)
            value = self._cards.value(draft)
            if value in seen:
                raise CardTwice(f"the card of line {seen[value]} again")
            seen[value] = row.line
            if apply:
                linked = await self._cards.enrol(person, draft, by=actor.name, how="import")
                state = "added" if linked.is_new else "unchanged"
                return told | {"state": state, "card_id": linked.card.public_id}
            return told | {"state": await self._tried(person, draft, new_of)}
        except Refusal as refusal:
            return told | {"state": "refused", "code": refusal.code, "message": refusal.message}

    async def _tried(self, person: Person, draft: CardDraft, new_of: Counter[int]) -> str:
        """What writing it would come to, counting what rows before would have added for this person."""
        if not await self._cards.would_add(person, draft, more=new_of[person.id]):
            return "unchanged"
        new_of[person.id] += 1
        return "added"
