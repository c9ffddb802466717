"""A buggy client against the ledger's schema: every attack fails, or leaves all invariants true.

Each runs with foreign keys on and off, recursive triggers on and off, and the ledger must stay usable after it. The
guards are the schema's, so nothing of the daemon's Python is involved.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from daemon.db.migrate import migrations

COLUMNS = "(idempotency_key,request_digest,job_id,kind,unit_id,debit_account_id,credit_account_id,amount,at_us"
KEY = "randomblob(16),zeroblob(8)"
FIXED = f"X'{'aa' * 16}',zeroblob(8)"


def pending(amount, *, verb="INSERT", key=KEY, debit=10, credit=2, unit=1, expires=9, job=7):
    return f"{verb} INTO transfer{COLUMNS},expires_at_us) VALUES({key},{job},'pending',{unit},{debit},{credit},{amount},5,{expires})"


def direct(amount, *, verb="INSERT", key=KEY, debit=1, credit=10, unit=1):
    return f"{verb} INTO transfer{COLUMNS}) VALUES({key},0,'direct',{unit},{debit},{credit},{amount},5)"


def resolve(kind, amount, *, verb="INSERT", of=2, debit=10, credit=2, at=6, job=7, unit=1):
    return f"{verb} INTO transfer{COLUMNS},pending_id) VALUES({KEY},{job},'{kind}',{unit},{debit},{credit},{amount},{at},{of})"


def reversal(amount, *, of=1, debit=10, credit=1, job=0):
    return (
        f"INSERT INTO transfer{COLUMNS},reverses_id) VALUES({KEY},{job},'reversal',1,{debit},{credit},{amount},6,{of})"
    )


OPEN = pending(50)
ATTACKS = {
    "overspend": [pending(101)],
    "overspend or ignore": [pending(101, verb="INSERT OR IGNORE")],
    "overspend or replace": [pending(101, verb="INSERT OR REPLACE")],
    "overspend or fail": [pending(101, verb="INSERT OR FAIL")],
    "overspend or rollback": [pending(101, verb="INSERT OR ROLLBACK")],
    "overspend direct or ignore": [direct(500, verb="INSERT OR IGNORE", debit=10, credit=1)],
    "overspend in two rows": [pending(60, verb="INSERT OR FAIL") + f",({KEY},8,'pending',1,10,2,60,5,9)"],
    "replace an old row by id": [
        f"INSERT OR REPLACE INTO transfer(id,{COLUMNS[1:]}) VALUES(1,{KEY},0,'direct',1,1,10,100,5)"
    ],
    "replace an old row by key": [direct(9, key=FIXED), direct(9, key=FIXED, verb="INSERT OR REPLACE")],
    "same key ignored": [direct(9, key=FIXED), direct(9, key=FIXED, verb="INSERT OR IGNORE")],
    "far id": [f"INSERT INTO transfer(id,{COLUMNS[1:]}) VALUES(9223372036854775807,{KEY},0,'direct',1,1,10,1,5)"],
    "negative id": [f"INSERT INTO transfer(id,{COLUMNS[1:]}) VALUES(-5,{KEY},0,'direct',1,1,10,1,5)"],
    "double post": [OPEN, resolve("post", 50), resolve("post", 50)],
    "double post or replace": [OPEN, resolve("post", 50), resolve("post", 50, verb="INSERT OR REPLACE")],
    "post after void": [OPEN, resolve("void", 0), resolve("post", 50)],
    "void after post": [OPEN, resolve("post", 1), resolve("void", 0)],
    "post above the reservation": [OPEN, resolve("post", 51)],
    "post from another account": [OPEN, resolve("post", 50, debit=11)],
    "post to another account": [OPEN, resolve("post", 50, credit=1)],
    "post for another job": [OPEN, resolve("post", 50, job=8)],
    "post of a post": [OPEN, resolve("post", 50), resolve("post", 5, of=3)],
    "post of nothing": [resolve("post", 5, of=77)],
    "early expire": [OPEN, resolve("expire", 0, at=8)],
    "void with an amount": [OPEN, resolve("void", 5)],
    "expire with an amount": [OPEN, resolve("expire", 5, at=10)],
    "across units": [direct(5, debit=10, credit=20)],
    "across units, other unit": [direct(5, debit=10, credit=20, unit=2)],
    "unknown unit": [direct(5, unit=9)],
    "negative amount": [direct(-5, debit=2, credit=10)],
    "zero amount": [direct(0)],
    "half a page": [direct("0.5")],
    "text amount": [direct("'5 pages'")],
    "null amount": [direct("NULL")],
    "to itself": [direct(5, debit=10, credit=10)],
    "unknown debit": [direct(5, debit=999, credit=10)],
    "unknown credit": [direct(5, debit=1, credit=999)],
    "overflow": [direct(9223372036854775807)],
    "overflow in two": [direct(3_900_000_000_000_000_000), direct(3_900_000_000_000_000_000)],
    "short key": [direct(5, key="X'00',zeroblob(8)")],
    "reverse twice": [reversal(100), reversal(1)],
    "reverse too much": [direct(50), reversal(101)],
    "reverse the wrong way": [reversal(5, debit=1, credit=10)],
    "reverse a reservation": [OPEN, reversal(5, of=2, debit=2, credit=10, job=7)],
    "raise a balance": ["UPDATE account SET credits_posted=credits_posted+1000 WHERE id=10"],
    "raise a balance, next transfer": [
        "UPDATE account SET credits_posted=credits_posted+1000, last_transfer_id=last_transfer_id+1 WHERE id=10"
    ],
    "raise a balance or ignore": ["UPDATE OR IGNORE account SET credits_posted=credits_posted+1000 WHERE id=10"],
    "replay the last transfer": ["UPDATE account SET credits_posted=credits_posted+100 WHERE id=10"],
    "limit above the balance": ["UPDATE account SET available_min=500 WHERE id=10"],
    "no limit": ["UPDATE account SET available_min=NULL WHERE id=10", pending(101)],
    "move an account by rowid": ["UPDATE account SET rowid=77 WHERE id=10"],
    "give an account away": ["UPDATE account SET owner='person:9' WHERE id=10"],
    "replace an account": ["INSERT OR REPLACE INTO account(id,unit_id,kind,available_min) VALUES(10,1,'user',0)"],
    "replace an account, rich": [
        "INSERT OR REPLACE INTO account(id,unit_id,kind,available_min,credits_posted) VALUES(10,1,'user',0,9999)"
    ],
    "replace an account by its name": [
        "INSERT OR REPLACE INTO account(unit_id,kind,owner,pot,available_min) VALUES(1,'user','person:1','a',0)"
    ],
    "person without limit": ["INSERT INTO account(unit_id,kind,owner,pot) VALUES(1,'user','person:5','a')"],
    "delete a transfer": ["DELETE FROM transfer WHERE id=1"],
    "change a transfer": ["UPDATE transfer SET amount=1"],
    "upsert a transfer": [
        direct(9, key=FIXED),
        direct(9, key=FIXED) + " ON CONFLICT(idempotency_key) DO UPDATE SET amount=1",
    ],
    "delete an account": ["DELETE FROM account WHERE id=10"],
    "change a unit": ["UPDATE unit SET scale=2 WHERE id=2"],
    "replace a unit": ["INSERT OR REPLACE INTO unit VALUES(2,'EUR',2)"],
    "delete a unit": ["DELETE FROM unit"],
    "checks off": ["PRAGMA ignore_check_constraints=1", pending(101)],
    "checks off, no limit": [
        "PRAGMA ignore_check_constraints=1",
        "INSERT INTO account(id,unit_id,kind,owner,pot) VALUES(90,1,'user','person:9','a')",
        pending(5, debit=90),
    ],
    "same leg twice": [pending(40, key=FIXED) + f",({FIXED},7,'pending',1,10,2,40,5,9)"],
    "forge a block": ["INSERT INTO ledger_block VALUES(1,1,X'00',X'00',X'00',NULL)", "DELETE FROM ledger_block"],
    "forge an answer": [
        "INSERT INTO request VALUES(zeroblob(16),zeroblob(8),'{}',1)",
        "INSERT OR REPLACE INTO request VALUES(zeroblob(16),zeroblob(8),'forged',1)",
    ],
    "rewrite the audit log": [
        "INSERT INTO audit VALUES(1,1,'a','b','c','{}',X'00',X'00')",
        "INSERT OR REPLACE INTO audit VALUES(1,1,'x','y','z','{}',X'00',X'00')",
    ],
}  # fmt: skip

BALANCES = """SELECT a.id, a.credits_posted, a.debits_posted, a.debits_pending, a.available_min, a.kind,
  (SELECT coalesce(sum(amount),0) FROM transfer WHERE credit_account_id=a.id AND kind<>'pending'),
  (SELECT coalesce(sum(amount),0) FROM transfer WHERE debit_account_id=a.id AND kind<>'pending'),
  (SELECT coalesce(sum(amount),0) FROM transfer t WHERE debit_account_id=a.id AND kind='pending'
     AND NOT EXISTS(SELECT 1 FROM transfer r WHERE r.pending_id=t.id)) FROM account a"""


@pytest.fixture(scope="module")
def template():
    """A ledger with 100 pages for one person, made once and copied per attack."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for migration in migrations():
        connection.executescript(migration.sql)
    connection.executescript(
        f"""INSERT INTO unit VALUES(1,'pages',0),(2,'EUR',4);
        INSERT INTO account(id,unit_id,kind,pot) VALUES(1,1,'source','grants'),(2,1,'sink','revenue'),(3,2,'source','grants');
        INSERT INTO account(id,unit_id,kind,owner,pot,available_min)
          VALUES(10,1,'user','person:1','a',0),(11,1,'user','person:2','a',0),(20,2,'user','person:1','a',0);
        {direct(100)};"""
    )
    yield connection
    connection.close()


def broken(connection):
    found = []
    for number, credited, debits, held, least, kind, c, d, p in connection.execute(BALANCES).fetchall():
        if (credited, debits, held) != (c, d, p):
            found.append(("balance", number))
        if least is not None and credited - debits - held < least:
            found.append(("limit", number))
        if kind == "user" and number != 90 and least is None:
            found.append(("finite", number))
    for unit, difference in connection.execute(
        "SELECT unit_id, sum(credits_posted)-sum(debits_posted) FROM account GROUP BY 1 HAVING 2<>0"
    ).fetchall():
        if difference:
            found.append(("unit", unit))
    if connection.execute("SELECT amount FROM transfer WHERE id=1").fetchone() != (100,):
        found.append(("history", 1))
    if connection.execute("SELECT group_concat(scale) FROM (SELECT scale FROM unit ORDER BY id)").fetchone() != (
        "0,4",
    ):
        found.append(("units", 0))
    return found


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_leaves_the_books_right(template, name):
    """Whatever a buggy client tries, under every setting of the connection, the books stay right and usable."""
    for foreign_keys in (0, 1):
        for recursive in (0, 1):
            with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
                template.backup(connection)
                connection.execute(f"PRAGMA foreign_keys={foreign_keys}")
                connection.execute(f"PRAGMA recursive_triggers={recursive}")
                last_refused = False
                for statement in ATTACKS[name]:
                    try:
                        connection.execute(statement)
                        last_refused = False
                    except (sqlite3.Error, OverflowError):
                        last_refused = True
                settings = (name, foreign_keys, recursive)
                assert broken(connection) == [], settings
                assert last_refused or "ignore" in name or "checks off" in name, settings
                if connection.in_transaction:
                    connection.rollback()
                connection.execute("PRAGMA ignore_check_constraints=0")
                connection.execute(direct(7))
                assert broken(connection) == [], (*settings, "not usable afterwards")
