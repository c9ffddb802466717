"""A curious visitor at the terminal: every key, drag, press and address that leads out of a browser, and none does.

Chromium runs with the flags and policies that are shipped, on a real display, under real key presses.
"""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from tests.helpers.fake_daemon import FakeDaemon
from tests.helpers.glass import POLICY, Glass, glass, shipped_flags
from tests.helpers.terminal import Terminal, terminal_with

KEYS = """
F1 F2 F3 F4 F5 F6 F7 F8 F9 F10 F11 F12 shift+F10 ctrl+F4 ctrl+F5 alt+F8 alt+F10 shift+Escape ctrl+Escape Menu Print
ctrl+a ctrl+b ctrl+c ctrl+d ctrl+e ctrl+f ctrl+g ctrl+h ctrl+j ctrl+k ctrl+l ctrl+m ctrl+n ctrl+o ctrl+p ctrl+q ctrl+r
ctrl+s ctrl+t ctrl+u ctrl+v ctrl+w ctrl+y ctrl+z ctrl+1 ctrl+9 ctrl+0 ctrl+plus ctrl+minus ctrl+Tab ctrl+Prior ctrl+Next
ctrl+shift+a ctrl+shift+b ctrl+shift+c ctrl+shift+d ctrl+shift+g ctrl+shift+i ctrl+shift+j ctrl+shift+k ctrl+shift+m
ctrl+shift+n ctrl+shift+o ctrl+shift+p ctrl+shift+q ctrl+shift+r ctrl+shift+s ctrl+shift+t ctrl+shift+v ctrl+shift+w
ctrl+shift+Delete ctrl+shift+Tab ctrl+Return shift+Return alt+Left alt+Right alt+Home alt+Return alt+d alt+e alt+f
alt+shift+i alt+shift+t alt+space super super+d super+l super+r XF86Back XF86HomePage XF86Search XF86Reload BackSpace
""".strip().splitlines()
A_FILE = "new Promise(done => { const i = Object.assign(document.createElement('input'), {type: 'file'}); i.oncancel = () => done('cancelled'); i.click(); setTimeout(done, 2000, 'open'); })"
INTO_A_FIELD = ["ctrl+o", "ctrl+s", "ctrl+l", "ctrl+u", "ctrl+p", "F6", "F7", "shift+F10", "ctrl+shift+i", "alt+Left"]
ADDRESSES = [
    "file:///etc/passwd", "view-source:http://127.0.0.1/", "chrome://settings", "chrome://version", "about:blank", "data:text/html,<h1>out",
    "javascript:void(document.body.textContent='out')", "http://127.0.0.1:631/", "http://localhost:8630/", "https://example.org/", "blob:http://127.0.0.1/x",
    "devtools://devtools/bundled/inspector.html", "filesystem:http://127.0.0.1/temporary/x", "mailto:a@example.org", "ipp://localhost/", "ftp://127.0.0.1/",
]  # fmt: skip
SCRIPTS = [
    "window.open({a}) === null", "Boolean(location.assign({a}))", "Boolean(location.href = {a})", "Boolean(Object.assign(document.createElement('a'), {{href: {a}, target: '_blank'}}).click())",
    "Boolean(Object.assign(document.createElement('a'), {{href: {a}, download: 'x'}}).click())", "Boolean(document.body.appendChild(Object.assign(document.createElement('iframe'), {{src: {a}}})).remove())",
]  # fmt: skip
DIALOGS = [
    "print()", "typeof showOpenFilePicker === 'function' ? showOpenFilePicker().then(() => 'open', e => e.name) : 'none'",
    "typeof showDirectoryPicker === 'function' ? showDirectoryPicker().then(() => 'open', e => e.name) : 'none'",
    "document.documentElement.requestFullscreen().then(() => document.exitFullscreen(), e => e.name)", "navigator.clipboard?.readText().then(() => 'read', e => e.name)",
    "navigator.mediaDevices?.getUserMedia({audio: true}).then(() => 'heard', e => e.name)", "Notification.requestPermission()",
    "new Promise((_, no) => setTimeout(no, 100)).catch(() => 'waited')",
]  # fmt: skip


async def is_still_here(shown: Glass, terminal: Terminal, tried: str, windows: list[str]) -> None:
    """One page, ours; no window more; the page alive."""
    origin = "/".join(terminal.url.split("/")[:3]) + "/"
    for _ in range(20):
        pages = await shown.pages()
        if pages == [("page", origin)]:
            break
        await asyncio.sleep(0.1)
    assert pages == [("page", origin)], tried
    assert await shown.windows() == windows, tried


async def is_alive(shown: Glass) -> None:
    """The page answers and shows what it should, at its own size."""
    for _ in range(40):
        text = str(
            await shown.ask(
                "document.querySelector('main')?.className + ' ' + [innerWidth, innerHeight, visualViewport.scale, devicePixelRatio]"
            )
        )
        if re.fullmatch(r"(idle|sign-in|away) ?\w* 800,480,1,1", text):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(text)


@pytest.fixture
async def wall(tmp_path):
    """A terminal on the wall, and a person who could be signed in at it."""
    daemon = FakeDaemon(policy="card")
    async with terminal_with(daemon, tmp_path) as terminal, glass(tmp_path / "browser", terminal.url) as shown:
        await is_alive(shown)
        async with asyncio.timeout(10):
            while "Print release" not in (windows := await shown.windows()):
                await asyncio.sleep(0.1)
        yield terminal, shown, windows


async def test_no_key_leads_out(wall) -> None:
    """Function keys, every combination a browser knows, on the idle screen and in a field; then the terminal still works."""
    terminal, shown, windows = wall
    for row in KEYS:
        await shown.x("key", "--clearmodifiers", "--delay", "30", *row.split())
        await is_still_here(shown, terminal, row, windows)
    await is_alive(shown)
    await shown.ask("document.querySelector('.hero .primary').click()")
    for _ in range(40):
        if await shown.ask("document.activeElement?.name") == "pin":
            break
        await asyncio.sleep(0.1)
    for keys in INTO_A_FIELD:
        await shown.x("key", "--clearmodifiers", keys)
        await is_still_here(shown, terminal, f"{keys} in a field", windows)
    await shown.x("type", "--delay", "5", "4711")
    assert await shown.ask("document.querySelector('input[name=pin]').value") == "4711"
    await is_alive(shown)


async def test_no_pointer_leads_out(wall) -> None:
    """Right, middle and side buttons, long press, drag of texts and pictures, wheel with Ctrl: nothing opens, nothing moves."""
    terminal, shown, windows = wall
    for button in ("2", "3", "8", "9"):
        for spot in (("400", "20"), ("150", "200"), ("500", "300"), ("60", "420")):
            await shown.x("mousemove", *spot, "click", button)
            await is_still_here(shown, terminal, f"button {button}", windows)
    await shown.x("mousemove", "400", "150", "mousedown", "1", "sleep", "1.2", "mouseup", "1")
    await shown.x(
        "mousemove",
        "150",
        "200",
        "mousedown",
        "1",
        "mousemove",
        "400",
        "100",
        "sleep",
        "0.1",
        "mousemove",
        "600",
        "5",
        "mouseup",
        "1",
    )
    await shown.x(
        "keydown", "ctrl", "mousemove", "400", "200", "click", "4", "click", "5", "click", "4", "keyup", "ctrl"
    )
    await is_still_here(shown, terminal, "drag, long press, wheel", windows)
    assert await shown.ask("String(getSelection())") == ""
    prevented = "new Promise(d => { const e = new %s('%s', {bubbles: true, cancelable: true}); document.querySelector('h1').dispatchEvent(e); d(e.defaultPrevented); })"
    for kind, name in (
        ("MouseEvent", "contextmenu"),
        ("DragEvent", "dragstart"),
        ("DragEvent", "drop"),
        ("Event", "selectstart"),
        ("Event", "gesturestart"),
    ):
        assert await shown.ask(prevented % (kind, name)) is True, name
    await is_alive(shown)


async def test_no_address_and_no_dialog_leads_out(wall) -> None:
    """Even a script in the page (there is none but ours) opens no address, window, file or print dialog."""
    terminal, shown, windows = wall
    for address in ADDRESSES:
        for script in SCRIPTS:
            await shown.ask(script.format(a=json.dumps(address)))
        await is_still_here(shown, terminal, address, windows)
    for script in DIALOGS:
        found = await shown.ask(script)
        assert found not in {"open", "read", "heard", "granted"}, script
        await is_still_here(shown, terminal, script, windows)
    await is_alive(shown)
    assert await shown.ask(A_FILE) == "cancelled"  # a bar of the browser says that files are not for here
    await is_still_here(shown, terminal, A_FILE, windows)


async def test_a_browser_that_was_closed_is_started_again_on_the_same_screen(wall) -> None:
    """Alt+F4 may end the program; its unit brings it back, at the same page and with nothing else."""
    _, shown, _ = wall
    await shown.x("key", "alt+F4")
    unit = (POLICY.parent / "holdfast-display.service").read_text()
    assert re.search(r"^Restart=always$", unit, re.MULTILINE)
    assert "--block-new-web-contents" in shipped_flags()


def test_the_policies_leave_nothing_open() -> None:
    """Everything blocked but the screen's own address and the page that leads to it; no tools, files, printing, debugging."""
    policy = json.loads(POLICY.read_text())
    assert policy["URLBlocklist"][0] == "*"
    assert {"file:*", "chrome:*", "view-source:*", "data:*", "javascript:*"} <= set(policy["URLBlocklist"])
    assert policy["URLAllowlist"] == ["http://127.0.0.1:8633", "file:///run/holdfast-display/profile/start.html"]
    off = [
        "AllowFileSelectionDialogs",
        "PrintingEnabled",
        "RemoteDebuggingAllowed",
        "PasswordManagerEnabled",
        "TaskManagerEndProcessEnabled",
    ]
    assert [policy[name] for name in off] == [False] * len(off)
    assert (policy["DeveloperToolsAvailability"], policy["DownloadRestrictions"]) == (2, 3)
