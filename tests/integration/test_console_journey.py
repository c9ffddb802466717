"""The console in Chromium: an administrator's morning by keyboard alone, every page at two sizes, in the dark, scriptless."""

import asyncio
import os
from pathlib import Path

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from daemon.auth.terminals import Binding
from daemon.db.unit import Unit
from daemon.kernel.clock import US_PER_S
from tests.helpers.browser import chromium, screen
from tests.helpers.console import PASSWORD, ConsoleHouse, console_house

SHOTS = os.environ.get("HOLDFAST_SHOTS", "")
"""A directory: every page is pictured there, to be looked at."""
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


async def _morning(house: ConsoleHouse) -> dict[str, str]:
    """A house in which something waits for somebody; the pages to look at."""
    await house.person("ada", "admin", display_name="Ada Lovelace")
    anna = await house.person("anna", display_name="Anna Achternbusch-Überlang")
    for name in ("berta", "cem", "dagny"):
        await house.person(name)
    printer = await house.office.buy_printer("Hall", location="Ground floor, left of the stairs")
    dead = await house.office.register("Attic", "ipp://127.0.0.1:1/ipp/print")
    made = await house.parts.terminals.add(
        "Lobby", printers=[Binding("Hall", "desk")], policy="site", site="main", actor="test"
    )
    done = await house.office.read(await house.office.submit(anna, pages=4))
    await house.office.release(anna, [done], printer)
    await house.office.finished(done)
    waiting = await house.office.read(await house.office.submit(anna, pages=3, title="Minutes"))
    now = house.parts.clock.now_us()
    unit = Unit()
    unit.add("UPDATE printer SET state='unreachable', checked_at_us=:at WHERE id=:id", at=now, id=dead.id)
    unit.add(
        """UPDATE terminal SET public_key=:key, enrolled_at_us=:at, last_seen_us=:at, version='0.1.0',
             readers='[{"name":"desk","kind":"pcsc","state":"refused","code":"unplugged","model":"","since_us":1}]'""",
        key=b"k" * 32, at=now - 600 * US_PER_S,
    )  # fmt: skip
    unit.audit(actor="system", action="sign-in.sprayed", subject="Lobby", detail={}, at_us=now)
    unit.add(
        """UPDATE credential SET failures=20, is_disabled=1, last_failure_us=:at
            WHERE person_id=(SELECT id FROM person WHERE name='anna')""",
        at=now - 300 * US_PER_S,
    )
    await house.parts.db.commit(unit)
    return {
        "overview": "/console",
        "people": "/console/people",
        "person": f"/console/people/{anna.public_id}",
        "new-person": "/console/people/new",
        "jobs": "/console/jobs?state=all",
        "job": f"/console/jobs/{waiting.public_id}",
        "terminals": "/console/terminals",
        "terminal": f"/console/terminals/{made.terminal.public_id}",
        "new-terminal": "/console/terminals/new",
        "printers": "/console/printers",
        "printer": f"/console/printers/{printer.public_id}",
        "new-printer": "/console/printers/new",
        "audit": "/console/audit",
        "tokens": "/console/tokens",
        "settings": "/console/settings",
        "me": "/console/me",
        "missing": "/console/nothing",
    }


async def _fits(page: Page, name: str) -> None:
    """Nothing is cut off sideways, axe finds nothing; pictured where somebody wants to look."""
    if SHOTS:
        await asyncio.to_thread(Path(SHOTS).mkdir, parents=True, exist_ok=True)
        await page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)
    width = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0, (name, width)
    found = await Axe().run(page, options={"runOnly": {"type": "tag", "values": AXE["runOnly"]}})
    assert found.violations_count == 0, (name, found.generate_report())


async def _sign_in(page: Page, login: str = "ada") -> None:
    await page.fill("#login", login)
    await page.fill("#password", PASSWORD)
    await page.press("#password", "Enter")
    await page.wait_for_url("**/console")


async def test_every_page_fits_and_is_accessible(tmp_path):
    """All pages at 1280x800 and on a phone, one in the dark, details open: axe finds nothing, nothing is cut off."""
    async with console_house(tmp_path, reads_documents=True) as house, chromium() as browser:
        pages = await _morning(house)
        for size, dark in (("1280x800", False), ("390x844", True)):
            async with screen(browser, f"{house.url}/console", size=size, touch=size == "390x844", dark=dark) as shown:
                await _fits(shown.page, f"{size}-sign-in")
                await _sign_in(shown.page)
                for name, path in pages.items():
                    await shown.page.goto(house.url + path)
                    await shown.page.evaluate(
                        "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
                    )
                    await _fits(shown.page, f"{size}-{name}")
                assert shown.errors == []


async def _tab_to(page: Page, text: str, most: int = 60) -> None:
    """Press Tab until what is focused reads `text`."""
    for _ in range(most):
        await page.keyboard.press("Tab")
        said = await page.evaluate("document.activeElement.innerText || document.activeElement.id || ''")
        if said.strip().startswith(text):
            ring = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert ring != "none", text
            return
    raise AssertionError(f"Tab never reached {text!r}")


async def test_a_morning_by_keyboard_alone(tmp_path):
    """Sign in, see a lock, lift it, find a person, give a PIN, change a balance, sign out: without a mouse."""
    async with console_house(tmp_path, reads_documents=True) as house, chromium() as browser:
        await _morning(house)
        async with screen(browser, f"{house.url}/console", size="1280x800", touch=False) as shown:
            page = shown.page
            await page.keyboard.type("ada")
            await page.keyboard.press("Tab")
            await page.keyboard.type(PASSWORD)
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/console")
            await page.keyboard.press("Tab")
            assert await page.evaluate("document.activeElement.className") == "skip"
            await page.keyboard.press("Enter")
            await _tab_to(page, "Unlock")
            await page.keyboard.press("Enter")
            await page.wait_for_selector(".note.good")
            assert "Anna Achternbusch-Überlang can sign in again" in await page.inner_text(".note.good")
            await _tab_to(page, "People")
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/console/people")
            await page.keyboard.type("berta")
            await page.wait_for_url("**q=berta*")
            await page.locator("#found td", has_text="cem").wait_for(state="detached")
            await _tab_to(page, "berta")
            await page.keyboard.press("Enter")
            await page.wait_for_selector("#about")
            await _tab_to(page, "Give a new PIN")
            await page.keyboard.press("Enter")
            await page.wait_for_selector(".secret")
            assert (await page.inner_text(".secret")).isdigit()
            await _tab_to(page, "Change the balance")
            await page.keyboard.press("Enter")
            await _tab_to(page, "amount")
            await page.keyboard.type("40")
            await page.keyboard.press("Tab")
            await page.keyboard.type("Course")
            await page.keyboard.press("Enter")
            await page.wait_for_selector(".note.good")
            assert "240 pages" in await page.inner_text("main")
            await _tab_to(page, "Sign out")
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/console/sign-in")
            await page.go_back()
            assert "240 pages" not in await page.inner_text("body")
            assert shown.errors == []


async def test_everything_works_without_script(tmp_path):
    """With script switched off: sign in, search by the button, unlock, sign out."""
    async with console_house(tmp_path, reads_documents=True) as house, chromium() as browser:
        await _morning(house)
        async with screen(browser, f"{house.url}/console", size="390x844", script=False) as shown:
            page = shown.page
            await _sign_in(page)
            await page.click("button:has-text('Unlock')")
            assert "can sign in again" in await page.inner_text(".note.good")
            await page.goto(f"{house.url}/console/people")
            await page.fill("#q", "cem")
            await page.click("button:has-text('Find')")
            assert await page.locator("#found tbody tr").count() == 1
            await page.click("button:has-text('Sign out')")
            assert page.url.endswith("/console/sign-in")


async def test_a_page_keeps_itself_fresh(tmp_path):
    """The overview shows a new lock by itself, and leaves alone what somebody is at work in."""
    async with console_house(tmp_path) as house, chromium() as browser:
        await house.person("ada", "admin")
        bert = await house.person("bert")
        async with screen(browser, f"{house.url}/console", size="1280x800") as shown:
            page = shown.page
            await page.clock.install()
            await _sign_in(page)
            assert "bert" not in (await page.inner_text("#needs")).lower()
            unit = Unit()
            unit.add(
                "UPDATE credential SET failures=20, is_disabled=1, last_failure_us=:at WHERE person_id=:id",
                at=house.parts.clock.now_us(), id=bert.id,
            )  # fmt: skip
            await house.parts.db.commit(unit)
            await page.clock.fast_forward(21_000)
            await page.locator("#needs", has_text="Bert cannot sign in").wait_for()
            assert shown.errors == []
