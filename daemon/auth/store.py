"""Credential and failure rows: reads, and the statements the service appends to its units."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from daemon.auth.identity import Credential, Subject
from daemon.auth.lockout import Attempts

if TYPE_CHECKING:
    from daemon.auth.passwords import StoredSecret
    from daemon.db.database import Database
    from daemon.db.unit import Row, Unit

SUBJECT_COLUMNS = """p.id, p.public_id, p.name, p.display_name, p.email, p.language, p.site,
  coalesce(p.pin,'') AS pin, p.is_active, p.session_epoch, p.release_on_tap, c.kind, c.hash, c.key_id, c.failures,
  c.last_failure_us, c.locked_until_us, c.is_disabled, c.changed_at_us"""
"""Of a person `p` and each of their credentials `c`, for `subject_of`."""
_SUBJECT = f"""SELECT {SUBJECT_COLUMNS}
  FROM person p LEFT JOIN credential c ON c.person_id=p.id WHERE p.removed_at_us IS NULL AND """

_COUNTERS = "failures=:failures, last_failure_us=:last, locked_until_us=:until, is_disabled=:disabled"


class AuthStore:
    """Who can sign in, and how often it went wrong."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # ----- reads -----
    async def by_pin(self, pin: str) -> Subject | None:
        """The person with this PIN, active or not."""
        return subject_of(await self._db.read(_SUBJECT + "p.pin=:pin", pin=pin))

    async def by_name(self, name: str) -> Subject | None:
        """The person with this normalised network name or alias."""
        return subject_of(
            await self._db.read(
                _SUBJECT
                + """p.id=coalesce((SELECT id FROM person WHERE name=:name),
                                   (SELECT person_id FROM person_alias WHERE name=:name))""",
                name=name,
            )
        )

    async def by_mail(self, address: str) -> Subject | None:
        """The one person with this mail address, in any letter case; None when several share it."""
        rows = await self._db.read(_SUBJECT + "p.email<>'' AND lower(p.email)=:email", email=address.lower())
        return subject_of(rows) if len({row["id"] for row in rows}) == 1 else None

    async def by_id(self, person_id: int) -> Subject | None:
        """The person with this row id."""
        return subject_of(await self._db.read(_SUBJECT + "p.id=:id", id=person_id))

    async def pin_count(self, *, length: int) -> int:
        """How many PINs of this length were given out."""
        row = await self._db.read_one("SELECT count(*) AS n FROM person WHERE length(pin)=:length", length=length)
        return int(row["n"]) if row else 0

    async def has_pin(self, pin: str) -> bool:
        """Whether somebody, removed or not, has this PIN."""
        return await self._db.read_one("SELECT 1 AS one FROM person WHERE pin=:pin", pin=pin) is not None

    async def roles(self, person_id: int) -> list[tuple[str, str]]:
        """(role, site) pairs granted to the person."""
        rows = await self._db.read("SELECT role, site FROM role_grant WHERE person_id=:id", id=person_id)
        return [(row["role"], row["site"]) for row in rows]

    async def holders(self, role: str) -> list[Subject]:
        """Everybody active who has this role everywhere."""
        rows = await self._db.read(
            _SUBJECT
            + """p.is_active=1 AND p.id IN (SELECT person_id FROM role_grant WHERE role=:role AND site='*')
                 ORDER BY p.id""",
            role=role,
        )
        people = itertools.groupby(rows, lambda row: row["id"])
        return [one for _, mine in people if (one := subject_of(list(mine))) is not None]

    async def failures_since(self, at_us: int) -> list[Row]:
        """`id, at_us, source, person_id` of failures after `at_us`, oldest first."""
        return await self._db.read(
            "SELECT id, at_us, source, person_id FROM sign_in_failure WHERE at_us>:at ORDER BY at_us, id", at=at_us
        )

    # ----- statements -----
    def set_credential(self, unit: Unit, *, public_id: str, kind: str, stored: StoredSecret, at_us: int) -> None:
        """Append a new secret of the person (who may be added in the same unit); its counters begin anew."""
        unit.add(
            """INSERT INTO credential(person_id, kind, hash, key_id, changed_at_us)
               SELECT id, :kind, :hash, :key, :at FROM person WHERE public_id=:public AND removed_at_us IS NULL
               ON CONFLICT(person_id, kind) DO UPDATE SET hash=excluded.hash, key_id=excluded.key_id, failures=0,
                 last_failure_us=NULL, locked_until_us=NULL, is_disabled=0, changed_at_us=excluded.changed_at_us""",
            rows=1,
            refusal="not-found",
            public=public_id,
            kind=kind,
            hash=stored.encoded,
            key=stored.key_id,
            at=at_us,
        )

    def set_pin(self, unit: Unit, *, person_id: int, pin: str) -> None:
        """Append a PIN for somebody who has none; refused as `pin-taken` when the number is somebody else's."""
        unit.add(
            "UPDATE person SET pin=:pin WHERE id=:id AND pin IS NULL",
            rows=1,
            refusal="pin-taken",
            pin=pin,
            id=person_id,
        )

    def rehash(self, unit: Unit, *, person_id: int, old: Credential, stored: StoredSecret) -> None:
        """Append the same secret hashed anew; nothing happens when it was changed meanwhile."""
        unit.add(
            """UPDATE credential SET hash=:hash, key_id=:key
                WHERE person_id=:person AND kind=:kind AND changed_at_us=:changed""",
            hash=stored.encoded,
            key=stored.key_id,
            person=person_id,
            kind=old.kind,
            changed=old.changed_at_us,
        )

    def count(self, unit: Unit, *, person_id: int, before: Credential, after: Attempts) -> None:
        """Append new counters, decided on `before`; refused as `credential-moved` when another attempt came between.

        Counters that stay as they were are still checked, so that parallel guesses cannot overtake the count.
        """
        same = after == before.attempts
        unit.add(
            f"""UPDATE credential SET {"kind=kind" if same else _COUNTERS}
                WHERE person_id=:person AND kind=:kind AND failures=:seen AND changed_at_us=:changed
                  AND is_disabled=:was_disabled""",
            rows=1,
            refusal="credential-moved",
            person=person_id,
            kind=before.kind,
            seen=before.attempts.failures,
            changed=before.changed_at_us,
            was_disabled=int(before.attempts.is_disabled),
            **({} if same else _counters(after)),
        )

    def clear(self, unit: Unit, *, person_id: int) -> None:
        """Append an operator's unlock: all counters of the person begin anew."""
        unit.add(
            """UPDATE credential SET failures=0, last_failure_us=NULL, locked_until_us=NULL, is_disabled=0
                WHERE person_id=:person""",
            person=person_id,
        )

    def void_sessions(self, unit: Unit, *, person_id: int, at_us: int) -> None:
        """Append the end of everything the person has open: sessions, links, codes, a card's proof for today."""
        unit.add("UPDATE person SET session_epoch=session_epoch+1 WHERE id=:id", rows=1, id=person_id)
        unit.add(
            "UPDATE session SET ended_at_us=:at WHERE person_id=:id AND ended_at_us IS NULL", at=at_us, id=person_id
        )
        unit.add(
            "UPDATE mailed_token SET used_at_us=:at WHERE person_id=:id AND used_at_us IS NULL", at=at_us, id=person_id
        )
        unit.add(
            "UPDATE sign_in_code SET used_at_us=:at WHERE person_id=:id AND used_at_us IS NULL", at=at_us, id=person_id
        )
        unit.add("DELETE FROM card_proof WHERE card_id IN (SELECT id FROM card WHERE person_id=:id)", id=person_id)

    def add_failure(
        self, unit: Unit, *, at_us: int, source: str, method: str, terminal_id: int | None, person_id: int | None
    ) -> None:
        """Append one failure for the throttles."""
        unit.add(
            """INSERT INTO sign_in_failure(at_us, terminal_id, person_id, method, source)
               VALUES(:at, :terminal, :person, :method, :source)""",
            at=at_us,
            terminal=terminal_id,
            person=person_id,
            method=method,
            source=source,
        )

    def pause_terminal(self, unit: Unit, *, terminal_id: int, until_us: int) -> None:
        """Append what lists show: this terminal rests until then."""
        unit.add("UPDATE terminal SET paused_until_us=:until WHERE id=:id", until=until_us, id=terminal_id)

    def prune(self, unit: Unit, *, before_us: int) -> None:
        """Append the removal of failures, sessions and links that ended before `before_us`."""
        unit.add("DELETE FROM sign_in_failure WHERE at_us<:before", before=before_us)
        unit.add("DELETE FROM session WHERE absolute_us<:before OR ended_at_us<:before", before=before_us)
        unit.add("DELETE FROM console_session WHERE absolute_us<:before OR ended_at_us<:before", before=before_us)
        unit.add("DELETE FROM mailed_token WHERE expires_at_us<:before OR used_at_us<:before", before=before_us)
        unit.add("DELETE FROM terminal_code WHERE expires_at_us<:before", before=before_us)
        unit.add("DELETE FROM sign_in_code WHERE expires_at_us<:before", before=before_us)


def subject_of(rows: list[Row]) -> Subject | None:
    """One person from one row per credential; None from no rows."""
    if not rows:
        return None
    first: dict[str, Any] = dict(rows[0])
    credentials = {row["kind"]: _credential(row) for row in rows if row["kind"] is not None}
    return Subject(
        id=first["id"],
        public_id=first["public_id"],
        name=first["name"],
        display_name=first["display_name"],
        email=first["email"],
        language=first["language"],
        site=first["site"],
        pin=first["pin"],
        is_active=bool(first["is_active"]),
        session_epoch=first["session_epoch"],
        release_on_tap=None if first["release_on_tap"] is None else bool(first["release_on_tap"]),
        credentials=credentials,
    )


def _counters(attempts: Attempts) -> dict[str, object]:
    return {
        "failures": attempts.failures,
        "last": attempts.last_failure_us,
        "until": attempts.locked_until_us,
        "disabled": int(attempts.is_disabled),
    }


def _credential(row: Row) -> Credential:
    attempts = Attempts(
        kind=row["kind"],
        failures=row["failures"],
        last_failure_us=row["last_failure_us"],
        locked_until_us=row["locked_until_us"],
        is_disabled=bool(row["is_disabled"]),
    )
    return Credential(row["kind"], row["hash"], row["key_id"], attempts, row["changed_at_us"])
