"""`holdfast init | daemon | backup | restore | demo`: the installation as a whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

from daemon.cli import install
from daemon.cli.command import DIFFERENCE, OK, STATE_VARIABLE, Command, Context, UsageError, argument
from daemon.cli.output import say, say_json


def init(context: Context) -> int:
    state = context.options.state or os.environ.get(STATE_VARIABLE, "")
    if not state:
        raise UsageError(f"where? --state DIR, or {STATE_VARIABLE}")
    made = install.init(Path(state), base_port=context.options.port_base, name=context.options.name)
    if context.as_json:
        say_json(made)
        return OK
    say(f"A new installation is in {made['state_dir']}.")
    say(f"  configuration  {made['config']}")
    say(f"  print to       {made['urls']['ipp']}")
    say(f"  console        {made['urls']['api']}")
    say(f"  CA             {made['ca_file']}")
    say(f"                 SHA-256 {made['ca_sha256']}")
    say(f"  admin token    {made['admin_token']}   (shown this once)")
    say()
    say(f"Start it with: holdfast daemon --config {made['config']}")
    return OK


def daemon(context: Context) -> int:
    import asyncio
    import gc

    gc.disable()  # loading makes nothing to collect; `serve` sets the collector going when everything stands
    from daemon.app.run import serve
    from daemon.checks import check_installation
    from daemon.cli.logs import log_to_stderr

    checked = check_installation(context.existing_config_path())
    log_to_stderr(checked.settings.log)

    def ready(urls: dict[str, str]) -> None:
        print(json.dumps({"event": "ready", "urls": urls}), flush=True)

    asyncio.run(serve(checked, ready=ready))
    return OK


def backup(context: Context) -> int:
    from daemon.cli.backups import make_backup

    done = make_backup(context.settings(), Path(context.options.file), keys=context.options.keys)
    if context.as_json:
        say_json(done)
    else:
        say(f"Backed up {done['bytes']} bytes to {done['file']}; the copy verifies.")
        if not done["keys_file"]:
            say("The keys are not in it: save them elsewhere with --keys FILE, or nobody can sign in after a restore.")
    return OK


def restore(context: Context) -> int:
    from daemon.cli.backups import check_backup, put_back, told

    if context.options.check:
        found = check_backup(Path(context.options.file))
        if context.as_json:
            say_json(found)
        elif found["ok"]:
            say(f"{found['file']}: good, {found['transfers']} transfers.")
        else:
            say(f"{found['file']}: NOT GOOD: {'; '.join(str(problem) for problem in found['problems'])}")
        return OK if found["ok"] else DIFFERENCE
    done = put_back(context.settings(), Path(context.options.file), keys=context.options.keys)
    if context.as_json:
        say_json(done)
    else:
        for line in told(done):
            say(line)
    return OK


def demo(context: Context) -> int:
    from daemon.cli.demo import run_demo

    options = context.options
    state = Path(options.state) if options.state else None
    return run_demo(once=options.once, as_json=context.as_json, base_port=options.port_base, state=state)


_KEYS = argument("--keys", metavar="FILE", default="", help="the key files, as one private archive")

COMMANDS = (
    Command(
        ("init",),
        "Make a new installation: configuration, keys, certificates, database, one admin token.",
        init,
        ("holdfast init --state /var/lib/holdfast --name print.example.org", "holdfast init --state ./house --json"),
        (
            argument("--port-base", type=int, default=8630, metavar="N", help="first of the ports (default: 8630)"),
            argument("--name", default="localhost", metavar="HOST", help="host name others reach it by"),
        ),
    ),
    Command(
        ("daemon",),
        "Run the daemon until SIGTERM. Prints one JSON line when it serves.",
        daemon,
        ("holdfast daemon --config /var/lib/holdfast/holdfast.toml",),
    ),
    Command(
        ("backup",),
        "Copy the database while the daemon runs, and verify the copy. Held documents are not in it.",
        backup,
        ("holdfast backup /backup/holdfast.db --keys /safe/holdfast-keys.tar",),
        (argument("file", metavar="FILE", help="where the copy goes; must not exist"), _KEYS),
    ),
    Command(
        ("restore",),
        "Put a backup back (the daemon must be stopped), or only --check that it is good.",
        restore,
        ("holdfast restore /backup/holdfast.db --check", "holdfast restore /backup/holdfast.db"),
        (
            argument("file", metavar="FILE", help="the backup"),
            argument("--check", action="store_true", help="verify it and change nothing"),
            _KEYS,
        ),
    ),
    Command(
        ("demo",),
        "Everything on this machine: daemon, kiosk, simulated printers, people. Nothing beyond loopback.",
        demo,
        ("holdfast demo", "holdfast demo --once --json"),
        (
            argument("--once", action="store_true", help="do one whole job and end"),
            argument(
                "--port-base", type=int, default=0, metavar="N", help="first of the ports (default: 8630, or free)"
            ),
        ),
    ),
)
