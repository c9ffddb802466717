"""The screen's server under attack by other programs of the machine and by pages in its own browser."""

from __future__ import annotations

import asyncio
import json
import time
from urllib.parse import urlsplit

import httpx
import pytest

from kiosk.connections import REQUEST_TIMEOUT_S, SILENT_MAX
from tests.helpers.fake_daemon import FakeDaemon
from tests.helpers.terminal import terminal_with

TAP = json.dumps({"raw": "04A1B2"}).encode()


class Attacker:
    """Raw requests to a screen's server, with or without the browser's cookie."""

    def __init__(self, terminal):
        self.terminal = terminal
        parts = urlsplit(terminal.url)
        self.port, self.token = parts.port, parts.query.removeprefix("t=")
        self.cookie = ""

    async def enter(self):
        """Take the cookie, as the browser does."""
        async with httpx.AsyncClient() as client:
            answer = await client.get(self.terminal.url)
            self.cookie = f"holdfast-screen={answer.cookies['holdfast-screen']}"
        return self

    async def open(self):
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def raw(self, request: bytes, *, wait_s: float = 8.0) -> bytes:
        """Send bytes, give back everything until the server closes."""
        reader, writer = await self.open()
        try:
            writer.write(request)
            return await asyncio.wait_for(reader.read(), wait_s)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def ask(self, method: str, target: str, *, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """One request with the cookie, exactly as written; status and the whole answer."""
        lines = {"Host": f"127.0.0.1:{self.port}", "Cookie": self.cookie, "Connection": "close"}
        if body:
            lines |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items() if v) + "\r\n"
        answer = await self.raw(head.encode("latin-1") + body)
        return (int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0), answer


@pytest.fixture
async def attacker(tmp_path):
    """A running kiosk with a stand-in daemon, and somebody with bad intentions who holds its cookie."""
    async with terminal_with(FakeDaemon(), tmp_path) as terminal:
        yield await Attacker(terminal).enter()


async def test_no_other_name_leads_to_the_screen(attacker):
    """DNS rebinding: whatever name an attacker's page was loaded by, with the right cookie too, the answer is 421."""
    port = attacker.port
    names = [
        f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "127.0.0.1", "localhost", f"127.0.0.1:{port + 1}",
        f"127.0.0.1:{port}.", f"user@127.0.0.1:{port}", f"127.1:{port}", f"2130706433:{port}", f"0.0.0.0:{port}", f"[::]:{port}",
    ]  # fmt: skip
    for name in names:
        for method, target in (("GET", f"/?t={attacker.token}"), ("GET", "/ui/view"), ("POST", "/ui/tap")):
            status, answer = await attacker.ask(method, target, body=TAP if method == "POST" else b"", Host=name)
            assert status == 421, (name, target)
            assert b"set-cookie" not in answer.lower()
    for head in (b"GET /ui/view HTTP/1.0\r\n\r\n", b"GET /ui/view HTTP/1.1\r\n\r\n"):
        assert b" 200 " not in (await attacker.raw(head)).split(b"\r\n")[0]
    two = f"GET /ui/view HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\nCookie: {attacker.cookie}\r\n\r\n"
    assert b" 400 " in (await attacker.raw(two.encode())).split(b"\r\n")[0]


async def test_no_other_page_can_make_the_browser_ask(attacker):
    """Cross-origin and same-site requests from other ports of this machine, with the cookie along: 403, nothing done."""
    port = attacker.port
    origins = [
        "http://evil.example", "null", f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}", "http://127.0.0.1",
        f"http://localhost.evil.example:{port}", f"http://127.0.0.1:{port}.evil.example", "file://", "",
    ]  # fmt: skip
    for origin in origins:
        for target in ("/ui/act", "/ui/tap", "/ui/clean", "/ui/screen"):
            request = f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {attacker.cookie}\r\nOrigin: {origin}\r\nContent-Type: application/json\r\nContent-Length: {len(TAP)}\r\nConnection: close\r\n\r\n"
            answer = await attacker.raw(request.encode() + TAP)
            assert b" 403 " in answer.split(b"\r\n")[0], (origin, target)
    for site in ("cross-site", "same-site", "SAME-ORIGIN", "?"):
        for method, target in (("GET", "/ui/view"), ("GET", "/ui/events"), ("GET", "/"), ("POST", "/ui/tap")):
            status, _ = await attacker.ask(method, target, body=TAP if method == "POST" else b"", Sec_Fetch_Site=site)
            assert status == 403, (site, target)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        status, _ = await attacker.ask("POST", "/ui/tap", body=TAP, Content_Type=kind)
        assert status == 400, kind


async def test_token_and_cookie_die_with_the_start_they_were_made_for(attacker):
    """After a restart the old token opens nothing and the old cookie is a stranger's; both are new."""
    old = (attacker.token, attacker.cookie)
    await attacker.terminal.stop()
    await attacker.terminal.start()
    again = Attacker(attacker.terminal)
    again.cookie = old[1]
    assert (await again.ask("GET", "/ui/view"))[0] == 401
    again.cookie = ""
    assert (await again.ask("GET", f"/?t={old[0]}"))[0] == 401
    await again.enter()
    assert again.token != old[0]
    assert again.cookie != old[1]
    assert (await again.ask("GET", "/ui/view"))[0] == 200


async def test_no_path_leads_out_of_the_screens_files(attacker):
    """Dots, escapes, NUL, other directories, absolute forms, novels: never a file that is not the screen's, never a crash."""
    key = (attacker.terminal.directory / "terminal.key").read_bytes()
    home = attacker.terminal.directory
    paths = [
        "/static/../cli.py", "/static/%2e%2e/cli.py", "/static/..%2fcli.py", "/static/%2e%2e%2f%2e%2e%2fetc/passwd", "/static//etc/passwd",
        "/static/%2fetc%2fpasswd", "/static/%00", "/static/app.js%00.png", "/static/", "/static/.", "/static/%5c..%5ccli.py", "/texts/../identity.py",
        "/texts/..%2fidentity.py", "/texts/%2e%2e", "/texts/en.json/", "/texts/en", f"/static/{home}/terminal.key", f"/static/..{home}/terminal.key",
        "/static/" + "a" * 5000, "/static/" + "%2e%2e/" * 200, f"http://evil.example:{attacker.port}/ui/view", "//evil.example/ui/view",
        "/ui/preview/..%2f..%2fheartbeat", "/ui/preview/" + "x" * 3000, "/ui/../static/app.js", "/UI/view", "/ui/view/", "*", "/.git/config", "/kiosk.toml",
    ]  # fmt: skip
    for path in paths:
        status, answer = await attacker.ask("GET", path)
        assert 400 <= status < 500 or status in (0, 307), path
        assert key.splitlines()[1] not in answer
        assert b"def " not in answer
        assert b"root:" not in answer
    for method in ("TRACE", "CONNECT", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
        status, answer = await attacker.ask(method, "/ui/view")
        assert status in (400, 404, 405), method
        assert attacker.cookie.encode() not in answer


async def test_every_answer_is_guarded_for_strangers_too(attacker):
    """Refusals carry the same headers as pages, keep no connection and set no cookie."""
    attacker.cookie = "holdfast-screen=" + "0" * 64
    for method, target in (("GET", "/ui/view"), ("GET", "/"), ("POST", "/ui/tap"), ("GET", "/static/app.js")):
        lines = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{attacker.port}\r\nCookie: {attacker.cookie}\r\nContent-Length: 0\r\n\r\n"
        answer = (await attacker.raw(lines.encode(), wait_s=2)).lower()  # ends by itself: the connection is closed
        assert b" 401 " in answer.split(b"\r\n")[0]
        for header in (
            b"cache-control: no-store",
            b"default-src 'none'",
            b"frame-ancestors 'none'",
            b"nosniff",
            b"connection: close",
        ):
            assert header in answer, (target, header)
        assert b"set-cookie" not in answer


async def test_large_and_slow_requests_are_cut_off(attacker):
    """Ten megabytes are refused unread; heads and bodies that trickle are dropped in seconds, and the screen stays quick."""
    port = attacker.port
    began = time.monotonic()
    head = f"POST /ui/act HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {attacker.cookie}\r\nContent-Type: application/json\r\n"
    reader, writer = await attacker.open()
    writer.write(f"{head}Content-Length: 10000000\r\n\r\n".encode() + b" " * 40_000)
    assert b" 400 " in await asyncio.wait_for(reader.readline(), 3)
    writer.close()
    huge = f"GET /ui/view HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Long: {'a' * 300_000}\r\n\r\n"
    assert (await attacker.raw(huge.encode()))[:12] in (b"HTTP/1.1 400", b"")  # refused, or hung up on while talking
    assert time.monotonic() - began < 3

    async def trickle(first: bytes) -> float:
        reader, writer = await attacker.open()
        began = time.monotonic()
        writer.write(first)
        reading = asyncio.create_task(reader.read())
        while not reading.done() and time.monotonic() - began < REQUEST_TIMEOUT_S + 4:
            try:
                writer.write(b"x")
                await writer.drain()
            except ConnectionError:
                break
            await asyncio.wait({reading}, timeout=0.3)
        await asyncio.wait({reading}, timeout=1)
        reading.cancel()
        writer.close()
        return time.monotonic() - began

    slow = [b"", b"GET /ui/view HTTP/1.1\r\nX-A: ", f"{head}Content-Length: 5000\r\n\r\n".encode()]
    lasted, quick = await asyncio.gather(asyncio.gather(*map(trickle, slow)), _quick(attacker, 4))
    assert all(seconds < REQUEST_TIMEOUT_S + 2 for seconds in lasted), lasted
    assert quick < 1.0


async def _quick(attacker, seconds: float) -> float:
    """The longest the browser waits for its view during so many seconds."""
    until, longest = time.monotonic() + seconds, 0.0
    while time.monotonic() < until:
        began = time.monotonic()
        assert (await attacker.ask("GET", "/ui/view"))[0] == 200
        longest = max(longest, time.monotonic() - began)
        await asyncio.sleep(0.2)
    return longest


async def test_a_crowd_of_silent_connections_keeps_nobody_out(attacker):
    """Four hundred connections that say nothing: the browser's stream lives on, and its requests are answered."""
    reader, writer = await attacker.open()
    writer.write(
        f"GET /ui/events HTTP/1.1\r\nHost: 127.0.0.1:{attacker.port}\r\nCookie: {attacker.cookie}\r\n\r\n".encode()
    )
    assert b" 200 " in await asyncio.wait_for(reader.readline(), 3)
    crowd = []
    for _ in range(400):
        crowd.append(await attacker.open())
        if len(crowd) % 50 == 0:
            assert (await attacker.ask("GET", "/ui/view"))[0] == 200
    open_still = sum(not other.at_eof() for other, _ in crowd)
    assert open_still <= SILENT_MAX + 8
    assert await asyncio.wait_for(reader.readuntil(b"event: ping"), 6)
    for _, other in crowd:
        other.close()
    writer.close()
