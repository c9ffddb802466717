"""Signing in to the console over real https: one answer for every failure, cookies that cannot be stolen or forged."""

import re

from daemon.auth.console_sessions import ConsoleTimes
from daemon.auth.permissions import EVERY_SITE
from daemon.db.unit import Unit
from daemon.kernel.clock import US_PER_S
from tests.helpers.console import PASSWORD, console_house

COOKIE = "__Host-holdfast"


async def _set_back(house, seconds: float, *columns: str) -> None:
    """Make every console session older."""
    unit = Unit()
    for column in columns:
        unit.add(f"UPDATE console_session SET {column}={column}-:us", us=int(seconds * US_PER_S))
    await house.parts.db.commit(unit)


async def test_in_by_name_or_mail_and_out_again(tmp_path):
    """Name, other spelling and mail address open; the cookie is for this host, TLS and no script; out means out."""
    async with console_house(tmp_path) as house:
        await house.person("ada", "admin")
        visitor = house.visitor()
        first = await visitor.client.get("/console")
        assert (first.status_code, first.headers["location"]) == (303, "/console/sign-in")
        for login in ("ada", "EXAMPLE\\Ada", "ADA@example.org"):
            answer = await visitor.post("/console/sign-in", {"login": login, "password": PASSWORD}, follow=False)
            assert (answer.status, answer.headers["location"]) == (303, "/console")
            flags = answer.headers["set-cookie"].lower()
            assert flags.startswith(f"{COOKIE}=hfc_".lower())
            assert all(flag in flags for flag in ("; secure", "; httponly", "; samesite=lax", "; path=/"))
            assert "domain" not in flags
        page = await visitor.get("/console")
        assert page.heading == "What needs me"
        assert page.headers["cache-control"] == "no-store"
        kept = visitor.client.cookies[COOKIE]
        out = await visitor.send(page, "/console/sign-out")
        assert out.heading == "Sign in"
        visitor.client.cookies.set(COOKIE, kept)
        assert (await visitor.client.get("/console")).status_code == 303
        assert [actor for actor, _, _ in await house.audit("console.signed-out")] == ["user:1"]


async def test_every_failure_looks_the_same(tmp_path):
    """Unknown, wrong, switched off, only a keypad password, no password: same page, same status, no cookie."""
    config = "[sign_in]\nkeypad_password = true\n"
    async with console_house(tmp_path, config=config) as house:
        await house.person("ada", "admin")
        keypad = await house.person("kim", "admin")
        await house.parts.credentials.set_keypad(keypad.id, "482913", actor="test")
        off = await house.person("otto", "admin")
        await house.parts.people.disable(off, actor="local:0")
        await house.office.hire("nina", email="nina@example.org")
        shared = [await house.office.hire(name, email="team@example.org", password=PASSWORD) for name in ("t1", "t2")]
        assert len(shared) == 2
        seen = set()
        tries = (
            ("nobody", PASSWORD), ("ada", "wrong password here"), ("otto", PASSWORD), ("kim", "482913"),
            ("nina", PASSWORD), ("team@example.org", PASSWORD), ("", ""), ("<script>", "x"),
        )  # fmt: skip
        for login, password in tries:
            visitor = house.visitor()
            answer = await visitor.sign_in(login, password)
            text = re.sub(r'value="[^"]*"|autofocus|\s', "", answer.text)
            seen.add((answer.status, text, "set-cookie" in answer.headers))
            assert "<script>" not in answer.text.replace('<script type="module"', "")
        assert len(seen) == 1
        assert next(iter(seen))[0] == 401


async def test_failures_slow_down_lock_and_pause(tmp_path):
    """Wrong tries count on the credential like everywhere; an address that fails too often rests, with Retry-After."""
    config = "[sign_in]\nterminal_failures_max = 6\nlock_after = 5\n"
    async with console_house(tmp_path, config=config) as house:
        ada = await house.person("ada", "admin")
        visitor = house.visitor()
        for _ in range(5):
            assert (await visitor.sign_in("ada", "not this one at all")).status == 401
        assert await house.parts.people_store.locks(ada.id, now_us=house.parts.clock.now_us()) == {
            "password": "disabled"
        }
        assert (await visitor.sign_in("ada")).status == 401
        paused = await visitor.sign_in("ada")
        assert paused.status == 429
        assert int(paused.headers["retry-after"]) > 0
        kinds = [row["kind"] for row in await house.parts.db.read("SELECT kind FROM mail ORDER BY id")]
        assert "account-locked" in kinds


async def test_sessions_end_by_idling_and_in_any_case(tmp_path):
    """Half an hour without use, twelve hours in all; use moves the first end, nothing moves the second."""
    async with console_house(tmp_path) as house:
        visitor = await house.signed_in("ada", "admin")
        times = ConsoleTimes()
        assert (times.idle_s, times.absolute_s) == (1800, 43_200)
        for _ in range(3):
            await _set_back(house, times.idle_s - 60, "expires_at_us")
            assert (await visitor.client.get("/console")).status_code == 200
        await _set_back(house, times.idle_s + 1, "expires_at_us")
        assert (await visitor.client.get("/console")).status_code == 303
        await visitor.sign_in("ada")
        await _set_back(house, times.absolute_s, "absolute_us")
        assert (await visitor.client.get("/console")).status_code == 303


async def test_a_cookie_brought_along_is_never_taken_over(tmp_path):
    """Fixation: the value is new at each sign-in and the one before is dead; the database never has a value."""
    async with console_house(tmp_path) as house:
        await house.person("ada", "admin")
        visitor = house.visitor()
        visitor.client.cookies.set(COOKIE, "hfc_" + "A" * 43, domain="localhost", path="/")
        await visitor.sign_in("ada")
        values = [cookie.value for cookie in visitor.client.cookies.jar if cookie.name == COOKIE]
        first = values[-1]
        assert first != "hfc_" + "A" * 43
        await visitor.sign_in("ada")
        other = house.visitor()
        other.client.cookies.set(COOKIE, first)
        assert (await other.client.get("/console")).status_code == 303
        rows = await house.parts.db.read("SELECT * FROM console_session")
        assert first not in str([dict(row) for row in rows])


async def test_what_ends_with_the_person(tmp_path):
    """Switched off, a new password, and sign out everywhere end every browser at once; a lost role is gone at once."""
    async with console_house(tmp_path) as house:
        boss = await house.signed_in("boss", "admin")
        ada = await house.person("ada", "admin")
        one, two = house.visitor(), house.visitor()
        for ending in ("everywhere", "password", "disabled"):
            for visitor in (one, two):
                await visitor.sign_in("ada")
                assert (await visitor.client.get("/console")).status_code == 200
            if ending == "everywhere":
                page = await one.get("/console/me")
                assert "2 browsers" in page.words
                await one.send(page, "/console/sign-out-everywhere")
            elif ending == "password":
                await house.parts.credentials.set_password(ada.id, PASSWORD, actor="test")
            else:
                page = await boss.get(f"/console/people/{ada.public_id}")
                done = await boss.send(page, f"/console/people/{ada.public_id}/disable")
                assert "can no longer sign in" in done.words
            for visitor in (one, two):
                assert (await visitor.client.get("/console")).status_code == 303, ending
        await house.parts.people.enable(await house.parts.people.find("ada"), actor="test")
        await one.sign_in("ada")
        unit = Unit()
        house.parts.people_store.revoke_role(unit, ada.public_id, "admin")
        await house.parts.db.commit(unit)
        assert (await one.client.get("/console/people")).status_code == 403
        assert (await one.get("/console")).heading == "Ada"


async def test_dangerous_changes_ask_for_the_password_again(tmp_path):
    """Five minutes later a form is kept and the password asked for; wrong counts and changes nothing, right goes on."""
    async with console_house(tmp_path) as house:
        visitor = await house.signed_in("ada", "admin")
        bert = await house.person("bert")
        target = f"/console/people/{bert.public_id}"
        page = await visitor.get(target)
        await _set_back(house, 301, "proven_at_us")
        before = visitor.client.cookies[COOKIE]
        asked = await visitor.send(page, f"{target}/change", display_name="Bertram O'Brien <x>")
        assert (asked.status, asked.heading) == (403, "Is it you?")
        again = await visitor.send(asked, f"{target}/change", proof_password="not the one at all")
        assert again.status == 403
        assert "not the right password" in again.words
        assert (await house.parts.people.find("bert")).display_name == "Bert"
        done = await visitor.send(again, f"{target}/change", proof_password=PASSWORD)
        assert done.heading == "Bertram O'Brien <x>"
        assert visitor.client.cookies[COOKIE] != before
        old = house.visitor()
        old.client.cookies.set(COOKIE, before)
        assert (await old.client.get("/console")).status_code == 303
        assert (await visitor.send(page, f"{target}/pin")).status == 200, "a form of before still holds"
        assert (await house.audit("user.changed"))[0][0] == "user:1"


ELSEWHERE = (
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "origin": "https://other.example"},
    {"sec-fetch-site": "none"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"sec-fetch-site": "same-origin", "origin": "https://evil.example"},
    {"origin": "http://localhost"},
)


async def test_forms_from_elsewhere_are_refused(tmp_path):
    """Cross-site, same-site, typed, without a name or from plain http: 403, even with the right token; nothing moves."""
    async with console_house(tmp_path) as house:
        visitor = await house.signed_in("ada", "admin")
        data = {"form_token": await visitor.token()}
        for headers in ELSEWHERE:
            for path in ("/console/sign-out", "/console/sign-in", "/console/language"):
                assert (await visitor.post(path, data, headers=headers, follow=False)).status == 403, (path, headers)
        assert (await visitor.client.get("/console")).status_code == 200


async def test_forms_need_their_own_token(tmp_path):
    """None, another session's, or a changed one: 403 and nothing happens."""
    async with console_house(tmp_path) as house:
        visitor = await house.signed_in("ada", "admin")
        other = await house.signed_in("eve", "admin")
        bert = await house.person("bert")
        mine = await visitor.token()
        for value in ("", "x", mine[:-1] + "!", mine + "a", await other.token()):
            answer = await visitor.post(f"/console/people/{bert.public_id}/disable", {"form_token": value})
            assert answer.status == 403
            assert "no longer good" in answer.heading
        assert (await house.parts.people.find("bert")).is_active
        big = await visitor.post("/console/sign-in", {"login": "x" * 70_000, "password": "x"})
        assert big.status == 413


async def test_a_forged_host_changes_nothing(tmp_path):
    """Host is believed nowhere: redirects and pages stay relative, links in mails come from the configuration."""
    async with console_house(tmp_path) as house:
        await house.person("ada", "admin")
        visitor = house.visitor()
        for path in ("/console", "/console/sign-in", "/console/people?q=x"):
            answer = await visitor.client.get(path, headers={"host": "evil.example"})
            assert "evil.example" not in answer.text + str(answer.headers)
        answer = await visitor.client.post(
            "/console/sign-in", data={"login": "ada", "password": PASSWORD}, headers={"host": "evil.example"}
        )
        assert answer.headers["location"] == "/console"
        for target in (
            "//evil.example",
            "https://evil.example",
            "/console/../x",
            "/password",
            "/console\\x",
            "javascript:1",
        ):
            answer = await visitor.post(
                "/console/sign-in", {"login": "ada", "password": PASSWORD, "next": target}, follow=False
            )
            assert answer.headers["location"] == "/console", target
        deep = await house.visitor().client.get("/console/people?q=ann&state=locked")
        assert deep.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fpeople%3Fq%3Dann%26state%3Dlocked"


async def test_the_first_administrator_comes_with_the_token(tmp_path):
    """The printed token makes one administrator, told at each field what is wrong; afterwards there is no such page."""
    async with console_house(tmp_path) as house:
        await house.office.hire("anna")
        token = (await house.parts.tokens.create("by-init", role="admin", actor="system")).token
        weak = (await house.parts.tokens.create("weak", role="read-only", actor="system")).token
        visitor = house.visitor()
        page = await visitor.get("/console/sign-in")
        assert 'href="/console/set-up"' in page.text
        page = await visitor.get("/console/set-up")
        good = {"token": token, "name": "ada", "display_name": "Ada", "email": "ada@example.org", "password": PASSWORD}
        wrong = (
            ({"token": "hfa_" + "x" * 43}, "administrator's token"),
            ({"token": weak}, "administrator's token"),
            ({"password": "short"}, "too short"),
            ({"name": "a/b"}, "A name has"),
            ({"name": "anna"}, "has this name"),
            ({"email": "nowhere"}, "a mail address looks like"),
        )
        for change, said in wrong:
            answer = await visitor.send(page, "/console/set-up", **{**good, **change})
            assert answer.status == 422, change
            assert said in answer.words, change
        done = await visitor.send(page, "/console/set-up", **good)
        assert done.heading == "What needs me"
        assert "first administrator" in done.words
        person = await house.parts.people.find("ada")
        assert await house.parts.auth_store.roles(person.id) == [("admin", EVERY_SITE)]
        for method in ("GET", "POST"):
            answer = await visitor.client.request(
                method, "/console/set-up", data=None if method == "GET" else good, headers=visitor.headers
            )
            assert answer.status_code == 404
        assert 'href="/console/set-up"' not in (await house.visitor().get("/console/sign-in")).text


async def test_languages_follow_choice_person_and_browser(tmp_path):
    """Chosen here, else the person's own, else the browser's; choosing changes no data and works signed out."""
    async with console_house(tmp_path) as house:
        await house.person("ada", "admin", language="fr")
        visitor = house.visitor()
        page = await visitor.get("/console/sign-in", headers={"accept-language": "es-MX,en;q=0.5"})
        assert '<html lang="es">' in page.text
        await visitor.sign_in("ada")
        assert '<html lang="fr">' in (await visitor.get("/console")).text
        page = await visitor.post("/console/language", {"language": "de", "next": "/console"})
        assert '<html lang="de">' in page.text
        assert "__Host-holdfast-language=de" in str(visitor.client.cookies)
        assert (await visitor.post("/console/language", {"language": "xx", "next": "//evil"})).status == 200
