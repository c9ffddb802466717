"""The whole way of a person at the terminal, in a real browser at both sizes: seen, touched, typed, read aloud."""

import asyncio
import re

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.helpers.browser import WALLS, chromium, screen
from tests.helpers.fake_daemon import FakeDaemon
from tests.helpers.terminal import ada, some_jobs, terminal_with

DPI = {"800x480": 133.3, "1280x800": 149.4}
TARGET_MM = 19.0
AXE_TAGS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
SMALL_ALLOWED = re.compile(r"\bkey\b")
"""Keys of the letters' keyboard share a row of ten: full height, narrower on a 7 inch screen. The keypad is full size."""


async def check(page: Page, size: str, name: str) -> None:
    """No accessibility violation, and nothing to touch smaller than 19 mm on this screen's real dots per inch."""
    found = await Axe().run(page, options=AXE_TAGS)
    assert found.violations_count == 0, f"{name}: {found.generate_report()}"
    boxes = await page.evaluate(
        "() => [...document.querySelectorAll('button')].filter(b => b.checkVisibility() && !b.closest('.keyboard'))"
        ".map(b => { const r = b.getBoundingClientRect(); return [b.textContent || b.ariaLabel, r.width, r.height] })"
    )
    for label, width, height in boxes:
        side_mm = min(width, height) / DPI[size] * 25.4
        assert side_mm >= TARGET_MM - 0.15, f"{name}: {label!r} is {side_mm:.1f} mm"
    sideways = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert sideways <= 0, f"{name} is {sideways} px too wide"


async def sign_in(page: Page) -> None:
    await page.get_by_role("button", name="Use your PIN").click()
    await page.get_by_label("PIN").fill("4711")
    await page.get_by_label("Password").fill("correct horse")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("button", name="Print all")).to_be_visible()


@pytest.mark.parametrize("size", WALLS)
async def test_every_screen_is_clean_and_large(tmp_path, size: str) -> None:
    """Each screen and dialog of the journey: axe finds nothing, targets are 19 mm, no script error, no stranger asked."""
    daemon = FakeDaemon()
    daemon.page_s = 0.05
    daemon.printers.append({**daemon.printers[0], "printer_id": "p2", "name": "Third floor"})
    async with (
        terminal_with(daemon, tmp_path) as terminal,
        chromium() as browser,
        screen(browser, terminal.url, size=size) as shown,
    ):
        page = shown.page
        await expect(page.get_by_role("heading", name="Tap your card")).to_be_visible()
        await check(page, size, "idle")
        await page.get_by_role("button", name="Use your PIN").click()
        await expect(page.get_by_label("PIN")).to_be_focused()
        await check(page, size, "sign in")
        await page.get_by_role("button", name="Letters").click()
        await check(page, size, "keyboard")
        await page.get_by_role("button", name="Back").click()
        await sign_in(page)
        await check(page, size, "jobs")
        await page.get_by_role("button", name="Options for Workshop hand-out").click()
        await page.get_by_role("button", name="Grey").click()
        await expect(page.get_by_text("You save €6.00")).to_be_visible()
        await check(page, size, "options")
        await page.get_by_role("button", name="OK").click()
        await page.get_by_role("checkbox", name="Payslip").click()
        await check(page, size, "job code")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Display").click()
        await check(page, size, "display")
        await page.keyboard.press("Escape")
        daemon.jam_after = 3
        await page.get_by_role("button", name="Print all").click()
        await expect(page.get_by_text("Paper jam")).to_be_visible()
        await check(page, size, "progress")
        daemon.jam_after = None
        await expect(page.get_by_role("heading", name="Your 3 jobs are printed")).to_be_visible(timeout=10_000)
        await check(page, size, "done")
        await daemon.stop()
        await expect(page.get_by_role("heading", name="not answering")).to_be_visible(timeout=3000)
        await check(page, size, "away")
        assert shown.errors == []


async def test_refusals_say_why_what_next_and_not_charged(tmp_path) -> None:
    """Too little money and a stopped printer: a sentence, a way out, and no charge."""
    daemon = FakeDaemon()
    daemon.people.append(ada())
    daemon.people[0].balance = 60
    daemon.printers.append({**daemon.printers[0], "printer_id": "p2", "name": "Third floor"})
    async with (
        terminal_with(daemon, tmp_path) as terminal,
        chromium() as browser,
        screen(browser, terminal.url) as shown,
    ):
        page = shown.page
        await sign_in(page)
        await page.get_by_role("button", name="Print all (3)").click()
        notice = page.locator(".notice")
        await expect(notice).to_contain_text("Not enough: this needs €9.13, you have €0.60")
        await expect(notice).to_contain_text("Not charged.")
        await expect(page.get_by_role("button", name="Print 1 job")).to_be_visible()
        daemon.printers[0]["state"], daemon.printers[0]["reasons"] = "stopped", ["media-empty"]
        await page.get_by_role("button", name="Print 1 job").click()
        await expect(notice).to_contain_text("The printer is not ready")
        await page.get_by_role("button", name="Use Third floor").click()
        await expect(page.get_by_role("button", name="Third floor Ready")).to_be_visible()
        await expect(notice).to_be_hidden()
        daemon.page_s = 0.01
        await page.get_by_role("button", name="Print 1 job").click()
        await expect(page.get_by_role("heading", name="Your job is printed")).to_be_visible()
        await expect(page.locator(".done")).to_contain_text("€0.05")


async def test_the_keyboard_alone_is_enough(tmp_path) -> None:
    """From idle to printed and signed out with Tab, Enter, Space and typing."""
    daemon = FakeDaemon()
    daemon.page_s = 0.01
    daemon.people.append(ada())
    daemon.people[0].jobs = daemon.people[0].jobs[:2]
    async with (
        terminal_with(daemon, tmp_path) as terminal,
        chromium() as browser,
        screen(browser, terminal.url, touch=False) as shown,
    ):
        page = shown.page

        async def reach(role: str, name: str) -> None:
            wanted = page.get_by_role(role, name=name)
            for _ in range(30):
                if await wanted.evaluate("element => element === document.activeElement"):
                    return
                await page.keyboard.press("Tab")
            raise AssertionError(f"{name} cannot be reached with Tab")

        await expect(page.get_by_role("button", name="Use your PIN")).to_be_visible()
        await reach("button", "Use your PIN")
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("PIN")).to_be_focused()
        await page.keyboard.type("4711\n")
        await expect(page.get_by_label("Password")).to_be_focused()
        await page.keyboard.type("correct horse\n")
        await expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_focused()
        await reach("checkbox", "Invoice")
        await page.keyboard.press("Space")
        await expect(page.get_by_role("checkbox", name="Invoice")).not_to_be_checked()
        await reach("button", "Print 1 job")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Your job is printed")).to_be_focused()
        await reach("button", "Sign out")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Use your PIN")).to_be_visible()


async def test_nothing_is_left_after_signing_out(tmp_path) -> None:
    """Not in the document, the history, the storage; Back and reload show the idle screen."""
    async with (
        terminal_with(FakeDaemon(), tmp_path) as terminal,
        chromium() as browser,
        screen(browser, terminal.url) as shown,
    ):
        page = shown.page
        await sign_in(page)
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("button", name="Use your PIN")).to_be_visible()
        for leave in (None, page.go_back, page.reload):
            if leave is not None:
                await leave()
                await page.goto(terminal.url) if page.url == "about:blank" else None
                await expect(page.get_by_role("button", name="Use your PIN")).to_be_visible()
            html = await page.content()
            assert "Ada" not in html
            assert "Quarterly" not in html
            assert "4711" not in html
        left = await page.evaluate(
            "Promise.all([caches.keys(), indexedDB.databases()]).then(([a, b]) => [a.length, b.length, localStorage.length, sessionStorage.length])"
        )
        assert left == [0, 0, 0, 0]
        assert "t=" not in page.url


async def test_arabic_is_right_to_left_and_follows_the_person(tmp_path) -> None:
    """The screen turns with the person's language, at every language's own plural and money, and turns back."""
    daemon = FakeDaemon()
    daemon.people.append(ada("ar"))
    async with (
        terminal_with(daemon, tmp_path) as terminal,
        chromium() as browser,
        screen(browser, terminal.url) as shown,
    ):
        page = shown.page
        await page.get_by_role("button", name="Use your PIN").click()
        await page.get_by_label("PIN").fill("٤٧١١")
        await page.get_by_label("Password").fill("correct horse")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("button", name="طباعة الكل")).to_be_visible()
        assert await page.evaluate("[document.documentElement.lang, document.documentElement.dir]") == ["ar", "rtl"]
        rail = await page.locator(".rail").bounding_box()
        assert rail is not None
        assert rail["x"] < 100
        await check(page, "800x480", "jobs in Arabic")
        await page.get_by_role("button", name="العربية").click()
        await page.get_by_role("button", name="Deutsch").click()
        await expect(page.get_by_role("button", name="Alle drucken (3)")).to_be_visible()
        await expect(page.locator(".rail")).to_contain_text("12,50\xa0€")
        await page.get_by_role("button", name="Abmelden").click()
        await expect(page.get_by_role("button", name="Use your PIN")).to_be_visible()
        assert await page.evaluate("document.documentElement.dir") == "ltr"


async def test_large_text_and_high_contrast_keep_everything_reachable(tmp_path) -> None:
    """The display options of the first screen: nothing is cut off sideways, axe stays clean."""
    async with (
        terminal_with(FakeDaemon(), tmp_path) as terminal,
        chromium() as browser,
        screen(browser, terminal.url) as shown,
    ):
        page = shown.page
        await sign_in(page)
        await page.get_by_role("button", name="Display").click()
        await page.get_by_role("switch", name="Large text").click()
        await page.get_by_role("switch", name="High contrast").click()
        await page.get_by_role("button", name="Close").click()
        await expect(page.locator("html.large-text.high-contrast")).to_have_count(1)
        await check(page, "800x480", "jobs, large and high contrast")
        await page.get_by_role("button", name="Print all").scroll_into_view_if_needed()
        await expect(page.get_by_role("button", name="Print all")).to_be_in_viewport()


async def test_the_countdown_asks_and_one_touch_keeps_the_session(tmp_path) -> None:
    """The question comes, one touch answers it; without an answer the screen goes back to idle, uncharged."""
    daemon = FakeDaemon(idle_s=2)
    async with (
        terminal_with(daemon, tmp_path) as terminal,
        chromium() as browser,
        screen(browser, terminal.url) as shown,
    ):
        page = shown.page
        await sign_in(page)
        dialog = page.get_by_role("alertdialog", name="Are you still there?")
        await expect(dialog).to_be_visible(timeout=5000)
        await check(page, "800x480", "countdown")
        await page.get_by_role("button", name="Stay signed in").click()
        await expect(dialog).to_be_hidden()
        assert daemon.people[0].balance == 1250


async def test_reload_and_resize_keep_the_person_where_they_were(tmp_path) -> None:
    """The state is the kiosk program's: the page can be loaded anew at any moment."""
    async with (
        terminal_with(FakeDaemon(), tmp_path) as terminal,
        chromium() as browser,
        screen(browser, terminal.url) as shown,
    ):
        page = shown.page
        await sign_in(page)
        await page.get_by_role("checkbox", name="Invoice").click()
        await page.reload()
        await expect(page.get_by_role("button", name="Print 2 jobs")).to_be_visible()
        await page.set_viewport_size({"width": 799, "height": 392})
        await expect(page.get_by_role("button", name="Print 2 jobs")).to_be_in_viewport()
        await page.set_viewport_size({"width": 1280, "height": 800})
        await expect(page.get_by_role("checkbox", name="Quarterly report")).to_be_checked()


async def test_hostile_titles_are_only_text(tmp_path) -> None:
    """A title that is markup, or as long as a book, breaks nothing and runs nothing."""
    daemon = FakeDaemon()
    daemon.people.append(ada())
    daemon.people[0].jobs[0]["title"] = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    daemon.people[0].jobs[1]["title"] = "x" * 4000
    daemon.people[0].jobs[2]["title"] = "\u202egpj.exe"
    async with (
        terminal_with(daemon, tmp_path) as terminal,
        chromium() as browser,
        screen(browser, terminal.url) as shown,
    ):
        page = shown.page
        page.on("dialog", lambda dialog: shown.errors.append(dialog.message))
        await sign_in(page)
        await expect(page.get_by_text("<img src=x")).to_be_visible()
        assert await page.locator("img").count() == 0
        await check(page, "800x480", "hostile titles")
        assert shown.errors == []


async def test_a_dead_kiosk_program_is_shown_and_its_return_noticed(tmp_path) -> None:
    """The browser says that the terminal starts again; it never shows a dead list."""
    async with (
        terminal_with(FakeDaemon(), tmp_path) as terminal,
        chromium() as browser,
        screen(browser, terminal.url) as shown,
    ):
        page = shown.page
        await sign_in(page)
        assert await terminal.stop() == 0
        await expect(page.get_by_role("heading", name="starting again")).to_be_visible(timeout=8000)
        assert "Quarterly" not in await page.content()
        assert len(some_jobs()) == 5
        await asyncio.sleep(0)


async def test_the_browser_may_be_started_from_a_local_file(tmp_path) -> None:
    """As the display's unit does, so that the token is on no command line; the token is not in the history either."""
    async with terminal_with(FakeDaemon(), tmp_path) as terminal, chromium() as browser:
        start = tmp_path / "start.html"
        start.write_text(f'<!doctype html><meta http-equiv="refresh" content="0;url={terminal.url}">')
        context = await browser.new_context(viewport={"width": 800, "height": 480})
        page = await context.new_page()
        await page.goto(f"file://{start}")
        await expect(page.get_by_role("button", name="Use your PIN")).to_be_visible()
        assert "t=" not in page.url
        await page.reload()
        await expect(page.get_by_role("button", name="Use your PIN")).to_be_visible()
        await context.close()
