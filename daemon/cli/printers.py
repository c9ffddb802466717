"""`holdfast printer ...`: where jobs come out."""

from __future__ import annotations

from typing import Any

from daemon.cli.answer import answer, path
from daemon.cli.command import Command, Context, argument
from daemon.cli.listing import show_list
from daemon.cli.output import fields, say

LABELS = {
    "name": "Name", "printer_id": "Id", "uri": "Address", "tls": "TLS", "tariff": "Tariff", "location": "Location",
    "site": "Site", "state": "State", "reasons": "Reasons", "accepting": "Accepting", "checked_at": "Checked",
}  # fmt: skip
COLUMNS = {"name": "NAME", "state": "STATE", "accepting": "ACCEPTING", "uri": "ADDRESS", "location": "LOCATION"}


def add(context: Context) -> int:
    options = context.options
    body: dict[str, Any] = {"name": options.name, "uri": options.uri, "tls": options.tls}
    for key in ("tariff", "location", "site", "snmp"):
        if getattr(options, key):
            body[key] = getattr(options, key)

    def told(made: Any) -> None:
        say(f"Added printer {made['name']} ({made['state']}).")
        say(f"Put a terminal beside it: holdfast terminal add NAME --printer {made['name']}")

    return answer(context, lambda api: api.post("/printers", body), told)


def listing(context: Context) -> int:
    return show_list(
        context,
        "/printers",
        COLUMNS,
        empty="No printer yet. Add one: holdfast printer add NAME --uri ipp://HOST/ipp/print",
    )


def show(context: Context) -> int:
    return answer(
        context, lambda api: api.get(path("printers", context.options.name)), lambda found: fields(found, LABELS)
    )


def remove(context: Context) -> int:
    return answer(
        context,
        lambda api: api.delete(path("printers", context.options.name)),
        lambda gone: say(f"Removed printer {gone['name']}. Its past jobs stay in the statements."),
    )


_NAME = argument("name", metavar="NAME", help="the printer's name (or id)")

COMMANDS = (
    Command(
        ("printer", "add"),
        "Add a printer: ipp://, ipps:// or, for old ones, socket://HOST:9100.",
        add,
        (
            "holdfast printer add hall --uri ipps://hall.example.org/ipp/print",
            "holdfast printer add old --uri socket://10.1.4.20:9100 --tariff mono",
        ),
        (
            argument("name", metavar="NAME", help="what people call it"),
            argument("--uri", required=True, metavar="URI", help="its address"),
            argument(
                "--tls",
                metavar="verify|pin:SHA256",
                default="verify",
                help="how its certificate is trusted: by the system's authorities, or this one only",
            ),
            argument("--tariff", metavar="T", default="", help="tariff file in the tariffs directory, without .toml"),
            argument("--location", metavar="TEXT", default="", help="where it stands"),
            argument("--site", metavar="SITE", default="", help="its site"),
            argument(
                "--snmp", metavar="HOST[:PORT]", default="", help="where its page counter is read, if IPP has none"
            ),
        ),
    ),
    Command(("printer", "list"), "List printers and their state.", listing, ("holdfast printer list",)),
    Command(("printer", "show"), "Show one printer.", show, ("holdfast printer show hall --json",), (_NAME,)),
    Command(
        ("printer", "remove"),
        "Remove a printer. Refused while a job is on its way there.",
        remove,
        ("holdfast printer remove hall",),
        (_NAME,),
    ),
)
