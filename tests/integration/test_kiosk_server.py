"""The screen's server: loopback, one token, one origin, nothing cacheable, nothing secret."""

import asyncio

import httpx
import pytest

from daemon.kernel.errors import BadInput, Unavailable
from kiosk import enrolment, identity
from kiosk.enrolment import AlreadyEnrolled, DaemonUnproven, EnrolRefused
from tests.helpers.fake_daemon import FakeDaemon
from tests.helpers.terminal import ada, terminal_with

PIN = {"do": "sign_in", "pin": "4711", "password": "correct horse"}


@pytest.fixture
async def kiosk(tmp_path):
    """A running kiosk with a stand-in daemon, and a client that holds the cookie."""
    daemon = FakeDaemon()
    async with terminal_with(daemon, tmp_path) as terminal:
        async with httpx.AsyncClient(base_url="/".join(terminal.url.split("/")[:3]), follow_redirects=True) as client:
            answer = await client.get(terminal.url.removeprefix(str(client.base_url)))
            assert answer.status_code == 200
            yield daemon, terminal, client


async def act(client: httpx.AsyncClient, action: dict) -> dict:
    answer = await client.post("/ui/act", json=action)
    assert answer.status_code == 200
    return answer.json()


async def until(client: httpx.AsyncClient, wanted, seconds: float = 6.0) -> dict:
    async with asyncio.timeout(seconds):
        while True:
            view = (await client.get("/ui/view")).json()
            if wanted(view):
                return view
            await asyncio.sleep(0.05)


async def linked(client: httpx.AsyncClient) -> dict:
    return await until(client, lambda view: view["away"] is None)


async def test_a_job_is_released_and_paid_through_the_loopback_api(kiosk) -> None:
    """Sign in, see, release, follow, done: the whole way without a browser."""
    daemon, _, client = kiosk
    daemon.page_s = 0.01
    await linked(client)
    shown = await act(client, PIN)
    assert shown["screen"] == "jobs"
    assert shown["totals"]["total"] == {"unit": "EUR", "amount": 91300, "scale": 4}
    shown = await act(client, {"do": "print"})
    assert shown["screen"] == "progress"
    shown = await until(client, lambda view: view["screen"] == "done")
    assert [run["state"] for run in shown["running"]] == ["completed"] * 3
    answer = await client.post("/ui/act", json={"do": "logout"})
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    assert answer.json()["person"] is None


async def test_no_secret_reaches_the_screen(kiosk) -> None:
    """Neither the session token nor key nor card read is in any reply the browser can get."""
    daemon, terminal, client = kiosk
    await linked(client)
    daemon.policy = "card"
    seen = ""
    await client.post("/ui/tap", json={"raw": "04A1B2"})
    seen += str(await until(client, lambda view: view["screen"] == "card_password" or view["person"]))
    seen += str(await act(client, PIN))
    for path in ("/ui/view", "/", "/static/app.js"):
        answer = await client.get(path)
        seen += answer.text + str(answer.headers)
    key = (terminal.directory / identity.KEY_NAME).read_text().splitlines()[1]
    assert "secret-session" not in seen
    assert "04A1B2" not in seen
    assert key not in seen


async def test_strangers_get_nothing(kiosk) -> None:
    """A foreign Host (DNS rebinding), a foreign Origin, a missing or wrong cookie: refused before anything runs."""
    daemon, _, client = kiosk
    await linked(client)
    before = len(daemon.calls)
    strangers = [
        ({"host": "evil.example"}, 421), ({"host": "127.0.0.1:1"}, 421), ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403), ({"sec-fetch-site": "cross-site"}, 403), ({"cookie": "holdfast-screen=0"}, 401), ({"cookie": ""}, 401),
    ]  # fmt: skip
    for headers, status in strangers:
        for method, path in (
            ("GET", "/ui/view"),
            ("POST", "/ui/act"),
            ("POST", "/ui/tap"),
            ("GET", "/"),
            ("GET", "/ui/events"),
        ):
            answer = await client.request(method, path, headers=headers, json=PIN if method == "POST" else None)
            assert answer.status_code == status, (headers, path)
    assert [name for name, _ in daemon.calls[before:] if name == "session"] == []


async def test_the_token_opens_and_a_wrong_one_does_not(kiosk) -> None:
    """The token is not the cookie, and the cookie is HttpOnly and SameSite=Strict."""
    _, terminal, client = kiosk
    async with httpx.AsyncClient(base_url=str(client.base_url)) as stranger:
        assert (await stranger.get("/?t=wrong")).status_code == 401
        answer = await stranger.get("/?t=" + terminal.url.split("=")[1])
        assert answer.status_code == 200
        assert 'url=/"' in answer.text
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert terminal.url.split("=")[1] not in cookie


async def test_every_answer_is_guarded(kiosk) -> None:
    """no-store and a strict policy on pages, scripts, data and errors alike."""
    _, _, client = kiosk
    for path in ("/", "/static/app.js", "/texts/ar.json", "/ui/view", "/static/nothing", "/static/../cli.py"):
        headers = (await client.get(path)).headers
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
    assert (await client.get("/static/%2e%2e/cli.py")).status_code == 404


async def test_nonsense_is_refused(kiosk) -> None:
    """What is no action changes nothing and stops nothing."""
    _, _, client = kiosk
    for body in (
        b"",
        b"[]",
        b"{",
        b'{"do":"rm"}',
        b'{"do":"print","on":"yes"}',
        b'{"do":"code","code":5}',
        b"{" + b" " * 20_000 + b"}",
    ):
        answer = await client.post("/ui/act", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400, body[:40]
    assert (
        await client.post("/ui/act", content=b'{"do":"touch"}', headers={"content-type": "text/plain"})
    ).status_code == 400


async def test_the_daemon_away_is_known_within_3_s_and_back_within_5(kiosk) -> None:
    """Killed, and silent: both are noticed; both times it comes back by itself."""
    daemon, _, client = kiosk
    await linked(client)
    await daemon.stop()
    await until(client, lambda view: view["away"] == "daemon-away", 3.0)
    await daemon.start()
    await until(client, lambda view: view["away"] is None, 5.0)
    daemon.silent = True
    await until(client, lambda view: view["away"] == "daemon-away", 3.2)
    daemon.silent = False
    await until(client, lambda view: view["away"] is None, 5.0)


async def test_a_lost_answer_prints_once(kiosk) -> None:
    """The release is asked again with its key; the daemon sees one release."""
    daemon, _, client = kiosk
    daemon.page_s, daemon.lose_release_answers = 0.01, 1
    await linked(client)
    await act(client, PIN)
    await act(client, {"do": "print"})
    await until(client, lambda view: view["screen"] == "done")
    asked = [data for name, data in daemon.calls if name == "release"]
    assert len(asked) == 2
    assert asked[0] == asked[1]
    assert len(daemon.releases) == 1


async def test_a_tap_switches_person(kiosk) -> None:
    """The next card ends the session before it and opens its own."""
    daemon, _, client = kiosk
    grace = ada("de")
    grace.pin, grace.card, grace.display_name = "4712", "04FFFF", "Grace"
    daemon.people.append(grace)
    daemon.policy = "card"
    await linked(client)
    await act(client, PIN)
    assert (await client.post("/ui/tap", json={"raw": "04FFFF"})).status_code == 202
    shown = await until(client, lambda view: (view["person"] or {}).get("display_name") == "Grace")
    assert shown["language"] == "de"
    assert [name for name, _ in daemon.calls].count("logout") == 1


async def test_enrolment_burns_nothing_for_a_stranger(tmp_path) -> None:
    """A wrong code, a daemon that does not know it, a used directory, nobody there: each says so and writes nothing."""
    daemon = FakeDaemon()
    await daemon.start()
    home = tmp_path / "home"
    with pytest.raises(EnrolRefused):
        await enrolment.enrol(url=daemon.url, code_text="0000-0000-0000", directory=home)
    daemon._spki = b"x" * 32
    with pytest.raises(EnrolRefused):
        await enrolment.enrol(url=daemon.url, code_text=daemon.code.text, directory=home)
    with pytest.raises(BadInput):
        await enrolment.enrol(url="http://127.0.0.1:1", code_text=daemon.code.text, directory=home)
    with pytest.raises(BadInput):
        await enrolment.enrol(url=daemon.url, code_text="no", directory=home)
    assert not home.exists()
    await daemon.close()
    with pytest.raises(Unavailable):
        await enrolment.enrol(url=daemon.url, code_text=daemon.code.text, directory=home)


async def test_a_daemon_that_cannot_prove_itself_is_not_pinned(tmp_path, monkeypatch) -> None:
    """Somebody answers 200 without knowing the code: no CA is believed."""
    daemon = FakeDaemon()
    await daemon.start()
    monkeypatch.setattr(
        daemon,
        "_enrol",
        lambda _data: httpx_json({"terminal_id": "t1", "name": "n", "ca_pem": "EVIL", "proof": "AAAA"}),
    )
    with pytest.raises(DaemonUnproven):
        await enrolment.enrol(url=daemon.url, code_text=daemon.code.text, directory=tmp_path / "home")
    assert not (tmp_path / "home").exists()
    await daemon.close()


def httpx_json(value):
    from starlette.responses import JSONResponse

    return JSONResponse(value)


async def test_a_terminal_is_enrolled_once(tmp_path) -> None:
    """A directory that holds a terminal is left alone."""
    daemon = FakeDaemon()
    await daemon.start()
    await enrolment.enrol(url=daemon.url, code_text=daemon.code.text, directory=tmp_path / "home")
    with pytest.raises(AlreadyEnrolled):
        await enrolment.enrol(url=daemon.url, code_text=daemon.code.text, directory=tmp_path / "home")
    await daemon.close()
