"""`holdfast terminal ...`: the touch screens beside the printers."""

from __future__ import annotations

from typing import Any

from daemon.cli.answer import answer, path
from daemon.cli.command import Command, Context, argument
from daemon.cli.listing import show_list
from daemon.cli.output import fields, say

LABELS = {
    "name": "Name", "terminal_id": "Id", "state": "State", "policy": "Sign-in", "printers": "Printers", "site": "Site",
    "version": "Version", "enrolled_at": "Enrolled", "last_seen_at": "Last seen",
}  # fmt: skip
COLUMNS = {"name": "NAME", "state": "STATE", "policy": "SIGN-IN", "printers": "PRINTERS", "last_seen_at": "LAST SEEN"}


def add(context: Context) -> int:
    options = context.options
    body: dict[str, Any] = {"name": options.name, "printers": options.printer, "policy": options.policy}
    if options.site:
        body["site"] = options.site

    def told(made: Any) -> None:
        say(f"Enrol it before {made['expires_at']}; the code works once. On the terminal, type:")
        say(f"  holdfast kiosk enrol --daemon {made['daemon_url']} --code - --dir /var/lib/holdfast-kiosk/terminal")
        say(f"and then the code: {made['code']}")

    return answer(context, lambda api: api.post("/terminals", body), told)


def listing(context: Context) -> int:
    return show_list(
        context, "/terminals", COLUMNS, empty="No terminal yet. Add one: holdfast terminal add NAME --printer PRINTER"
    )


def show(context: Context) -> int:
    return answer(
        context, lambda api: api.get(path("terminals", context.options.name)), lambda found: fields(found, LABELS)
    )


def revoke(context: Context) -> int:
    return answer(
        context,
        lambda api: api.post(path("terminals", context.options.name, "revoke")),
        lambda gone: say(f"Terminal {gone['name']} is revoked; its key is refused from now on."),
    )


_NAME = argument("name", metavar="NAME", help="the terminal's name (or id)")

COMMANDS = (
    Command(
        ("terminal", "add"),
        "Announce a terminal; prints a code that enrols it once.",
        add,
        ("holdfast terminal add hall-1 --printer hall", "holdfast terminal add lib --printer a --printer b --json"),
        (
            argument("name", metavar="NAME", help="what people call it"),
            argument(
                "--printer",
                required=True,
                action="append",
                metavar="P",
                help="printer it serves; may be repeated, the first is the one its screen begins with",
            ),
            argument(
                "--policy",
                choices=("card", "card+password", "none"),
                default="card+password",
                help="what a card alone opens (default: card+password)",
            ),
            argument("--site", metavar="SITE", default="", help="its site"),
        ),
    ),
    Command(("terminal", "list"), "List terminals.", listing, ("holdfast terminal list",)),
    Command(("terminal", "show"), "Show one terminal.", show, ("holdfast terminal show hall-1",), (_NAME,)),
    Command(
        ("terminal", "revoke"),
        "Refuse a terminal's key at once, as when it is stolen.",
        revoke,
        ("holdfast terminal revoke hall-1",),
        (_NAME,),
    ),
)
