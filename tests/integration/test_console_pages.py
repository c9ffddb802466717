"""The public pages: a link by mail, a password by form; looking changes nothing and strangers learn nothing."""

import contextlib
import re

import httpx
import pytest

from daemon.people.names import normalise
from daemon.web.console.pages import LANGUAGES, PUBLIC_PATHS, ConsoleServices, create_console, spoken, texts
from tests.helpers.auth_house import PASSWORD, auth_house

HOST = "https://print.example.org:8632"


@contextlib.asynccontextmanager
async def console(tmp_path):
    async with auth_house(tmp_path) as house:
        app, pages = create_console(ConsoleServices(house.credentials, normalise, 15))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
            house.pages = pages
            yield house, client
        await pages.close()


async def _settle(house) -> None:
    import asyncio

    await asyncio.gather(*house.pages._asks)


async def test_the_way_from_a_name_to_a_password(tmp_path):
    """Ask, get a mail, look five times, choose: the PIN is shown, the password opens, the second use is gone."""
    async with console(tmp_path) as (house, client):
        await house.add_person("anna", email="anna@example.org")
        page = await client.get("/")
        assert 'href="/password"' in page.text
        asked = await client.post("/password", data={"name": "EXAMPLE\\Anna"})
        assert asked.status_code == 200
        await _settle(house)
        facts = house.mail.sent[-1][2]
        token = facts["code"]
        path = facts["url"].removeprefix(HOST).partition("#")[0]
        for _ in range(5):
            form = await client.get(path)
            assert form.status_code == 200
            assert 'name="token"' in form.text
        weak = await client.post("/password/set", data={"token": token, "password": "short"})
        assert weak.status_code == 422
        assert texts("en")["too-short"] in weak.text
        assert token in weak.text
        assert 'short"' not in weak.text
        done = await client.post("/password/set", data={"token": token, "password": PASSWORD})
        assert done.status_code == 200
        pin = re.search(r'class="pin">(\d+)<', done.text).group(1)
        terminal = await house.add_terminal()
        assert (await house.sign_in.by_pin(pin, PASSWORD, terminal=terminal)).subject.name == "anna"
        again = await client.post("/password/set", data={"token": token, "password": "another quiet evening"})
        assert again.status_code == 410


async def test_known_and_unknown_names_get_the_same_answer(tmp_path):
    """Body and status do not tell who exists; no name, a hostile name and a missing field neither."""
    async with console(tmp_path) as (house, client):
        await house.add_person("anna", email="anna@example.org")
        answers = []
        for data in ({"name": "anna"}, {"name": "nobody"}, {"name": ""}, {"name": "<script>\x00"}, {}):
            answer = await client.post("/password", data=data)
            answers.append((answer.status_code, answer.text))
        assert len(set(answers)) == 1
        await _settle(house)
        assert house.mail.kinds() == ["password-link"]


async def test_forms_from_other_sites_are_refused(tmp_path):
    """Sec-Fetch-Site and Origin decide; a refused form sets nothing."""
    async with console(tmp_path) as (house, client):
        person = await house.add_person("anna", email="anna@example.org")
        await house.credentials.send_link(person, actor="test")
        data = {"token": house.mail.sent[-1][2]["code"], "password": PASSWORD}
        for headers in (
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": "https://evil.example"},
            {"origin": "null"},
        ):
            for path in ("/password", "/password/set"):
                assert (await client.post(path, data=data, headers=headers)).status_code == 403
        for headers in ({"origin": HOST}, {"sec-fetch-site": "same-origin", "origin": HOST}):
            assert (await client.post("/password", data={"name": "x"}, headers=headers)).status_code == 200
        assert (await client.post("/password/set", data=data, headers={"origin": HOST})).status_code == 200


async def test_what_is_typed_is_escaped(tmp_path):
    """A hostile code comes back as text."""
    async with console(tmp_path) as (house, client):
        person = await house.add_person("anna", email="anna@example.org")
        await house.credentials.send_link(person, actor="test")
        evil = '"><script>alert(1)</script>'
        answer = await client.post("/password/set", data={"token": evil, "password": "x"})
        assert answer.status_code == 410
        assert "<script>alert" not in answer.text
        for path in ("/password", "/password/set"):
            assert "<script>alert" not in (await client.get(path, params={"t": evil})).text


@pytest.mark.parametrize("path", ["/nothing", "/static/../pages.py", "/static/nothing.js", "/password/set/x"])
async def test_there_is_nothing_else(tmp_path, path):
    """404 for everything not listed, with the way back."""
    async with console(tmp_path) as (_, client):
        answer = await client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")


async def test_pages_carry_no_inline_script_and_are_not_kept(tmp_path):
    """What the site's content policy forbids is not there; pages are not cached, files are."""
    async with console(tmp_path) as (_, client):
        for path in PUBLIC_PATHS:
            answer = await client.get(path)
            assert answer.status_code == 200
            if path.startswith("/static"):
                assert "max-age" in answer.headers["cache-control"]
                continue
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", answer.text)
        assert (await client.post("/")).status_code == 404
        big = await client.post("/password/set", content=b"token=" + b"x" * 20_000)
        assert big.status_code == 413
        many = await client.post("/password/set", content=b"&".join(b"a%d=1" % n for n in range(50)))
        assert many.status_code == 410


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_language_says_everything(tmp_path, language):
    """Same keys as English, none empty; the page says which language it is in."""
    assert set(texts(language)) == set(texts("en"))
    assert all(value.strip() for value in texts(language).values())
    async with console(tmp_path) as (_, client):
        page = await client.get("/password", headers={"accept-language": f"{language}-XX,en;q=0.5"})
        assert f'<html lang="{language}">' in page.text


def test_languages_are_chosen_by_the_browser():
    """The first one we have, else English."""
    assert spoken("pt, de-AT;q=0.8, en;q=0.5") == "de"
    assert spoken("") == spoken("xx, yy") == "en"
