"""What a restored database must not bring back: everything that was ended or withdrawn after the backup was made.

Two parts. What is short-lived is ended in any case: sessions, mailed links, enrolment codes, mails not yet sent. What
lasts (cards, API tokens, terminals and their keys, personal addresses, people, changed passwords) is compared with the
database that is being replaced, where it can still be read: what is withdrawn or newer there stays so. Everything that
lasts is named afterwards, because a backup alone cannot know what was withdrawn since.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.db import chain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ACTION = "database.restored"

_END: Mapping[str, str] = {
    "sessions": "UPDATE session SET ended_at_us=:at WHERE ended_at_us IS NULL",
    "links": "UPDATE mailed_token SET used_at_us=:at WHERE used_at_us IS NULL",
    "terminal_codes": "DELETE FROM terminal_code",
    "mails": "UPDATE mail SET failed_at_us=:at, error='restored' WHERE sent_at_us IS NULL AND failed_at_us IS NULL",
}
_FORGET = ("sign_in_code", "card_proof")
"""What a day ends anyway; older backups do not have these tables."""
_PROOFS = "UPDATE person SET session_epoch=session_epoch+1"
_CARRY: Mapping[str, str] = {
    "tokens": """UPDATE api_token SET revoked_at_us=:at WHERE revoked_at_us IS NULL
        AND hash IN (SELECT hash FROM replaced.api_token WHERE revoked_at_us IS NOT NULL)""",
    "addresses": """UPDATE personal_address SET revoked_at_us=:at WHERE revoked_at_us IS NULL
        AND hash IN (SELECT hash FROM replaced.personal_address WHERE revoked_at_us IS NOT NULL)""",
    "cards": """UPDATE card SET blocked_at_us=:at WHERE blocked_at_us IS NULL
        AND (public_id IN (SELECT public_id FROM replaced.card WHERE blocked_at_us IS NOT NULL)
          OR public_id IN (SELECT subject FROM replaced.audit WHERE action='card.removed'))""",
    "terminals": """UPDATE terminal SET revoked_at_us=:at WHERE revoked_at_us IS NULL
        AND public_id IN (SELECT public_id FROM replaced.terminal WHERE revoked_at_us IS NOT NULL)""",
    "terminal_keys": """UPDATE terminal SET (public_key, counter, enrolled_at_us)=
          (SELECT n.public_key, n.counter, n.enrolled_at_us FROM replaced.terminal n
            WHERE n.public_id=terminal.public_id)
        WHERE revoked_at_us IS NULL AND EXISTS(SELECT 1 FROM replaced.terminal n
            WHERE n.public_id=terminal.public_id AND n.enrolled_at_us>coalesce(terminal.enrolled_at_us,0))""",
    "people": """UPDATE person SET is_active=0 WHERE is_active=1
        AND public_id IN (SELECT public_id FROM replaced.person WHERE is_active=0 OR removed_at_us IS NOT NULL)""",
    "passwords": """UPDATE credential SET (hash, key_id, is_disabled, changed_at_us)=
          (SELECT n.hash, n.key_id, n.is_disabled, n.changed_at_us FROM replaced.credential n
             JOIN replaced.person np ON np.id=n.person_id JOIN person p ON p.public_id=np.public_id
            WHERE p.id=credential.person_id AND n.kind=credential.kind)
        WHERE EXISTS(SELECT 1 FROM replaced.credential n
             JOIN replaced.person np ON np.id=n.person_id JOIN person p ON p.public_id=np.public_id
            WHERE p.id=credential.person_id AND n.kind=credential.kind
              AND (n.changed_at_us>credential.changed_at_us OR n.is_disabled>credential.is_disabled))""",
}
_COUNTERS = """UPDATE terminal SET counter=
      (SELECT n.counter FROM replaced.terminal n WHERE n.public_id=terminal.public_id)
    WHERE EXISTS(SELECT 1 FROM replaced.terminal n WHERE n.public_id=terminal.public_id
        AND n.public_key=terminal.public_key AND n.counter>terminal.counter)"""
"""What terminals signed since the backup stays used."""
_LASTING: Mapping[str, str] = {
    "tokens": """SELECT name FROM api_token WHERE revoked_at_us IS NULL AND (expires_at_us IS NULL OR expires_at_us>:at)
        ORDER BY 1""",
    "terminals": "SELECT name FROM terminal WHERE revoked_at_us IS NULL AND public_key IS NOT NULL ORDER BY 1",
}
_CARDS = "SELECT count(*) FROM card WHERE blocked_at_us IS NULL"
_LAST_AUDIT = "SELECT hash FROM audit ORDER BY id DESC LIMIT 1"
_AUDIT = "INSERT INTO audit(at_us, actor, action, subject, detail, prev, hash) VALUES(?,?,?,?,?,?,?)"


@dataclass(frozen=True, slots=True)
class Revival:
    """What was `ended`, what stays `withdrawn` (None: the replaced database told nothing), and what is valid now.

    `tokens` and `terminals` are names, `cards` is a count: a person has to look whether each of them should be.
    """

    ended: dict[str, int]
    withdrawn: dict[str, int] | None
    tokens: tuple[str, ...]
    terminals: tuple[str, ...]
    cards: int

    def to_json(self) -> dict[str, object]:
        """{"ended","withdrawn","valid":{"tokens","terminals","cards"}}."""
        valid = {"tokens": list(self.tokens), "terminals": list(self.terminals), "cards": self.cards}
        return {"ended": self.ended, "withdrawn": self.withdrawn, "valid": valid}


def prevent(copy: Path, *, replaced: Path, at_us: int, actor: str) -> Revival:
    """End and withdraw in `copy`, a database not yet in place, and say so in its audit log.

    Raises:
        sqlite3.DatabaseError: `copy` itself cannot be written.
    """
    with closing(sqlite3.connect(copy.resolve().as_uri(), uri=True, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete=ON")
        withdrawn = _carried(connection, replaced, at_us)
        connection.execute("BEGIN IMMEDIATE")
        at = {"at": at_us}
        ended = {what: _count(connection, sql, at) for what, sql in _END.items()}
        connection.execute(_PROOFS)
        for table in _FORGET:
            if connection.execute("SELECT 1 FROM sqlite_schema WHERE name=?", (table,)).fetchone():
                connection.execute(f"DELETE FROM {table}")  # noqa: S608  -- a name of ours
        _note(connection, at_us=at_us, actor=actor, detail={"ended": ended, "withdrawn": withdrawn})
        names = {what: _names(connection, sql, at) for what, sql in _LASTING.items()}
        cards = connection.execute(_CARDS).fetchone()[0]
        connection.execute("COMMIT")
    return Revival(ended, withdrawn, names["tokens"], names["terminals"], cards)


def _carried(connection: sqlite3.Connection, replaced: Path, at_us: int) -> dict[str, int] | None:
    """What the replaced database knows of withdrawals, taken over; None where it is missing, damaged or different."""
    if not replaced.is_file():
        return None
    try:
        connection.execute("ATTACH ? AS replaced", (f"{replaced.resolve().as_uri()}?mode=ro",))
        connection.execute("BEGIN IMMEDIATE")
        found = {what: _count(connection, sql, {"at": at_us}) for what, sql in _CARRY.items()}
        connection.execute(_COUNTERS)
        connection.execute("COMMIT")
    except sqlite3.DatabaseError:
        found = None
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    if any(row[1] == "replaced" for row in connection.execute("PRAGMA database_list")):
        connection.execute("DETACH replaced")
    return found


def _names(connection: sqlite3.Connection, sql: str, params: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(row[0] for row in connection.execute(sql, params if ":at" in sql else {}))


def _count(connection: sqlite3.Connection, sql: str, params: Mapping[str, int]) -> int:
    return connection.execute(sql, params if ":at" in sql else {}).rowcount


def _note(connection: sqlite3.Connection, *, at_us: int, actor: str, detail: Mapping[str, object]) -> None:
    prev = (connection.execute(_LAST_AUDIT).fetchone() or (chain.GENESIS,))[0]
    entry = (at_us, actor, ACTION, "database", json.dumps(detail, sort_keys=True))
    connection.execute(_AUDIT, (*entry, prev, chain.audit_hash(prev, entry)))
