"""The kiosk against the real daemon: every command as an operator types it, a real job, a real restart in between."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from daemon.devices.readers.reading import DEBOUNCE_S
from daemon.devices.simulated import SimulatedPrinter
from daemon.system import SystemClock
from tests.helpers.browser import chromium, screen
from tests.helpers.printing import pdf
from tests.helpers.terminal import ROOT, Terminal

PASSWORD = "a walrus on a bicycle"
READY_S = 20
TAP = """() => fetch("/ui/tap", {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ raw: "04A224B1C2D380" }),
})"""
IPP_PRINT = """{ NAME "p" OPERATION Print-Job GROUP operation-attributes-tag ATTR charset attributes-charset utf-8
ATTR language attributes-natural-language en ATTR uri printer-uri $uri ATTR name requesting-user-name ada
ATTR name job-name "Lesson plan" ATTR mimeMediaType document-format application/pdf FILE $filename STATUS successful-ok }"""


def free_ports(count: int) -> int:
    """A base with `count` free ports above it."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            base = probe.getsockname()[1]
        try:
            for port in range(base, base + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base


class House:
    """A daemon as its own process, spoken to by its command line."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.base = free_ports(4)
        self.process: subprocess.Popen[str] | None = None

    def holdfast(self, *arguments: str, stdin: str = "") -> dict:
        done = subprocess.run(
            [sys.executable, "-m", "daemon", *arguments, "--state", str(self.state), "--json"],
            cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    async def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "daemon", "daemon", "--config", str(self.state / "holdfast.toml")],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ},
        )  # fmt: skip
        stdout = self.process.stdout
        assert stdout is not None
        async with asyncio.timeout(READY_S):
            while '"ready"' not in (line := await asyncio.to_thread(stdout.readline)):
                assert line, "the daemon ended"

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
async def house(tmp_path):
    """Installed, running, with a simulated printer, a person and an announced terminal."""
    house = House(tmp_path / "state")
    subprocess.run(
        [sys.executable, "-m", "daemon", "init", "--state", str(house.state), "--port-base", str(house.base), "--json"],
        cwd=ROOT, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    printer = SimulatedPrinter(tmp_path / "out", clock=SystemClock(), page_ms=50)
    await printer.start()
    await house.start()
    try:
        await asyncio.to_thread(house.holdfast, "printer", "add", "hall", "--uri", printer.uri)
        yield house, printer
    finally:
        house.kill()
        await printer.close()


async def enrolled(house: House, directory: Path, *, reader: str = "none") -> Terminal:
    announced = await asyncio.to_thread(house.holdfast, "terminal", "add", "copyroom", "--printer", "hall")
    command = [
        sys.executable,
        "-m",
        "daemon",
        "kiosk",
        "enrol",
        "--daemon",
        announced["daemon_url"],
        "--code",
        "-",
        "--dir",
        str(directory),
        "--reader",
        reader,
        "--json",
    ]
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=ROOT,
        input=announced["code"] + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["terminal_id"] == announced["terminal_id"]
    return Terminal(directory)


async def hire(house: House, **given: str) -> dict:
    """Ada, with the password."""
    command = ("user", "add", "ada", "--display-name", "Ada Lovelace", "--pin", "auto", "--password-stdin")
    return await asyncio.to_thread(house.holdfast, *command, stdin=PASSWORD, **given)


async def send(house: House, folder: Path, pages: int, *, color: bool = False) -> None:
    """Ada sends a document by IPP."""
    document, test = folder / "plan.pdf", folder / "print.test"
    document.write_bytes(pdf(pages, color=color))
    test.write_text(IPP_PRINT)
    command = ["ipptool", "-tf", str(document), f"ipp://localhost:{house.base}/ipp/print/findme", str(test)]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)


async def balance(house: House) -> dict:
    """Ada's first account."""
    return (await asyncio.to_thread(house.holdfast, "account", "show", "ada"))["accounts"][0]


async def sign_in(page: Page, pin: str, password: str = PASSWORD) -> None:
    """By PIN and password, on the sign-in screen."""
    await page.get_by_label("PIN").fill(pin)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def card_terminal(house: House, folder: Path) -> Terminal:
    """A running terminal with a simulated reader, where a card alone opens."""
    terminal = await enrolled(house, folder / "terminal", reader="simulated")
    await asyncio.to_thread(house.holdfast, "terminal", "policy", "copyroom", "card")
    await terminal.start()
    return terminal


async def test_print_walk_sign_in_release_pay(house, tmp_path) -> None:
    """A document sent by IPP is seen, changed, printed and paid for, with a death of the daemon in between.

    The screen shows the death, comes back by itself with the person still signed in, and the ledger verifies.
    """
    house, printer = house
    person = await hire(house)
    await send(house, tmp_path, 3, color=True)
    before = (await balance(house))["available"]["amount"]
    terminal = await enrolled(house, tmp_path / "terminal")
    await terminal.start()
    try:
        async with chromium() as browser, screen(browser, terminal.url) as shown:
            page = shown.page
            await page.get_by_role("button", name="Use your PIN").click()
            await sign_in(page, person["pin"], "wrong")
            await expect(page.locator(".notice")).to_contain_text("PIN or password is not right")
            await sign_in(page, person["pin"])
            await expect(page.get_by_role("button", name="Print all (1)")).to_be_visible()
            house.kill()
            await expect(page.get_by_role("heading", name="not answering")).to_be_visible(timeout=3000)
            await house.start()
            await expect(page.get_by_role("button", name="Print all (1)")).to_be_visible(timeout=5000)
            await page.get_by_role("button", name="Options for Lesson plan").click()
            await page.get_by_role("button", name="Two-sided").click()
            await expect(page.get_by_role("dialog")).to_contain_text("2 sheets")
            await page.get_by_role("button", name="OK").click()
            await page.get_by_role("button", name="Print all (1)").click()
            await expect(page.get_by_role("heading", name="Your job is printed")).to_be_visible(timeout=20_000)
            await expect(page.get_by_role("button", name="Use your PIN")).to_be_visible(timeout=8000)
            assert shown.errors == []
    finally:
        await terminal.stop()
    account = await balance(house)
    assert account["available"]["amount"] == before - 3
    assert account["reserved"]["amount"] == 0
    assert (await asyncio.to_thread(house.holdfast, "ledger", "verify"))["ok"] is True
    assert len([path for path in (tmp_path / "out").iterdir() if path.suffix != ".json"]) == 1


async def test_a_revoked_terminal_shows_it_is_out_of_service(house, tmp_path) -> None:
    """Revoked by the operator: the screen says so within moments, and asks nobody for a password."""
    house, _ = house
    terminal = await enrolled(house, tmp_path / "terminal")
    await terminal.start()
    try:
        async with chromium() as browser, screen(browser, terminal.url) as shown:
            await expect(shown.page.get_by_role("button", name="Use your PIN")).to_be_visible()
            await asyncio.to_thread(house.holdfast, "terminal", "revoke", "copyroom")
            await expect(shown.page.get_by_role("heading", name="out of service")).to_be_visible(timeout=20_000)
    finally:
        await terminal.stop()


async def test_an_unknown_card_becomes_ones_own_and_prints_by_itself(house, tmp_path) -> None:
    """Tapped, linked after PIN and password, wished to print at every tap; tapped again, it does, and the owner pays."""
    house, _ = house
    person = await hire(house)
    await send(house, tmp_path, 2)
    terminal = await card_terminal(house, tmp_path)
    try:
        async with chromium() as browser, screen(browser, terminal.url) as shown:
            page = shown.page
            await expect(page.get_by_role("heading", name="Tap your card")).to_be_visible()
            await page.evaluate(TAP)
            await expect(page.get_by_text("We do not know this card").first).to_be_visible()
            await sign_in(page, person["pin"])
            await page.get_by_role("button", name="Badge").click()
            await expect(page.get_by_role("heading", name="Your card is linked")).to_be_visible()
            await page.get_by_role("button", name="Show my jobs").click()
            await page.get_by_role("button", name="Display").click()
            await page.get_by_role("switch", name="Print all when I tap").click()
            await expect(page.get_by_role("switch", name="Print all when I tap")).to_be_checked()
            await page.keyboard.press("Escape")
            await page.get_by_role("button", name="Sign out").click()
            await expect(page.get_by_role("heading", name="Tap your card")).to_be_visible()
            await page.evaluate(TAP)
            await expect(page.get_by_role("alertdialog", name="Printing 1 job")).to_be_visible()
            assert "Lesson plan" not in await page.content()
            await expect(page.get_by_role("heading", name="Your job is printed")).to_be_visible(timeout=20_000)
            assert shown.errors == []
    finally:
        await terminal.stop()
    (card,) = (await asyncio.to_thread(house.holdfast, "user", "show", "ada"))["cards"]
    assert card["label"] == "Badge"
    account = await balance(house)
    assert account["reserved"]["amount"] == 0
    assert (await asyncio.to_thread(house.holdfast, "ledger", "verify"))["ok"] is True


async def test_the_password_raises_a_card_at_the_real_daemon(house, tmp_path) -> None:
    """Titles hidden after the tap alone, shown after the password; the same card ends it."""
    house, _ = house
    await hire(house)
    await asyncio.to_thread(house.holdfast, "card", "add", "ada", stdin="04A224B1C2D380\n")
    await send(house, tmp_path, 1)
    terminal = await card_terminal(house, tmp_path)
    try:
        async with chromium() as browser, screen(browser, terminal.url) as shown:
            page = shown.page
            await expect(page.get_by_role("heading", name="Tap your card")).to_be_visible()
            await page.evaluate(TAP)
            await page.get_by_role("button", name="Show titles").click()
            await page.get_by_role("textbox", name="Password").fill(PASSWORD)
            await page.keyboard.press("Enter")
            await expect(page.get_by_text("Lesson plan")).to_be_visible()
            await page.wait_for_timeout(1000 * DEBOUNCE_S)  # sooner it would be the same tap
            await page.evaluate(TAP)
            await expect(page.get_by_role("heading", name="Tap your card")).to_be_visible()
            assert shown.errors == []
    finally:
        await terminal.stop()
