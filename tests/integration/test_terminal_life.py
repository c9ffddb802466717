"""A terminal's life over real TLS: forged and replayed messages, keys replaced and revoked, commands, hours, outages."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import time

import httpx
import pytest

from daemon.auth.forgeries import REFUSALS_MAX
from daemon.auth.outages import Graces
from daemon.auth.terminals import Binding, Change
from daemon.db.unit import Unit
from daemon.kernel.clock import US_PER_S
from daemon.kernel.events import Event
from daemon.web.terminal.routes import create_terminal_api
from daemon.wire import signing
from daemon.wire.messages import BODY_BYTES_MAX, COMMAND_ANSWER_BYTES_MAX
from daemon.workflows.terminal_watch import SETTLE_US, TerminalWatch
from kiosk.enrolment import enrol
from kiosk.link import DaemonRefused
from tests.helpers.counter_hall import PASSWORD, Listener, counter_hall
from tests.helpers.office import office

READER = {"name": "desk", "kind": "pcsc", "state": "ready", "code": "", "model": "ACR122U"}
SESSION = {"pin": "1001", "password": PASSWORD}


@pytest.fixture
async def hall(tmp_path):
    """An office with one printer, `p1`."""
    async with office(tmp_path) as opened, counter_hall(opened) as made:
        made.printer = await opened.register("p1", "ipp://127.0.0.1:9/")
        yield made


async def refused(call, code, status):
    """The error a call is refused with."""
    with pytest.raises(DaemonRefused) as refusal:
        await call
    assert (refusal.value.code, refusal.value.data["status"]) == (code, status)
    return refusal.value.data["error"]


async def audited(hall, action):
    """How often an action stands in the audit."""
    row = await hall.parts.db.read_one("SELECT count(*) AS n FROM audit WHERE action=:a", a=action)
    return row["n"]


async def happened(hall, topic):
    """Subjects of a topic's events, in order."""
    return [
        row["subject"]
        for row in await hall.parts.db.read("SELECT subject FROM event WHERE topic=:t ORDER BY seq", t=topic)
    ]


def envelope(link, method, path, body=b"", *, key=None, counter=None, skew_us=0):
    """Headers of a request as the terminal would sign it, or as somebody without its key would like to."""
    target = "/terminal/v1" + path
    at = link._clock.now_us() + skew_us
    number = link._counter.next() if counter is None else counter
    text = signing.signing_input(method=method, target=target, body=body, time_us=at, counter=number)
    return {
        signing.HEADER_TERMINAL: link._terminal_id,
        signing.HEADER_TIME: str(at),
        signing.HEADER_COUNTER: str(number),
        signing.HEADER_SIGNATURE: base64.b64encode((key or link._key).sign(text)).decode(),
    }


# ----- forged, replayed, stale, out of order, too large -----
async def test_forged_messages_are_refused_by_name_and_counted(hall, tmp_path):
    """Each kind of forgery has its code and its count; none of them does anything, and the true terminal goes on."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    await hall.hire("anna", pin="1001")
    body = json.dumps(SESSION).encode()
    stranger = Ed25519PrivateKey.generate()
    async with hall.terminal(tmp_path, "door", hall.printer) as link, httpx.AsyncClient(verify=False) as client:
        spent = envelope(link, "POST", "/session", body)
        assert (await client.post(hall.url + "/terminal/v1/session", content=body, headers=spent)).status_code == 200
        base = int(spent[signing.HEADER_COUNTER])
        late = [envelope(link, "POST", "/session", body) for _ in range(3)]
        for _ in range(signing.WINDOW_BITS + 5):
            await link.post("/heartbeat", {})
        good = envelope(link, "POST", "/session", body)
        table = [
            ("nothing signed", body, {}, "terminal-unknown", "unsigned"),
            ("no signature", body, good | {signing.HEADER_SIGNATURE: ""}, "terminal-unknown", "unsigned"),
            ("another's name", body, good | {signing.HEADER_TERMINAL: "x" * 26}, "terminal-unknown", "unknown"),
            ("a stranger's key", body, envelope(link, "POST", "/session", body, key=stranger), "terminal-unknown", "signature"),
            ("another body", body + b" ", good, "terminal-unknown", "signature"),
            ("no body", b"", good, "terminal-unknown", "signature"),
            ("another path", body, envelope(link, "POST", "/release", body), "terminal-unknown", "signature"),
            ("another method", body, envelope(link, "GET", "/session", body), "terminal-unknown", "signature"),
            ("another time", body, good | {signing.HEADER_TIME: str(int(good[signing.HEADER_TIME]) + 1)}, "terminal-unknown", "signature"),
            ("a higher counter", body, good | {signing.HEADER_COUNTER: str(base + 9000)}, "terminal-unknown", "signature"),
            ("rubbish numbers", body, good | {signing.HEADER_COUNTER: "1e9", signing.HEADER_TIME: "-1"}, "terminal-unknown", "signature"),
            ("rubbish signature", body, good | {signing.HEADER_SIGNATURE: "%" * 4000}, "terminal-unknown", "signature"),
            ("sent again", body, spent, "replayed", "replayed"),
            ("overtaken by too many", body, late[0], "replayed", "replayed"),
            ("counter nought", body, envelope(link, "POST", "/session", body, counter=0), "replayed", "replayed"),
            ("kept for an hour", body, envelope(link, "POST", "/session", body, skew_us=-3600 * US_PER_S), "clock-skew", "clock-skew"),
            ("from the future", body, envelope(link, "POST", "/session", body, skew_us=3600 * US_PER_S), "clock-skew", "clock-skew"),
        ]  # fmt: skip
        for what, content, headers, code, reason in table:
            before = hall.parts.terminals.refusals.get(reason, 0)
            answer = await client.post(hall.url + "/terminal/v1/session", content=content, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, code), what
            assert "session" not in answer.json(), what
            assert hall.parts.terminals.refusals[reason] == before + 1, what
        large = b" " * (BODY_BYTES_MAX + 1)
        answer = await client.post(
            hall.url + "/terminal/v1/session", content=large, headers=envelope(link, "POST", "/session", large)
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body-too-large")
        assert hall.parts.terminals.refusals["too-large"] == 1
        assert (await client.post(hall.url + "/terminal/v1/session", content=body, headers=good)).status_code == 200
        sessions = await hall.parts.db.read_one("SELECT count(*) AS n FROM session")
        assert sessions["n"] == 2


async def test_every_route_but_enrolling_wants_a_signature(hall):
    """Read from the application itself, so that a new route cannot be forgotten."""
    routes = [route for route in create_terminal_api(hall.services).routes if not route.path.endswith("/enrol")]
    assert len(routes) > 15
    async with httpx.AsyncClient(verify=False) as client:
        for route in routes:
            (method,) = set(route.methods) - {"HEAD"}
            answer = await client.request(method, hall.url + route.path.replace("{job_id}", "x"), content=b"{}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "terminal-unknown"), route.path
            assert answer.headers["cache-control"] == "no-store"


async def test_garbled_heads_are_strangers_never_a_crash(hall, tmp_path):
    """Two hundred requests with heads made of anything: 400 or 401, never 500, and nothing written."""
    pieces = [
        "", "0", "-1", "1e3", "9" * 19, "9" * 400, "\xb2", "\xe9\xff", "AAAA", "=" * 88, "A" * 88, "%00", "null", "'; --", "[]",
    ]  # fmt: skip
    draw = random.Random(20_261_122)
    async with hall.terminal(tmp_path, "door", hall.printer) as link, httpx.AsyncClient(verify=False) as client:
        for _ in range(200):
            good = envelope(link, "POST", "/heartbeat")
            for name in draw.sample(sorted(good), draw.randint(1, 4)):
                good[name] = draw.choice(pieces)
            query = draw.choice(["", "?a=1", "?%zz", "?\u0020"])
            raw = {name: value.encode("latin-1") for name, value in good.items()}
            answer = await client.post(hall.url + "/terminal/v1/heartbeat" + query, headers=raw)
            assert answer.status_code in (400, 401), (good, query)
        assert (await link.post("/heartbeat", {}))["name"] == "door"


async def test_a_spray_of_forgeries_is_told_once(hall, tmp_path):
    """Many forged messages in a terminal's name are one event and one audit entry, and lock nobody out."""
    await hall.hire("anna", pin="1001")
    async with hall.terminal(tmp_path, "door", hall.printer) as link, httpx.AsyncClient(verify=False) as client:
        for _ in range(2 * REFUSALS_MAX):
            headers = envelope(link, "GET", "/jobs") | {signing.HEADER_SIGNATURE: "AAAA"}
            await client.get(hall.url + "/terminal/v1/jobs", headers=headers)
        assert await happened(hall, "terminal.forged") == [link._terminal_id]
        assert await audited(hall, "terminal.forged") == 1
        assert (await link.post("/session", SESSION))["session"]


async def test_forged_cards_at_a_network_reader_are_audited_once(hall, tmp_path):
    """The terminal tells of them with its heartbeats: one line in the audit while it lasts, none while all is well."""
    async with hall.terminal(tmp_path, "door", hall.printer) as link:
        for code in ("no-client", "forged", "forged", ""):
            gate = {"name": "gate", "kind": "network", "state": "ready", "code": code, "model": ""}
            await link.post("/heartbeat", {"version": "1", "readers": [gate]})
        assert await audited(hall, "reader.forged") == 1


# ----- keys -----
async def test_enrolling_anew_replaces_the_key_and_ends_what_was_open(hall, tmp_path):
    """The old key's streams end as revoked, its requests are told so without alarm, its session is over; the new key begins at one."""
    await hall.hire("anna", pin="1001")
    async with hall.terminal(tmp_path, "door", hall.printer) as link:
        token = (await link.post("/session", SESSION))["session"]
        streams = [Listener(link), Listener(link, session=token)]
        for stream in streams:
            await stream.until(lambda e: e.name == "hello")
        (terminal,) = await hall.parts.terminals.list()
        code = await hall.parts.terminals.renew_code(terminal.public_id, actor="local:0")
        old = await hall.parts.terminals.get(terminal.public_id)
        began = time.monotonic()
        new_home = tmp_path / "new"
        await enrol(url=hall.url, code_text=code.code, directory=new_home)
        for stream in streams:
            await stream.until(lambda e: e.name == "revoked")
            await stream.ended()
        assert time.monotonic() - began < 2
        for _ in range(2 * REFUSALS_MAX):
            await refused(link.post("/heartbeat", {}), "revoked", 401)
        assert await happened(hall, "terminal.forged") == []
        assert await hall.parts.db.read("SELECT 1 FROM session WHERE ended_at_us IS NULL") == []
        unit = Unit()  # a request of the old key that was still under way writes its counter late
        hall.parts.terminal_store.seen(
            unit, terminal_id=old.id, public_key=old.public_key, counter=10**9, at_us=hall.parts.clock.now_us()
        )
        with pytest.raises(Exception, match="revoked"):
            await hall.parts.db.commit(unit)
        from kiosk import identity
        from kiosk.link import DaemonLink

        config = identity.load(new_home / identity.CONFIG_NAME)
        async with DaemonLink(
            url=config.daemon_url, ca_pem=config.ca_pem, terminal_id=config.terminal_id,
            key=identity.load_key(config.key_file), counter=identity.Counter(new_home / "counter"), clock=hall.parts.clock,
        ) as fresh:  # fmt: skip
            assert config.terminal_id == terminal.public_id
            assert (await fresh.post("/session", SESSION))["session"]


async def test_codes_are_typed_once(hall, tmp_path):
    """Wrong, used, too old, or of a terminal revoked meanwhile: refused alike, the terminal stays as it was."""
    new = await hall.new_terminal("door", hall.printer)
    wrong = signing.EnrolCode(signing.parse_code(new.code).locator, "0" * 8).text
    cases = [("wrong", wrong), ("the right one after a wrong one", new.code)]
    again = await hall.parts.terminals.renew_code(new.terminal.public_id, actor="local:0")
    cases.append(("the one before a new one", new.code))
    unit = Unit()
    unit.add("UPDATE terminal_code SET expires_at_us=:past", past=hall.parts.clock.now_us() - 1)
    await hall.parts.db.commit(unit)
    cases.append(("too old", again.code))
    last = await hall.parts.terminals.renew_code(new.terminal.public_id, actor="local:0")
    await hall.parts.terminals.revoke(new.terminal.public_id, actor="local:0")
    cases.append(("revoked", last.code))
    for what, text in cases:
        with pytest.raises(Exception) as failed:
            await enrol(url=hall.url, code_text=text, directory=tmp_path / "k")
        assert failed.value.code == "enrolment-failed", what
        assert not (tmp_path / "k").exists()


async def test_a_whole_floor_enrols_within_a_minute(hall, tmp_path):
    """Only tries that fail count against the house's ten a minute: twelve terminals are enrolled one after the other."""
    for n in range(12):
        new = await hall.new_terminal(f"t{n}", hall.printer)
        await enrol(url=hall.url, code_text=new.code, directory=tmp_path / f"k{n}")
    assert sum(one.enrolled_at_us is not None for one in await hall.parts.terminals.list()) == 12


async def test_the_same_device_enrols_again(hall, tmp_path):
    """`--again` gives it another key in its own home; without it the home is left alone."""
    new = await hall.new_terminal("door", hall.printer)
    home = tmp_path / "kiosk"
    await enrol(url=hall.url, code_text=new.code, directory=home, reader="simulated")
    before = (home / "terminal.key").read_bytes()
    again = await hall.parts.terminals.renew_code(new.terminal.public_id, actor="local:0")
    with pytest.raises(Exception, match="--again"):
        await enrol(url=hall.url, code_text=again.code, directory=home)
    await enrol(url=hall.url, code_text=again.code, directory=home, is_again=True)
    assert (home / "terminal.key").read_bytes() != before
    config = (home / "kiosk.toml").read_text()
    assert new.terminal.public_id in config
    assert 'kind = "simulated"' in config


async def test_revoked_in_the_middle_of_a_request(hall, tmp_path):
    """A sign-in that is being checked while its terminal is revoked is answered `revoked` and opens nothing."""
    await hall.hire("anna", pin="1001")
    async with hall.terminal(tmp_path, "door", hall.printer) as link:
        stream = Listener(link)
        await stream.until(lambda e: e.name == "hello")
        passwords = hall.parts.passwords
        checked, go = asyncio.Event(), asyncio.Event()
        verify = passwords.verify

        async def slowly(*args):
            checked.set()
            await go.wait()
            return await verify(*args)

        passwords.verify = slowly
        try:
            signing_in = asyncio.create_task(link.post("/session", SESSION))
            await checked.wait()
            (terminal,) = await hall.parts.terminals.list()
            await hall.parts.terminals.revoke(terminal.public_id, actor="test")
            go.set()
            await refused(signing_in, "revoked", 401)
        finally:
            passwords.verify = verify
        await stream.until(lambda e: e.name == "revoked", timeout_s=2)
        assert await hall.parts.db.read("SELECT 1 FROM session WHERE ended_at_us IS NULL") == []
        await refused(link.get("/jobs"), "revoked", 401)
        assert hall.parts.terminals.refusals["revoked"] >= 1


async def test_a_release_under_way_at_a_revoked_terminal_prints_nothing(hall, tmp_path):
    """Revoked between the look at the printer and the promise: refused as a whole, nothing reserved, nothing printed."""
    printer = await hall.office.buy_printer("p2")
    anna = await hall.hire("anna", pin="1001")
    job = await hall.office.read(await hall.office.submit(anna, 1))
    async with hall.terminal(tmp_path, "door", printer) as link:
        token = (await link.post("/session", SESSION))["session"]
        fresh, terminals = hall.parts.printers.fresh, hall.parts.terminals
        (terminal,) = await terminals.list()

        async def meanwhile(printer_id):
            await terminals.revoke(terminal.public_id, actor="test")
            return await fresh(printer_id)

        release = hall.office.verbs.release
        before = await hall.office.balance(anna)
        release._printers = _Instead(hall.parts.printers, fresh=meanwhile)
        await refused(link.post("/release", {"job_ids": [job.public_id], "key": "k1"}, session=token), "revoked", 401)
        assert (await hall.office.balance(anna), await hall.office.reserved(anna)) == (before, 0)
        assert (await hall.office.verbs.jobs.by_public(job.public_id)).is_held


class _Instead:
    """An object with one method exchanged."""

    def __init__(self, real, **methods):
        self._real = real
        self.__dict__.update(methods)

    def __getattr__(self, name):
        return getattr(self._real, name)


# ----- commands -----
async def test_commands_are_pushed_repeated_and_answered_once(hall, tmp_path):
    """Within 100 ms on the terminal's own stream, again after a reconnect, until one answer; nobody else's answer counts."""
    await hall.hire("anna", pin="1001")
    commands = hall.parts.terminal_care.commands
    async with (
        hall.terminal(tmp_path, "door", hall.printer) as link,
        hall.terminal(tmp_path, "other", hall.printer) as other,
    ):
        token = (await link.post("/session", SESSION))["session"]
        terminals = {one.name: one for one in await hall.parts.terminals.list()}
        own, personal, others = Listener(link), Listener(link, session=token), Listener(other)
        for stream in (own, personal, others):
            await stream.until(lambda e: e.name == "hello")
        waits = []
        asked = []
        for kind in ("identify", "log", "restart", "identify", "log"):
            asked.append(await commands.ask(terminals["door"], kind, actor="local:0"))
            began = time.perf_counter()
            await own.until(lambda e, i=asked[-1].public_id: e.name == "command" and i in e.data)
            waits.append(time.perf_counter() - began)
        assert sorted(waits)[2] < 0.1
        assert "command" not in {e.name for stream in (personal, others) for e in stream.events}
        await own.stop()
        again = Listener(link)
        await again.until(lambda e: e.name == "command" and asked[-1].public_id in e.data)
        told = [json.loads(e.data)["command_id"] for e in again.events if e.name == "command"]
        assert told == [one.public_id for one in asked]
        text = "x" * COMMAND_ANSWER_BYTES_MAX
        answer = {"command_id": asked[1].public_id, "answer": text}
        await refused(other.post("/command", answer), "command-not-found", 404)
        await refused(link.post("/command", answer | {"answer": text + "x"}), "bad-input", 400)
        await refused(
            link.post("/command", answer | {"answer": "é" * (COMMAND_ANSWER_BYTES_MAX - 1)}), "command-refused", 422
        )
        await link.post("/command", answer)
        await refused(link.post("/command", answer | {"answer": "other"}), "command-over", 409)
        found = await commands.get(terminals["door"], asked[1].public_id)
        assert (found.state(hall.parts.clock.now_us()), found.answer) == ("answered", text)
        unit = Unit()
        unit.add("UPDATE terminal_command SET expires_at_us=:now", now=hall.parts.clock.now_us())
        await hall.parts.db.commit(unit)
        await refused(link.post("/command", {"command_id": asked[0].public_id, "answer": "late"}), "command-over", 409)
        await again.stop()
        fresh = Listener(link)
        await fresh.until(lambda e: e.name == "hello")
        await asyncio.sleep(0.1)
        assert "command" not in {e.name for e in fresh.events}
        assert await audited(hall, "terminal.commanded") == 5


async def test_commands_have_their_limits_and_their_end(hall, tmp_path):
    """Nothing for terminals without a key, eight at most, and after a month the answers are gone."""
    commands = hall.parts.terminal_care.commands
    new = await hall.new_terminal("empty", hall.printer)
    with pytest.raises(Exception, match="not enrolled"):
        await commands.ask(new.terminal, "log", actor="local:0")
    async with hall.terminal(tmp_path, "door", hall.printer):
        door = next(one for one in await hall.parts.terminals.list() if one.name == "door")
        with pytest.raises(Exception, match="no command 'reboot'"):
            await commands.ask(door, "reboot", actor="local:0")
        for _ in range(8):
            await commands.ask(door, "identify", actor="local:0")
        with pytest.raises(Exception, match="wait for this terminal already"):
            await commands.ask(door, "identify", actor="local:0")
        unit = Unit()
        unit.add("UPDATE terminal_command SET asked_at_us=asked_at_us-:month WHERE id<=4", month=32 * 86_400 * US_PER_S)
        await hall.parts.db.commit(unit)
        await commands.prune()
        assert len(await commands.latest(door)) == 4


# ----- what a terminal says, and what it is told -----
async def test_a_heartbeat_tells_and_learns(hall, tmp_path):
    """Version, readers and screen are kept, written only when they change; policy, hours and readers of printers come back."""
    second = await hall.office.register("p2", "ipp://127.0.0.1:10/")
    desk = hall.desk
    async with hall.terminal(tmp_path, "door", hall.printer, policy="site") as link:
        (door,) = await hall.parts.terminals.list()
        await hall.parts.terminals.change(
            door.public_id,
            Change(printers=[Binding("p1", "left"), Binding(second.public_id, "right")]),
            actor="local:0",
        )
        body = {"version": "7.1", "readers": [READER], "screen": {"width": 800, "height": 480, "dpi": 133}}
        beat = await link.post("/heartbeat", body)
        assert (beat["policy"], beat["open"], beat["opens_at"], beat["notice"]) == ("daily", True, None, "")
        assert beat["enrolment"] == {"link": True, "mailed_code": False}
        assert [(one["name"], one["reader"]) for one in beat["printers"]] == [("p1", "left"), ("p2", "right")]
        for _ in range(5):
            await link.post("/heartbeat", body)
        assert await happened(hall, "terminal.reported") == [door.public_id]
        shown = await desk.show("door")
        assert (shown["version"], shown["presence"], shown["screen"]["dpi"]) == ("7.1", "online", 133)
        assert [(one["name"], one["state"], one["model"]) for one in shown["readers"]] == [("desk", "ready", "ACR122U")]
        await link.post("/heartbeat", body | {"readers": [READER | {"state": "away", "code": "unplugged"}]})
        assert (await desk.show("door"))["readers"][0]["code"] == "unplugged"
        assert len(await happened(hall, "terminal.reported")) == 2
        for odd in ({}, {"readers": ["simulated"]}, {"version": 5, "readers": {}, "screen": []}):
            assert (await link.post("/heartbeat", odd))["name"] == "door"


async def test_a_change_is_told_to_the_terminal_at_once(hall, tmp_path):
    """New policy or printers: its stream says so, and from then on tells of the new printers only."""
    second = await hall.office.register("p2", "ipp://127.0.0.1:10/")
    async with hall.terminal(tmp_path, "door", hall.printer) as link:
        (door,) = await hall.parts.terminals.list()
        stream = Listener(link)
        await stream.until(lambda e: e.name == "hello")
        await hall.parts.terminals.change(
            door.public_id, Change(policy="none", printers=[Binding("p2", "right")]), actor="local:0"
        )
        await stream.until(lambda e: e.name == "heartbeat", timeout_s=1)
        assert (await link.post("/heartbeat", {}))["policy"] == "none"
        for printer in (hall.printer, second):
            unit = Unit()
            unit.event(Event("printer.changed", printer.public_id), hall.parts.clock.now_us())
            await hall.parts.db.commit(unit)
        told = await stream.until(lambda e: e.name == "printer")
        assert json.loads(told.data)["printer_id"] == second.public_id
        assert json.loads(told.data)["reader"] == "right"
        await stream.stop()
        assert await audited(hall, "terminal.changed") == 1


async def test_nothing_is_missed_between_heartbeat_and_stream(hall, tmp_path):
    """A stream opened behind a heartbeat tells what changed since; one opened from now on does not."""
    async with hall.terminal(tmp_path, "door", hall.printer) as link:
        (door,) = await hall.parts.terminals.list()
        beat = await link.post("/heartbeat", {})
        await hall.parts.terminals.change(door.public_id, Change(policy="none"), actor="local:0")
        resumed, fresh = Listener(link, last_event_id=beat["event_id"]), Listener(link)
        await resumed.until(lambda e: e.name == "heartbeat", timeout_s=2)
        await fresh.until(lambda e: e.name == "hello")
        await asyncio.sleep(0.1)
        assert "heartbeat" not in {e.name for e in fresh.events}
        for stream in (resumed, fresh):
            await stream.stop()


async def test_a_closed_terminal_lets_nobody_in_and_lets_those_inside_finish(hall, tmp_path):
    """Sign-in by PIN or card is `terminal-closed` with the time it opens; a session from before goes on."""
    printer = await hall.office.buy_printer("p2")
    anna = await hall.hire("anna", pin="1001")
    job = await hall.office.read(await hall.office.submit(anna, 1))
    async with hall.terminal(tmp_path, "door", printer) as link:
        token = (await link.post("/session", SESSION))["session"]
        (door,) = await hall.parts.terminals.list()
        now = time.gmtime(time.time() + 2 * 86_400)
        day = time.strftime("%Y-%m-%d", now)
        await hall.parts.terminals.change(door.public_id, Change(opening_hours=f"{day} 10:00-11:00"), actor="local:0")
        for body in (SESSION, {"pin": "9", "password": "x"}, {"reader": "desk", "raw": "04A1B2"}):
            error = await refused(link.post("/session", body), "terminal-closed", 403)
            assert error["opens_at"].startswith(day)
        beat = await link.post("/heartbeat", {})
        assert (beat["open"], beat["opens_at"][:10]) == (False, day)
        assert hall.parts.sign_in.failures_total.total() == 0
        await link.post("/release", {"job_ids": [job.public_id], "key": "k1"}, session=token)
        assert (await hall.office.finished(job)).state == "completed"
        await hall.parts.terminals.change(door.public_id, Change(opening_hours=""), actor="local:0")
        assert (await link.post("/session", SESSION))["session"]


# ----- who is away -----
async def test_away_and_back_are_told_once_and_kept(hall, tmp_path):
    """Silence beyond the grace, a reader missing: events, rows, and marks in the list; back again they are over."""
    care = hall.parts.terminal_care
    async with hall.terminal(tmp_path, "door", hall.printer) as link:
        (door,) = await hall.parts.terminals.list()
        clock = _Ahead(hall.parts.clock)
        watch = TerminalWatch(
            hall.parts.db, care.outages, terminals=hall.parts.terminals, hours=care.hours, clock=clock, graces=Graces()
        )
        clock.ahead_us = SETTLE_US
        away = READER | {"state": "away", "code": "unplugged"}
        await link.post("/heartbeat", {"readers": [away]})
        await watch.look()
        assert await happened(hall, "reader.away") == []
        clock.ahead_us = SETTLE_US + 31 * US_PER_S
        hall.parts.terminals._recognition._heard_us[door.id] = clock.now_us()
        for _ in range(3):
            await watch.look()
        assert await happened(hall, "reader.away") == [f"{door.public_id}:desk"]
        shown = await hall.desk.show("door")
        assert [(one["kind"], one["reader"], one["code"]) for one in shown["problems"]] == [
            ("reader-away", "desk", "unplugged")
        ]
        await link.post("/heartbeat", {"readers": [READER]})
        hall.parts.terminals._recognition._heard_us[door.id] = clock.now_us()
        await watch.look()
        assert await happened(hall, "reader.back") == [f"{door.public_id}:desk"]
        clock.ahead_us += 120 * US_PER_S
        for _ in range(3):
            await watch.look()
        assert await happened(hall, "terminal.away") == [door.public_id]
        (item,) = await hall.desk.list()
        assert item["problems"][0]["kind"] == "terminal-away"
        clock.ahead_us = 0
        await link.post("/heartbeat", {})
        await watch.look()
        assert await happened(hall, "terminal.back") == [door.public_id]
        assert (await hall.desk.show("door"))["problems"] == []
        await _outages_end(hall, door, watch, clock)


async def _outages_end(hall, door, watch, clock):
    """What is over is kept for a year; a terminal that is revoked misses nothing any more, and nobody is told."""
    kept = await hall.desk.outages("door")
    assert [(one["kind"], one["until"] is not None) for one in kept] == [
        ("terminal-away", True),
        ("reader-away", True),
    ]
    unit = Unit()
    unit.add("UPDATE terminal_outage SET ended_at_us=ended_at_us-:year WHERE reader=''", year=367 * 86_400 * US_PER_S)
    await hall.parts.db.commit(unit)
    await watch.prune()
    assert [one["kind"] for one in await hall.desk.outages("door")] == ["reader-away"]
    clock.ahead_us += 300 * US_PER_S
    await watch.look()
    await hall.parts.terminals.revoke(door.public_id, actor="local:0")
    before = len(await happened(hall, "terminal.back"))
    await watch.look()
    assert all(one["until"] for one in await hall.desk.outages(door.public_id))
    assert len(await happened(hall, "terminal.back")) == before


class _Ahead:
    """The real clock, moved ahead."""

    def __init__(self, clock):
        self._clock = clock
        self.ahead_us = 0

    def now_us(self):
        return self._clock.now_us() + self.ahead_us

    def monotonic_s(self):
        return self._clock.monotonic_s()


# ----- many -----
async def test_a_printers_change_reaches_fifty_terminals_with_one_read(hall, tmp_path):
    """Fifty streams hear of it within 100 ms of the commit (median of twenty), and the printer is read once per change."""
    async with hall.terminal(tmp_path, "door", hall.printer) as link:
        link._client._transport._pool._max_connections = 100
        streams = [Listener(link) for _ in range(50)]
        for stream in streams:
            await stream.until(lambda e: e.name == "hello")
        waits = []
        before = hall.services.printer_news.reads_total
        for n in range(1, 21):
            unit = Unit()
            unit.event(Event("printer.changed", hall.printer.public_id), hall.parts.clock.now_us())
            began = time.perf_counter()
            await hall.parts.db.commit(unit)
            for stream in streams:
                await stream.until(lambda e, s=stream, n=n: sum(x.name == "printer" for x in s.events) >= n)
            waits.append(time.perf_counter() - began)
        assert hall.services.printer_news.reads_total - before == 20
        assert sorted(waits)[10] < 0.1
        for stream in streams:
            await stream.stop()
