"""Cards at the terminal, in a real browser: tapped, linked, stopped, raised; readers that go away; every language."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from kiosk.languages import languages, load
from tests.helpers.browser import SIZES, WALLS, chromium, screen
from tests.helpers.fake_daemon import FakeDaemon, amount, at
from tests.helpers.terminal import ada, some_jobs, terminal_with
from tests.integration.test_kiosk_journey import DPI, check

MINE, STRANGE = "04A1B2", "04FFFF"
KEY_MM = 15.0
QUIET_S = 1.1
LANGUAGE = "code => fetch('/ui/act', {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify({do: 'language', language: code})})"
HOLD = "raw => fetch('/ui/tap', {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(raw)})"


async def tap(page: Page, raw: str = MINE, **what: object) -> None:
    """Hold a card to the simulated reader, or give it a trouble."""
    await page.evaluate(HOLD, what or {"raw": raw})


@asynccontextmanager
async def at_the_wall(tmp_path, daemon: FakeDaemon, *, size: str = "800x480", touch: bool = True):
    """The stand-in, a terminal and its screen; the page shows the idle screen."""
    async with (
        terminal_with(daemon, tmp_path) as terminal,
        chromium() as browser,
        screen(browser, terminal.url, size=size, touch=touch) as shown,
    ):
        await expect(shown.page.get_by_role("button", name="Use your PIN")).to_be_visible()
        yield shown.page, terminal, shown


def house(**over: object) -> FakeDaemon:
    """A site that takes cards alone and lets people link theirs."""
    daemon = FakeDaemon(policy="card")
    daemon.page_s, daemon.may_link = 0.01, True
    daemon.people.append(ada())
    for name, value in over.items():
        setattr(daemon, name, value)
    return daemon


def asked(daemon: FakeDaemon, what: str) -> list[dict]:
    return [data for name, data in daemon.calls if name == what]


@pytest.mark.parametrize("size", WALLS)
async def test_an_unknown_card_finds_its_owner(tmp_path, size: str) -> None:
    """Tapped, signed in by touch, linked with one touch, used at the next tap; every screen clean and large."""
    daemon = house()
    async with at_the_wall(tmp_path, daemon, size=size) as (page, _, shown):
        await tap(page, STRANGE)
        await expect(page.get_by_text("We do not know this card").first).to_be_visible()
        await check(page, size, "offer")
        for digit in "4711":
            await page.get_by_role("button", name=digit, exact=True).click()
        await page.get_by_role("button", name="Next").click()
        await page.get_by_label("Password").fill("correct horse")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", name="Link this card to you?")).to_be_visible()
        await check(page, size, "link")
        await page.get_by_role("button", name="Link this card: Key fob").click()
        await expect(page.get_by_role("heading", name="Your card is linked")).to_be_visible()
        await expect(page.get_by_text("Linked cards: 1 of 2")).to_be_visible()
        await check(page, size, "linked")
        await page.get_by_role("button", name="Show my jobs").click()
        await expect(page.get_by_role("button", name="Print all (3)")).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("button", name="Use your PIN")).to_be_visible()
        await tap(page, STRANGE)
        await expect(page.get_by_role("button", name="Print all (3)")).to_be_visible()
        assert asked(daemon, "link") == [{"ticket": "link-" + STRANGE, "label": "Key fob"}]
        assert STRANGE not in await page.content()
        assert shown.errors == []


async def test_linking_by_the_keyboard_alone(tmp_path) -> None:
    """Tab, Enter and typing, from the tap to the jobs."""
    async with at_the_wall(tmp_path, house(), touch=False) as (page, _, _):
        await tap(page, STRANGE)
        await expect(page.get_by_label("PIN")).to_be_focused()
        await page.keyboard.type("4711\ncorrect horse\n")
        await expect(page.get_by_role("heading", name="Link this card to you?")).to_be_focused()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Badge")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Your card is linked")).to_be_focused()
        for _ in range(3):
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_focused()


async def test_a_card_that_cannot_be_linked_says_why(tmp_path) -> None:
    """The person is signed in all the same."""
    daemon = house()
    async with at_the_wall(tmp_path, daemon) as (page, _, _):
        for status, code, words in (
            (422, "card-limit-reached", "as many cards as are allowed"), (422, "card-link-expired", "took too long"), (409, "card-taken", "already belongs to somebody"),
        ):  # fmt: skip
            daemon.refuse["link"] = (status, {"code": code, "message": ""})
            await tap(page, f"{STRANGE}{code}")
            await page.get_by_label("PIN").fill("4711")
            await page.get_by_label("Password").fill("correct horse")
            await page.get_by_role("button", name="Sign in").click()
            await page.get_by_role("button", name="Badge").click()
            await expect(page.locator(".notice")).to_contain_text(words)
            await expect(page.get_by_role("button", name="Print all (3)")).to_be_visible()
            await page.get_by_role("button", name="Sign out").click()
            await expect(page.get_by_role("button", name="Use your PIN")).to_be_visible()


async def test_a_mailed_code_opens_in_place_of_the_password(tmp_path) -> None:
    """Asked for at the terminal, typed at the keypad."""
    daemon = house(mailed_code=True)
    async with at_the_wall(tmp_path, daemon) as (page, _, _):
        await page.get_by_role("button", name="Use your PIN").click()
        await page.get_by_label("PIN").fill("4711")
        await page.get_by_role("button", name="Mail me a code").click()
        await expect(page.get_by_label("Code from the mail")).to_be_focused()
        await check(page, "800x480", "mailed code")
        for digit in "246810":
            await page.get_by_role("button", name=digit, exact=True).click()
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("button", name="Print all (3)")).to_be_visible()
        assert asked(daemon, "code") == [{"pin": "4711"}]
        assert asked(daemon, "session") == [{"pin": "4711", "code": "246810"}]


@pytest.mark.parametrize("size", WALLS)
async def test_a_tap_that_prints_can_be_stopped_until_it_does(tmp_path, size: str) -> None:
    """Stop is large and first; stopped, nothing prints; not stopped, everything does."""
    daemon = house()
    daemon.people[0].release_on_tap = True
    async with at_the_wall(tmp_path, daemon, size=size) as (page, _, shown):
        await tap(page)
        dialog = page.get_by_role("alertdialog", name="Printing 3 jobs")
        await expect(dialog).to_be_visible()
        await check(page, size, "stop")
        await page.get_by_role("button", name="Stop").click()
        await expect(dialog).to_be_hidden()
        await expect(page.get_by_role("button", name="Print all (3)")).to_be_visible()
        await asyncio.sleep(QUIET_S)
        await tap(page)
        await expect(page.get_by_role("button", name="Use your PIN")).to_be_visible()
        await asyncio.sleep(QUIET_S)
        await tap(page)
        await expect(dialog).to_be_visible()
        await expect(page.get_by_role("heading", name="Your 3 jobs are printed")).to_be_visible(timeout=15_000)
        assert len(asked(daemon, "release")) == 1
        assert shown.errors == []


async def test_titles_show_with_the_password(tmp_path) -> None:
    """A card alone shows none; a wrong password says so and changes nothing; the right one shows them and lifts the limit."""
    daemon = house(cost_cap=amount(500))
    async with at_the_wall(tmp_path, daemon) as (page, _, _):
        await tap(page)
        await expect(page.get_by_text("With the card alone up to €5.00")).to_be_visible()
        assert "Quarterly" not in await page.content()
        await check(page, "800x480", "card session")
        for password, seen in (("no", "The password is not right"), ("correct horse", "Quarterly report")):
            await page.get_by_role("button", name="Show titles").click()
            await page.get_by_role("textbox", name="Password").fill(password)
            await page.keyboard.press("Enter")
            await expect(page.get_by_text(seen).first).to_be_visible()
        await expect(page.get_by_text("With the card alone")).to_be_hidden()
        await expect(page.get_by_role("button", name="Show titles")).to_be_hidden()


async def test_the_wish_to_print_at_every_tap_is_a_switch(tmp_path) -> None:
    """For whoever gave the password; a card alone is not asked."""
    daemon = house()
    async with at_the_wall(tmp_path, daemon) as (page, _, _):
        await tap(page)
        await page.get_by_role("button", name="Display").click()
        await expect(page.get_by_role("switch", name="Large text")).to_be_visible()
        await expect(page.get_by_role("switch", name="Print all when I tap")).to_be_hidden()
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("button", name="Use your PIN").click()
        await expect(page.get_by_label("PIN")).to_be_focused()
        await page.keyboard.type("4711\ncorrect horse\n")
        await expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
        await page.get_by_role("button", name="Display").click()
        await page.get_by_role("switch", name="Print all when I tap").click()
        await expect(page.get_by_role("switch", name="Print all when I tap")).to_be_checked()
        await check(page, "800x480", "wishes")
        assert daemon.preferences == [True]


async def test_the_same_card_ends_and_another_switches(tmp_path) -> None:
    """Nothing of the one before is in the document of the one after."""
    daemon = house()
    grace = ada()
    grace.pin, grace.card, grace.display_name, grace.jobs = "4712", STRANGE, "Grace Hopper", some_jobs()[:1]
    daemon.people.append(grace)
    async with at_the_wall(tmp_path, daemon) as (page, _, _):
        await tap(page)
        await expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
        await tap(page, STRANGE)
        await expect(page.get_by_role("heading", name="Grace Hopper")).to_be_visible()
        assert "Ada" not in await page.content()
        await asyncio.sleep(QUIET_S)
        await tap(page, STRANGE)
        await expect(page.get_by_role("button", name="Use your PIN")).to_be_visible()
        assert "Grace" not in await page.content()
        assert len(asked(daemon, "session")) == 2


async def test_a_thousand_taps_a_minute_ask_one_thing_at_a_time(tmp_path) -> None:
    """The daemon hears of one card at a time, the last one wins, and the screen goes on."""
    daemon = house(session_s=0.2)
    async with at_the_wall(tmp_path, daemon) as (page, _, _):
        for number in range(40):
            await tap(page, f"0400{number:02X}")
        await tap(page)
        await expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
        assert len(asked(daemon, "session")) < 20
        assert asked(daemon, "session")[-1]["raw"] == MINE


async def test_a_reader_that_goes_away_is_shown_with_the_way_on(tmp_path) -> None:
    """And a tap that gave nothing says what to do; a heartbeat tells the daemon, with the size of the glass."""
    daemon = house()
    async with at_the_wall(tmp_path, daemon) as (page, _, _):
        await expect(page.get_by_role("heading", name="Tap your card")).to_be_visible()
        await tap(page, missed="card-mute")
        await expect(page.get_by_role("heading", name="The card was gone too soon")).to_be_visible()
        await check(page, "800x480", "not read")
        await tap(page, plugged=False)
        await expect(page.get_by_text("The card reader is not working")).to_be_visible(timeout=15_000)
        await check(page, "800x480", "reader away")
        async with asyncio.timeout(10):
            while asked(daemon, "heartbeat")[-1]["readers"][0]["state"] != "away":
                await asyncio.sleep(0.05)
        beat = asked(daemon, "heartbeat")[-1]
        assert beat["readers"] == [
            {
                "name": "simulated",
                "kind": "simulated",
                "state": "away",
                "code": "unplugged",
                "model": "Simulated reader",
            }
        ]
        assert beat["screen"] == {"width": 800, "height": 480, "dpi": 133.3}
        await tap(page, plugged=True)
        await expect(page.get_by_role("heading", name="Tap your card")).to_be_visible()


async def test_a_tap_while_the_daemon_is_away_says_so_at_once(tmp_path) -> None:
    """And nothing comes of it when it is back."""
    daemon = house()
    async with at_the_wall(tmp_path, daemon) as (page, _, _):
        await daemon.stop()
        await expect(page.get_by_role("heading", name="not answering")).to_be_visible(timeout=4000)
        await tap(page)
        await expect(page.get_by_text("could not be looked up")).to_be_visible()
        await check(page, "800x480", "tap while away")
        await daemon.start()
        await expect(page.get_by_role("heading", name="not answering")).to_be_hidden(timeout=6000)
        await asyncio.sleep(1)
        assert asked(daemon, "session") == []


async def test_hours_and_a_terminal_that_is_looked_for(tmp_path) -> None:
    """Closed until when; and the name across the whole screen."""
    daemon = house(opens_at=at(24 * 60))
    async with (
        terminal_with(daemon, tmp_path) as terminal,
        chromium() as browser,
        screen(browser, terminal.url) as shown,
    ):
        page = shown.page
        await expect(page.get_by_role("heading", name="Closed now")).to_be_visible()
        await expect(page.get_by_text("Open again")).to_be_visible()
        await check(page, "800x480", "closed")
        daemon.tell("command", {"command_id": "c1", "kind": "identify"})
        await expect(page.get_by_text("Somebody is looking for this terminal.")).to_be_visible()
        assert daemon.answers == {"c1": "done"}


async def test_a_browser_that_crashed_comes_back_to_where_the_person_was(tmp_path) -> None:
    """The state is the terminal program's: a new browser with the same address shows it, and the old one's end harms nothing."""
    async with at_the_wall(tmp_path, house()) as (page, terminal, _):
        await tap(page)
        await expect(page.get_by_role("button", name="Print all (3)")).to_be_visible()
        await page.context.close()
        async with chromium() as browser, screen(browser, terminal.url) as again:
            await expect(again.page.get_by_role("button", name="Print all (3)")).to_be_visible()
            await again.page.get_by_role("button", name="Sign out").click()
            await expect(again.page.get_by_role("button", name="Use your PIN")).to_be_visible()


@pytest.mark.parametrize("size", WALLS)
async def test_letters_are_as_wide_as_a_fingertip_in_every_language(tmp_path, size: str) -> None:
    """15 mm and more on this screen's real dots per inch, on every layer, and inside the screen."""
    async with at_the_wall(tmp_path, house(), size=size) as (page, _, _):
        width, height = SIZES[size]
        for code in languages():
            await page.evaluate(LANGUAGE, code)
            await expect(page.locator(f"html[lang={code}]")).to_have_count(1)
            await page.locator(".hero .primary").click()
            await page.get_by_role("button", name=load(code)["keys.letters.name"]).click()
            layers = [None, load(code)["keys.signs"], load(code)["keys.more"]]
            for layer in layers:
                if layer is not None:
                    await page.get_by_role("button", name=layer).click()
                boxes = await page.evaluate(
                    "[...document.querySelectorAll('.keyboard .key')].map(k => { const r = k.getBoundingClientRect(); return [k.textContent || k.ariaLabel, r.left, r.right, r.top, r.bottom] })"
                )
                assert len(boxes) > 25
                for label, left, right, top, bottom in boxes:
                    side_mm = min(right - left, bottom - top) / DPI[size] * 25.4
                    assert side_mm >= KEY_MM, f"{code}: {label!r} is {side_mm:.1f} mm"
                    assert left >= -0.5, label
                    assert right <= width + 0.5, label
                    assert top >= 0, label
                    assert bottom <= height, label
            await page.locator(".head button").first.click()
            await expect(page.locator(".hero")).to_be_visible()


OVER = (
    "[document.documentElement.scrollWidth - innerWidth, ...[...document.querySelectorAll('main, main button, main p, main h1')]"
    ".filter(e => e.checkVisibility() && !e.closest('.spoken, .list')).flatMap(e => { const r = e.getBoundingClientRect();"
    " return [r.right - innerWidth, r.bottom - innerHeight, -r.left, -r.top] })]"
)


async def test_every_language_fits(tmp_path) -> None:
    """Offer, mailed code, linking, linked, stop: nothing beyond the edge of 800x480, in words as long as they are."""
    daemon = house(mailed_code=True, cards_max=len(languages()))
    async with at_the_wall(tmp_path, daemon) as (page, _, _):
        for number, code in enumerate(languages()):
            texts, strange = load(code), f"{STRANGE}{number:02}"

            async def fits(name: str, code: str = code) -> None:
                over = max(await page.evaluate(OVER))
                assert over <= 1, f"{name} in {code} is {over} px too large"

            daemon.people[0].language, daemon.people[0].release_on_tap = code, False
            await page.evaluate(LANGUAGE, code)
            await tap(page, strange)
            await expect(page.locator(".offer")).to_be_visible()
            await fits("offer")
            await page.locator("input[name=pin]").fill("4711")
            await page.locator(".mail").click()
            await expect(page.get_by_label(texts["mail.label"])).to_be_focused()
            await fits("mailed code")
            await page.keyboard.type("246810\n")
            await expect(page.get_by_role("heading", name=texts["link.title"])).to_be_visible()
            await fits("link")
            await page.locator(".choice.kind").first.click()
            await expect(page.get_by_role("heading", name=texts["linked.title"])).to_be_visible()
            await fits("linked")
            await page.locator(".link .primary").click()
            await page.get_by_role("button", name=texts["sign_out"]).click()
            await expect(page.locator(".idle")).to_be_visible()
            daemon.people[0].release_on_tap = True
            await tap(page, strange)
            await expect(page.locator(".auto")).to_be_visible()
            await fits("stop")
            box = await page.locator(".auto").bounding_box()
            assert box is not None
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= 480
            await page.locator(".stop").click()
            await page.get_by_role("button", name=texts["sign_out"]).click()
            await expect(page.locator(".idle")).to_be_visible()
