"""`holdfast reader ...`: what is plugged in here; keys and cards for network readers. None needs an installation."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daemon.cli.command import OK, REFUSED, Command, Context, UsageError, argument
from daemon.cli.output import note, plain, say, say_json, table
from daemon.devices.readers import pcsc_calls
from daemon.devices.readers.network_client import send_all
from daemon.devices.readers.network_protocol import CLIENT, KEY_BYTES, Fault, Refused, parse_keys
from daemon.devices.readers.pcsc_calls import Code
from daemon.devices.readers.pcsc_states import model_of
from daemon.kernel.errors import BadInput, Refusal

LIST_S = 5.0
"""How long PC/SC may take to say what is plugged in."""
RAW_CHARS_READ_MAX = 4096
OWN_RULES = "/etc/udev/rules.d/65-holdfast-own-readers.rules"
PCSC_TROUBLE: dict[int, str] = {
    Code.NO_SERVICE: "pcscd does not run: systemctl enable --now pcscd.socket",
    Code.SECURITY_VIOLATION: "pcscd does not let this user in: see docs/readers.md",
}


class ReadRefused(Refusal):
    """The terminal did not take a card; `code` is its word for why (docs/network-reader.md)."""

    code = "read-refused"


def listing(context: Context) -> int:
    items, trouble = _pcsc()
    items += _evdev()
    if context.as_json:
        say_json({"items": items, "next": None, "problems": [{"kind": "pcsc", "message": trouble}] if trouble else []})
        return OK
    if items:
        table(items, {"kind": "KIND", "model": "MODEL", "match": "MATCH"})
        say()
        say('In kiosk.toml:  [[readers]]  name = "desk"  kind = "KIND"  match = "MATCH"')
        for item in items:
            if not item.get("given", True):
                say(f"{plain(item['model'])} is not the terminal program's. If it is a reader, {OWN_RULES} needs")
                say(f"  {item['udev_line']}")
    else:
        say("No card reader is plugged in here.")
    if trouble:
        note(f"PC/SC: {trouble}")
    return OK


def _pcsc() -> tuple[list[dict[str, Any]], str]:
    """PC/SC readers plugged in, and what is in the way if something is."""
    try:
        scard = pcsc_calls.load()
    except (ImportError, OSError):
        return [], "pyscard is not installed: it comes with requirements/terminal.txt"
    found: list[tuple[list[str], int]] = []
    asking = threading.Thread(target=lambda: found.append(pcsc_calls.devices(scard)), daemon=True)
    asking.start()
    asking.join(LIST_S)
    if not found:
        return [], "pcscd does not answer"
    names, code = found[0]
    items = [{"kind": "pcsc", "name": name, "model": model_of(name), "match": model_of(name)} for name in names]
    if code in (Code.SUCCESS, Code.NO_READERS):
        return items, ""
    return items, PCSC_TROUBLE.get(code, f"pcscd answers {code:#010x}")


def _evdev() -> list[dict[str, Any]]:
    """Devices that type digits: readers, and keyboards, which look alike."""
    from daemon.devices.readers.input_nodes import is_given, nodes, udev_line

    return [
        {
            "kind": "evdev",
            "name": node.name,
            "model": node.name,
            "match": node.ids,
            "links": list(node.links),
            "given": is_given(node),
            "udev_line": udev_line(node),
        }
        for node in nodes()
        if node.types_digits
    ]


def key(context: Context) -> int:
    """Make a client's key: a line in the terminal's file, and the same line in a file of its own."""
    from daemon.system import SystemDice

    options = context.options
    name, file = options.name, Path(options.file)
    copy = Path(options.copy or file.with_name(f"{name}.key"))
    if not CLIENT.fullmatch(name):
        raise UsageError("a client's name is 1 to 32 of a-z, 0-9, dot, dash and underline")
    text = file.read_text("utf-8") if file.exists() else ""
    keys, problems = parse_keys(text)
    if problems:
        details = [{"file": str(file), "line": line, "key": "", "message": words} for line, words in problems]
        raise BadInput(f"{file}: {len(problems)} problem(s)", details=details)
    if name in keys:
        raise UsageError(f"{name} has a key in {file} already: take its line out first")
    line = f"{name} {SystemDice().token(KEY_BYTES).hex()}\n"
    try:
        _write(copy, line, flags=os.O_EXCL)
        _write(file, (text if not text or text.endswith("\n") else text + "\n") + line, flags=os.O_TRUNC)
    except FileExistsError as error:
        raise UsageError(f"{copy} exists already") from error
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}") from error
    if context.as_json:
        say_json({"client": name, "file": str(file), "copy": str(copy), "clients": [*keys, name]})
    else:
        say(f"{name} may now send cards to the terminal that uses {file}.")
        say(f"Take {copy} to the client; it is a password.")
    return OK


def _write(path: Path, text: str, *, flags: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)


def send(context: Context) -> int:
    """Every line of standard input is a card."""
    told: list[str | None] = []

    def tell(fault: Fault | None) -> None:
        told.append(fault.value if fault is not None else None)
        if not context.as_json:
            say(f"{len(told)}: {'taken' if fault is None else f'refused: {fault.value}'}")

    try:
        asyncio.run(_send(context.options.to, Path(context.options.key), tell))
    except Refused as refused:
        raise ReadRefused(f"the terminal says: {plain(refused.fault.value)}", why=refused.fault.value) from refused
    faults = [fault for fault in told if fault is not None]
    if context.as_json:
        say_json({"sent": len(told), "accepted": len(told) - len(faults), "refused": faults})
    return REFUSED if faults else OK


async def _send(address: str, key_file: Path, tell: Callable[[Fault | None], None]) -> None:
    from daemon.system import SystemClock

    await send_all(address, key_file, SystemClock(), next_raw=_line, tell=tell)


async def _line() -> str | None:
    """The next line of standard input, or None at its end.

    A thread that nobody waits for at exit: a terminal that goes away ends the command, though nothing more is typed.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def give(line: str) -> None:
        if not answer.done():
            answer.set_result(line)

    def read() -> None:
        line = sys.stdin.readline(RAW_CHARS_READ_MAX)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(give, line)

    threading.Thread(target=read, daemon=True).start()
    line = await answer
    return line.rstrip("\r\n") if line else None


COMMANDS = (
    Command(
        ("reader", "list"),
        "Show the card readers plugged into this machine, and what to write into kiosk.toml for each.",
        listing,
        ("holdfast reader list",),
    ),
    Command(
        ("reader", "key"),
        "Make the key of a network reader's client: a line in the terminal's key file, and the client's own file.",
        key,
        ("holdfast reader key turnstile --file /var/lib/holdfast-kiosk/terminal/readers.keys --copy turnstile.key",),
        (
            argument("name", metavar="NAME", help="the client's name: a-z, 0-9, dot, dash, underline"),
            argument("--file", required=True, metavar="FILE", help="the terminal's key file; made if there is none"),
            argument(
                "--copy", default="", metavar="FILE", help="the client's file (default: NAME.key beside the other)"
            ),
        ),
    ),
    Command(
        ("reader", "send"),
        "Send every line of standard input as a card to a terminal's network reader.",
        send,
        ("echo 04A1B2C3D4E5F6 | holdfast reader send --to 127.0.0.1:8634 --key turnstile.key",),
        (
            argument("--to", required=True, metavar="HOST:PORT", help="where the terminal's network reader listens"),
            argument("--key", required=True, metavar="FILE", help="the client's key file"),
        ),
    ),
)
