"""A terminal's screen as it hangs on the wall: X display, Chromium with the shipped flags and policies, real keys.

cage needs a real output; here Xvfb and a window manager without decorations stand in for it. What is tried on it is
typed and pointed by XTEST (xdotool), so that the browser itself sees it, not only the page. Chromium reads its policies
from one directory of the system: a mount namespace of its own gives this one process another.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.helpers.devtools import DevTools

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).resolve().parents[2]
UNIT_SCRIPT = ROOT / "systemd/holdfast-display"
POLICY = ROOT / "systemd/chromium-policy.json"
START_S = 30
WITH_POLICY = (
    "mkdir -p /etc/chromium/policies && mount -t tmpfs none /etc/chromium/policies && mkdir /etc/chromium/policies/managed"
    ' && cp "$0" /etc/chromium/policies/managed/ && exec /usr/bin/chromium "$@"'
)


def shipped_flags() -> list[str]:
    """Chromium's options in the display unit's script, without the two that name files of its own."""
    text = UNIT_SCRIPT.read_text().split("exec /usr/bin/chromium", 1)[1]
    found = re.findall(r"--[^\s\\\"]+", text)
    assert "--kiosk" in found
    return [flag for flag in found if not flag.startswith(("--user-data-dir", "--app", "--ozone-platform"))]


class Glass:
    """One screen."""

    def __init__(self, env: dict[str, str], port: int, client: httpx.AsyncClient) -> None:
        self._env, self._port, self._client = env, port, client

    async def x(self, *arguments: str) -> str:
        """One xdotool command."""
        done = await asyncio.to_thread(
            subprocess.run,
            ["xdotool", *arguments],
            env=self._env,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return done.stdout

    async def windows(self) -> list[str]:
        """Names of all visible windows."""
        ids = (await self.x("search", "--onlyvisible", "--name", ".*")).split()
        return sorted([(await self.x("getwindowname", one)).strip() for one in ids])

    async def pages(self) -> list[tuple[str, str]]:
        """Everything the browser shows: kind and address."""
        return [(one["type"], one["url"]) for one in await self._list()]

    async def _list(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = (await self._client.get(f"http://127.0.0.1:{self._port}/json/list")).json()
        return listed

    async def ask(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = await self._list()
        page = await DevTools.open(next(one["webSocketDebuggerUrl"] for one in found if one["type"] == "page"))
        try:
            return await page.ask(script)
        finally:
            page.close()


@asynccontextmanager
async def glass(folder: Path, url: str, *, size: str = "800x480") -> AsyncIterator[Glass]:
    """A running screen at `url`."""
    receive, send = os.pipe()
    display = subprocess.Popen(
        ["Xvfb", "-displayfd", str(send), "-screen", "0", f"{size}x24", "-nolisten", "tcp"],
        pass_fds=[send],
        stderr=subprocess.DEVNULL,
    )
    os.close(send)
    with os.fdopen(receive) as pipe:
        number = await asyncio.to_thread(pipe.readline)
    env = {**os.environ, "DISPLAY": f":{number.strip()}"}
    manager = subprocess.Popen(["matchbox-window-manager", "-use_titlebar", "no"], env=env, stderr=subprocess.DEVNULL)
    browser = _chromium(folder, url, env)
    try:
        port = await _port(folder / "profile/DevToolsActivePort", browser)
        async with httpx.AsyncClient() as client:
            yield Glass(env, port, client)
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        for one in (browser, manager, display):
            one.kill()
            one.wait(10)


def _chromium(folder: Path, url: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """As the display unit starts it, with the policies but for two that would keep the test from looking in.

    What keeps the developer tools shut here is therefore the page alone.
    """
    profile = folder / "profile"
    profile.mkdir(parents=True)
    start = profile / "start.html"
    start.write_text(f'<!doctype html><meta http-equiv="refresh" content="0;url={url}"><title>Holdfast</title>')
    policy = json.loads(POLICY.read_text())
    policy["URLAllowlist"] = ["/".join(url.split("/")[:3]), f"file://{start}"]
    policy |= {"RemoteDebuggingAllowed": True, "DeveloperToolsAvailability": 1}
    (folder / "holdfast.json").write_text(json.dumps(policy))
    flags = [*shipped_flags(), "--ozone-platform=x11", f"--user-data-dir={profile}", f"--app=file://{start}"]
    flags += ["--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--force-prefers-reduced-motion"]
    return subprocess.Popen(
        ["unshare", "-m", "sh", "-c", WITH_POLICY, str(folder / "holdfast.json"), *flags],
        env=env | {"HOME": str(folder)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


async def _port(path: Path, browser: subprocess.Popen[bytes]) -> int:
    async with asyncio.timeout(START_S):
        while not path.exists() or not path.read_text().strip():
            assert browser.poll() is None, "Chromium ended"
            await asyncio.sleep(0.05)
    return int(path.read_text().split()[0])
