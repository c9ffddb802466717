"""From a card on a real reader to paper: real pcscd, daemon, kiosk program and a simulated printer, all in one room."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess

import httpx

from daemon.devices.readers.reading import DEBOUNCE_S
from daemon.devices.simulated import SimulatedPrinter
from daemon.system import SystemClock
from kiosk import enrolment
from tests.helpers.daemon_process import DaemonProcess
from tests.helpers.pcscd import Desk, inside, pcsc_room  # noqa: F401  -- a fixture
from tests.helpers.printing import pdf
from tests.helpers.terminal import Terminal

PASSWORD = "a walrus on a bicycle"
CARD = "04a1b2c3d4e5f6"
READER = '\n[[readers]]\nname = "desk"\nkind = "pcsc"\nmatch = "Virtual PCD*"\n'
WAIT_S = 20.0
IPP_PRINT = """{ NAME "p" OPERATION Print-Job GROUP operation-attributes-tag ATTR charset attributes-charset utf-8
ATTR language attributes-natural-language en ATTR uri printer-uri $uri ATTR name requesting-user-name ada
ATTR name job-name "Lesson plan" ATTR mimeMediaType document-format application/pdf FILE $filename STATUS successful-ok }"""


class Screen:
    """The terminal's screen, without a browser."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def view(self) -> dict:
        return (await self._client.get("/ui/view")).json()

    async def act(self, **what) -> dict:
        answer = await self._client.post("/ui/act", json=what)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until(self, wanted, within_s: float = WAIT_S) -> dict:
        """The view, once `wanted(view)`."""
        view: dict = {}
        try:
            async with asyncio.timeout(within_s):
                while not wanted(view := await self.view()):
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            raise AssertionError(view) from error
        return view


@contextlib.asynccontextmanager
async def hall(desk: Desk):
    """A house with a printer, a person with a document, and a terminal with a real reader: (daemon, screen, pin)."""
    daemon = await asyncio.to_thread(DaemonProcess, desk.folder / "state")
    printer = SimulatedPrinter(desk.folder / "paper", clock=SystemClock(), page_ms=20)
    await printer.start()
    await asyncio.to_thread(daemon.start)
    ask = lambda *words, **more: asyncio.to_thread(daemon.cli, *words, **more)  # noqa: E731
    terminal = Terminal(desk.folder / "terminal")
    try:
        await ask("printer", "add", "hall", "--uri", printer.uri)
        ada = await ask("user", "add", "ada", "--pin", "auto", "--password-stdin", stdin=PASSWORD)
        code = await ask("terminal", "add", "door", "--printer", "hall")
        await enrolment.enrol(
            url=code["daemon_url"], code_text=code["code"], directory=terminal.directory, reader="none"
        )
        with (terminal.directory / "kiosk.toml").open("a") as file:
            file.write(READER)
        await terminal.start()
        address, _, _ = terminal.url.partition("?")
        async with httpx.AsyncClient(base_url=address, follow_redirects=True) as client:
            await client.get(terminal.url)
            yield daemon, Screen(client), ada["pin"]
    finally:
        if terminal.process is not None:
            await terminal.stop()
        await asyncio.to_thread(daemon.kill)
        await printer.close()


async def send_document(daemon: DaemonProcess, desk: Desk) -> None:
    document, test = desk.folder / "plan.pdf", desk.folder / "print.test"
    document.write_bytes(pdf(3))
    test.write_text(IPP_PRINT)
    words = ["ipptool", "-tf", str(document), daemon.ipp, str(test)]
    await asyncio.to_thread(subprocess.run, words, check=True, capture_output=True, timeout=30)


def is_idle(view: dict) -> bool:
    """Nobody is there, and a card may come."""
    return view["screen"] == "idle" and view["away"] is None and not view["terminal"]["misses_reader"]


def has_job(view: dict) -> bool:
    return view["screen"] == "jobs" and view["ready"] == 1 and not view["busy"]


@inside
async def test_tap_link_tap_release_printed(desk: Desk) -> None:
    """An unknown card is linked with PIN and password; from then on a tap shows the jobs, and paper comes.

    In between the card lies there while the person signs in, is taken away, comes back, and ends the session.
    """
    async with hall(desk) as (daemon, screen, pin):
        await send_document(daemon, desk)
        await screen.until(is_idle)
        async with desk.tap(CARD):
            view = await screen.until(lambda view: view["link"] == "offered")
            assert view["person"] is None
            await screen.act(do="sign_in", pin=pin, password=PASSWORD)
            await screen.until(lambda view: view["link"] == "asked")
            await screen.act(do="link", label="Badge")
            assert (await screen.until(lambda view: view["linked"]))["linked"]["cards"] == 1
        await screen.act(do="logout")
        await screen.until(is_idle)
        await asyncio.sleep(DEBOUNCE_S)  # the same card at once would still be the same tap
        async with desk.tap(CARD):
            view = await screen.until(lambda view: view["person"] or view["screen"] == "card_password")
            if view["screen"] == "card_password":
                await screen.act(do="sign_in", password=PASSWORD)
            view = await screen.until(has_job)
            assert view["person"]["display_name"]
            await screen.act(do="print")
        await screen.until(lambda view: view["screen"] == "done", 20)
        papers = [path for path in (desk.folder / "paper").iterdir() if path.suffix != ".json"]
        assert len(papers) == 1
        assert (await asyncio.to_thread(daemon.cli, "ledger", "verify"))["ok"] is True
        log = (await asyncio.to_thread(daemon.cli, "terminal", "log", "door"))["answer"]
        assert '"reader": "desk"' in log
        assert CARD.upper() not in (log + daemon.log.read_text()).upper()


@inside
async def test_the_screen_lives_through_the_service(desk: Desk) -> None:
    """The service dies and comes back: the screen says the reader is away, then takes cards again; mute cards get words."""
    async with hall(desk) as (_, screen, _pin):
        await screen.until(is_idle)
        await desk.end_service(signal.SIGKILL)
        await screen.until(lambda view: view["terminal"]["misses_reader"])
        await desk.start_service()
        await screen.until(is_idle)
        async with desk.tap("08a1b2c3"):
            view = await screen.until(lambda view: view["notice"])
            assert view["notice"]["code"] == "card-random-uid"
        await screen.until(is_idle)
        async with desk.tap(CARD):
            await screen.until(lambda view: view["link"] == "offered")
