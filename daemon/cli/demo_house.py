"""The demo's house: a real installation, a real daemon process, simulated printers, people, one enrolled terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.cli import install
from daemon.cli.client import Api, CallFailed, connected
from daemon.cli.command import UsageError
from daemon.devices.simulated import Model, SimulatedPrinter
from daemon.kernel.errors import Unavailable
from daemon.settings import CONFIG_NAME, Settings, load
from daemon.settings.server import SIMULATED_OFFSET
from daemon.system import SystemClock, SystemDice

READY_S = 30.0
STOP_S = 8.0
AGAIN_TRIES = 5
AGAIN_PAUSE_S = 1.0
PORT_DEFAULT = 8630
PORTS_USED = (0, 1, 2, 3, SIMULATED_OFFSET, SIMULATED_OFFSET + 1, SIMULATED_OFFSET + 2)
BASES_TRIED = 40
PAGE_MS = 150
PRINTERS = (
    ("Hall", Model(name="Hall", location="Ground floor")),
    ("Archive", Model(name="Archive", is_color=False, location="Basement")),
)
SINK_MEDIA = ("na_letter_8.5x11in", "iso_a3_297x420mm")
SINK = ("Sink", Model(name="Sink", location="Nowhere", media_ready=SINK_MEDIA, media_wait_s=8.0))
"""Takes what the acceptance queue passes on, for conformance runs (docs/conformance.md); costs nothing.

Its trays hold no A4, which is the queue's default: a job that asks for A4 by name waits (`media-needed`) as it would
for somebody who puts sheets into the bypass, and goes on after eight seconds. The PWG's self-certification wants to see
a printer wait for paper, and jobs that are not over before they can be asked for.
"""
SINK_SITE = "acceptance"
SINK_TARIFF = "free"
SINK_PAGE_MS = 1
OPERATOR = ("olga", "Olga Brandt")
"""Who looks after the house in its console."""
PEOPLE = (("anna", "Anna Berg", "04A1B2C3D4E580"), ("ben", "Ben Okafor", "04A1B2C3D4E581"))
"""Name, full name, and the read of the card they carry."""
TERMINAL = "hall-terminal"
PIN_BYTES = 4
CONSOLE_SECRET_BYTES = 8
KEYPAD_DIGITS = 6
LOG_LINE_CHARS_MAX = 500

CONFIG = """# The demo's rules, on top of ../holdfast.toml.
[people]
auto_create = true

[sign_in]
keypad_password = true

[kiosk]
preview = true

[queues.findme]
title = "Find me"

[queues.acceptance]
title = "Acceptance"
auto_release = "Sink"

[profiles.standard]
title = "Demo"

[[profiles.standard.pots]]
pot = "allowance"
unit = "EUR"
amount = "10.00"
period = "monthly"
cap = "20.00"
"""

FREE = """# Prints cost nothing in money.
title = "Free"
currency = "EUR"

[media.default]
grey = 0
colour = 0
"""


@dataclass(slots=True)
class Person:
    """Somebody who can sign in at the kiosk; the secret is made anew each time the demo starts."""

    name: str
    display_name: str
    card: str = field(repr=False)
    pin: str = ""
    secret: str = field(default="", repr=False)


class Child:
    """A process of ours that says on one line when it is ready and ends on SIGTERM."""

    def __init__(self, name: str, arguments: list[str], process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.arguments = arguments
        self.process = process
        self.log = log

    @classmethod
    async def start(cls, name: str, arguments: list[str], *, log: Path) -> tuple[Child, dict[str, Any]]:
        """Start `holdfast ARGUMENTS`; returns it with what its ready line says.

        Raises:
            Unavailable: it ended or said nothing; the last line of its log is in the message.
        """
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "daemon", *arguments, stdout=asyncio.subprocess.PIPE, stderr=errors
            )
        child = cls(name, arguments, process, log)
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), READY_S)
            return child, json.loads(line)
        except (TimeoutError, ValueError) as error:
            await child.stop()
            said = (await asyncio.to_thread(log.read_text, "utf-8", "replace")).strip()
            last = said.splitlines()[-1] if said else "it said nothing"
            raise Unavailable(f"the {name} did not start: {last[-LOG_LINE_CHARS_MAX:]}") from error
        except asyncio.CancelledError:
            await child.stop()
            raise

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL after a while."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.process.wait(), STOP_S)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()


class DemoHouse:
    """The installation in `state`; beside the rules it needs under `root`: `kiosk` (the terminal), `printed`, logs."""

    def __init__(self, state: Path, root: Path, base_port: int) -> None:
        self.root = root
        self.base_port = base_port
        self.state = state
        self.kiosk_dir = root / "kiosk"
        self.printed = root / "printed"
        self.people = [Person(name, full, card) for name, full, card in PEOPLE]
        self.printers: dict[str, SimulatedPrinter] = {}
        self.children: list[Child] = []
        self.urls: dict[str, str] = {}
        self.console_secret = ""
        self.settings: Settings

    @property
    def visible_printers(self) -> dict[str, SimulatedPrinter]:
        """Those somebody can walk up to."""
        return {name: printer for name, printer in self.printers.items() if name != SINK[0]}

    async def open(self) -> bool:
        """Start printers and daemon, and make sure of people, printers and the terminal; whether it is new."""
        is_new = not self.state.exists()
        if is_new:
            await asyncio.to_thread(install.init, self.state, base_port=self.base_port, name="localhost")
            extra = self.state / "conf.d"
            extra.mkdir()
            (extra / "demo.toml").write_text(CONFIG, "utf-8")
            (self.state / "tariffs" / f"{SINK_TARIFF}.toml").write_text(FREE, "utf-8")
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.settings = load(self.state / CONFIG_NAME)
        self.base_port = self.settings.server.base_port
        await self._start_printers()
        config = str(self.state / CONFIG_NAME)
        child, ready = await Child.start("daemon", ["daemon", "--config", config], log=self.root / "daemon.log")
        self.children.append(child)
        self.urls = dict(ready["urls"])
        async with connected(self.settings, needs_daemon=True) as api:
            await self._furnish(api)
        return is_new

    async def open_kiosk(self) -> str:
        """Run the terminal program; the address of its screen."""
        config = str(self.kiosk_dir / "kiosk.toml")
        child, ready = await Child.start("kiosk", ["kiosk", "run", "--config", config], log=self.root / "kiosk.log")
        self.children.append(child)
        return str(ready["urls"]["kiosk"])

    @property
    def console_url(self) -> str:
        """Where somebody looks after the house."""
        return f"{self.urls['api']}/console"

    async def open_console(self) -> None:
        """Somebody who may do everything, with a password made by chance each time the demo starts."""
        name, display_name = OPERATOR
        raw = SystemDice().token(CONSOLE_SECRET_BYTES).hex()
        self.console_secret = "-".join(raw[at : at + 4] for at in range(0, len(raw), 4))
        async with connected(self.settings, needs_daemon=True) as api:
            if name not in {item["name"] for item in (await api.get("/users"))["items"]}:
                await api.post("/users", {"name": name, "display_name": display_name, "roles": ["admin"]})
            await api.post(f"/users/{name}/password", {"password": self.console_secret})

    async def again(self, ended: Child) -> dict[str, Any]:
        """Start a part that ended by itself, as a service manager does; what its ready line says.

        A command that found no daemon may hold the state for a moment: tried again.
        """
        for _ in range(AGAIN_TRIES - 1):
            with contextlib.suppress(Unavailable):
                return await self._replace(ended)
            await asyncio.sleep(AGAIN_PAUSE_S)
        return await self._replace(ended)

    async def _replace(self, ended: Child) -> dict[str, Any]:
        fresh, ready = await Child.start(ended.name, ended.arguments, log=ended.log)
        self.children[self.children.index(ended)] = fresh
        return ready

    async def close(self) -> None:
        """Everything ends, in the reverse order."""
        for child in reversed(self.children):
            await child.stop()
        for printer in self.printers.values():
            await printer.close()

    def forget(self) -> None:
        """Remove what is not worth keeping: everything but what was printed."""
        for path in (self.state, self.kiosk_dir):
            shutil.rmtree(path, ignore_errors=True)

    async def _start_printers(self) -> None:
        for index, (name, model) in enumerate((*PRINTERS, SINK)):
            page_ms = SINK_PAGE_MS if name == SINK[0] else PAGE_MS
            port = self.base_port + SIMULATED_OFFSET + index
            folder = self.printed / name.lower()
            printer = SimulatedPrinter(folder, clock=SystemClock(), model=model, page_ms=page_ms, port=port)
            try:
                await printer.start()
            except OSError as error:
                raise Unavailable(f"port {port} is taken: choose another --port-base", code="address-taken") from error
            self.printers[name] = printer

    async def _furnish(self, api: Api) -> None:
        known = {item["name"] for item in (await api.get("/printers"))["items"]}
        for name, printer in self.printers.items():
            if name not in known:
                body = {"name": name, "uri": printer.uri, "location": printer.model.location}
                if name == SINK[0]:
                    body |= {"site": SINK_SITE, "tariff": SINK_TARIFF}
                await api.post("/printers", body)
        here = {item["name"]: item for item in (await api.get("/users"))["items"]}
        for person in self.people:
            if person.name not in here:
                body = {"name": person.name, "display_name": person.display_name}
                here[person.name] = await api.post("/users", body)
            person.pin = here[person.name]["pin"]
            person.secret = await self._set_secret(api, person)
            with contextlib.suppress(CallFailed):  # somebody tried what blocking does, or gave it away
                await api.post("/cards", {"user": person.name, "raw": person.card, "label": "Demo card"})
        if not (self.kiosk_dir / "kiosk.toml").exists():
            await self._enrol(api)

    async def _set_secret(self, api: Api, person: Person) -> str:
        """A keypad password made by chance; patterns are refused, so a few tries may be needed."""
        for _ in range(20):
            number = int.from_bytes(SystemDice().token(PIN_BYTES), "big") % 10**KEYPAD_DIGITS
            secret = str(number).zfill(KEYPAD_DIGITS)
            try:
                await api.post(f"/users/{person.name}/password", {"password": secret, "kind": "keypad-password"})
            except CallFailed as failed:
                if failed.error.get("code") != "password-refused":
                    raise
                continue
            return secret
        raise Unavailable("no keypad password was found")

    async def _enrol(self, api: Api) -> None:
        from kiosk.enrolment import enrol

        items = (await api.get("/terminals"))["items"]
        for item in items:
            if item["name"] == TERMINAL and item["state"] != "revoked":
                await api.post(f"/terminals/{item['terminal_id']}/revoke")
        body = {"name": TERMINAL if not items else f"{TERMINAL}-{len(items)}", "printers": [n for n, _ in PRINTERS]}
        made = await api.post("/terminals", body)
        await enrol(url=made["daemon_url"], code_text=made["code"], directory=self.kiosk_dir, reader="simulated")


def choose_base(wanted: int) -> int:
    """The base port: the one wanted, or the first from 8630 on whose ports are all free.

    Raises:
        UsageError: not a port.
        Unavailable: the wanted one is taken, or all are.
    """
    if wanted:
        if not 1024 <= wanted <= 65_000:
            raise UsageError("--port-base is a number from 1024 to 65000")
        if not _is_free(wanted):
            raise Unavailable(f"ports from {wanted} on are taken: choose another --port-base", code="address-taken")
        return wanted
    for base in range(PORT_DEFAULT, PORT_DEFAULT + 20 * BASES_TRIED, 20):
        if _is_free(base):
            return base
    raise Unavailable("no free ports were found: choose a --port-base", code="address-taken")


def _is_free(base: int) -> bool:
    for offset in PORTS_USED:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", base + offset))
            except OSError:
                return False
    return True
