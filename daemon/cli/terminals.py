"""`holdfast terminal ...`: the touch screens beside the printers."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from daemon.cli.answer import answer, path
from daemon.cli.client import Api
from daemon.cli.command import Command, Context, UsageError, argument
from daemon.cli.listing import show_list
from daemon.cli.output import fields, note, plain, say
from daemon.kernel.errors import Unavailable

POLICIES = ("site", "card", "card+password", "daily", "none")
POLICY_HELP = (
    "what a card opens: card alone, card+password always, daily (password at its first use in a day), none, or site "
    "(as the site's setting cards.policy says)"
)
WAIT_S = 20
"""Seconds `terminal log` and `identify` wait for the terminal's answer unless told otherwise."""
LOOK_AGAIN_S = 0.2
LABELS = {
    "name": "Name", "terminal_id": "Id", "state": "State", "there": "There", "policy": "Sign-in",
    "printers": "Printers", "hours": "Open", "site": "Site", "version": "Version", "screen": "Screen",
    "readers": "Readers", "problems": "Missing", "pending": "Asked, not answered",
    "paused_until": "Paused until", "enrolled_at": "Enrolled", "last_seen_at": "Last seen",
}  # fmt: skip
COLUMNS = {
    "name": "NAME", "there": "THERE", "policy": "SIGN-IN", "printers": "PRINTERS", "readers": "READERS",
    "last_seen_at": "LAST SEEN",
}  # fmt: skip


class TerminalSilent(Unavailable):
    """The terminal did not answer in time; the command waits for it until it expires."""

    code = "terminal-silent"


class BoundPrinter(argparse.Action):
    """`--printer P` begins a pair, `--reader R` behind it names the reader that means P."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        pairs: list[list[str]] = getattr(namespace, "printer", None) or []
        if option_string == "--printer":
            pairs.append([str(values), ""])
        elif not pairs or pairs[-1][1]:
            parser.error("--reader stands behind the --printer it means")
        else:
            pairs[-1][1] = str(values)
        namespace.printer = pairs


def add(context: Context) -> int:
    options = context.options
    body: dict[str, Any] = {
        "name": options.name,
        "printers": [printer for printer, _ in options.printer],
        "readers": [reader for _, reader in options.printer],
        "policy": options.policy,
    }
    if options.site:
        body["site"] = options.site
    return answer(context, lambda api: api.post("/terminals", body), _tell_code)


def code(context: Context) -> int:
    return answer(context, lambda api: api.post(path("terminals", context.options.name, "code")), _tell_code)


def _tell_code(made: Any) -> None:
    say(f"Enrol it before {made['expires_at']}; the code works once. On the terminal, type:")
    say(f"  holdfast kiosk enrol --daemon {made['daemon_url']} --code - --dir /var/lib/holdfast-kiosk/terminal")
    say(f"and then the code: {made['code']}")


def listing(context: Context) -> int:
    return show_list(
        context,
        "/terminals",
        COLUMNS,
        empty="No terminal yet. Add one: holdfast terminal add NAME --printer PRINTER",
        shown=_row,
    )


def show(context: Context) -> int:
    return answer(
        context,
        lambda api: api.get(path("terminals", context.options.name)),
        lambda found: fields(_row(found), LABELS),
    )


def policy(context: Context) -> int:
    return _change(context, {"policy": context.options.policy})


def printers(context: Context) -> int:
    pairs = [{"printer": printer, "reader": reader} for printer, reader in context.options.printer]
    return _change(context, {"printers": pairs})


def hours(context: Context) -> int:
    text = " ".join(context.options.hours)
    return _change(context, {"opening_hours": "" if text == "always" else text})


def _change(context: Context, body: dict[str, Any]) -> int:
    return answer(
        context,
        lambda api: api.patch(path("terminals", context.options.name), body),
        lambda found: fields(_row(found), LABELS),
    )


def revoke(context: Context) -> int:
    return answer(
        context,
        lambda api: api.post(path("terminals", context.options.name, "revoke")),
        lambda gone: say(f"Terminal {gone['name']} is revoked; its key is refused from now on."),
    )


def identify(context: Context) -> int:
    return _ask(context, "identify", lambda _done: say(f"{context.options.name} is flashing its screen."))


def restart(context: Context) -> int:
    return _ask(context, "restart", lambda _done: say(f"{context.options.name} is restarting."))


def log(context: Context) -> int:
    return _ask(context, "log", lambda done: say("\n".join(plain(line) for line in done["answer"].split("\n"))))


def _ask(context: Context, kind: str, tell: Any) -> int:
    """Ask, wait for the answer as long as `--wait` says, and show it."""

    async def asked(api: Api) -> Any:
        where = path("terminals", context.options.name, "commands")
        command = await api.post(where, {"kind": kind})
        waited_s = 0.0
        while command["state"] == "pending" and waited_s < context.options.wait:
            await asyncio.sleep(LOOK_AGAIN_S)
            waited_s += LOOK_AGAIN_S
            command = await api.get(f"{where}{path(command['command_id'])}")
        if command["state"] != "answered" and context.options.wait:
            raise TerminalSilent(
                f"{context.options.name} has not answered within {context.options.wait} s; "
                f"it may do so until {command['expires_at']}: holdfast terminal show {context.options.name}",
                command_id=command["command_id"],
            )
        return command

    def told(command: Any) -> None:
        if command["state"] == "answered":
            tell(command)
        else:
            note(f"Asked; {context.options.name} may answer until {command['expires_at']}.")

    return answer(context, asked, told, needs_daemon=True)


def _row(terminal: dict[str, Any]) -> Mapping[str, Any]:
    """A terminal as people read it."""
    bound = [f"{one['printer']} ({one['reader']})" if one["reader"] else one["printer"] for one in terminal["bindings"]]
    screen = terminal["screen"]
    by_site = terminal["policy"] == "site"
    return terminal | {
        "there": _there(terminal),
        "policy": f"{terminal['effective_policy']} (site)" if by_site else terminal["policy"],
        "printers": bound,
        "hours": _hours(terminal),
        "screen": f"{screen['width']}x{screen['height']}, {screen['dpi']:g} dpi" if screen else "",
        "readers": [_reader(reader) for reader in terminal["readers"]],
        "problems": [_problem(one) for one in terminal["problems"]],
        "pending": [f"{one['kind']} until {one['expires_at']}" for one in terminal["pending"]],
    }


def _there(terminal: dict[str, Any]) -> str:
    if not terminal["presence"]:
        return "revoked" if terminal["state"] == "revoked" else "not enrolled yet"
    if terminal["presence"] == "away":
        return f"AWAY since {terminal['away_since']}"
    return "online" if terminal["open"] else "online, closed"


def _hours(terminal: dict[str, Any]) -> str:
    if not terminal["opening_hours"]:
        return "always"
    opens = "never again" if terminal["opens_at"] is None else f"at {terminal['opens_at']}"
    return f"{terminal['opening_hours']} ({'open now' if terminal['open'] else f'closed; opens {opens}'})"


def _reader(reader: dict[str, Any]) -> str:
    what = reader["name"] if reader["name"] == reader["kind"] else f"{reader['name']} ({reader['kind']})"
    return what if reader["state"] == "ready" else f"{what} {reader['state'].upper()}: {reader['code'] or '?'}"


def _problem(outage: dict[str, Any]) -> str:
    what = f"reader {outage['reader']}" if outage["reader"] else "the terminal"
    return f"{what} since {outage['since']} ({outage['code']})"


def _check_wait(text: str) -> int:
    seconds = int(text)
    if not 0 <= seconds <= 300:
        raise UsageError("--wait is 0 to 300 seconds")
    return seconds


_NAME = argument("name", metavar="NAME", help="the terminal's name (or id)")
_PRINTER = argument(
    "--printer",
    required=True,
    action=BoundPrinter,
    metavar="P",
    help="printer it serves; may be repeated, the first is the one its screen begins with",
)
_READER = argument(
    "--reader",
    action=BoundPrinter,
    dest="printer",
    metavar="R",
    help="behind a --printer: a tap on the reader of this name (in kiosk.toml) means that printer",
)
_WAIT = argument(
    "--wait",
    type=_check_wait,
    default=WAIT_S,
    metavar="S",
    help=f"seconds to wait for the terminal's answer (default: {WAIT_S}; 0: do not wait)",
)

COMMANDS = (
    Command(
        ("terminal", "add"),
        "Announce a terminal; prints a code that enrols it once.",
        add,
        (
            "holdfast terminal add hall-1 --printer hall",
            "holdfast terminal add lib --printer a --reader left --printer b --reader right --json",
        ),
        (
            argument("name", metavar="NAME", help="what people call it"),
            _PRINTER,
            _READER,
            argument("--policy", choices=POLICIES, default="site", help=f"{POLICY_HELP} (default: site)"),
            argument("--site", metavar="SITE", default="", help="its site"),
        ),
    ),
    Command(
        ("terminal", "list"), "List terminals: who is there, and what is missing.", listing, ("holdfast terminal list",)
    ),
    Command(("terminal", "show"), "Show one terminal.", show, ("holdfast terminal show hall-1",), (_NAME,)),
    Command(
        ("terminal", "policy"),
        "Set what a card opens at a terminal.",
        policy,
        ("holdfast terminal policy hall-1 daily", "holdfast terminal policy hall-1 site"),
        (_NAME, argument("policy", metavar="POLICY", choices=POLICIES, help=POLICY_HELP)),
    ),
    Command(
        ("terminal", "printers"),
        "Set the printers a terminal serves, all of them. One: release goes there. Several: chosen on the screen or by "
        "the reader tapped.",
        printers,
        (
            "holdfast terminal printers hall-1 --printer hall",
            "holdfast terminal printers lib --printer a --reader left --printer b --reader right",
        ),
        (_NAME, _PRINTER, _READER),
    ),
    Command(
        ("terminal", "hours"),
        "Set a terminal's opening hours by the site's clock; closed, it lets nobody sign in.",
        hours,
        (
            'holdfast terminal hours hall-1 "Mo-Fr 07:00-19:00; Sa 08:00-12:00; 2026-12-24 off"',
            "holdfast terminal hours hall-1 always",
        ),
        (
            _NAME,
            argument(
                "hours",
                metavar="HOURS",
                nargs="+",
                help="rules of days and times parted by ;, a later one replacing an earlier for its days; or always",
            ),
        ),
    ),
    Command(
        ("terminal", "code"),
        "Make another enrolment code; the one before is void. Enrolling with it replaces the terminal's key.",
        code,
        ("holdfast terminal code hall-1",),
        (_NAME,),
    ),
    Command(
        ("terminal", "identify"),
        "Make a terminal flash its screen, to find it among others.",
        identify,
        ("holdfast terminal identify hall-1",),
        (_NAME, _WAIT),
    ),
    Command(
        ("terminal", "restart"),
        "Make a terminal's program end and start again; whoever stands there is signed out.",
        restart,
        ("holdfast terminal restart hall-1",),
        (_NAME, _WAIT),
    ),
    Command(
        ("terminal", "log"),
        "Ask a terminal for the last lines of its log and print them.",
        log,
        ("holdfast terminal log hall-1", "holdfast terminal log hall-1 --wait 60 --json"),
        (_NAME, _WAIT),
    ),
    Command(
        ("terminal", "revoke"),
        "Refuse a terminal's key at once, as when it is stolen.",
        revoke,
        ("holdfast terminal revoke hall-1",),
        (_NAME,),
    ),
)
