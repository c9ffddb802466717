"""The terminal API over real TLS: the kiosk's own client enrols, signs in, releases, watches; and what is refused."""

import asyncio
import json
import socket
import time

import httpx
import pytest

from daemon.db.unit import Unit
from daemon.kernel.errors import Refusal
from daemon.kernel.events import Event
from daemon.web.https import listen_tcp
from daemon.wire import signing
from kiosk.enrolment import enrol
from kiosk.link import DaemonRefused
from tests.helpers.counter_hall import PASSWORD, Listener, counter_hall
from tests.helpers.office import office


@pytest.fixture
async def hall(tmp_path):
    async with office(tmp_path) as opened, counter_hall(opened) as made:
        yield made


async def _refused(call, code, status=None):
    with pytest.raises(DaemonRefused) as refusal:
        await call
    assert refusal.value.code == code
    if status is not None:
        assert refusal.value.data["status"] == status
    return refusal.value.data["error"]


async def _signed_in(link, pin="1001", password=PASSWORD):
    return (await link.post("/session", {"pin": pin, "password": password}))["session"]


async def test_a_job_is_seen_priced_released_and_followed(hall, tmp_path):
    """Enrol, sign in, list, quote a change, release, hear of every step, be charged what was shown."""
    printer = await hall.office.buy_printer("p1")
    anna = await hall.hire("anna", pin="1001")
    job = await hall.office.read(await hall.office.submit(anna, 3, title="Plan.pdf"))
    async with hall.terminal(tmp_path, "door", printer) as link:
        beat = await link.post("/heartbeat", {"version": "1", "readers": []})
        assert beat["printers"][0]["name"] == "p1"
        assert (beat["policy"], beat["name"]) == ("card+password", "door")
        answer = await link.post("/session", {"pin": "1001", "password": PASSWORD})
        token = answer["session"]
        assert answer["user"]["name"] == "anna"
        assert answer["password_needed"] is False
        assert all(answer["may"].values())
        assert (answer["method"], answer["release_on_tap"], answer["cost_cap"]) == ("pin", False, None)
        stream = Listener(link, session=token)
        await stream.until(lambda e: e.name == "hello")
        listed = await link.get("/jobs", session=token)
        (item,) = listed["items"]
        assert (item["job_id"], item["title"], item["pages"], item["impressions"]) == (job.public_id, "Plan.pdf", 3, 3)
        assert item["price"] == {"unit": "pages", "amount": 3, "scale": 0} == listed["total"]
        assert listed["balance"]["amount"] - listed["balance_after"]["amount"] == 3
        assert item["may"]["two_sided"] is True
        change = {job.public_id: {"sides": "two-sided-long-edge"}}
        quoted = await link.post("/quote", {"job_ids": [job.public_id], "changes": change}, session=token)
        assert quoted["enough"] is True
        assert quoted["items"][0]["sheets"] == 2
        body = {"job_ids": [job.public_id], "changes": change, "key": "tap-1", "total": quoted["total"]}
        dearer = body | {"key": "tap-0", "total": quoted["total"] | {"amount": quoted["total"]["amount"] + 1}}
        changed = await _refused(link.post("/release", dearer, session=token), "price-changed", 409)
        assert (changed["charged"], changed["total"]) == (False, quoted["total"])
        assert (await link.get("/jobs", session=token))["balance"] == listed["balance"]
        released = await link.post("/release", body, session=token)
        assert released["items"][0]["price"] == quoted["items"][0]["price"]
        assert await link.post("/release", body, session=token) == released
        done = await stream.until(lambda e: e.name == "job" and '"completed"' in e.data)
        told = json.loads(done.data)
        assert told["charged"]["amount"] == quoted["total"]["amount"]
        assert told["printed"] == {"impressions": 3, "sheets": 2}
        await stream.stop()
        assert (await link.get("/jobs", session=token))["items"] == []
        assert await hall.office.balance(anna) == listed["balance"]["amount"] - quoted["total"]["amount"]
        await link.post("/logout", {}, session=token)
        await _refused(link.get("/jobs", session=token), "session-ended", 401)


async def test_refusals_say_that_nothing_was_charged(hall, tmp_path):
    """Too little allowance, foreign and unknown jobs, wrong codes of every kind: named, `charged` false, books unchanged."""
    printer = await hall.office.buy_printer("p1")
    anna, bert = await hall.hire("anna", pin="1001"), await hall.hire("bert", pin="1002")
    big = await hall.office.read(await hall.office.submit(anna, 1, copies=300))
    foreign = await hall.office.read(await hall.office.submit(bert, 1))
    async with hall.terminal(tmp_path, "door", printer) as link:
        token = await _signed_in(link)
        before = await hall.office.balance(anna)
        error = await _refused(
            link.post("/release", {"job_ids": [big.public_id], "key": "k1"}, session=token), "insufficient-funds", 422
        )
        assert error["charged"] is False
        assert error["needed"]["amount"] == 300
        assert error["available"]["amount"] == before
        quoted = await link.post("/quote", {"job_ids": [big.public_id]}, session=token)
        assert (quoted["enough"], quoted["fits"]) == (False, [])
        for ids in ([foreign.public_id], ["a" * 26], [big.public_id, foreign.public_id]):
            error = await _refused(
                link.post("/release", {"job_ids": ids, "key": "k2"}, session=token), "not-found", 404
            )
            assert error["charged"] is False
            await _refused(link.post("/delete", {"job_ids": ids}, session=token), "not-found", 404)
            await _refused(link.post("/quote", {"job_ids": ids}, session=token), "not-found", 404)
        await _refused(link.post("/cancel", {"job_id": foreign.public_id}, session=token), "not-found", 404)
        await _refused(link.get_bytes(f"/preview/{foreign.public_id}", session=token), "not-found", 404)
        await _refused(link.get_bytes(f"/preview/{big.public_id}", session=token), "no-preview", 404)
        await _refused(link.post("/claim", {"code": "123456"}, session=token), "not-found", 404)
        more = {big.public_id: {"copies": 301}}
        await _refused(
            link.post("/quote", {"job_ids": [big.public_id], "changes": more}, session=token), "not-a-downgrade", 422
        )
        await _refused(
            link.post("/release", {"job_ids": [big.public_id], "key": "k3", "printer_id": "nowhere"}, session=token),
            "not-found",
            404,
        )
        assert await hall.office.balance(anna) == before
        assert await hall.office.reserved(anna) == 0
        assert (await hall.office.books())["ok"]


async def test_a_stopped_printer_offers_another(hall, tmp_path):
    """The printer is asked before anything is promised; the refusal names where else it can go, and there it prints."""
    first, second = await hall.office.buy_printer("p1"), await hall.office.buy_printer("p2")
    anna = await hall.hire("anna", pin="1001")
    job = await hall.office.read(await hall.office.submit(anna, 1))
    await hall.parts.printers.ask(second)
    async with hall.terminal(tmp_path, "door", first) as link:
        token = await _signed_in(link)
        await hall.office.printers["p1"].close()
        error = await _refused(
            link.post("/release", {"job_ids": [job.public_id], "key": "k1"}, session=token), "printer-unreachable", 422
        )
        assert error["charged"] is False
        assert [one["name"] for one in error["alternatives"]] == ["p2"]
        body = {"job_ids": [job.public_id], "key": "k2", "printer_id": error["alternatives"][0]["printer_id"]}
        await link.post("/release", body, session=token)
        assert (await hall.office.finished(job)).state == "completed"


async def test_delete_and_undo(hall, tmp_path):
    """A deleted job comes back while its time for it runs, and costs nothing."""
    printer = await hall.office.buy_printer("p1")
    anna = await hall.hire("anna", pin="1001")
    job = await hall.office.read(await hall.office.submit(anna, 1))
    async with hall.terminal(tmp_path, "door", printer) as link:
        token = await _signed_in(link)
        deleted = await link.post("/delete", {"job_ids": [job.public_id]}, session=token)
        assert deleted["undo_until"] > "2026"
        assert (await link.get("/jobs", session=token))["items"] == []
        await link.post("/undo", {"job_ids": [job.public_id]}, session=token)
        assert [item["job_id"] for item in (await link.get("/jobs", session=token))["items"]] == [job.public_id]
        await _refused(link.post("/undo", {"job_ids": [job.public_id]}, session=token), "undo-too-late")


async def test_a_job_sent_while_one_stands_there_appears_at_once(hall, tmp_path):
    """A new job is told on the stream within 100 ms of being read, and the stream resumes where it broke off."""
    printer = await hall.office.buy_printer("p1")
    anna = await hall.hire("anna", pin="1001")
    async with hall.terminal(tmp_path, "door", printer) as link:
        token = await _signed_in(link)
        stream = Listener(link, session=token)
        await stream.until(lambda e: e.name == "hello")
        waits = []
        for n in range(20):
            unit = Unit()
            unit.event(Event("job.held", f"job{n}", anna.id), hall.parts.clock.now_us())
            await hall.parts.db.commit(unit)
            committed = time.perf_counter()
            await stream.until(
                lambda e, n=n: e.name == "jobs" and len([x for x in stream.events if x.name == "jobs"]) > n
            )
            waits.append(time.perf_counter() - committed)
        assert sorted(waits)[10] < 0.1
        last = stream.events[-1].event_id
        await stream.stop()
        job = await hall.office.read(await hall.office.submit(anna, 1))
        again = Listener(link, session=token, last_event_id=last)
        await again.until(lambda e: e.name == "jobs")
        await again.stop()
        fresh = Listener(link, session=token)
        await fresh.until(lambda e: e.name == "hello")
        await asyncio.sleep(0.2)
        assert [e.name for e in fresh.events] == ["open", "hello"]
        await fresh.stop()
        assert job.is_held


async def test_streams_tell_only_ones_own(hall, tmp_path):
    """Another person's job is not told; without a session only printers are."""
    printer = await hall.office.buy_printer("p1")
    await hall.hire("anna", pin="1001")
    bert = await hall.hire("bert", pin="1002")
    async with hall.terminal(tmp_path, "door", printer) as link:
        token = await _signed_in(link)
        mine, terminals = Listener(link, session=token), Listener(link)
        for stream in (mine, terminals):
            await stream.until(lambda e: e.name == "hello")
        await hall.office.read(await hall.office.submit(bert, 1))
        unit = Unit()
        unit.event(Event("printer.changed", printer.public_id), hall.parts.clock.now_us())
        await hall.parts.db.commit(unit)
        for stream in (mine, terminals):
            await stream.until(lambda e: e.name == "printer")
            assert {e.name for e in stream.events} == {"open", "hello", "printer"}
            await stream.stop()


@pytest.mark.parametrize("how", ["logout", "disable", "password", "next"])
async def test_a_stream_ends_with_its_session(hall, tmp_path, how):
    """Logout, switching off, a new password, the next person: told and closed within two seconds, then 401."""
    printer = await hall.office.buy_printer("p1")
    anna = await hall.hire("anna", pin="1001")
    await hall.hire("bert", pin="1002")
    async with hall.terminal(tmp_path, "door", printer) as link:
        token = await _signed_in(link)
        stream = Listener(link, session=token)
        await stream.until(lambda e: e.name == "hello")
        if how == "logout":
            await link.post("/logout", {}, session=token)
        elif how == "disable":
            await hall.parts.people.disable(anna, actor="test")
        elif how == "password":
            await hall.parts.credentials.set_password(anna.id, "another quiet evening", actor="test")
        else:
            await _signed_in(link, "1002")
        began = time.monotonic()
        await stream.until(lambda e: e.name == "session", timeout_s=3)
        await stream.ended()
        assert time.monotonic() - began < 2
        await _refused(link.get("/jobs", session=token), "session-ended", 401)
        with pytest.raises(DaemonRefused):
            async for _ in link.events(session=token):
                pass


async def test_an_idle_session_ends_by_itself(tmp_path):
    """Its stream says so when the time has come, without anything else happening; extending moves the end."""
    config = "[sign_in]\nsession_s = 15\nsession_max_s = 30\n"
    async with office(tmp_path, config=config) as opened, counter_hall(opened) as hall:
        printer = await opened.buy_printer("p1")
        await hall.hire("anna", pin="1001")
        async with hall.terminal(tmp_path, "door", printer) as link:
            token = await _signed_in(link)
            unit = Unit()
            unit.add("UPDATE session SET expires_at_us=:at", at=hall.parts.clock.now_us() + 1_500_000)
            await hall.parts.db.commit(unit)
            stream = Listener(link, session=token)
            await stream.until(lambda e: e.name == "hello")
            extended = await link.post("/extend", {}, session=token)
            await asyncio.sleep(1.6)
            assert (await link.get("/jobs", session=token))["items"] == []
            assert extended["expires_at"]
            unit = Unit()
            unit.add("UPDATE session SET expires_at_us=:at", at=hall.parts.clock.now_us() + 500_000)
            unit.event(Event("session.changed", "x", 1), hall.parts.clock.now_us())
            await hall.parts.db.commit(unit)
            await stream.until(lambda e: e.name == "session", timeout_s=3)
            await stream.stop()


async def test_a_revoked_terminal_is_out_within_two_seconds(hall, tmp_path):
    """Its streams end, its next request is told `revoked`, and the person's session is over."""
    printer = await hall.office.buy_printer("p1")
    await hall.hire("anna", pin="1001")
    async with hall.terminal(tmp_path, "door", printer) as link:
        token = await _signed_in(link)
        streams = [Listener(link, session=token), Listener(link)]
        for stream in streams:
            await stream.until(lambda e: e.name == "hello")
        (terminal,) = await hall.parts.terminals.list()
        await hall.parts.terminals.revoke(terminal.public_id, actor="test")
        began = time.monotonic()
        for stream in streams:
            await stream.ended()
        assert time.monotonic() - began < 2
        await _refused(link.post("/heartbeat", {}), "revoked", 401)
        await _refused(link.get("/jobs", session=token), "revoked", 401)


async def test_cards_at_terminals_of_every_policy(hall, tmp_path):
    """card: in at once, own titles masked, no claiming; card+password: ticket first; none: refused; unknown: as wrong."""
    printer = await hall.office.buy_printer("p1")
    anna = await hall.hire("anna", pin="1001")
    await hall.add_card(anna, "04A224B1C2D380")
    await hall.office.read(await hall.office.submit(anna, 1, title="Letter"))
    tap = {"reader": "simulated", "raw": "04:a2:24:b1:c2:d3:80"}
    async with hall.terminal(tmp_path, "a", printer, policy="card") as link:
        answer = await link.post("/session", tap)
        allowed = {right for right, is_allowed in answer["may"].items() if is_allowed}
        assert allowed == {"release", "delete", "change"}
        (item,) = (await link.get("/jobs", session=answer["session"]))["items"]
        assert item["title"] != "Letter"
        await _refused(link.post("/claim", {"code": "1"}, session=answer["session"]), "step-up-needed", 403)
        await _refused(link.get_bytes(f"/preview/{item['job_id']}", session=answer["session"]), "step-up-needed", 403)
        await _refused(link.post("/session", tap | {"raw": "99999999"}), "sign-in-failed", 401)
    async with hall.terminal(tmp_path, "b", printer) as link:
        answer = await link.post("/session", tap)
        assert set(answer) == {"password_needed", "ticket"}
        await _refused(link.post("/session", {"ticket": answer["ticket"], "password": "x"}), "sign-in-failed", 401)
        answer = await link.post("/session", {"ticket": answer["ticket"], "password": PASSWORD})
        assert answer["may"]["claim"]
    async with hall.terminal(tmp_path, "c", printer, policy="none") as link:
        await _refused(link.post("/session", tap), "cards-not-accepted", 403)


async def test_a_terminal_that_guesses_is_paused(hall, tmp_path):
    """After twenty failures: 429 with Retry-After, also for the right password; other terminals go on."""
    printer = await hall.office.buy_printer("p1")
    await hall.hire("anna", pin="1001")
    async with hall.terminal(tmp_path, "a", printer) as link, hall.terminal(tmp_path, "b", printer) as other:
        for n in range(20):
            await _refused(link.post("/session", {"pin": f"9{n:03d}", "password": "x"}), "sign-in-failed", 401)
        error = await _refused(link.post("/session", {"pin": "1001", "password": PASSWORD}), "too-many-tries", 429)
        assert 0 < error["retry_after_s"] <= 60
        assert await _signed_in(other)


async def test_enrolment_is_proven_on_both_sides_and_spent(hall, tmp_path):
    """A wrong code, a used code, rubbish: refused alike and nothing is written; ten tries a minute for the house."""
    printer = await hall.office.buy_printer("p1")
    new = await hall.new_terminal("door", printer)
    code = signing.parse_code(new.code)
    wrong = signing.EnrolCode(code.locator, "00000000" if code.secret != "00000000" else "11111111").text
    for text in (wrong, new.code):
        with pytest.raises(Refusal) as refused:
            await enrol(url=hall.url, code_text=text, directory=tmp_path / "k")
        assert refused.value.code == "enrolment-failed"
        assert not (tmp_path / "k").exists()
    async with httpx.AsyncClient(verify=False) as client:
        bodies = [b"", b"[]", b"{", b'{"locator":1}', b'{"locator":"AAAA","public_key":"%","proof":"%"}']
        statuses = [(await client.post(hall.url + "/terminal/v1/enrol", content=body)).status_code for body in bodies]
        assert statuses == [400, 400, 400, 400, 403]
        for _ in range(4):
            last = await client.post(hall.url + "/terminal/v1/enrol", content=b"{}")
        assert last.status_code == 429
        assert int(last.headers["retry-after"]) > 0


async def test_unsigned_and_badly_signed_requests_learn_nothing(hall, tmp_path):
    """Every route but enrol: 401 without a signature, with a foreign key, changed on the way, or sent twice."""
    printer = await hall.office.buy_printer("p1")
    await hall.hire("anna", pin="1001")
    routes = [
        ("POST", "/session"), ("POST", "/heartbeat"), ("GET", "/events"), ("GET", "/jobs"), ("GET", "/preview/x"),
        ("POST", "/quote"), ("POST", "/release"), ("POST", "/delete"), ("POST", "/undo"), ("POST", "/claim"),
        ("POST", "/cancel"), ("POST", "/extend"), ("POST", "/logout"),
    ]  # fmt: skip
    async with hall.terminal(tmp_path, "door", printer) as link, httpx.AsyncClient(verify=False) as client:
        token = await _signed_in(link)
        for method, path in routes:
            target = "/terminal/v1" + path
            answer = await client.request(method, hall.url + target, headers={signing.HEADER_SESSION: token})
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "terminal-unknown")
            headers = link._headers(method, target, b"", "")
            moved = await client.request(method, hall.url + target + "?x=1", headers=headers)
            assert moved.status_code == 401
            answer = await client.request(
                method, hall.url + target, headers=headers | {signing.HEADER_TERMINAL: "other"}
            )
            assert answer.status_code == 401
        body = json.dumps({"pin": "1001", "password": PASSWORD}).encode()
        headers = link._headers("POST", "/terminal/v1/session", body, "")
        assert (await client.post(hall.url + "/terminal/v1/session", content=body, headers=headers)).status_code == 200
        assert (await client.post(hall.url + "/terminal/v1/session", content=body, headers=headers)).status_code == 401
        for session in ("", "hfs_x", token):
            headers = link._headers("GET", "/terminal/v1/jobs", b"", session)
            answer = await client.get(hall.url + "/terminal/v1/jobs", headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "session-ended")
            assert answer.headers["cache-control"] == "no-store"


async def test_a_wrong_clock_is_told_the_time(hall, tmp_path):
    """A terminal an hour off is refused once, learns the daemon's time, and goes on by itself."""
    printer = await hall.office.buy_printer("p1")
    async with hall.terminal(tmp_path, "door", printer) as link:
        link._offset_us = 3_600_000_000
        assert (await link.post("/heartbeat", {}))["name"] == "door"
        assert abs(link._offset_us) < 3_000_000


async def test_bad_requests_are_answered_as_such(hall, tmp_path):
    """Wrong types, missing fields, too many ids, too large: 400 or 413 with every problem named; nothing breaks."""
    printer = await hall.office.buy_printer("p1")
    await hall.hire("anna", pin="1001")
    async with hall.terminal(tmp_path, "door", printer) as link:
        token = await _signed_in(link)
        bad = [
            ("/session", {}, {"pin", "password"}),
            ("/session", {"pin": 1, "password": None}, {"pin", "password"}),
            ("/session", {"raw": "1" * 600, "reader": 5}, {"reader"}),
            ("/release", {"job_ids": [], "key": "", "codes": [], "changes": 5}, {"job_ids", "key", "codes", "changes"}),
            ("/release", {"job_ids": ["x"] * 201, "key": "k"}, {"job_ids"}),
            ("/release", {"job_ids": ["x"], "key": "k", "total": 3}, {"total"}),
            ("/release", {"job_ids": ["x"], "key": "k", "total": {"unit": "pages", "amount": 1.5}}, {"total"}),
            ("/release", {"job_ids": ["x"], "key": "k", "total": {"unit": "EUR", "amount": 1, "scale": 2}}, {"total"}),
            ("/quote", {"job_ids": [1]}, {"job_ids"}),
            (
                "/quote",
                {"job_ids": ["a"], "changes": {"a": {"media": "x", "copies": True}}},
                {"changes.a.media", "changes.a.copies"},
            ),
            ("/delete", {"job_ids": "abc"}, {"job_ids"}),
            ("/claim", {}, {"code"}),
            ("/cancel", {"job_id": ["x"]}, {"job_id"}),
        ]
        for path, body, keys in bad:
            error = await _refused(link.post(path, body, session=token), "bad-input", 400)
            assert {problem["key"] for problem in error["details"]} == keys
        await _refused(
            link.post("/session", {"pin": "1", "password": "x" * 70_000}, session=token), "body-too-large", 413
        )
        await _refused(link.get("/nothing", session=token), "not-found", 404)


async def test_open_streams_end_when_the_daemon_stops(tmp_path):
    """Stopping does not wait for streams, and every one of them sees its end."""
    async with office(tmp_path) as opened, counter_hall(opened) as hall:
        printer = await opened.buy_printer("p1")
        async with hall.terminal(tmp_path, "door", printer) as link:
            streams = [Listener(link) for _ in range(5)]
            for stream in streams:
                await stream.until(lambda e: e.name == "hello")
            began = time.monotonic()
            await hall.feed.close()
            for stream in streams:
                await stream.ended()
            assert time.monotonic() - began < 1


async def test_many_terminals_ask_at_once(hall, tmp_path):
    """Ten terminals' worth of simultaneous requests of one person all get the same list."""
    printer = await hall.office.buy_printer("p1")
    await hall.office.parts.printers.ask(printer)  # else the first list makes it asked, and its state is news
    anna = await hall.hire("anna", pin="1001")
    for _ in range(5):
        await hall.office.read(await hall.office.submit(anna, 1))
    async with hall.terminal(tmp_path, "door", printer) as link:
        token = await _signed_in(link)
        lists = await asyncio.gather(*(link.get("/jobs", session=token) for _ in range(10)))
        assert all(one == lists[0] for one in lists)
        assert len(lists[0]["items"]) == 5


def test_small_answers_are_not_held_back():
    """Listening sockets say TCP by number: only then does asyncio turn Nagle's delay off (40 ms a request otherwise)."""
    (one,) = listen_tcp(["127.0.0.1"], 0)
    try:
        assert one.proto == socket.IPPROTO_TCP
    finally:
        one.close()


async def test_a_password_raises_a_cards_session(hall, tmp_path):
    """Wrong: refused and counted, the card's session goes on. Right: a full one takes its place. For no other session."""
    printer = await hall.office.buy_printer("p1")
    anna = await hall.hire("anna", pin="1001")
    await hall.add_card(anna, "04A224B1C2D380")
    async with hall.terminal(tmp_path, "door", printer, policy="card") as link:
        card = await link.post("/session", {"reader": "desk", "raw": "04A224B1C2D380"})
        assert (card["method"], card["may"]["titles"], card["may"]["prefer"]) == ("card", False, False)
        await _refused(link.post("/step-up", {"password": "no"}, session=card["session"]), "sign-in-failed", 401)
        assert (await link.get("/jobs", session=card["session"]))["items"] == []
        full = await link.post("/step-up", {"password": PASSWORD}, session=card["session"])
        assert (full["method"], full["may"]["titles"]) == ("card+password", True)
        assert full["prefers"] == {"release_on_tap": False}
        await _refused(link.get("/jobs", session=card["session"]), "session-ended", 401)
        pin = await link.post("/session", {"pin": "1001", "password": PASSWORD})
        await _refused(link.post("/step-up", {"password": PASSWORD}, session=pin["session"]), "bad-input", 400)
