"""`holdfast kiosk ...`: handed to the terminal program, which is loaded only here."""

from __future__ import annotations

from daemon.cli import secret_input
from daemon.cli.command import Command, Context, UsageError, argument


def enrol(context: Context) -> int:
    options = context.options
    if options.code != "-":
        raise UsageError("the code never stands in the arguments: --code - reads it from standard input")
    code = secret_input.typed("enrolment code")
    from kiosk import cli

    return cli.enrol(
        daemon_url=options.daemon,
        code=code,
        directory=options.dir,
        as_json=context.as_json,
        reader=options.reader,
        is_again=options.again,
    )


def run(context: Context) -> int:
    from kiosk import cli

    if not context.options.config:
        raise UsageError("which terminal? --config KDIR/kiosk.toml")
    return cli.run(config=context.options.config, as_json=context.as_json)


COMMANDS = (
    Command(
        ("kiosk", "enrol"),
        "Give this terminal its own key, once, with the code from `terminal add` on standard input.",
        enrol,
        ("holdfast kiosk enrol --daemon https://print.example.org --code - --dir /var/lib/holdfast-kiosk/terminal",),
        (
            argument("--daemon", required=True, metavar="URL", help="the daemon's https address"),
            argument("--code", required=True, metavar="-", help="always -: the code comes on standard input"),
            argument("--dir", required=True, metavar="KDIR", help="where the terminal's key and kiosk.toml go"),
            argument("--reader", default="none", metavar="KIND", help="card reader: none or simulated (default: none)"),
            argument(
                "--again",
                action="store_true",
                help="KDIR holds a terminal already: give it another key, keep its readers and screen; then restart it",
            ),
        ),
    ),
    Command(
        ("kiosk", "run"),
        "Serve the touch screen on loopback and read cards.",
        run,
        ("holdfast kiosk run --config /var/lib/holdfast-kiosk/terminal/kiosk.toml",),
    ),
)
