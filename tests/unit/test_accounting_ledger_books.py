"""The books check names the row that differs; the statement and the export tell the whole story."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from daemon.accounting.books import Books as WholeBooks
from daemon.db import chain
from daemon.db.database import Database
from daemon.db.migrate import released_schema
from tests.helpers.books import Books


@pytest.fixture
async def ledger(tmp_path):
    """Books with a grant, a partial print and an open reservation, closed; the path of their file."""
    path = tmp_path / "house.db"
    books = await Books.open(path)
    ann = await books.person(50)
    delivery, job, legs = await books.reserve(ann, 20)
    await books.settle(ann, delivery, job, legs, pages=7)
    await books.end(delivery)
    await books.reserve(ann, 5)
    await books.close()
    return path


FORGED = (
    "INSERT INTO transfer(idempotency_key,request_digest,job_id,kind,unit_id,debit_account_id,credit_account_id,"
    "amount,at_us) VALUES(randomblob(16),zeroblob(8),0,'direct',1,2,6,9,1)"
)


async def verify(path):
    db = await Database.open_readonly(path)
    try:
        return await WholeBooks(db).verify()
    finally:
        await db.close()


def tamper(path, *statements):
    """Someone with the file and the time to put the guards back as they were."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type='trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)


async def test_untouched_books_are_right(ledger):
    """Honest books verify, read-only, with no daemon running."""
    report = await verify(ledger)
    assert report.to_json() == {"ok": True, "transfers": 4, "head": report.head, "mismatches": []}
    assert len(report.head) == 64


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (["UPDATE transfer SET amount=6 WHERE id=3"], {("transfer", "3"), ("account", "6"), ("account", "1")}),
        (["UPDATE account SET credits_posted=credits_posted+1 WHERE id=6"], {("account", "6"), ("unit", "pages")}),
        (["UPDATE account SET debits_pending=0 WHERE id=6"], {("account", "6")}),
        (["UPDATE transfer SET at_us=at_us+1 WHERE id=2"], {("transfer", "2")}),
        (["DELETE FROM transfer WHERE id=4"], {("transfer", "4"), ("account", "6"), ("delivery_leg", None)}),
        (["UPDATE ledger_block SET hash=zeroblob(32) WHERE last_id=2"], {("ledger_block", "2"), ("ledger_block", "3")}),
        (["UPDATE ledger_block SET rows=zeroblob(8) WHERE last_id=2"], {("ledger_block", "2"), ("transfer", "2")}),
        (["DELETE FROM ledger_block WHERE last_id=4"], {("transfer", "4")}),
        (["UPDATE transfer_note SET reason='a gift'"], {("transfer_note", "1")}),
        (["UPDATE transfer_note SET actor='user:9'"], {("transfer_note", "1")}),
        (["DELETE FROM transfer_note"], {("transfer_note", "1")}),
        (
            ["INSERT INTO transfer_note SELECT idempotency_key, 'late', 'user:9' FROM transfer WHERE id=3"],
            {("transfer_note", "3")},
        ),
        (["UPDATE ledger_block SET notes=NULL WHERE last_id=1"], {("ledger_block", "1")}),
        (["UPDATE audit SET actor='user:9' WHERE id=1"], {("audit", "1")}),
        (["UPDATE delivery SET phase='settled'"], {("transfer", "4")}),
        (["UPDATE delivery SET phase='printing'"], {("delivery_leg", None)}),
        (["UPDATE delivery_leg SET amount=1"], {("delivery_leg", None)}),
        (["DELETE FROM delivery_leg", "UPDATE delivery SET phase='settled'"], {("transfer", "4")}),
        (
            ["DELETE FROM ledger_block WHERE last_id=4", "DELETE FROM delivery_leg", "DELETE FROM transfer WHERE id=4",
             "UPDATE account SET debits_pending=0 WHERE id=6"],
            {("transfer", "4")},
        ),
        (
            [FORGED],
            {("transfer", "5"), ("account", "6"), ("account", "2")},
        ),
    ],
)  # fmt: skip
async def test_difference_names_its_row(ledger, statements, named):
    """Whatever was changed behind the guards, the check fails and names the row, what was expected and found."""
    tamper(ledger, *statements)
    report = await verify(ledger)
    assert not report.ok
    found = {(one.table, one.id) for one in report.mismatches}
    for table, number in named:
        assert (table, number) in found or (number is None and table in {one[0] for one in found}), (table, found)
    assert all(one.expected != one.found for one in report.mismatches)


async def test_blocks_of_the_first_schema_keep_verifying(ledger):
    """What was sealed before reasons were has its old hash; later blocks cover theirs, and chain to it."""
    prev = chain.GENESIS
    with closing(sqlite3.connect(ledger)) as connection:
        blocks = connection.execute("SELECT first_id, last_id, rows FROM ledger_block ORDER BY last_id").fetchall()
    changes = []
    for first, last, rows in blocks:
        link = chain.block_hash(prev, first, last, rows, None)
        changes.append(
            f"UPDATE ledger_block SET notes=NULL, prev=x'{prev.hex()}', hash=x'{link.hex()}' WHERE last_id={last}"
        )
        prev = link
    tamper(ledger, *changes)
    books = await Books.open(ledger)
    books.numbers = iter(range(900, 999))
    await books.adjust((await books.pots(1))[0], 3, reason="new")
    await books.close()
    assert (await verify(ledger)).mismatches == ()
    tamper(ledger, "UPDATE transfer_note SET reason='forged' WHERE reason='new'")
    assert [(one.table, one.id) for one in (await verify(ledger)).mismatches] == [("transfer_note", "5")]


async def test_a_reason_is_given_with_its_transfer_or_never(ledger):
    """A note for a sealed transfer is refused by the schema itself."""
    with closing(sqlite3.connect(ledger)) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("INSERT INTO transfer_note SELECT idempotency_key, 'late', 'x' FROM transfer WHERE id=3")


async def test_missing_guard_is_named(ledger):
    """A dropped trigger is a difference of its own."""
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("DROP TRIGGER account_guard")
    (one,) = (await verify(ledger)).mismatches
    assert (one.table, one.id, one.found) == ("sqlite_schema", "account_guard", "missing")
    assert one.expected == released_schema(1)["account_guard"].split("\n")[0]


async def test_row_past_the_daemon_is_never_adopted(ledger):
    """A correct transfer written by another program stays named as such, also after the daemon wrote more."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute(FORGED)
    books = await Books.open(ledger)
    books.numbers = iter(range(900, 999))
    await books.adjust((await books.pots(1))[0], 3)
    await books.close()
    assert [(one.table, one.id) for one in (await verify(ledger)).mismatches] == [("transfer", "5")]


async def test_statement_tells_what_why_and_what_was_left(tmp_path):
    """Lines come oldest first with the balance after each, in pages that lose and repeat nothing."""
    books = await Books.open(tmp_path / "house.db")
    ann = await books.person(10)
    delivery, job, legs = await books.reserve(ann, 8)
    await books.settle(ann, delivery, job, legs, pages=13)
    await books.adjust((await books.pots(ann))[0], 9, reason="welcome")
    whole, end = await WholeBooks(books.db).statement(ann, limit=100)
    assert end == 0
    shown = [(line["kind"], line["amount"]["amount"], line["balance_after"]["amount"], line["pot"]) for line in whole]
    assert shown == [
        ("adjustment", 10, 10, "allowance"),
        ("print", -8, 2, "allowance"),
        ("print", -2, 0, "allowance"),
        ("overrun", -3, -3, "overrun"),
        ("adjustment", 9, 9, "allowance"),
        ("overrun-paid", -3, 6, "allowance"),
        ("overrun-paid", 3, 0, "overrun"),
    ]
    assert whole[1]["job"]["printer"] == "hall"
    assert whole[4]["reason"] == "welcome"
    paged, after = [], 0
    while True:
        page, after = await WholeBooks(books.db).statement(ann, after=after, limit=2)
        paged += page
        if not after:
            break
    assert paged == whole
    await books.close()


async def test_export_continues_where_it_ended(ledger):
    """The export holds every transfer once, in order, and refers by public ids only."""
    db = await Database.open_readonly(ledger)
    rows = [row async for row in WholeBooks(db).export()]
    assert [row["seq"] for row in rows] == [1, 2, 3, 4]
    assert [row async for row in WholeBooks(db).export(2)] == rows[2:]
    assert rows[2]["resolves"] == rows[1]["transfer_id"]
    assert (rows[1]["kind"], rows[2]["kind"], rows[2]["amount"]) == (
        "pending",
        "post",
        {"unit": "pages", "amount": 7, "scale": 0},
    )
    await db.close()
