"""Durable reserve + post: our group commit against naive aiosqlite and against raw sqlite3 in batches of the same size.

One *operation* is one reservation or one posting, answered only after its COMMIT is on disk. All sides use the same
schema with all its guards, the same statements and parameters, `synchronous=FULL`, and their own fresh file on the
same disk. Ours also seals every commit into the hash chain; the other two do not. Rounds are interleaved and medians
compared within one run.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import aiosqlite

from daemon.accounting.ledger import digest, reservation_key, resolution_key
from daemon.accounting.movement_store import RESERVE, RESOLVE
from daemon.accounting.store import LedgerStore
from daemon.db.database import Database
from daemon.db.migrate import migrate
from daemon.db.unit import Unit
from daemon.system import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROUNDS = 5
TASKS = 64
SECONDS = 1.0
PEOPLE = 50
FIRST_ACCOUNT = 1000
EXPIRES_US = 10**18
NAIVE_TIMES_MIN = 5.0
RAW_SHARE_MIN = 0.8


class Charge:
    """A leg: what `LedgerStore.reserve` needs of one."""

    __slots__ = ("account_id", "amount")

    def __init__(self, account_id: int, amount: int) -> None:
        self.account_id, self.amount = account_id, amount


def fresh(path: Path) -> Path:
    """A database with `PEOPLE` unlimited pots of pages."""
    migrate(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO unit VALUES(1, 'pages', 0)")
        connection.execute("INSERT INTO account(id, unit_id, kind, pot) VALUES(1, 1, 'sink', 'revenue')")
        connection.executemany(
            "INSERT INTO account(id, unit_id, kind, owner, pot, available_min) VALUES(?, 1, 'user', ?, 'a', -4000000)",
            [(FIRST_ACCOUNT + number, f"person:{number}") for number in range(PEOPLE)],
        )
    return path


def pragmas(connection: sqlite3.Connection) -> None:
    """What every side runs with."""
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA secure_delete=ON")


def reserve_values(number: int) -> dict[str, object]:
    """The reservation of job `number`."""
    account = FIRST_ACCOUNT + number % PEOPLE
    return {
        "key": reservation_key(str(number), 0),
        "digest": digest("pending", number, account, 3),
        "job_id": number,
        "leg": 0,
        "account_id": account,
        "amount": 3,
        "at_us": number,
        "expires_at_us": EXPIRES_US,
    }


def post_values(number: int) -> dict[str, object]:
    """The posting of job `number`."""
    pending = reservation_key(str(number), 0)
    return {
        "key": resolution_key(pending),
        "digest": digest("post", pending, 2),
        "kind": "post",
        "pending_key": pending,
        "amount": 2,
        "at_us": number,
    }


async def drive(tasks: int, operation: Callable[[int], Awaitable[None]]) -> tuple[float, list[float]]:
    """Operations per second of `tasks` clients that each reserve and post in turn, and every job's latency."""
    count, number, waits = 0, 0, []
    begin = time.perf_counter()
    until = begin + SECONDS

    async def client() -> None:
        nonlocal count, number
        while time.perf_counter() < until:
            number += 1
            start = time.perf_counter()
            await operation(number)
            waits.append((time.perf_counter() - start) / 2)
            count += 2

    await asyncio.gather(*(client() for _ in range(tasks)))
    return count / (time.perf_counter() - begin), waits


async def ours(path: Path, tasks: int) -> tuple[float, list[float]]:
    """Through `Database.commit`, as the daemon does it."""
    clock = SystemClock()
    database = await Database.open(fresh(path), clock=clock)
    store = LedgerStore(database, clock)

    async def operation(number: int) -> None:
        unit = Unit()
        legs = [Charge(FIRST_ACCOUNT + number % PEOPLE, 3)]
        (key,) = store.reserve(
            unit, delivery_public_id=str(number), job_id=number, legs=legs, at_us=number, expires_at_us=EXPIRES_US
        )
        await database.commit(unit)
        unit = Unit()
        store.post(unit, pending_key=key, amount=2, at_us=number)
        await database.commit(unit)

    result = await drive(tasks, operation)
    await database.close()
    return result


async def naive(path: Path, tasks: int) -> tuple[float, list[float]]:
    """aiosqlite, one connection, every statement its own commit (autocommit: one thread hop, its fastest form)."""
    async with aiosqlite.connect(fresh(path), isolation_level=None, cached_statements=256) as connection:
        for text in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            await connection.execute_fetchall(f"PRAGMA {text}")

        async def operation(number: int) -> None:
            await connection.execute(RESERVE, reserve_values(number))
            await connection.execute(RESOLVE, post_values(number))

        return await drive(tasks, operation)


def raw(path: Path, batch: int) -> float:
    """sqlite3 in one thread, `batch` operations per transaction, nobody to answer: the ceiling."""
    with closing(sqlite3.connect(fresh(path), isolation_level=None, cached_statements=256)) as connection:
        pragmas(connection)
        count = number = 0
        begin = time.perf_counter()
        until = begin + SECONDS
        while time.perf_counter() < until:
            numbers = range(number + 1, number + batch + 1)
            number += batch
            for statement, values in ((RESERVE, reserve_values), (RESOLVE, post_values)):
                connection.execute("BEGIN IMMEDIATE")
                for one in numbers:
                    connection.execute(statement, values(one))
                connection.execute("COMMIT")
                count += batch
        return count / (time.perf_counter() - begin)


async def measure(folder: Path) -> dict[str, list[float]]:
    """Interleaved rounds; operations per second by variant, and our latencies in ms."""
    found: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        for name, side, tasks in (
            ("naive_64", naive, TASKS), ("ours_64", ours, TASKS), ("naive_1", naive, 1), ("ours_1", ours, 1),
        ):  # fmt: skip
            rate, waits = await side(folder / f"{name}-{number}.db", tasks)
            found.setdefault(name, []).append(rate)
            found.setdefault(f"{name}_p50_ms", []).append(statistics.median(waits) * 1e3)
        found.setdefault("raw_64", []).append(await asyncio.to_thread(raw, folder / f"raw-{number}.db", TASKS))
    return found


def run() -> dict[str, object]:
    """Medians, ratios and targets of one run."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", dir=Path.cwd()) as folder:
        found = asyncio.run(measure(Path(folder)))
    figures = {name: round(statistics.median(values), 2) for name, values in found.items()}
    ratios = {
        "ours_64 / naive_64": round(figures["ours_64"] / figures["naive_64"], 2),
        "ours_64 / raw_64": round(figures["ours_64"] / figures["raw_64"], 2),
        "ours_1 / naive_1": round(figures["ours_1"] / figures["naive_1"], 2),
    }
    targets = {
        "ours_64 / naive_64": NAIVE_TIMES_MIN,
        "ours_64 / raw_64": RAW_SHARE_MIN,
        "ours_1 / naive_1": 1.0,
    }
    met = {name: ratios[name] >= least for name, least in targets.items()}
    return {"name": "ledger", "unit": "ops/s", "medians": figures, "ratios": ratios, "targets": targets, "met": met}


if __name__ == "__main__":
    import json

    print(json.dumps(run(), indent=2))
