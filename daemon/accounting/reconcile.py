"""The books check: what must be true of the ledger, and which row says otherwise. Pure.

Balances are rebuilt from the transfers, sums per unit must be zero, the chain of blocks must hold row by row, every
reservation must belong to a delivery under way, and the schema with its guards must be the released one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.db import chain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from daemon.db.unit import Row

LIVE_PHASES = ("reserved", "sending", "printing", "uncertain")
SENT_PHASES = ("reserved", "sending", "printing")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One row that is not as it must be: what the rest of the books expects of it, and what was found."""

    table: str
    id: str
    expected: str
    found: str

    def to_json(self) -> dict[str, str]:
        """{"table","id","expected","found"}."""
        return {"table": self.table, "id": self.id, "expected": self.expected, "found": self.found}


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The outcome of a check over `transfers` transfers; `head` is the hex hash the chain ends in."""

    transfers: int
    head: str
    mismatches: tuple[Mismatch, ...]

    @property
    def ok(self) -> bool:
        """True when nothing differs."""
        return not self.mismatches

    def to_json(self) -> dict[str, Any]:
        """{"ok","transfers","head","mismatches"}."""
        found = [mismatch.to_json() for mismatch in self.mismatches]
        return {"ok": self.ok, "transfers": self.transfers, "head": self.head, "mismatches": found}


def check_accounts(rows: Iterable[Row]) -> Iterator[Mismatch]:
    """Balances against the sums of the transfers (`credits_sum`, `debits_sum`, `pending_sum`), and limits."""
    for row in rows:
        expected = (row["credits_sum"], row["debits_sum"], row["pending_sum"])
        found = (row["credits_posted"], row["debits_posted"], row["debits_pending"])
        if expected != found:
            yield Mismatch("account", str(row["id"]), _balances(expected), _balances(found))
        available = found[0] - found[1] - found[2]
        if row["available_min"] is not None and available < row["available_min"]:
            yield Mismatch("account", str(row["id"]), f"available >= {row['available_min']}", f"available {available}")


def _balances(values: tuple[int, int, int]) -> str:
    return "credits {}, debits {}, reserved {}".format(*values)


def check_units(rows: Iterable[Row]) -> Iterator[Mismatch]:
    """What was credited in a unit was debited in it."""
    for row in rows:
        if row["difference"]:
            yield Mismatch("unit", row["code"], "credits - debits = 0", f"credits - debits = {row['difference']}")


def check_reservations(rows: Iterable[Row]) -> Iterator[Mismatch]:
    """Every open reservation belongs to a delivery that is under way; `phase` is None without a delivery."""
    for row in rows:
        if row["phase"] not in LIVE_PHASES:
            found = f"open, delivery {row['phase'] or 'missing'}"
            yield Mismatch("transfer", str(row["id"]), "resolved, or its delivery under way", found)


def check_legs(rows: Iterable[Row]) -> Iterator[Mismatch]:
    """Every delivery leg rests on the reservation it names, which is open while the delivery is under way."""
    for row in rows:
        name = f"{row['delivery']}/{row['leg']}"
        expected = f"{row['amount']} of account {row['account_id']}"
        if row["reserved"] is None:
            yield Mismatch("delivery_leg", name, f"a reservation of {expected}", "none")
        elif (row["reserved"], row["debit_account_id"]) != (row["amount"], row["account_id"]):
            found = f"{row['reserved']} of account {row['debit_account_id']}"
            yield Mismatch("delivery_leg", name, expected, found)
        elif row["phase"] in SENT_PHASES and row["resolution"] in {"post", "void"}:
            yield Mismatch("delivery_leg", name, f"open while {row['phase']}", f"resolved by {row['resolution']}")


def check_schema(expected: Mapping[str, str], found: Mapping[str, str]) -> Iterator[Mismatch]:
    """Every table, index, trigger and view is as released."""
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            yield Mismatch("sqlite_schema", name, _first_line(expected.get(name)), _first_line(found.get(name)))


def _first_line(sql: str | None) -> str:
    if sql is None:
        return "missing"
    return sql.split("\n", 1)[0] or "empty"


class ChainCheck:
    """Walks the blocks in order; feed each with the transfers since the block before."""

    def __init__(self) -> None:
        self.head = b""
        self.last_id = 0
        self.transfers = 0

    def block(self, block: Row, transfers: Sequence[Row]) -> Iterator[Mismatch]:
        """The mismatches of one block; `transfers` are those after the last block up to this one's end."""
        name = str(block["last_id"])
        prev = self.head or chain.GENESIS
        if block["prev"] != prev:
            yield Mismatch("ledger_block", name, f"prev {prev.hex()}", f"prev {block['prev'].hex()}")
        link = chain.block_hash(block["prev"], block["first_id"], block["last_id"], block["rows"], block["notes"])
        if block["hash"] != link:
            yield Mismatch("ledger_block", name, link.hex(), block["hash"].hex())
        for row in transfers:
            if row["id"] < block["first_id"]:
                yield unsealed(row["id"])
        sealed = [row for row in transfers if row["id"] >= block["first_id"]]
        yield from _rows_of(block, sealed)
        if block["notes"] is not None:
            yield from _notes_of(block["notes"], sealed)
        self.transfers += len(transfers)
        self.head, self.last_id = block["hash"], block["last_id"]


def unsealed(transfer_id: int) -> Mismatch:
    """A transfer that no commit of the daemon wrote."""
    return Mismatch("transfer", str(transfer_id), "sealed by a block", "written past the daemon")


def _rows_of(block: Row, rows: Sequence[Row]) -> Iterator[Mismatch]:
    size = chain.ROW_DIGEST_BYTES
    stored = [block["rows"][at : at + size] for at in range(0, len(block["rows"]), size)]
    found = {row["id"]: chain.transfer_digest([*row.values()][: chain.TRANSFER_WIDTH]) for row in rows}
    if list(found.values()) == stored:
        return
    # Ids within one commit have no gaps, so a digest's place names its row even when the row is gone.
    for place, digest in enumerate(stored):
        number = block["first_id"] + place
        if number not in found:
            yield Mismatch("transfer", str(number), digest.hex(), "missing")
        elif found[number] != digest:
            yield Mismatch("transfer", str(number), digest.hex(), found[number].hex())
    for number, digest in found.items():
        if number >= block["first_id"] + len(stored):
            yield Mismatch("transfer", str(number), "not in this block", digest.hex())


def _notes_of(notes: bytes, rows: Sequence[Row]) -> Iterator[Mismatch]:
    """A reason that was changed, taken away or added later; named by its transfer."""
    stored = chain.note_digests(notes)
    noted = [row for row in rows if row["actor"] is not None]
    found = chain.note_digests(b"".join(chain.note_entry(row["id"], row["reason"], row["actor"]) for row in noted))
    for number in sorted(stored.keys() | found.keys()):
        if stored.get(number) != found.get(number):
            expected, is_there = stored.get(number), found.get(number)
            yield Mismatch(
                "transfer_note",
                str(number),
                expected.hex() if expected else "no reason",
                is_there.hex() if is_there else "missing",
            )


class AuditCheck:
    """Walks the audit log in order."""

    def __init__(self) -> None:
        self.head = chain.GENESIS

    def entry(self, row: Row) -> Iterator[Mismatch]:
        """The mismatches of one entry."""
        parts = (row["at_us"], row["actor"], row["action"], row["subject"], row["detail"])
        link = chain.audit_hash(self.head, parts)
        if row["prev"] != self.head or row["hash"] != link:
            yield Mismatch("audit", str(row["id"]), link.hex(), row["hash"].hex())
        self.head = row["hash"]
