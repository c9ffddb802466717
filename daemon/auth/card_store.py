"""Card rows: the keyed hash, whose it is, until when it works, and the sealed read. The number is nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.auth.store import SUBJECT_COLUMNS, subject_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.auth.identity import Subject
    from daemon.db.database import Database
    from daemon.db.unit import Row, Unit

PAGE_MAX = 500
FORMATS_MAX = 16
_WORKS = "blocked_at_us IS NULL AND (expires_at_us IS NULL OR expires_at_us>:now)"
_CARD = """c.id, c.public_id, c.person_id, c.key_id, c.format, c.label, c.created_at_us, c.created_by, c.expires_at_us,
  c.blocked_at_us, c.last_used_at_us, c.sealed IS NOT NULL AS has_read, p.public_id AS user_id, p.name AS user_name"""


@dataclass(frozen=True, slots=True)
class Tapped:
    """A known card at the moment of a tap, with its person."""

    id: int
    public_id: str
    hash: bytes
    key_id: str
    expires_at_us: int | None
    blocked_at_us: int | None
    has_read: bool
    is_proven: bool
    format: str
    subject: Subject

    def __repr__(self) -> str:
        return f"Tapped({self.public_id})"


@dataclass(frozen=True, slots=True)
class Card:
    """A card as administrators see it; times are microseconds UTC. `has_read`: a sealed read is kept."""

    id: int
    public_id: str
    person_id: int
    key_id: str
    format: str
    label: str
    created_at_us: int
    created_by: str
    expires_at_us: int | None
    blocked_at_us: int | None
    last_used_at_us: int | None
    has_read: bool
    user_id: str
    user_name: str

    def state(self, now_us: int) -> str:
        """active, expired or blocked; a card that is both is blocked."""
        if self.blocked_at_us is not None:
            return "blocked"
        return "expired" if self.expires_at_us is not None and now_us >= self.expires_at_us else "active"


@dataclass(frozen=True, slots=True)
class NewCard:
    """What is written for a new card; `sealed` is its read in the secret box, None where a site keeps none."""

    public_id: str
    person_id: int
    value: bytes
    key_id: str
    format: str
    label: str
    sealed: bytes | None
    created_by: str
    at_us: int
    expires_at_us: int | None

    def __repr__(self) -> str:
        return f"NewCard({self.public_id})"


@dataclass(frozen=True, slots=True)
class KeptRead:
    """A card with its sealed read, for re-keying and for trying a format."""

    id: int
    public_id: str
    hash: bytes
    key_id: str
    format: str
    label: str
    sealed: bytes | None
    user_name: str

    def __repr__(self) -> str:
        return f"KeptRead({self.public_id})"


class CardStore:
    """Cards."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # ----- reads -----
    async def tapped(self, hashes: Sequence[bytes], *, terminal_id: int, day: str) -> Tapped | None:
        """The card with one of these keyed hashes and its person, in one read; None for a card nobody has."""
        rows = await self._db.read(
            f"""SELECT k.id AS card_id, k.public_id AS card_public_id, k.hash AS card_hash, k.key_id AS card_key_id,
                       k.expires_at_us,
                       k.blocked_at_us, k.sealed IS NOT NULL AS has_read, k.format,
                       EXISTS(SELECT 1 FROM card_proof WHERE card_id=k.id AND terminal_id=:terminal AND day=:day)
                         AS is_proven, {SUBJECT_COLUMNS}
                  FROM card k JOIN person p ON p.id=k.person_id LEFT JOIN credential c ON c.person_id=p.id
                 WHERE k.hash IN ({_names(hashes)}) AND p.removed_at_us IS NULL""",
            terminal=terminal_id,
            day=day,
            **_values(hashes),
        )
        subject = subject_of(rows)
        if subject is None:
            return None
        row = rows[0]
        return Tapped(
            id=row["card_id"],
            public_id=row["card_public_id"],
            hash=row["card_hash"],
            key_id=row["card_key_id"],
            expires_at_us=row["expires_at_us"],
            blocked_at_us=row["blocked_at_us"],
            has_read=bool(row["has_read"]),
            is_proven=bool(row["is_proven"]),
            format=row["format"],
            subject=subject,
        )

    async def formats(self) -> list[str]:
        """The formats cards are enrolled in, at most `FORMATS_MAX`."""
        rows = await self._db.read("SELECT DISTINCT format FROM card ORDER BY format LIMIT :most", most=FORMATS_MAX)
        return [row["format"] for row in rows]

    async def by_hashes(self, hashes: Sequence[bytes]) -> Card | None:
        """The card with one of these keyed hashes, whoever has it."""
        return await self._one(f"c.hash IN ({_names(hashes)})", **_values(hashes))

    async def by_public(self, public_id: str) -> Card | None:
        """The card."""
        return await self._one("c.public_id=:id", id=public_id)

    async def page(self, *, person_id: int | None = None, after_id: int = 0, limit: int = PAGE_MAX) -> list[Card]:
        """Cards in the order they were added, of everybody or of one person."""
        whose = "" if person_id is None else "AND c.person_id=:person"
        rows = await self._db.read(
            f"""SELECT {_CARD} FROM card c JOIN person p ON p.id=c.person_id
                 WHERE c.id>:after {whose} ORDER BY c.id LIMIT :most""",
            after=after_id,
            most=max(1, min(limit, PAGE_MAX)),
            **({} if person_id is None else {"person": person_id}),
        )
        return [_card(row) for row in rows]

    async def working(self, person_id: int, *, now_us: int) -> int:
        """How many cards of the person work now."""
        row = await self._db.read_one(
            f"SELECT count(*) AS n FROM card WHERE person_id=:person AND {_WORKS}", person=person_id, now=now_us
        )
        return int(row["n"]) if row else 0

    async def reads(self, *, after_id: int = 0, limit: int = PAGE_MAX) -> list[KeptRead]:
        """Cards with their sealed reads, in order, for everything that looks at all of them."""
        return await self._kept("c.id>:after ORDER BY c.id LIMIT :most", after=after_id, most=limit)

    async def count_by_key(self) -> dict[str, int]:
        """How many cards are stored under each key."""
        rows = await self._db.read("SELECT key_id, count(*) AS n FROM card GROUP BY key_id ORDER BY key_id")
        return {row["key_id"]: row["n"] for row in rows}

    async def just_expired(self, now_us: int, limit: int) -> list[Card]:
        """Temporary cards whose end has come and was not told yet."""
        rows = await self._db.read(
            f"""SELECT {_CARD} FROM card c JOIN person p ON p.id=c.person_id
                 WHERE c.expires_at_us<=:now AND c.expiry_told_at_us IS NULL ORDER BY c.id LIMIT :most""",
            now=now_us,
            most=limit,
        )
        return [_card(row) for row in rows]

    # ----- statements -----
    def insert(self, unit: Unit, new: NewCard, *, hashes: Sequence[bytes], most: int) -> None:
        """Append a card.

        Refused as `card-limit-reached` when the person has `most` that work, as `card-taken` when somebody has it,
        under whichever key (`hashes`). Both are decided inside the write: two people at once cannot both get it.
        """
        self.require_room(unit, person_id=new.person_id, now_us=new.at_us, most=most)
        unit.require(
            f"SELECT 1 WHERE NOT EXISTS(SELECT 1 FROM card WHERE hash IN ({_names(hashes)}))",
            refusal="card-taken",
            **_values(hashes),
        )
        unit.add(
            """INSERT INTO card(public_id, person_id, hash, key_id, format, label, sealed, created_by, created_at_us,
                                expires_at_us)
               VALUES(:public, :person, :hash, :key, :format, :label, :sealed, :by, :at, :expires)""",
            rows=1,
            refusal="card-taken",
            public=new.public_id,
            person=new.person_id,
            hash=new.value,
            key=new.key_id,
            format=new.format,
            label=new.label,
            sealed=new.sealed,
            by=new.created_by,
            at=new.at_us,
            expires=new.expires_at_us,
        )

    def require_room(self, unit: Unit, *, person_id: int, now_us: int, most: int) -> None:
        """Append the condition that fewer than `most` cards of the person work; else `card-limit-reached`."""
        unit.require(
            f"SELECT 1 WHERE (SELECT count(*) FROM card WHERE person_id=:person AND {_WORKS})<:most",
            refusal="card-limit-reached",
            person=person_id,
            now=now_us,
            most=most,
        )

    def used(self, unit: Unit, *, card_id: int, at_us: int) -> None:
        """Append the use of a card; refused as `sign-in-failed` when it was blocked, ended or removed meanwhile."""
        unit.add(
            f"UPDATE card SET last_used_at_us=:now WHERE id=:id AND {_WORKS}",
            rows=1,
            refusal="sign-in-failed",
            now=at_us,
            id=card_id,
        )

    def proven(self, unit: Unit, *, card_id: int, terminal_id: int, day: str) -> None:
        """Append that the password was given with this card at this terminal on this day."""
        unit.add(
            """INSERT INTO card_proof(card_id, terminal_id, day) VALUES(:card, :terminal, :day)
               ON CONFLICT(card_id, terminal_id) DO UPDATE SET day=excluded.day""",
            card=card_id,
            terminal=terminal_id,
            day=day,
        )

    def rehash(
        self,
        unit: Unit,
        *,
        card_id: int,
        old: bytes,
        value: bytes,
        key_id: str,
        format_name: str | None = None,
    ) -> None:
        """Append another keyed hash, decided on `old`; nothing happens when another tap or batch was faster.

        `format_name`: the hash is of this format from now on. Refused as `card-taken` when another card has it.
        """
        unit.add(
            """UPDATE card SET hash=:hash, key_id=:key, format=coalesce(:format, format)
                WHERE id=:id AND hash=:old""",
            format=format_name,
            refusal="card-taken",
            hash=value,
            key=key_id,
            id=card_id,
            old=old,
        )

    def keep_read(self, unit: Unit, *, card_id: int, sealed: bytes, format_name: str) -> None:
        """Append the sealed read of a card that was added without one."""
        unit.add(
            "UPDATE card SET sealed=:sealed, format=:format WHERE id=:id AND sealed IS NULL",
            sealed=sealed,
            format=format_name,
            id=card_id,
        )

    def forget_reads(self, unit: Unit) -> None:
        """Append the end of every kept read, where a site no longer keeps them."""
        unit.add("UPDATE card SET sealed=NULL WHERE sealed IS NOT NULL")

    def describe(self, unit: Unit, card: Card, *, label: str, expires_at_us: int | None) -> None:
        """Append another label and end; a new end is told anew."""
        unit.add(
            """UPDATE card SET label=:label, expires_at_us=:expires,
                 expiry_told_at_us=CASE WHEN coalesce(expires_at_us,0)=coalesce(CAST(:expires AS BIGINT),0)
                   THEN expiry_told_at_us END WHERE id=:id""",
            rows=1,
            refusal="not-found",
            label=label,
            expires=expires_at_us,
            id=card.id,
        )

    def block(self, unit: Unit, card: Card, *, at_us: int) -> None:
        """Append that the card opens nothing any more: its proofs and what it has open end too."""
        unit.add(
            "UPDATE card SET blocked_at_us=:at WHERE id=:id AND blocked_at_us IS NULL",
            rows=1,
            refusal="unchanged",
            at=at_us,
            id=card.id,
        )
        self._end(unit, card, at_us=at_us)

    def unblock(self, unit: Unit, card: Card) -> None:
        """Append that a blocked card works again."""
        unit.add(
            "UPDATE card SET blocked_at_us=NULL WHERE id=:id AND blocked_at_us IS NOT NULL",
            rows=1,
            refusal="unchanged",
            id=card.id,
        )

    def remove(self, unit: Unit, card: Card, *, at_us: int) -> None:
        """Append the end of the row; the card can be anybody's again."""
        self._end(unit, card, at_us=at_us)
        unit.add("DELETE FROM card WHERE id=:id", rows=1, refusal="not-found", id=card.id)

    def expiry_told(self, unit: Unit, card: Card, *, at_us: int) -> None:
        """Append that the end was told; refused as `unchanged` when somebody else did."""
        unit.add(
            "UPDATE card SET expiry_told_at_us=:at WHERE id=:id AND expiry_told_at_us IS NULL",
            rows=1,
            refusal="unchanged",
            at=at_us,
            id=card.id,
        )

    def prune_proofs(self, unit: Unit, *, before_day: str) -> None:
        """Append the removal of proofs of days before."""
        unit.add("DELETE FROM card_proof WHERE day<:day", day=before_day)

    def _end(self, unit: Unit, card: Card, *, at_us: int) -> None:
        """Whatever this card opened ends; so does what a card of the person opened before sessions knew theirs."""
        unit.add("DELETE FROM card_proof WHERE card_id=:id", id=card.id)
        unit.add(
            """UPDATE session SET ended_at_us=:at WHERE person_id=:person AND ended_at_us IS NULL
                AND method IN ('card','card+password') AND (card_id=:id OR card_id IS NULL)""",
            at=at_us,
            person=card.person_id,
            id=card.id,
        )

    # ----- inside -----
    async def _one(self, where: str, **params: object) -> Card | None:
        row = await self._db.read_one(
            f"SELECT {_CARD} FROM card c JOIN person p ON p.id=c.person_id WHERE {where}", **params
        )
        return _card(row) if row else None

    async def _kept(self, where: str, **params: object) -> list[KeptRead]:
        rows = await self._db.read(
            f"""SELECT c.id, c.public_id, c.hash, c.key_id, c.format, c.label, c.sealed, p.name AS user_name
                  FROM card c JOIN person p ON p.id=c.person_id WHERE {where}""",
            **params,
        )
        return [KeptRead(**row) for row in rows]


def _card(row: Row) -> Card:
    return Card(**{**row, "has_read": bool(row["has_read"])})


def _names(hashes: Sequence[bytes]) -> str:
    return ", ".join(f":h{n}" for n in range(len(hashes)))


def _values(hashes: Sequence[bytes]) -> dict[str, Any]:
    return {f"h{n}": value for n, value in enumerate(hashes)}
