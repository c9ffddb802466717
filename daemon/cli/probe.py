"""`holdfast printer probe`: ask one device by SNMP, once, and print what Holdfast understands of it."""

from __future__ import annotations

import asyncio
from typing import Any

from daemon.cli.command import OK, Command, Context, UsageError, argument
from daemon.cli.output import fields, note, say, say_json, table
from daemon.cli.secret_input import typed

FIELDS = {
    "sys_descr": "Device", "device_description": "Model", "printer_name": "Name", "serial": "Serial",
    "vendor_serial": "Serial (maker)", "device_status": "Device status", "printer_status": "Printer status",
    "detected_errors": "Errors", "console": "Display", "vendor_status": "Status (maker)", "life_count": "Life count",
    "version": "SNMP", "requests": "Requests", "broken_values": "Broken values",
}  # fmt: skip
LISTS = {
    "supplies": (
        "Supplies",
        {"index": "INDEX", "description": "SUPPLY", "color": "COLOUR", "left": "LEFT", "type": "TYPE"},
    ),
    "vendor_supplies": ("Supplies as the maker tells them", {"kind": "SUPPLY", "color": "COLOUR", "left": "LEFT"}),
    "trays": ("Trays", {"index": "INDEX", "name": "TRAY", "left": "LEFT", "media": "MEDIA"}),
    "covers": ("Covers", {"index": "INDEX", "name": "COVER", "state": "STATE"}),
    "alerts": (
        "Alerts of the device",
        {"index": "INDEX", "severity": "SEVERITY", "code_name": "WHAT", "description": "TEXT", "training": "FOR"},
    ),
}
"""What is listed, in this order; empty lists are left out."""


def probe(context: Context) -> int:
    from daemon.devices.probe import probe as ask
    from daemon.devices.snmp_general import VERSIONS, Community, V3User
    from daemon.system import SystemDice

    options = context.options
    who: V3User | Community
    if options.v3:
        secrets = _secrets(auth=options.auth, privacy=options.privacy)
        who = V3User(options.v3, options.auth, secrets[0], options.privacy, secrets[1], options.context)
        who.check()
    elif options.context:
        raise UsageError("a context belongs to SNMPv3: give --v3 USER")
    else:
        who = Community(VERSIONS[options.snmp_version], options.community)
    found = asyncio.run(
        ask(
            options.place,
            who=who,
            dice=SystemDice(),
            reference=options.reference,
            try_s=options.timeout,
            tries=options.retries + 1,
        )
    )
    answer = found.to_json()
    if context.as_json:
        say_json(answer)
    else:
        _tell(answer)
    return OK


def _secrets(*, auth: str, privacy: str) -> tuple[str, str]:
    """Typed, or one line each on standard input: never arguments."""
    first = typed("SNMPv3 authentication password") if auth != "none" else ""
    return first, typed("SNMPv3 privacy password") if privacy != "none" else ""


def _tell(answer: dict[str, Any]) -> None:
    fields({key: value for key, value in answer.items() if value is not None}, FIELDS)
    if answer["detected_errors"] is None:
        note("The device says nothing about errors (hrPrinterDetectedErrorState): that is not the same as no error.")
    for name, (title, columns) in LISTS.items():
        rows = [row | {"left": _left(row)} for row in answer[name] if not row.get("hide")]
        if rows:
            say()
            say(title)
            table(rows, columns)
    hidden = sum(1 for row in answer["supplies"] if row["hide"])
    if hidden:
        note(f"{hidden} supplies say nothing at all and are not listed; --json has them.")
    if not answer["supplies"] and not answer["vendor_supplies"]:
        note("The device lists no supplies.")


def _left(row: dict[str, Any]) -> str:
    """The level in words: a percentage, or why there is none."""
    if row.get("percent") is not None:
        space = " space left" if row.get("class") == "receptacleThatIsFilled" else ""
        return f"{row['percent']:g} %{' (assumed)' if row.get('percent_assumed') else ''}{space}"
    level = row.get("level")
    if level == "measured":
        return f"{row['raw_level']} {row.get('unit') or 'units'}"
    return {"some": "some left", "unrestricted": "no limit"}.get(str(level), "not known")


COMMANDS = (
    Command(
        ("printer", "probe"),
        "Ask a device by SNMP, once, and show everything understood of it. Nothing is stored.",
        probe,
        (
            "holdfast printer probe 10.1.4.20",
            "holdfast printer probe 10.1.4.20:1161 --community private --json",
            "holdfast printer probe hall.example.org --v3 monitor --auth sha256 --privacy aes < two-secrets",
        ),
        (
            argument("place", metavar="HOST[:PORT]", help="the device; port 161 unless given"),
            argument("--community", metavar="C", default="public", help="SNMP v1 or v2c community"),
            argument("--snmp-version", choices=("1", "2c"), default="2c", help="of SNMP with a community"),
            argument("--v3", metavar="USER", default="", help="SNMPv3 user; secrets are asked for, or read from stdin"),
            argument(
                "--auth",
                default="sha256",
                choices=("none", "md5", "sha", "sha224", "sha256", "sha384", "sha512"),
                help="SNMPv3 authentication",
            ),
            argument(
                "--privacy",
                default="aes",
                choices=("none", "des", "aes", "aes192", "aes256", "aes192-cisco", "aes256-cisco"),
                help="SNMPv3 privacy",
            ),
            argument("--context", metavar="NAME", default="", help="SNMPv3 context, such as Jetdirect"),
            argument("--timeout", metavar="S", type=float, default=2.0, help="seconds to wait for one answer"),
            argument("--retries", metavar="N", type=int, default=2, help="how often a question is repeated"),
            argument("--reference", action="store_true", help="use the general SNMP library, not the lean codec"),
        ),
    ),
)
