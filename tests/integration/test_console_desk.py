"""The administrator's work in the console, over real https and without any script."""

import asyncio
import contextlib
import json
import re

from daemon.auth.identity import SignInFailed
from daemon.auth.terminals import Binding
from daemon.db.unit import Unit
from daemon.kernel.clock import US_PER_S
from tests.helpers.console import PASSWORD, console_house


async def test_a_lock_is_seen_understood_and_lifted(tmp_path):
    """The overview names who is locked, since when and what to do; one button lets the person in again, audited."""
    async with console_house(tmp_path, config="[sign_in]\nlock_after = 5\n") as house:
        operator = await house.signed_in("olga", "operator")
        assert "Nothing needs you" in (await operator.get("/console")).words
        bert = await house.person("bert", display_name="Bert <b>B</b>")
        guesser = house.visitor()
        for _ in range(5):
            await guesser.sign_in("bert", "not this one at all")
        page = await operator.get("/console")
        assert "Bert <b>B</b> cannot sign in: the password is locked" in page.words
        assert "<b>B</b>" not in page.text
        person = await operator.get(f"/console/people/{bert.public_id}")
        assert "5 wrong tries in a row" in person.words
        done = await operator.send(page, f"/console/people/{bert.public_id}/unlock")
        assert "can sign in again" in done.words
        assert "Nothing needs you" in done.words
        assert (await guesser.sign_in("bert")).status == 200
        assert await house.audit("credential.unlocked") == [("user:1", bert.public_id, "{}")]
        slow = house.visitor()
        for _ in range(4):
            await slow.sign_in("olga", "not this one at all")
        assert "mistypes the password" in (await operator.get("/console")).words


async def _uncertain(house, person, name):
    """A job of eight pages whose printer went away in the middle of it."""
    printer = await house.office.buy_printer(name, page_ms=400)
    job = await house.office.read(await house.office.submit(person, pages=8))
    await house.office.release(person, [job], printer)
    async with asyncio.timeout(20):
        while not house.office.printers[name].jobs:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.6)
        await house.office.printers[name].close()
        while not (await house.verbs.jobs.by_public(job.public_id)).is_uncertain:
            await asyncio.sleep(0.05)
    return job


async def test_an_uncertain_job_is_decided_by_who_looked(tmp_path):
    """What follows is said before; the decided sides are charged, the rest given back; nothing printed: it waits again."""
    async with console_house(tmp_path, reads_documents=True, lost_after_s=0.5) as house:
        operator = await house.signed_in("olga", "operator")
        bert = await house.person("bert")
        for count in (3, 0):
            job = await _uncertain(house, bert, f"hall-{count}")
            page = await operator.get("/console")
            assert "Nobody knows whether a job of bert printed" in page.words
            address = f"/console/jobs/{job.public_id}/decide"
            assert f'href="{address}"' in page.text
            for wrong in ("9", "-1", "x", "1e3"):
                answer = await operator.get(f"{address}?printed={wrong}")
                assert (answer.status, "how many sides" in answer.words) == (422, True), wrong
            weighed = await operator.get(f"{address}?printed={count}")
            said = (
                ("bert is charged 3 pages", "5 pages of what was reserved is given back")
                if count
                else ("bert is charged nothing",)
            )
            assert all(text in weighed.words for text in ("What follows", *said))
            before = (await house.parts.ledger.accounts(bert.id))[0]
            done = await operator.send(weighed, address, printed=str(count))
            assert done.status == 200
            fresh = await house.verbs.jobs.by_public(job.public_id)
            after = (await house.parts.ledger.accounts(bert.id))[0]
            assert (fresh.state, fresh.is_uncertain) == ("completed" if count else "pending-held", False)
            assert (before.balance - after.balance, after.reserved) == (count, 0)
            again = await operator.post(address, {"form_token": await operator.token(), "printed": str(count)})
            assert (again.status, again.heading) == (409, "Something changed meanwhile")
        found = [(actor, json.loads(detail)["impressions"]) for actor, _, detail in await house.audit("job.decided")]
        assert found == [("user:1", 3), ("user:1", 0)]


async def test_the_api_decides_by_the_same_rule(tmp_path):
    """A preview changes nothing, a decision once; the second is a conflict; without the permission neither."""
    async with console_house(tmp_path, reads_documents=True, lost_after_s=0.5) as house:
        bert = await house.person("bert")
        job = await _uncertain(house, bert, "hall")
        headers = {}
        for role in ("read-only", "operator"):
            made = await house.parts.tokens.create(role, role=role, actor="test")
            headers[role] = {"Authorization": f"Bearer {made.token}"}
        client, url = house.visitor().client, f"/api/v1/jobs/{job.public_id}/decide"
        assert (await client.post(url, json={"printed": 2}, headers=headers["read-only"])).status_code == 403
        for body, status in (({"printed": 9}, 400), ({"printed": -1}, 400), ({"printed": 2, "preview": True}, 200)):
            assert (await client.post(url, json=body, headers=headers["operator"])).status_code == status, body
        assert (await house.verbs.jobs.by_public(job.public_id)).is_uncertain
        answer = (await client.post(url, json={"printed": 2}, headers=headers["operator"])).json()
        assert answer["state"] == "completed"
        assert answer["decided"]["charged"] == [{"unit": "pages", "amount": 2, "scale": 0}]
        assert answer["decided"]["given_back"] == [{"unit": "pages", "amount": 6, "scale": 0}]
        again = await client.post(url, json={"printed": 2}, headers=headers["operator"])
        assert (again.status_code, again.json()["error"]["code"]) == (409, "job-not-uncertain")
        assert (await house.parts.people.store.count(), (await house.audit("job.decided"))[0][0]) == (
            1,
            "token:operator",
        )


async def test_a_person_from_adding_to_switching_off(tmp_path):
    """Added with a mailed link, found by every handle, changed, given a PIN and roles, adjusted once per form, off."""
    async with console_house(tmp_path) as house:
        visitor = await house.signed_in("ada", "admin")
        page = await visitor.get("/console/people/new")
        wrong = await visitor.send(page, "/console/people/new", name="a/b")
        assert wrong.status == 422
        assert "A name has 1 to 128" in wrong.words
        wrong = await visitor.send(page, "/console/people/new", name="bert", pin="12")
        assert (wrong.status, 'id="pin-problem"' in wrong.text) == (422, True)
        added = await visitor.send(
            page, "/console/people/new", name="Bert", email="bert@example.org", display_name="Bert Brown", link="1"
        )
        assert "link to choose a password is on its way" in added.words
        bert = await house.parts.people.find("bert")
        for text in ("ber", "brown", "BERT@", bert.pin):
            found = await visitor.get("/console/people", params={"q": text})
            assert bert.public_id in found.text, text
            assert "ada@example.org" not in found.text, text
        assert "Nobody matches" in (await visitor.get("/console/people?q=zzz")).words
        target = f"/console/people/{bert.public_id}"
        pinned = await visitor.send(await visitor.get(target), f"{target}/pin")
        new_pin = re.search(r'class="secret">(\d+)<', pinned.text)[1]
        assert new_pin == (await house.parts.people.find("bert")).pin != bert.pin
        assert new_pin not in str(await house.audit("user.pin-changed"))
        assert 'class="secret"' not in (await visitor.get(target)).text
        roles = await visitor.post(
            f"{target}/roles", {"form_token": await visitor.token(), "role": ["operator", "billing"]}
        )
        assert "operator" in roles.words
        assert await house.parts.people_store.roles(bert.id) == ["billing", "operator"]
        off = await visitor.send(roles, f"{target}/disable")
        assert "Switched off" in off.words
        assert "Switched off" in (await visitor.get("/console/people?state=disabled")).words


async def test_people_are_found_whatever_is_typed(tmp_path):
    """Signs that mean something to a database are only signs; accents and letter case do not matter; pages follow."""
    async with console_house(tmp_path) as house:
        visitor = await house.signed_in("ada", "admin")
        store = house.parts.people_store
        for name, full in (("a_b", "100 % Beta"), ("axb", "Élodie Ünal"), ("c'd", "Back\\slash")):
            await house.office.hire(name, display_name=full, email=f"{name[0]}.x@example.org")

        async def names(text: str, **more) -> list[str]:
            return [person.name for person in await store.search(text, **more)]

        found = {
            "_": ["a_b"],
            "%": ["a_b"],
            "élodie": ["axb"],
            "ÉLODIE": ["axb"],
            "ünal": ["axb"],
            "c'd": ["c'd"],
            "\\": ["c'd"],
        }
        assert {text: await names(text) for text in found} == found
        assert await names("") == ["a_b", "ada", "axb", "c'd"]
        assert await names("", after="ada", limit=1) == ["axb"]
        assert await names("x@example", state="disabled") == []
        for text in ("%", "' OR 1=1 --", "<script>alert(1)</script>", "x" * 500):
            page = await visitor.get("/console/people", params={"q": text})
            assert (page.status, "<script>alert" in page.text) == (200, False)


async def test_a_balance_is_changed_once_per_form(tmp_path):
    """Add, take and set with a reason; the same form sent twice moves money once; what cannot be is told at its field."""
    async with console_house(tmp_path) as house:
        visitor = await house.signed_in("bill", "billing")
        bert = await house.person("bert")
        target, action = f"/console/people/{bert.public_id}", f"/console/people/{bert.public_id}/adjust"
        page = await visitor.get(target)
        for _ in range(2):
            answer = await visitor.send(page, action, how="add", amount="25", reason="Course <1>")
            assert "The balance of Bert was changed" in answer.words
            assert "225 pages" in answer.words
        assert "Course &lt;1&gt;" in answer.text
        answer = await visitor.send(answer, action, how="take", amount="5", reason="Back")
        assert "220 pages" in answer.words
        answer = await visitor.send(answer, action, how="set", amount="7", reason="Set")
        assert "7 pages" in answer.words
        for change, field in (
            ({"amount": "x"}, "amount"),
            ({"amount": "0.5"}, "amount"),
            ({"amount": "1", "reason": " "}, "reason"),
            ({"how": "take", "amount": "900"}, "amount"),
        ):
            wrong = await visitor.send(answer, action, **{"how": "add", "amount": "1", "reason": "r", **change})
            assert (wrong.status, f'id="{field}-problem"' in wrong.text) == (422, True), change
        assert {actor for actor, _, _ in await house.audit("account.adjusted")} == {"user:1"}


async def test_nobodys_change_is_lost(tmp_path):
    """Two administrators open one person; the second to save is told, and their text does not overwrite the first's."""
    async with console_house(tmp_path) as house:
        one, two = await house.signed_in("ada", "admin"), await house.signed_in("eve", "admin")
        bert = await house.person("bert")
        target = f"/console/people/{bert.public_id}"
        page_one, page_two = await one.get(target), await two.get(target)
        assert (await one.send(page_one, f"{target}/change", display_name="First")).heading == "First"
        late = await two.send(page_two, f"{target}/change", email="second@example.org")
        assert (late.status, late.heading) == (409, "Something changed meanwhile")
        person = await house.parts.people.find("bert")
        assert (person.display_name, person.email) == ("First", "bert@example.org")


async def test_the_last_administrator_stays(tmp_path):
    """Not switched off, not demoted, not both at the same moment; told in plain words."""
    async with console_house(tmp_path) as house:
        visitor = await house.signed_in("ada", "admin")
        ada = await house.parts.people.find("ada")
        target = f"/console/people/{ada.public_id}"
        page = await visitor.get(target)
        for answer in (
            await visitor.send(page, f"{target}/disable"),
            await visitor.post(f"{target}/roles", {"form_token": await visitor.token()}),
        ):
            assert answer.status == 409
            assert "administrator" in answer.words
        eve = await house.person("eve", "admin")
        results = await asyncio.gather(
            *(house.parts.people.disable(person, actor="user:9") for person in (ada, eve)), return_exceptions=True
        )
        assert sum(isinstance(one, Exception) for one in results) == 1


async def test_a_terminal_from_code_to_revocation(tmp_path):
    """Added with printers, the code shown once; changed unless somebody else did; asked; revoked with its consequence."""
    async with console_house(tmp_path) as house:
        visitor = await house.signed_in("ada", "admin")
        empty = await visitor.get("/console/terminals")
        assert "No terminal yet" in empty.words
        printer = await house.office.register("hall", "ipp://127.0.0.1:1/ipp/print")
        page = await visitor.get("/console/terminals/new")
        wrong = await visitor.send(page, "/console/terminals/new", name="Lobby")
        assert "at least one printer" in wrong.words
        made = await visitor.send(page, "/console/terminals/new", name="Lobby", printer=printer.public_id)
        code = re.search(r'class="secret">([^<]+)<', made.text)[1]
        target = "/console/terminals/" + (await house.parts.terminals.list())[0].public_id
        assert code not in (await visitor.get(target)).text
        page = await visitor.get(target)
        wrong = await visitor.send(page, f"{target}/change", opening_hours="whenever")
        assert (wrong.status, 'id="opening_hours-problem"' in wrong.text) == (422, True)
        done = await visitor.send(
            page, f"{target}/change", name="Lobby <2>", policy="none", opening_hours="Mo-Fr 07:00-19:00"
        )
        assert done.heading == "Lobby <2>"
        assert "no cards" in done.words
        late = await visitor.send(page, f"{target}/change", name="Mine")
        assert late.status == 409
        gone = await visitor.send(done, f"{target}/revoke")
        assert "opens nothing any more" in gone.words
        assert "Show 1 revoked terminal too" in (await visitor.get("/console/terminals")).words
        assert [actor for actor, _, _ in await house.audit("terminal.revoked")] == ["user:1"]


async def test_printers_tokens_and_settings(tmp_path):
    """A printer that does not answer is added and shown as that; a token is shown once; settings say where they are set."""
    async with console_house(tmp_path) as house:
        visitor = await house.signed_in("ada", "admin")
        page = await visitor.get("/console/printers/new")
        wrong = await visitor.send(page, "/console/printers/new", name="hall", uri="nonsense")
        assert (wrong.status, 'id="uri-problem"' in wrong.text) == (422, True)
        made = await visitor.send(page, "/console/printers/new", name="hall", uri="ipp://127.0.0.1:1/ipp/print")
        assert "does not answer" in made.words
        assert "hall does not answer" in (await visitor.get("/console")).words
        printer = (await house.parts.printer_store.page())[0]
        removed = await visitor.send(made, f"/console/printers/{printer.public_id}/remove")
        assert "No printer yet" in removed.words
        page = await visitor.get("/console/tokens")
        bad = await visitor.send(page, "/console/tokens", name="script", days="0")
        assert bad.status == 422
        shown = await visitor.send(page, "/console/tokens", name="script", role="read-only", days="30")
        value = re.search(r'class="secret">(hfa_[^<]+)<', shown.text)[1]
        assert (await house.parts.tokens.actor(value)).name == "token:script"
        assert value not in (await visitor.get("/console/tokens")).text
        await visitor.post("/console/tokens/revoke", {"form_token": await visitor.token(), "name": "setup"})
        assert not await house.has_setup_token()
        settings = await visitor.get("/console/settings")
        assert "server.base_port" in settings.words
        assert "pepper" not in settings.text.lower()


async def test_pages_are_in_plain_words_and_never_kept(tmp_path):
    """404 and 403 as pages; no inline script or style; every answer no-store; titles of others' jobs are not shown."""
    async with console_house(tmp_path, reads_documents=True) as house:
        visitor = await house.signed_in("ada", "admin")
        bert = await house.person("bert")
        job = await house.office.read(await house.office.submit(bert, title="Notice of termination <i>"))
        for path, status in (
            ("/console/nothing", 404), ("/console/people/aaaa", 404), ("/console/jobs/aaaa", 404), ("/console", 200),
            ("/console/people", 200), (f"/console/people/{bert.public_id}", 200), ("/console/jobs", 200),
            (f"/console/jobs/{job.public_id}", 200), ("/console/jobs?user=bert&state=all", 200),
            ("/console/jobs?user=nobody", 200), ("/console/audit?action=user.", 200), ("/console/me", 200),
        ):  # fmt: skip
            answer = await visitor.client.get(path)
            assert answer.status_code == status, path
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|javascript:", answer.text), path
            assert "termination" not in answer.text, path
        own = house.visitor()
        await own.sign_in("bert")
        mine = await own.get("/console")
        assert "Notice of termination <i>" in mine.words
        assert "<i>" not in mine.text.partition("<main")[2].partition("</main>")[0].replace("<input", "")
        cancel = await visitor.send(
            await visitor.get(f"/console/jobs/{job.public_id}"), f"/console/jobs/{job.public_id}/cancel"
        )
        assert "ended unprinted" in cancel.words
        assert [actor for actor, _, _ in await house.audit("job.canceled")] == ["user:1"]


async def test_what_needs_somebody_is_listed_with_its_age(tmp_path):
    """Sprays, paused sources, stopped printers, stuck mail and a set-up token, each with what to do, the worst first."""
    async with console_house(tmp_path) as house:
        visitor = await house.signed_in("ada", "admin")
        now = house.parts.clock.now_us()
        await house.office.register("hall", "ipp://127.0.0.1:1/ipp/print")
        assert await house.has_setup_token()
        unit = Unit()
        unit.add("UPDATE printer SET state='stopped', reasons='[\"media-empty-error\"]'")
        unit.audit(actor="system", action="sign-in.sprayed", subject="door", detail={}, at_us=now)
        unit.audit(actor="system", action="sign-in.paused", subject="10.0.0.9", detail={}, at_us=now)
        unit.add(
            """INSERT INTO mail(public_id, dedupe_key, kind, recipient, subject, text, created_at_us, next_try_us)
               VALUES('m', 'm', 'job-expired', 'x@example.org', '', '', :at, :later)""",
            at=now - 3600 * US_PER_S, later=now + 3600 * US_PER_S,
        )  # fmt: skip
        await house.parts.db.commit(unit)
        page = await visitor.get("/console")
        said = ("Wrong passwords for many people", "Sign-in paused at 10.0.0.9", "hall has stopped", "media-empty-error",
                "Mails do not leave", "1 hour ago", "still opens the API")  # fmt: skip
        places = [page.words.find(text) for text in said]
        assert min(places) >= 0, list(zip(said, places, strict=True))
        assert places[0] < places[1] < places[-1]
        reader = await house.signed_in("ro", "read-only")
        assert "still opens the API" not in (await reader.get("/console")).words
        nobody = await house.signed_in("ben")
        assert "hall has stopped" not in (await nobody.get("/console")).words
        assert PASSWORD not in page.text


async def _lobby(house):
    """A terminal beside a printer."""
    await house.office.register("hall", "ipp://127.0.0.1:1/ipp/print")
    await house.parts.terminals.add("Lobby", printers=[Binding("hall", "")], policy="site", site="main", actor="test")
    return (await house.parts.terminals.list())[0]


async def test_a_card_by_tap_and_by_hand(tmp_path):
    """An unknown card tapped at a terminal is offered and given; a typed one too; the number is nowhere; lost is blocked."""
    async with console_house(tmp_path) as house:
        visitor = await house.signed_in("ada", "admin")
        bert, eve = await house.person("bert"), await house.person("eve")
        terminal = await _lobby(house)
        target = f"/console/people/{bert.public_id}"
        with contextlib.suppress(SignInFailed):
            await house.parts.sign_in.by_card("0012345678", terminal=terminal)
        page = await visitor.get(target)
        assert "Lobby · " in page.words
        added = await visitor.send(page, f"{target}/cards", tapped_at=terminal.public_id, label="Staff <1>")
        assert "The card is added: 1 of" in added.words
        assert "Staff <1>" in added.words
        typed = await visitor.send(
            added, f"{target}/cards", raw="0099887766", label="Second", expires="2099-12-24", tapped_at=""
        )
        assert "The card is added: 2 of" in typed.words
        for change, field in (
            ({"raw": "!"}, "raw"),
            ({"raw": "0011", "expires": "soon"}, "expires"),
            ({}, "tapped_at"),
        ):
            wrong = await visitor.send(typed, f"{target}/cards", **{"tapped_at": "", **change})
            assert (wrong.status, f'id="{field}-problem"' in wrong.text) == (422, True), change
        other = await visitor.get(f"/console/people/{eve.public_id}")
        taken = await visitor.send(other, f"/console/people/{eve.public_id}/cards", raw="0099887766", tapped_at="")
        assert 'id="raw-problem"' in taken.text


async def test_a_lost_card_is_blocked_by_whoever_may(tmp_path):
    """By an operator or its owner at once and everywhere; another's card is nobody's; the number is in no page."""
    async with console_house(tmp_path) as house:
        visitor = await house.signed_in("olga", "operator")
        admin = await house.signed_in("ada", "admin")
        bert, eve = await house.person("bert"), await house.person("eve")
        terminal = await _lobby(house)
        target = f"/console/people/{bert.public_id}"
        for raw, label in (("0012345678", "First"), ("0099887766", "Second")):
            page = await admin.get(target)
            await admin.send(page, f"{target}/cards", raw=raw, label=label, tapped_at="")
        cards = await house.parts.cards.desk.page(user="bert")
        path = f"cards/{cards[0].public_id}/block"
        foreign = await visitor.post(f"/console/people/{eve.public_id}/{path}", {"form_token": await visitor.token()})
        assert foreign.status == 404
        blocked = await visitor.send(await visitor.get(target), f"{target}/{path}")
        assert "Blocked at every terminal" in blocked.words
        with contextlib.suppress(SignInFailed):
            await house.parts.sign_in.by_card("0012345678", terminal=terminal)
        assert "A blocked card was tapped" in (await visitor.get("/console")).words
        for text in (blocked.text, (await admin.get("/console/audit")).text):
            assert "12345678" not in text
            assert "99887766" not in text
        own = house.visitor()
        mine = await own.sign_in("bert")
        lost = await own.send(mine, f"/console/me/cards/{cards[1].public_id}/block")
        assert "Blocked at every terminal: Second" in lost.words
        stranger = await own.post(f"/console/me/cards/{'b' * 26}/block", {"form_token": await own.token()})
        assert stranger.status == 404
        assert [actor for actor, _, _ in await house.audit("card.blocked")] == ["user:1", f"user:{bert.id}"]
        removed = await admin.send(await admin.get(target), f"{target}/cards/{cards[0].public_id}/remove")
        assert "It can be linked anew" in removed.words
