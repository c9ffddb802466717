"""`holdfast kiosk ...`: handed to the terminal program, which is loaded only here."""

from __future__ import annotations

from daemon.cli.command import Command, Context, UsageError, argument


def enrol(context: Context) -> int:
    from kiosk import cli

    return cli.enrol(context.options)


def run(context: Context) -> int:
    from kiosk import cli

    if not context.options.config:
        raise UsageError("which terminal? --config KDIR/kiosk.toml")
    return cli.run(context.options)


COMMANDS = (
    Command(
        ("kiosk", "enrol"),
        "Give this terminal its own key, once, with the code from `terminal add` on standard input.",
        enrol,
        ("holdfast kiosk enrol --daemon https://print.example.org:8632 --code - --dir /var/lib/holdfast-kiosk",),
        (
            argument("--daemon", required=True, metavar="URL", help="the daemon's https address"),
            argument("--code", required=True, metavar="-", help="always -: the code comes on standard input"),
            argument("--dir", required=True, metavar="KDIR", help="where the terminal's key and kiosk.toml go"),
            argument("--reader", default="none", metavar="KIND", help="card reader: none or simulated (default: none)"),
        ),
    ),
    Command(
        ("kiosk", "run"),
        "Serve the touch screen on loopback and read cards.",
        run,
        ("holdfast kiosk run --config /var/lib/holdfast-kiosk/kiosk.toml",),
    ),
)
