"""`holdfast ledger ...`: the books, read beside a running daemon, never written."""

from __future__ import annotations

import asyncio
from typing import Any

from daemon.cli.command import DIFFERENCE, OK, Command, Context, argument
from daemon.cli.install import DATABASE_NAME
from daemon.cli.output import note, say, say_json, table

MISMATCHES = {"table": "TABLE", "id": "ID", "expected": "EXPECTED", "found": "FOUND"}


def verify(context: Context) -> int:
    report = asyncio.run(_verify(context))
    if context.as_json:
        say_json(report)
    elif report["ok"]:
        say(f"The books are right: {report['transfers']} transfers, chain ends in {report['head'] or 'nothing yet'}.")
    else:
        say(f"The books are NOT right: {len(report['mismatches'])} differences in {report['transfers']} transfers.")
        table(report["mismatches"], MISMATCHES)
    return OK if report["ok"] else DIFFERENCE


async def _verify(context: Context) -> dict[str, Any]:
    from daemon.accounting.books import Books
    from daemon.db.database import Database

    database = await Database.open_readonly(context.settings().state_dir / DATABASE_NAME)
    try:
        return (await Books(database).verify()).to_json()
    finally:
        await database.close()


def export(context: Context) -> int:
    count = asyncio.run(_export(context))
    note(f"{count} transfers")
    return OK


async def _export(context: Context) -> int:
    from daemon.accounting.books import Books
    from daemon.db.database import Database

    database = await Database.open_readonly(context.settings().state_dir / DATABASE_NAME)
    count = 0
    try:
        async for row in Books(database).export(context.options.since):
            say_json(row)
            count += 1
    finally:
        await database.close()
    return count


COMMANDS = (
    Command(
        ("ledger", "verify"),
        "Rebuild every balance from the transfers and check the hash chain; exit 1 names each difference.",
        verify,
        ("holdfast ledger verify --json",),
    ),
    Command(
        ("ledger", "export"),
        "Write every transfer as JSON lines, oldest first.",
        export,
        ("holdfast ledger export > transfers.jsonl", "holdfast ledger export --since 4711"),
        (argument("--since", type=int, default=0, metavar="SEQ", help="only transfers after this one"),),
    ),
)
