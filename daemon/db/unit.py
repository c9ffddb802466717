"""A unit: the statements of one all-or-nothing change, built by stores, committed once by a workflow.

A store appends statements; nothing touches the database until `Database.commit`. Every conditional write says how
many rows it must meet, so a change decided on stale facts is refused instead of applied.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.kernel.errors import Refusal

if TYPE_CHECKING:
    from daemon.kernel.events import Event

Row = Mapping[str, Any]

KEY_BYTES = 16
DIGEST_BYTES = 8
_TRANSFER_INSERT = "INTO transfer("
_EVENT = "INSERT INTO event(topic, subject, user_id, at_us) VALUES(:topic, :subject, :user_id, :at_us)"


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement with named parameters.

    `rows`: how many rows it must change (or return, for a SELECT that only checks); None accepts any number.
    `refusal`: the code the unit is refused with when it does not, or when a unique or foreign key is violated.
    `is_transfer`: it writes ledger rows, whose time the writer keeps rising.
    """

    sql: str
    params: Mapping[str, object]
    rows: int | None = None
    refusal: str = "conflict"
    is_transfer: bool = False


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what to which subject; `detail` is JSON. The writer chains it to the entry before."""

    actor: str
    action: str
    subject: str
    detail: str
    at_us: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a committed unit.

    `replayed`: its key was known with the same digest; nothing was written and `answer` is the first one's.
    `ledger_seq`: the last transfer that existed when it was decided; orders answers, never leaves as an id.
    """

    replayed: bool
    answer: str
    ledger_seq: int


class UnitRefused(Refusal):
    """The unit was not applied, as a whole.

    `code` is the refusing statement's, or the ledger's word for it: `insufficient-funds`, `ledger:duplicate`,
    `ledger:resolved`, `ledger:pending`, ..., or `idempotency-conflict` for a known key with another digest.
    `data`: `statement` (index, -1 for the key itself), `ledger_seq` at which it was decided.
    """

    code = "conflict"


class Unit:
    """Operations of one all-or-nothing change.

    With `key` (16 bytes) and `digest` (8 bytes) the unit is idempotent: committed again with the same digest it
    changes nothing and returns the first answer; with another digest it is refused. `essential` units finish what was
    promised before (settlements, states of paper already out): they may use the last reserve of a full disk.
    """

    __slots__ = ("answer", "answer_from", "audits", "digest", "essential", "has_event", "key", "statements")

    def __init__(
        self, *, key: bytes | None = None, digest: bytes | None = None, answer: str = "{}", essential: bool = False
    ) -> None:
        if (key is None) != (digest is None):
            raise ValueError("a key needs a digest, and a digest a key")
        if key is not None and (len(key) != KEY_BYTES or len(digest or b"") != DIGEST_BYTES):
            raise ValueError("a key has 16 bytes, a digest 8")
        self.key = key
        self.digest = digest
        self.answer = answer
        self.essential = essential
        self.statements: list[Statement] = []
        self.audits: list[AuditEntry] = []
        self.answer_from: Statement | None = None
        self.has_event = False

    def add(self, sql: str, /, *, rows: int | None = None, refusal: str = "conflict", **params: object) -> None:
        """Append a statement; `params` by name (`:name`), `rows` and `refusal` as in `Statement`."""
        self.statements.append(Statement(sql, params, rows, refusal, _TRANSFER_INSERT in sql))

    def require(self, sql: str, /, *, rows: int = 1, refusal: str = "conflict", **params: object) -> None:
        """Append a SELECT that must return exactly `rows` rows inside the write, or the unit is refused."""
        self.statements.append(Statement(sql, params, rows, refusal))

    def answer_with(self, sql: str, /, **params: object) -> None:
        """Read the answer inside the write: the first row's columns join the answer's JSON object.

        So a replay gives the very same answer, even when the world has moved on.
        """
        self.answer_from = Statement(sql, params)

    def event(self, event: Event, at_us: int) -> None:
        """Append an event; watchers see it after the commit."""
        self.has_event = True
        self.add(_EVENT, topic=event.topic, subject=event.subject, user_id=event.user_id, at_us=at_us)

    def audit(self, *, actor: str, action: str, subject: str, detail: dict[str, object], at_us: int) -> None:
        """Append an audit entry (never a secret in `detail`); the writer chains it by hash to the one before."""
        text = json.dumps(detail, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self.audits.append(AuditEntry(actor=actor, action=action, subject=subject, detail=text, at_us=at_us))
