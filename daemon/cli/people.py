"""`holdfast user ...`: people, as an administrator keeps them."""

from __future__ import annotations

from typing import Any

from daemon.cli import secret_input
from daemon.cli.answer import answer, path
from daemon.cli.command import Command, Context, UsageError, argument
from daemon.cli.listing import show_list
from daemon.cli.output import fields, note, say

LABELS = {
    "name": "Name", "user_id": "Id", "display_name": "Full name", "email": "Mail", "active": "Active", "pin": "PIN",
    "profile": "Profile", "site": "Site", "roles": "Roles", "cards": "Cards", "aliases": "Also known as",
    "has_password": "Password set", "release_on_tap": "Print on tap", "locked": "Locked",
    "last_submitted_at": "Last job sent", "last_released_at": "Last job released",
}  # fmt: skip
COLUMNS = {"name": "NAME", "display_name": "FULL NAME", "profile": "PROFILE", "active": "ACTIVE", "pin": "PIN"}


def add(context: Context) -> int:
    options = context.options
    body: dict[str, Any] = {"name": options.name, "pin": options.pin}
    for key in ("display_name", "email", "profile"):
        if getattr(options, key):
            body[key] = getattr(options, key)
    if options.role:
        body["roles"] = options.role
    if options.password_stdin:
        body["password"] = secret_input.from_stdin("password")

    def told(made: Any) -> None:
        say(f"Added {made['name']} with PIN {made['pin']}.")
        if made.get("password_note"):
            note(f"The password is {made['password_note']}.")
        if not options.password_stdin:
            say(f"No password yet: `holdfast user password {made['name']}` sets one, or mails a link with --link.")

    return answer(context, lambda api: api.post("/users", body), told)


def listing(context: Context) -> int:
    return show_list(
        context, "/users", COLUMNS, empty="Nobody yet. Add the first person: holdfast user add NAME",
        query={"contains": context.options.contains},
    )  # fmt: skip


def show(context: Context) -> int:
    def told(found: Any) -> None:
        fields({**found, "cards": [c["label"] or c["card_id"] for c in found["cards"]]}, LABELS)

    return answer(context, lambda api: api.get(path("users", context.options.name)), told)


def _switch(context: Context, verb: str, done: str) -> int:
    return answer(
        context,
        lambda api: api.post(path("users", context.options.name, verb)),
        lambda found: say(f"{found['name']} {done}"),
    )


def disable(context: Context) -> int:
    return _switch(context, "disable", "is disabled; every open session has ended.")


def enable(context: Context) -> int:
    return _switch(context, "enable", "may sign in again.")


def unlock(context: Context) -> int:
    return _switch(context, "unlock", "may try the password again.")


def password(context: Context) -> int:
    options = context.options
    if options.link and options.password_stdin:
        raise UsageError("either --link or --password-stdin")
    body: dict[str, Any] = {"kind": "keypad-password" if options.keypad else "password"}
    if options.link:
        body["link"] = True
    elif options.password_stdin:
        body["password"] = secret_input.from_stdin("password")
    else:
        body["password"] = secret_input.prompted("password")

    def told(done: Any) -> None:
        if options.link:
            say(f"A link to set a password goes to {done['mailed_to']}.")
            return
        say(f"The password of {done['name']} is set; every open session has ended.")
        if done.get("password_note"):
            note(f"It is {done['password_note']}.")

    return answer(context, lambda api: api.post(path("users", options.name, "password"), body), told)


def change(context: Context) -> int:
    options = context.options
    given = {
        "display_name": options.display_name,
        "email": options.email,
        "release_on_tap": options.release_on_tap,
    }
    body = {key: value for key, value in given.items() if value is not None}
    if not body:
        raise UsageError("say what to change: --display-name, --email or --release-on-tap")

    return answer(
        context,
        lambda api: api.patch(path("users", options.name), body),
        lambda changed: say(f"Changed {changed['name']}."),
    )


def address(context: Context) -> int:
    def told(made: Any) -> None:
        say(f"Whoever prints to one of these prints as {made['name']}. Shown once; the address before has ended.")
        for url in made["urls"].values():
            if url:
                say(f"  {url}")

    return answer(context, lambda api: api.post(path("users", context.options.name, "address")), told)


_NAME = argument("name", metavar="NAME", help="network name (or id)")

COMMANDS = (
    Command(
        ("user", "add"),
        "Add a person. A PIN is chosen unless given; without a password they get one later.",
        add,
        (
            "holdfast user add anna --display-name 'Anna Berg' --email anna@example.org",
            "holdfast user add ben --pin 482913 --password-stdin < secret.txt",
        ),
        (
            argument("name", metavar="NAME", help="network name, as clients send it"),
            argument("--display-name", metavar="TEXT", default="", help="full name on screens"),
            argument("--email", metavar="ADDRESS", default="", help="where notices go"),
            argument("--pin", metavar="auto|N", default="auto", help="number at the keypad (default: auto)"),
            argument("--password-stdin", action="store_true", help="read the password from standard input"),
            argument("--profile", metavar="P", default="", help="allowance profile (default: as configured)"),
            argument("--role", metavar="ROLE", action="append", default=[], help="grant a role; may be repeated"),
        ),
    ),
    Command(
        ("user", "list"),
        "List people.",
        listing,
        ("holdfast user list", "holdfast user list --contains berg --json"),
        (argument("--contains", metavar="TEXT", default="", help="only names with this text"),),
    ),
    Command(("user", "show"), "Show one person.", show, ("holdfast user show anna --json",), (_NAME,)),
    Command(
        ("user", "change"),
        "Change a person's full name, mail address, or whether a tap begins to print everything that waits.",
        change,
        ("holdfast user change anna --email anna@example.org", "holdfast user change anna --release-on-tap on"),
        (
            _NAME,
            argument("--display-name", metavar="TEXT", default=None, help="full name on screens"),
            argument("--email", metavar="ADDRESS", default=None, help="where notices go"),
            argument(
                "--release-on-tap",
                choices=("on", "off", "site"),
                default=None,
                help="whether a tap prints everything that waits; site: as the site says",
            ),
        ),
    ),
    Command(
        ("user", "address"),
        "Make a secret printer address that prints as this person, for clients that cannot sign in.",
        address,
        ("holdfast user address anna",),
        (_NAME,),
    ),
    Command(
        ("user", "disable"),
        "Stop a person from signing in; ends every open session. Nothing is deleted.",
        disable,
        ("holdfast user disable anna",),
        (_NAME,),
    ),
    Command(
        ("user", "enable"), "Let a disabled person sign in again.", enable, ("holdfast user enable anna",), (_NAME,)
    ),
    Command(
        ("user", "unlock"),
        "Clear the count of wrong passwords.",
        unlock,
        ("holdfast user unlock anna",),
        (_NAME,),
    ),
    Command(
        ("user", "password"),
        "Set a person's password (asked for twice, or from standard input), or mail a link to choose one.",
        password,
        ("holdfast user password anna --link", "holdfast user password anna --password-stdin < secret.txt"),
        (
            _NAME,
            argument("--password-stdin", action="store_true", help="read it from standard input"),
            argument("--link", action="store_true", help="mail a link that is good once"),
            argument("--keypad", action="store_true", help="the digits-only keypad password, where the site allows it"),
        ),
    ),
)
