"""Terminal rows: their key, counter, policy, the printers they stand at, and the code they enrol with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.db.database import Database
    from daemon.db.unit import Row, Unit

_COLUMNS = """t.id, t.public_id, t.name, t.site, t.policy, t.public_key, t.counter, t.version, t.created_at_us,
  t.enrolled_at_us, t.last_seen_us, t.revoked_at_us, t.paused_until_us, t.opening_hours, t.readers, t.screen,
  t.replaced_key"""
LIST_MAX = 1000


@dataclass(frozen=True, slots=True)
class Terminal:
    """A device-side terminal. `counter` is the highest written down; times are microseconds UTC.

    `policy` may be `site` (see `terminal_rules.effective_policy`); `opening_hours` is empty where it never closes;
    `readers` and `screen` are JSON as last heard; `replaced_key` is the key before this one.
    """

    id: int
    public_id: str
    name: str
    site: str
    policy: str
    public_key: bytes | None
    counter: int
    version: str
    created_at_us: int
    enrolled_at_us: int | None
    last_seen_us: int | None
    revoked_at_us: int | None
    paused_until_us: int | None
    opening_hours: str = ""
    readers: str = "[]"
    screen: str = "{}"
    replaced_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class WaitingCode:
    """A code given out and not yet used: `boxed` holds its stretched key, sealed."""

    terminal: Terminal
    boxed: bytes
    expires_at_us: int
    tried_at_us: int | None


class TerminalStore:
    """Terminals and their codes."""

    def __init__(self, db: Database) -> None:
        self._db = db

    # ----- reads -----
    async def by_public(self, public_id: str) -> Terminal | None:
        """The terminal, revoked or not."""
        row = await self._db.read_one(f"SELECT {_COLUMNS} FROM terminal t WHERE t.public_id=:id", id=public_id)
        return Terminal(**row) if row else None

    async def all(self, *, after_id: int = 0) -> list[Terminal]:
        """Terminals in order of creation."""
        rows = await self._db.read(
            f"SELECT {_COLUMNS} FROM terminal t WHERE t.id>:after ORDER BY t.id LIMIT :most",
            after=after_id,
            most=LIST_MAX,
        )
        return [Terminal(**row) for row in rows]

    async def printers(self, terminal_id: int) -> list[Row]:
        """`id, public_id, name, state, reasons, is_accepting, location, reader` of its printers, in the order named."""
        return await self._db.read(
            """SELECT p.id, p.public_id, p.name, p.state, p.reasons, p.is_accepting, p.location, tp.reader
                 FROM terminal_printer tp JOIN printer p ON p.id=tp.printer_id
                WHERE tp.terminal_id=:id AND p.removed_at_us IS NULL ORDER BY tp.place""",
            id=terminal_id,
        )

    async def bindings(self) -> dict[int, list[Row]]:
        """`public_id, name, reader` of the printers of every terminal, in the order named."""
        rows = await self._db.read(
            """SELECT tp.terminal_id, p.public_id, p.name, tp.reader
                 FROM terminal_printer tp JOIN printer p ON p.id=tp.printer_id
                WHERE p.removed_at_us IS NULL ORDER BY tp.place"""
        )
        found: dict[int, list[Row]] = {}
        for row in rows:
            found.setdefault(row["terminal_id"], []).append(row)
        return found

    async def printer_ids(self, names: Sequence[str]) -> list[int]:
        """Row ids of printers given by name or public id, in order; missing ones are left out."""
        found = []
        for name in names:
            row = await self._db.read_one(
                "SELECT id FROM printer WHERE (public_id=:name OR name=:name) AND removed_at_us IS NULL", name=name
            )
            if row:
                found.append(int(row["id"]))
        return found

    async def code(self, locator: str) -> WaitingCode | None:
        """The code with this locator, used up or not."""
        row = await self._db.read_one(
            f"""SELECT {_COLUMNS}, c.boxed, c.expires_at_us, c.tried_at_us
                  FROM terminal_code c JOIN terminal t ON t.id=c.terminal_id WHERE c.locator=:locator""",
            locator=locator,
        )
        if row is None:
            return None
        values = dict(row)
        boxed, expires, tried = values.pop("boxed"), values.pop("expires_at_us"), values.pop("tried_at_us")
        return WaitingCode(Terminal(**values), boxed, expires, tried)

    # ----- statements -----
    def insert(self, unit: Unit, *, public_id: str, name: str, site: str, policy: str, at_us: int) -> None:
        """Append a terminal; a name that is in use refuses the unit as `name-taken`."""
        unit.add(
            """INSERT INTO terminal(public_id, name, site, policy, created_at_us)
               VALUES(:public, :name, :site, :policy, :at)""",
            rows=1,
            refusal="name-taken",
            public=public_id,
            name=name,
            site=site,
            policy=policy,
            at=at_us,
        )

    def unbind(self, unit: Unit, *, public_id: str) -> None:
        """Append that it stands at no printer any more."""
        unit.add(
            "DELETE FROM terminal_printer WHERE terminal_id=(SELECT id FROM terminal WHERE public_id=:public)",
            public=public_id,
        )

    def bind(self, unit: Unit, *, public_id: str, printer_id: int, reader: str = "") -> None:
        """Append that it stands at a printer, and which of its readers means that printer."""
        unit.add(
            """INSERT INTO terminal_printer(terminal_id, printer_id, reader, place)
               SELECT id, :printer, :reader, (SELECT coalesce(max(place),0)+1 FROM terminal_printer)
                 FROM terminal WHERE public_id=:public""",
            rows=1,
            printer=printer_id,
            reader=reader,
            public=public_id,
        )

    def change(self, unit: Unit, *, public_id: str, name: str, policy: str, opening_hours: str) -> None:
        """Append what an administrator may change; refused as `name-taken`, or `terminal-not-found` when revoked."""
        unit.require(
            "SELECT 1 FROM terminal WHERE public_id=:public AND revoked_at_us IS NULL",
            refusal="terminal-not-found",
            public=public_id,
        )
        unit.add(
            "UPDATE terminal SET name=:name, policy=:policy, opening_hours=:hours WHERE public_id=:public",
            rows=1,
            refusal="name-taken",
            name=name,
            policy=policy,
            hours=opening_hours,
            public=public_id,
        )

    def insert_code(self, unit: Unit, *, public_id: str, locator: str, boxed: bytes, expires_at_us: int) -> None:
        """Append a code for the terminal; one given out before is void. `locator-taken` asks for other dice."""
        unit.add(
            "DELETE FROM terminal_code WHERE terminal_id=(SELECT id FROM terminal WHERE public_id=:id)", id=public_id
        )
        unit.add(
            """INSERT INTO terminal_code(terminal_id, locator, boxed, expires_at_us)
               SELECT id, :locator, :boxed, :expires FROM terminal WHERE public_id=:public AND revoked_at_us IS NULL""",
            rows=1,
            refusal="locator-taken",
            locator=locator,
            boxed=boxed,
            expires=expires_at_us,
            public=public_id,
        )

    def try_code(self, unit: Unit, *, locator: str, now_us: int) -> None:
        """Append the one try of a code; refused as `enrolment-failed` when it was tried or is too old."""
        unit.add(
            """UPDATE terminal_code SET tried_at_us=:now
                WHERE locator=:locator AND tried_at_us IS NULL AND expires_at_us>:now""",
            rows=1,
            refusal="enrolment-failed",
            now=now_us,
            locator=locator,
        )

    def enrol(self, unit: Unit, *, terminal_id: int, public_key: bytes, version: str, at_us: int) -> None:
        """Append the terminal's key; its counter begins anew, its code is gone, and so is who stood there before."""
        unit.add(
            """UPDATE terminal SET replaced_key=public_key, public_key=:key, counter=0, version=:version,
                      enrolled_at_us=:at, last_seen_us=:at, readers='[]', screen='{}'
                WHERE id=:id AND revoked_at_us IS NULL""",
            rows=1,
            refusal="enrolment-failed",
            key=public_key,
            version=version,
            at=at_us,
            id=terminal_id,
        )
        unit.add("DELETE FROM terminal_code WHERE terminal_id=:id", id=terminal_id)
        _end_sessions(unit, terminal_id=terminal_id, at_us=at_us)

    def seen(self, unit: Unit, *, terminal_id: int, public_key: bytes, counter: int, at_us: int) -> None:
        """Append the highest counter used and when the terminal was last heard of, by the key that holds now.

        Refused as `revoked` when that key no longer does.
        """
        unit.add(
            """UPDATE terminal SET counter=CASE WHEN counter<:counter THEN :counter ELSE counter END, last_seen_us=:at
                WHERE id=:id AND public_key=:key AND revoked_at_us IS NULL""",
            rows=1,
            refusal="revoked",
            counter=counter,
            at=at_us,
            id=terminal_id,
            key=public_key,
        )

    def heard(self, unit: Unit, terminal: Terminal, *, at_us: int, version: str, readers: str, screen: str) -> None:
        """Append what a terminal says of itself; refused as `revoked` when its key is no longer in force."""
        unit.add(
            """UPDATE terminal SET version=:version, readers=:readers, screen=:screen, last_seen_us=:at
                WHERE id=:id AND public_key=:key AND revoked_at_us IS NULL""",
            rows=1,
            refusal="revoked",
            version=version,
            readers=readers,
            screen=screen,
            at=at_us,
            id=terminal.id,
            key=terminal.public_key,
        )

    def revoke(self, unit: Unit, *, terminal_id: int, at_us: int) -> None:
        """Append the end of a terminal: its key, its code and whatever is open there. The name is free again."""
        unit.add(
            """UPDATE terminal SET revoked_at_us=:at, name=name||' (revoked '||public_id||')'
                WHERE id=:id AND revoked_at_us IS NULL""",
            rows=1,
            refusal="not-found",
            at=at_us,
            id=terminal_id,
        )
        unit.add("DELETE FROM terminal_code WHERE terminal_id=:id", id=terminal_id)
        _end_sessions(unit, terminal_id=terminal_id, at_us=at_us)


def _end_sessions(unit: Unit, *, terminal_id: int, at_us: int) -> None:
    unit.add(
        "UPDATE session SET ended_at_us=:at WHERE terminal_id=:id AND ended_at_us IS NULL", at=at_us, id=terminal_id
    )
