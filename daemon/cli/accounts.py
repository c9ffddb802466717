"""`holdfast account ...`: what people have, and why."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from daemon.cli.answer import answer, path
from daemon.cli.command import Command, Context, argument
from daemon.cli.listing import show_list
from daemon.cli.output import amount_text, say, table

COLUMNS = {
    "pot": "POT", "kind": "KIND", "available": "AVAILABLE", "balance": "BALANCE", "reserved": "RESERVED",
    "limit": "DOWN TO", "next_grant_at": "NEXT GRANT",
}  # fmt: skip
STATEMENT = {
    "at": "WHEN", "kind": "WHAT", "pot": "POT", "amount": "AMOUNT", "balance_after": "BALANCE", "reason": "WHY",
    "actor": "BY",
}  # fmt: skip


def show(context: Context) -> int:
    def told(found: Any) -> None:
        if found["accounts"]:
            table(found["accounts"], COLUMNS)
        else:
            say(f"{found['user']} has no pots: the profile defines none. See [profiles] in the configuration.")

    return answer(context, lambda api: api.get(path("accounts", context.options.user)), told)


def adjust(context: Context) -> int:
    def told(done: Any) -> None:
        say(f"Done. {context.options.user} now has {amount_text(done['balance'])}.")

    return _change(context, "adjust", {"amount": context.options.amount}, told)


def override(context: Context) -> int:
    def told(done: Any) -> None:
        say(f"Done. {context.options.user} now has {amount_text(done['available'])} available.")

    return _change(context, "override", {"to": context.options.to}, told)


def _change(context: Context, verb: str, wanted: dict[str, str], told: Callable[[Any], None]) -> int:
    options = context.options
    key = options.key or uuid.uuid4().hex  # noqa: TID251  -- the command line is the edge
    body = {"unit": options.unit, "reason": options.reason, **wanted}
    if options.pot:
        body["pot"] = options.pot
    return answer(context, lambda api: api.post(path("accounts", options.user, verb), body, key=key), told)


def statement(context: Context) -> int:
    where = path("accounts", context.options.user, "statement")
    return show_list(context, where, STATEMENT, empty="Nothing has moved on these accounts yet.", shown=_line)


def _line(item: dict[str, Any]) -> dict[str, Any]:
    """A movement as a person reads it: a print says what came out and where."""
    job = item.get("job")
    if item["reason"] or not job:
        return item
    where = f" on {job['printer']}" if job.get("printer") else ""
    count = f"{job['impressions']} impressions{where}" if job.get("impressions") is not None else f"a job{where}"
    return {**item, "reason": count}


_USER = argument("user", metavar="USER", help="network name (or id)")
_UNIT = argument("--unit", required=True, metavar="U", help="pages, colour_pages or a currency")
_REASON = argument("--reason", required=True, metavar="T", help="why; shown on the statement")
_KEY = argument("--key", metavar="K", default="", help="your own name for this change, for safe repeating")
_POT = argument("--pot", metavar="POT", default="", help="which pot (default: the unit's first)")

COMMANDS = (
    Command(("account", "show"), "Show a person's pots.", show, ("holdfast account show anna --json",), (_USER,)),
    Command(
        ("account", "adjust"),
        "Add to a pot, or take from it with a negative amount. Audited, with its reason.",
        adjust,
        (
            "holdfast account adjust anna --unit pages --amount 50 --reason 'misprint on hall' --key ticket-4711",
            "holdfast account adjust anna --unit EUR --amount=-2.50 --reason 'refund in cash'",
        ),
        (
            _USER,
            _UNIT,
            argument("--amount", required=True, metavar="N", help="in whole units: 50, 2.50, -3"),
            _REASON,
            _KEY,
            _POT,
        ),
    ),
    Command(
        ("account", "override"),
        "Set what is available in a pot, whatever is there; reserved money is untouched. Audited, with its reason.",
        override,
        ("holdfast account override anna --unit pages --to 200 --reason 'new contract' --key hr-12",),
        (
            _USER,
            _UNIT,
            argument("--to", required=True, metavar="N", help="what is to be available, in whole units: 50, 2.50, 0"),
            _REASON,
            _KEY,
            _POT,
        ),
    ),
    Command(
        ("account", "statement"),
        "Every movement on a person's accounts, oldest first.",
        statement,
        ("holdfast account statement anna",),
        (_USER,),
    ),
)
