"""Chromium for the tests: headless, touch, exact sizes; refuses to be used while a page shows a script error."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from playwright.async_api import Browser, Page, async_playwright

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHROMIUM = "/usr/bin/chromium"
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync".split()
SIZES = {"800x480": (800, 480), "1280x800": (1280, 800), "390x844": (390, 844)}
WALLS = ("800x480", "1280x800")
"""The sizes terminals hang on walls in; the third is a phone's, for the console."""


@dataclass
class Screen:
    """One page of one size, and everything that went wrong in it."""

    page: Page
    errors: list[str] = field(default_factory=list)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A running browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def screen(
    browser: Browser,
    url: str,
    *,
    size: str = "800x480",
    touch: bool = True,
    reduced: bool = True,
    script: bool = True,
    dark: bool = False,
) -> AsyncIterator[Screen]:
    """A page of `size` at `url`; script errors and requests beyond it are collected in `errors`.

    The house's own certificate is not known to Chromium here: that it is verified is proved by other clients.
    """
    width, height = SIZES[size]
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        screen={"width": width, "height": height},
        has_touch=touch,
        reduced_motion="reduce" if reduced else "no-preference",
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
        ignore_https_errors=True,
    )
    page = await context.new_page()
    shown = Screen(page)
    origin = "/".join(url.split("/")[:3])
    page.on("pageerror", lambda error: shown.errors.append(str(error)))
    page.on(
        "console",
        lambda line: (
            shown.errors.append(line.text) if line.type == "error" and "Content Security" in line.text else None
        ),
    )
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((origin, "data:")) else shown.errors.append(f"external {request.url}")
        ),
    )
    await page.goto(url)
    try:
        yield shown
    finally:
        await context.close()
