"""`holdfast card add|list|block|...`: enrolled cards. Numbers are read from standard input and never printed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from daemon.cli import secret_input
from daemon.cli.answer import answer, path
from daemon.cli.card_formats import read_line
from daemon.cli.client import with_api
from daemon.cli.command import DIFFERENCE, OK, Command, Context, UsageError, argument
from daemon.cli.listing import show_list
from daemon.cli.output import fields, say, say_json, table

LABELS = {
    "card_id": "Id", "user": "User", "label": "Label", "state": "State", "format": "Format", "created_at": "Added",
    "created_by": "Added by", "expires_at": "Ends", "blocked_at": "Blocked", "last_used_at": "Last used",
    "read_kept": "Read kept",
}  # fmt: skip
COLUMNS = {
    "card_id": "ID", "user": "USER", "label": "LABEL", "state": "STATE", "format": "FORMAT", "expires_at": "ENDS",
    "last_used_at": "LAST USED",
}  # fmt: skip
WHO = {"card_id": "ID", "user": "USER", "label": "LABEL", "reason": "WHY"}
SHOWN_MAX = 50


def add(context: Context) -> int:
    options = context.options
    body: dict[str, Any] = {"user": options.user, "label": options.label, "expires": options.expires}
    if options.tapped_at:
        if options.reader_format:
            raise UsageError("a tapped card has the format of its reader: leave out --reader-format")
        body["tapped_at"] = options.tapped_at
    else:
        body |= {"format": options.reader_format, "raw": _read()}

    def told(made: Any) -> None:
        what = "is linked to" if made["new"] else "was linked before to"
        say(f"Card {made['card_id']} {what} {made['user']}, who has {made['cards']} of {made['cards_max']} cards.")
        if made["notice"]:
            say(f"Note: {made['notice']}")

    return answer(context, lambda api: api.post("/cards", body), told, needs_daemon=bool(options.tapped_at))


def _read() -> str:
    """One read: typed without echo at a terminal (a reader there types too), else a line of standard input.

    Raises:
        UsageError: there is none.
    """
    raw = secret_input.typed("card") if sys.stdin.isatty() else read_line()
    if not raw:
        raise UsageError("expected the card's read on standard input")
    return raw


def unknown(context: Context) -> int:
    return show_list(
        context,
        "/cards/unknown",
        {"terminal": "TERMINAL", "reader": "READER", "format": "FORMAT", "at": "TAPPED"},
        empty="No unknown card was tapped in the last five minutes.",
        needs_daemon=True,
    )


def listing(context: Context) -> int:
    return show_list(
        context, "/cards", COLUMNS, empty="No cards yet. Add one: holdfast card add USER --reader-format default",
        query={"user": context.options.user},
    )  # fmt: skip


def show(context: Context) -> int:
    return answer(context, lambda api: api.get(path("cards", context.options.card)), lambda card: fields(card, LABELS))


def change(context: Context) -> int:
    options = context.options
    body = {key: value for key in ("label", "expires") if (value := getattr(options, key)) is not None}
    if not body:
        raise UsageError("say what to change: --label or --expires")
    return answer(
        context,
        lambda api: api.patch(path("cards", options.card), body),
        lambda card: say(f"Changed card {card['card_id']} of {card['user']}."),
    )


def block(context: Context) -> int:
    return answer(
        context,
        lambda api: api.post(path("cards", context.options.card, "block")),
        lambda card: say(f"Card {card['card_id']} of {card['user']} is blocked; what it had open has ended."),
    )


def unblock(context: Context) -> int:
    return answer(
        context,
        lambda api: api.post(path("cards", context.options.card, "unblock")),
        lambda card: say(f"Card {card['card_id']} of {card['user']} works again."),
    )


def remove(context: Context) -> int:
    return answer(
        context,
        lambda api: api.delete(path("cards", context.options.card)),
        lambda card: say(f"Card {card['card_id']} of {card['user']} is removed; it can be linked anew."),
    )


def rekey(context: Context) -> int:
    def told(done: Any) -> None:
        say(f"New key {done['key_id']}; {done['rehashed']} cards moved to it.")
        if done["remaining"]:
            say(f"{done['remaining']} cards move at their next tap; the key before is kept until then.")
        for key_id in done["retired"]:
            say(f"Key {key_id} is forgotten: no card is stored under it.")

    return answer(context, lambda api: api.post("/cards/rekey"), told)


def check(context: Context) -> int:
    found = with_api(context.settings(), lambda api: api.get("/cards/check"))
    if context.as_json:
        say_json(found)
    else:
        for one in found["collisions"]:
            say(f"{one['likeness']}:")
            table(one["cards"], {key: title for key, title in WHO.items() if key != "reason"})
        say(f"{found['compared']} of {found['cards']} cards compared, {len(found['collisions'])} likenesses found.")
    return OK if found["ok"] else DIFFERENCE


def dry_run(context: Context) -> int:
    options = context.options
    if bool(options.with_file) == bool(options.to):
        raise UsageError("give either --with FILE.toml or --to FORMAT")
    body = {"format": options.format, "to": options.to}
    if options.with_file:
        file = Path(options.with_file)
        try:
            body |= {"text": file.read_text("utf-8"), "file": file.name}
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} cannot be read: {error}") from error
    found = with_api(context.settings(), lambda api: api.post("/cards/dry-run", body))
    if context.as_json:
        say_json(found)
    else:
        _tell_dry_run(found)
    return OK if found["ok"] else DIFFERENCE


def _tell_dry_run(found: dict[str, Any]) -> None:
    for key, title in (
        ("lost", "Would stop matching"),
        ("changed", "Would get another number (moved from the kept read when the daemon next starts)"),
        ("gained", "Would match from then on"),
        ("unreadable", "Refused before and after"),
    ):
        if found[key]:
            say(f"{title}: {len(found[key])}")
            table(found[key][:SHOWN_MAX], WHO)
    for group in found["merged"]:
        say("Would become one card:")
        table(group, {key: title for key, title in WHO.items() if key != "reason"})
    say(f"{found['kept']} of {found['cards']} cards stay as they are.")
    if found["not_compared"]:
        say(f"{found['not_compared']} cards have no kept read: nothing can be said of them.")


def reformat(context: Context) -> int:
    options = context.options
    body = {"from": options.source, "to": options.to}
    found = with_api(context.settings(), lambda api: api.post("/cards/reformat", body))
    if context.as_json:
        say_json(found)
    else:
        say(f"{found['moved']} cards moved from {found['from']} to {found['to']}.")
        if found["stay"]:
            say("These stay as they are: refused by the new format, the same as another card, or no read is kept.")
            table(found["stay"][:SHOWN_MAX], {key: title for key, title in WHO.items() if key != "reason"})
    return OK if found["ok"] else DIFFERENCE


_CARD = argument("card", metavar="CARD_ID", help="the card's id, as `card list` shows it")
READER_FORMAT = argument(
    "--reader-format", metavar="F", default="", help="card format of the read (default: as configured)"
)
_EXPIRES = "2026-12-31 (through that day), an RFC 3339 time, or +8h, +3d, +2w from now"

COMMANDS = (
    Command(
        ("card", "add"),
        "Link a card to a person: its read comes on standard input, or from a tap a moment ago.",
        add,
        (
            "holdfast card add anna --reader-format h10301 --label 'blue fob' < read.txt",
            "holdfast card add anna --tapped-at hall-1",
            "holdfast card add guest7 --expires +8h",
        ),
        (
            argument("user", metavar="USER", help="network name (or id)"),
            READER_FORMAT,
            argument(
                "--tapped-at",
                metavar="TERMINAL",
                default="",
                help="take the unknown card tapped last at this terminal, at most five minutes ago",
            ),
            argument("--label", metavar="TEXT", default="", help="what the card is called in lists and mails"),
            argument("--expires", metavar="WHEN", default="", help=f"end of a temporary card: {_EXPIRES}"),
        ),
    ),
    Command(
        ("card", "unknown"),
        "List unknown cards tapped in the last five minutes; `card add --tapped-at` gives one to somebody.",
        unknown,
        ("holdfast card unknown",),
    ),
    Command(
        ("card", "list"),
        "List cards; never their numbers.",
        listing,
        ("holdfast card list", "holdfast card list --user anna --json"),
        (argument("--user", metavar="USER", default="", help="only this person's"),),
    ),
    Command(("card", "show"), "Show one card.", show, ("holdfast card show CARD_ID --json",), (_CARD,)),
    Command(
        ("card", "change"),
        "Change a card's label or end.",
        change,
        ("holdfast card change CARD_ID --label 'staff card'", "holdfast card change CARD_ID --expires ''"),
        (
            _CARD,
            argument("--label", metavar="TEXT", default=None, help="what it is called"),
            argument("--expires", metavar="WHEN", default=None, help=f"{_EXPIRES}; empty: it does not end"),
        ),
    ),
    Command(
        ("card", "block"),
        "Block a lost card at once, everywhere; what it has open ends and its owner hears of it.",
        block,
        ("holdfast card block CARD_ID",),
        (_CARD,),
    ),
    Command(
        ("card", "unblock"), "Let a blocked card work again.", unblock, ("holdfast card unblock CARD_ID",), (_CARD,)
    ),
    Command(
        ("card", "remove"),
        "Forget a card; it can be linked anew, by anybody.",
        remove,
        ("holdfast card remove CARD_ID",),
        (_CARD,),
    ),
    Command(
        ("card", "rekey"),
        "Make a new key for stored card numbers and move the cards to it; nobody enrols anything again.",
        rekey,
        ("holdfast card rekey --json",),
    ),
    Command(
        ("card", "check"),
        "Find cards that are easily taken for each other; exit 1 when there are some.",
        check,
        ("holdfast card check",),
    ),
    Command(
        ("card", "dry-run"),
        "Show what a changed card format would do to the cards enrolled by it; exit 1 when some would be affected.",
        dry_run,
        (
            "holdfast card dry-run --format h10301 --with h10301-new.toml",
            "holdfast card dry-run --format default --to uid-hex",
        ),
        (
            argument("--format", metavar="F", required=True, help="the format that would be changed"),
            argument("--with", dest="with_file", metavar="FILE.toml", default="", help="what it would be"),
            argument("--to", metavar="FORMAT", default="", help="another format that would take its place"),
        ),
    ),
    Command(
        ("card", "reformat"),
        "Move cards enrolled by one format to another, as when a reader gets another format; exit 1 when some stay.",
        reformat,
        ("holdfast card reformat --from default --to uid-hex",),
        (
            argument("--from", dest="source", metavar="FORMAT", required=True, help="what they were enrolled by"),
            argument("--to", metavar="FORMAT", required=True, help="what their readers use from now on"),
        ),
    ),
)
