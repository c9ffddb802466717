"""Kill -9 in a loop: a forked ledger under load is killed at random moments, reopened and checked.

    python -m tests.helpers.crash --kills 10000 --dir /some/disk

What must hold after every kill: every acknowledged write is there, no refused one is, balances equal the transfers,
the chain and the schema are whole; and every write whose answer was lost, asked for again under its key, is answered
once. Each line the child writes to its pipe is `S` key (sent), `A` key (done) or `R` key (refused).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import select
import signal
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from daemon.accounting.books import Books
from daemon.accounting.ledger import reservation_key
from daemon.accounting.store import LedgerStore
from daemon.db.database import Database
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.ids import derived_key, request_digest
from daemon.system import SystemClock
from tests.helpers.books import Leg

PEOPLE = 8
FIRST_ACCOUNT = 1000
FUNDS = 500
CLIENTS = 16
LINE = 17
ALIVE_MEAN_S = 0.06
FULL_CHECK_EVERY = 20
ROWS_MAX = 8000


@dataclass
class Totals:
    """What a run has seen."""

    kills: int = 0
    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    replayed: int = 0
    violations: list[str] = field(default_factory=list)


def fresh(path: Path) -> None:
    """An empty ledger with some people's pots."""
    for suffix in ("", "-wal", "-shm", ".lock", ".ballast"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)

    async def make() -> None:
        db = await Database.open(path, clock=SystemClock())
        unit = Unit()
        unit.add("INSERT INTO unit VALUES(1, 'pages', 0)")
        unit.add(
            "INSERT INTO account(id, unit_id, kind, pot) VALUES(1, 1, 'sink', 'revenue'), (2, 1, 'source', 'grants')"
        )
        for number in range(PEOPLE):
            unit.add(
                "INSERT INTO account(id, unit_id, kind, owner, pot, available_min) VALUES(:id, 1, 'user', :owner, 'a', 0)",
                id=FIRST_ACCOUNT + number,
                owner=f"person:{number}",
            )
        await db.commit(unit)
        unit = Unit()
        store = LedgerStore(db, SystemClock())
        for number in range(PEOPLE):
            store.grant(
                unit, account_id=FIRST_ACCOUNT + number, amount=FUNDS, cap=None, lineage="x", period="1", at_us=1
            )
        await db.commit(unit)
        await db.close()

    asyncio.run(make())


def unit_of(store: LedgerStore, name: str) -> tuple[bytes, Unit]:
    """The write called `name`: `reserve:N:ACCOUNT:AMOUNT` or `end:N:VERB:AMOUNT`; the same name, the same write."""
    verb, number, what, amount = name.split(":")
    key = derived_key("crash", name)
    unit = Unit(key=key, digest=request_digest(name), answer=json.dumps({"name": name}))
    at_us = 10
    if verb == "reserve":
        legs = [Leg(int(what), int(amount))]
        store.reserve(unit, delivery_public_id=number, job_id=int(number), legs=legs, at_us=at_us, expires_at_us=10**18)
    elif what == "post":
        store.post(unit, pending_key=reservation_key(number, 0), amount=int(amount), at_us=at_us)
    else:
        store.void(unit, pending_keys=[reservation_key(number, 0)], at_us=at_us)
    return key, unit


async def child(path: Path, pipe: int, seed: int, again: list[str]) -> None:
    """The ledger under load, until it is killed: first everything whose answer was lost, then new work."""
    db = await Database.open(path, clock=SystemClock())
    store = LedgerStore(db, SystemClock())
    names = Path(f"{path}.names").open("a", buffering=1)

    async def do(name: str) -> bool:
        key, unit = unit_of(store, name)
        names.write(name + "\n")
        os.write(pipe, b"S" + key)
        try:
            outcome = await db.commit(unit)
        except UnitRefused:
            os.write(pipe, b"R" + key)
            return False
        os.write(pipe, (b"P" if outcome.replayed else b"A") + key)
        return True

    for name in again:
        await do(name)

    async def client(which: int) -> None:
        dice = random.Random(f"{seed}/{which}")
        number = 0
        while True:
            number += 1
            job = (seed * CLIENTS + which) * 1_000_000 + number
            amount = dice.randint(1, 60)
            if await do(f"reserve:{job}:{FIRST_ACCOUNT + dice.randrange(PEOPLE)}:{amount}"):
                # Mostly voids, so that funds last; some reservations stay open for ever.
                verb = dice.choice(("post", "void", "void", "void"))
                if dice.random() < 0.98:
                    await do(f"end:{job}:{verb}:{dice.randint(0, 1) if verb == 'post' else 0}")

    await asyncio.gather(*(client(which) for which in range(CLIENTS)))


def one_life(path: Path, seed: int, again: list[str], alive_s: float) -> bytes:
    """Fork, load, kill; everything the child said."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            asyncio.run(child(path, writer, seed, again))
        finally:
            os._exit(3)
    os.close(writer)
    said = os.read(reader, 65536)  # its first write is under way
    until = time.monotonic() + alive_s
    while (left := until - time.monotonic()) > 0:
        if select.select([reader], [], [], left)[0]:
            part = os.read(reader, 65536)
            if not part:
                break
            said += part
    os.kill(pid, signal.SIGKILL)
    while part := os.read(reader, 65536):
        said += part
    os.close(reader)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError(f"the child ended by itself: {status}")
    return said


def check(path: Path, done: set[bytes], refused: set[bytes], *, whole: bool) -> list[str]:
    """What is wrong with the file as it was left behind."""
    found = []
    with closing(sqlite3.connect(path)) as connection:
        have = {row[0] for row in connection.execute("SELECT key FROM request")}
        found += [f"acknowledged and lost: {key.hex()}" for key in done - have]
        found += [f"refused and there: {key.hex()}" for key in refused & have]
        found += [f"balance of account {row[0]}" for row in connection.execute("SELECT * FROM ledger_mismatch")]
    if whole:

        async def verify() -> list[str]:
            db = await Database.open_readonly(path)
            report = await Books(db).verify()
            await db.close()
            return [str(one) for one in report.mismatches if one.found != "open, delivery missing"]

        found += asyncio.run(verify())
    return found


def run(folder: Path, kills: int, seed: int = 1) -> Totals:
    """`kills` kills in a row; stops at the first violation."""
    path = folder / "crash.db"
    totals, dice = Totals(), random.Random(seed)
    done: set[bytes] = set()
    refused: set[bytes] = set()
    again: list[str] = []
    while totals.kills < kills and not totals.violations:
        if not path.exists() or len(done) > ROWS_MAX:
            fresh(path)
            Path(f"{path}.names").write_text("")
            done, refused, again = set(), set(), []
        said = one_life(path, seed * 1000 + totals.kills, again, dice.expovariate(1 / ALIVE_MEAN_S))
        totals.kills += 1
        sent: set[bytes] = set()
        for at in range(0, len(said) - LINE + 1, LINE):
            kind, key = said[at : at + 1], said[at + 1 : at + LINE]
            if kind == b"S":
                totals.sent += 1
                sent.add(key)
                refused.discard(key)
            else:
                sent.discard(key)
                (refused if kind == b"R" else done).add(key)
                totals.replayed += kind == b"P"
                totals.refused += kind == b"R"
                totals.acknowledged += kind != b"R"
        totals.unknown += len(sent)
        totals.violations += check(
            path, done, refused, whole=totals.kills % FULL_CHECK_EVERY == 0 or totals.kills == kills
        )
        names = {derived_key("crash", name): name for name in Path(f"{path}.names").read_text().splitlines()}
        again = [names[key] for key in sent if key in names]
    return totals


def main() -> int:
    """Run from the command line; exit 1 at a violation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dir", type=Path, required=True)
    options = parser.parse_args()
    totals = run(options.dir, options.kills, options.seed)
    print(json.dumps(totals.__dict__))
    return 1 if totals.violations else 0


if __name__ == "__main__":
    sys.exit(main())
