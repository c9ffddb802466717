"""A real daemon and a real kiosk program: looked after from the command line, from set-up to revocation."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time

import httpx
import pytest

from kiosk import enrolment
from tests.helpers.daemon_process import DaemonProcess, holdfast
from tests.helpers.terminal import RUN, Terminal

READY_S = 15
CARD = "04A224B1C2D380"


class Kiosk(Terminal):
    """The kiosk program without a service manager around it; further ready lines can be waited for."""

    def __init__(self, directory, *, managed=False):
        super().__init__(directory)
        self.managed = managed

    async def start(self):
        import sys

        config = self.directory / "kiosk.toml"
        config.write_text(
            "\n".join("port = 0" if line.startswith("port = ") else line for line in config.read_text().splitlines())
        )
        env = {k: v for k, v in os.environ.items() if k not in ("INVOCATION_ID", "NOTIFY_SOCKET")}
        env |= {"INVOCATION_ID": "0" * 32} if self.managed else {}
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", RUN, str(config), env=env,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await self.ready()

    async def ready(self):
        line = await asyncio.wait_for(self.process.stdout.readline(), READY_S)
        self.url = json.loads(line)["urls"]["kiosk"]

    async def view(self):
        """What the screen shows."""
        async with httpx.AsyncClient(follow_redirects=True) as client:
            await client.get(self.url)
            return (await client.get(self.url.split("?")[0] + "ui/view")).json()


@pytest.fixture
async def house(tmp_path):
    """A running daemon with a printer nobody answers for, and a terminal announced with the site's policy."""
    daemon = await asyncio.to_thread(DaemonProcess, tmp_path / "state")
    await asyncio.to_thread(daemon.start)
    try:
        async with daemon.api() as api:
            printer = {"name": "hall", "uri": f"ipp://127.0.0.1:{daemon.base + 15}/"}
            assert (await api.post("/printers", json=printer)).is_success
        yield daemon
    finally:
        await asyncio.to_thread(daemon.kill)


async def _ask(daemon, *words, **more):
    return await asyncio.to_thread(daemon.cli, *words, **more)


async def _post(daemon, path, body=None):
    async with daemon.api() as api:
        answer = await api.post(f"/terminals{path}", json=body or {})
        assert answer.is_success, answer.text
        return answer.json()


async def _until(daemon, wanted, seconds=8.0):
    async with daemon.api() as api, asyncio.timeout(seconds):
        while True:
            shown = (await api.get("/terminals/door")).json()
            if wanted(shown):
                return shown
            await asyncio.sleep(0.05)


async def _answered(daemon, kind):
    """Ask the door this and wait for its answer."""
    asked = await _post(daemon, "/door/commands", {"kind": kind})
    async with daemon.api() as api, asyncio.timeout(8):
        while True:
            found = (await api.get(f"/terminals/door/commands/{asked['command_id']}")).json()
            if found["state"] == "answered":
                return found
            await asyncio.sleep(0.02)


async def _announced(daemon):
    return await _post(daemon, "", {"name": "door", "printers": ["hall"]})


async def _enrolled(daemon, home, code):
    return await enrolment.enrol(url=code["daemon_url"], code_text=code["code"], directory=home, reader="simulated")


async def test_a_terminal_from_set_up_to_revocation(house, tmp_path):
    """Announced, enrolled, seen with version and readers; flashed, read, restarted; closed; revoked within two seconds."""
    code = await _ask(house, "terminal", "add", "door", "--printer", "hall", "--reader", "left")
    waiting = await _ask(house, "terminal", "show", "door")
    assert (waiting["state"], waiting["presence"], waiting["policy"]) == ("waiting", "", "site")
    assert waiting["effective_policy"] == "daily"
    assert waiting["bindings"] == [{"printer": "hall", "reader": "left"}]
    await _enrolled(house, tmp_path / "kiosk", code)
    kiosk = Kiosk(tmp_path / "kiosk")
    await kiosk.start()
    try:
        seen = await _until(
            house, lambda shown: [(one["kind"], one["state"]) for one in shown["readers"]] == [("simulated", "ready")]
        )
        assert seen["presence"] == "online"
        assert seen["version"]
        await _until(house, lambda shown: not shown["problems"])
        async with asyncio.timeout(5):
            while (await kiosk.view())["away"] is not None:
                await asyncio.sleep(0.05)

        began = time.monotonic()
        await _answered(house, "identify")
        assert time.monotonic() - began < 1
        done = await _ask(house, "terminal", "log", "door")
        lines = [json.loads(line) for line in done["answer"].splitlines()]
        assert "kiosk.ready" in {line["event"] for line in lines}
        assert CARD not in done["answer"]

        await _restarted_and_changed(house, kiosk)
        began = time.monotonic()
        await _post(house, "/door/revoke")
        async with asyncio.timeout(3):
            while (await kiosk.view())["away"] != "revoked":
                await asyncio.sleep(0.05)
        assert time.monotonic() - began < 2
        gone = await asyncio.to_thread(
            holdfast, "terminal", "identify", "door", "--state", str(house.state), check=False
        )
        assert gone["error"]["code"] == "terminal-not-found"
    finally:
        assert await kiosk.stop() == 0


async def _restarted_and_changed(house, kiosk):
    """A restart gives a new token and is obeyed once; hours and policy hold as soon as they are set."""
    first = kiosk.url
    done = await _ask(house, "terminal", "restart", "door")
    assert done["state"] == "answered"
    await kiosk.ready()
    assert kiosk.process.returncode is None
    assert kiosk.url.split("=")[1] != first.split("=")[1]
    assert (await _ask(house, "terminal", "identify", "door"))["state"] == "answered"

    shown = await _ask(house, "terminal", "hours", "door", "2020-01-01 08:00-09:00")
    assert (shown["open"], shown["opens_at"]) == (False, None)
    assert (await _ask(house, "terminal", "hours", "door", "always"))["open"]
    assert (await _ask(house, "terminal", "policy", "door", "card"))["effective_policy"] == "card"


async def test_under_a_service_manager_it_leaves_with_the_status_that_brings_it_back(house, tmp_path):
    """Asked to restart it answers, ends with 75, and is not asked again when it comes back."""
    await _enrolled(house, tmp_path / "kiosk", await _announced(house))
    kiosk = Kiosk(tmp_path / "kiosk", managed=True)
    await kiosk.start()
    await _answered(house, "restart")
    assert await asyncio.wait_for(kiosk.process.wait(), 5) == 75
    await kiosk.start()
    try:
        await _until(house, lambda shown: shown["presence"] == "online")
        await _answered(house, "identify")
        assert kiosk.process.returncode is None
    finally:
        await kiosk.stop()


async def test_a_device_that_is_replaced_is_enrolled_anew(house, tmp_path):
    """A new code gives the name to another device; the old one is out, and nobody waits for a terminal that is away."""
    code = await _announced(house)
    await _enrolled(house, tmp_path / "old", code)
    old = Kiosk(tmp_path / "old")
    await old.start()
    await _until(house, lambda shown: shown["presence"] == "online")
    again = await _post(house, "/door/code")
    assert again["terminal_id"] == code["terminal_id"]
    await _enrolled(house, tmp_path / "new", again)
    try:
        async with asyncio.timeout(4):
            while (await old.view())["away"] is None:
                await asyncio.sleep(0.05)
    finally:
        await old.stop()
    done = await asyncio.to_thread(
        holdfast, "terminal", "log", "door", "--wait", "1", "--state", str(house.state), check=False
    )
    assert done["error"]["code"] == "terminal-silent"
    await _until(house, lambda shown: [one["kind"] for one in shown["pending"]] == ["log"])
    new = Kiosk(tmp_path / "new")
    await new.start()
    try:
        await _until(house, lambda shown: not shown["pending"] and shown["presence"] == "online")
    finally:
        await new.stop()


async def test_a_tap_while_the_daemon_is_away_is_told_and_forgotten(house, tmp_path):
    """The screen says so at once; when the daemon is back nobody is signed in, and nothing was asked of it."""
    await _enrolled(house, tmp_path / "kiosk", await _announced(house))
    kiosk = Kiosk(tmp_path / "kiosk")
    await kiosk.start()
    try:
        await _until(house, lambda shown: shown["presence"] == "online")
        await asyncio.to_thread(house.kill)
        async with asyncio.timeout(4):
            while (await kiosk.view())["away"] is None:
                await asyncio.sleep(0.05)
        async with httpx.AsyncClient(follow_redirects=True) as client:
            await client.get(kiosk.url)
            for _ in range(5):
                tapped = await client.post(kiosk.url.split("?")[0] + "ui/tap", json={"raw": CARD})
                assert tapped.status_code == 202
        assert (await kiosk.view())["notice"]["code"] == "tap-away"
        await asyncio.to_thread(house.start)
        async with asyncio.timeout(6):
            while (await kiosk.view())["away"] is not None:
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        shown = await kiosk.view()
        assert shown["person"] is None
        async with house.api() as api:
            figures = (await api.get("http://holdfast.local/metrics")).text
        counts = re.findall(r"^holdfast_login_failures_total\{.*\} (\S+)$", figures, re.MULTILINE)
        assert {float(count) for count in counts} <= {0.0}
        assert 'holdfast_terminal_up{terminal="door"} 1.0' in figures
    finally:
        await kiosk.stop()
