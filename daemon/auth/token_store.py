"""Rows of mailed links, API tokens and personal queue addresses: only hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.db.database import Database
    from daemon.db.unit import Row, Unit


@dataclass(frozen=True, slots=True)
class ApiToken:
    """An API token as lists show it."""

    id: int
    name: str
    role: str
    created_at_us: int
    expires_at_us: int | None
    last_used_at_us: int | None
    revoked_at_us: int | None


_TOKEN = "id, name, role, created_at_us, expires_at_us, last_used_at_us, revoked_at_us"  # noqa: S105  -- columns


class TokenStore:
    """Everything that is proven by holding a long random value."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # ----- mailed links -----
    def add_link(self, unit: Unit, *, value: bytes, kind: str, person_id: int, expires_at_us: int, now_us: int) -> None:
        """Append a link; links of the same kind sent before stop working."""
        unit.add(
            "UPDATE mailed_token SET used_at_us=:now WHERE person_id=:person AND kind=:kind AND used_at_us IS NULL",
            now=now_us,
            person=person_id,
            kind=kind,
        )
        unit.add(
            "INSERT INTO mailed_token(hash, kind, person_id, expires_at_us) VALUES(:hash, :kind, :person, :expires)",
            rows=1,
            hash=value,
            kind=kind,
            person=person_id,
            expires=expires_at_us,
        )

    def spend_link(self, unit: Unit, *, value: bytes, now_us: int) -> None:
        """Append the one use of a link; refused as `link-spent` when it was used, superseded or is too old."""
        unit.add(
            "UPDATE mailed_token SET used_at_us=:now WHERE hash=:hash AND used_at_us IS NULL AND expires_at_us>:now",
            rows=1,
            refusal="link-spent",
            now=now_us,
            hash=value,
        )

    async def link(self, value: bytes, *, kind: str, now_us: int) -> Row | None:
        """`person_id, expires_at_us` of a link that still works."""
        return await self._db.read_one(
            """SELECT person_id, expires_at_us FROM mailed_token
                WHERE hash=:hash AND kind=:kind AND used_at_us IS NULL AND expires_at_us>:now""",
            hash=value,
            kind=kind,
            now=now_us,
        )

    async def links_since(self, person_id: int, *, kind: str, expires_after_us: int) -> int:
        """How many links of a kind were made for the person lately (their expiry tells their age)."""
        row = await self._db.read_one(
            "SELECT count(*) AS n FROM mailed_token WHERE person_id=:person AND kind=:kind AND expires_at_us>:after",
            person=person_id,
            kind=kind,
            after=expires_after_us,
        )
        return int(row["n"]) if row else 0

    # ----- API tokens -----
    def add_api(
        self, unit: Unit, *, name: str, value: bytes, role: str, created_at_us: int, expires_at_us: int | None
    ) -> None:
        """Append an API token."""
        unit.add(
            """INSERT INTO api_token(name, hash, role, created_at_us, expires_at_us)
               SELECT :name, :hash, :role, :at, :expires
                WHERE NOT EXISTS(SELECT 1 FROM api_token WHERE name=:name AND revoked_at_us IS NULL)""",
            rows=1,
            refusal="name-taken",
            name=name,
            hash=value,
            role=role,
            at=created_at_us,
            expires=expires_at_us,
        )

    def revoke_api(self, unit: Unit, *, name: str, at_us: int) -> None:
        """Append the end of a token; refused as `not-found` when there is none of that name."""
        unit.add(
            "UPDATE api_token SET revoked_at_us=:at WHERE name=:name AND revoked_at_us IS NULL",
            rows=1,
            refusal="not-found",
            at=at_us,
            name=name,
        )

    def api_used(self, unit: Unit, *, token_id: int, at_us: int) -> None:
        """Append when a token was last used."""
        unit.add("UPDATE api_token SET last_used_at_us=:at WHERE id=:id", at=at_us, id=token_id)

    async def api(self, value: bytes, *, now_us: int) -> ApiToken | None:
        """The token with this hash, if it is neither revoked nor expired."""
        row = await self._db.read_one(
            f"""SELECT {_TOKEN} FROM api_token WHERE hash=:hash AND revoked_at_us IS NULL
                 AND (expires_at_us IS NULL OR expires_at_us>:now)""",
            hash=value,
            now=now_us,
        )
        return ApiToken(**row) if row else None

    async def all_api(self) -> list[ApiToken]:
        """Every token ever made, newest last."""
        return [ApiToken(**row) for row in await self._db.read(f"SELECT {_TOKEN} FROM api_token ORDER BY id")]

    # ----- personal queue addresses -----
    def add_address(self, unit: Unit, *, value: bytes, person_id: int, at_us: int) -> None:
        """Append a personal address; the person's earlier ones stop working."""
        unit.add(
            "UPDATE personal_address SET revoked_at_us=:at WHERE person_id=:person AND revoked_at_us IS NULL",
            at=at_us,
            person=person_id,
        )
        unit.add(
            "INSERT INTO personal_address(hash, person_id, created_at_us) VALUES(:hash, :person, :at)",
            rows=1,
            hash=value,
            person=person_id,
            at=at_us,
        )

    async def address(self, value: bytes) -> Row | None:
        """`person_id, public_id, name, session_epoch` of the active person with this address."""
        return await self._db.read_one(
            """SELECT a.person_id, p.public_id, p.name, p.session_epoch
                 FROM personal_address a JOIN person p ON p.id=a.person_id
                WHERE a.hash=:hash AND a.revoked_at_us IS NULL AND p.is_active=1 AND p.removed_at_us IS NULL""",
            hash=value,
        )
