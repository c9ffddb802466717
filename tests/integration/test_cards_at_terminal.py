"""Cards at a terminal over its real API: linked by their owner, completed by a mailed code, limited, lost, re-keyed."""

import asyncio
import json
from urllib.parse import quote

import pytest

from daemon.auth import permissions
from daemon.auth.keys import KeyRing
from daemon.db.unit import Unit
from daemon.workflows.card_enrolment import CardDraft
from kiosk.link import DaemonRefused
from tests.helpers.counter_hall import PASSWORD, Listener, counter_hall
from tests.helpers.office import office

CARD, OTHER, THIRD, FOURTH = "04A224B1C2D380", "04A224B1C2D381", "04A224B1C2D382", "04A224B1C2D383"
ADMIN = permissions.actor("local:0", [("admin", "*")])


@pytest.fixture
async def hall(tmp_path):
    async with office(tmp_path) as opened, counter_hall(opened) as made:
        yield made


async def _refused(call, code, status):
    with pytest.raises(DaemonRefused) as refusal:
        await call
    assert (refusal.value.code, refusal.value.data["status"]) == (code, status)
    return refusal.value.data["error"]


async def _pin(link, pin="1001"):
    return (await link.post("/session", {"pin": pin, "password": PASSWORD}))["session"]


async def _unknown(link, raw=CARD):
    """The ticket a tap of an unknown card brings."""
    error = await _refused(link.post("/session", {"reader": "desk", "raw": raw}), "sign-in-failed", 401)
    return error["link"]


async def _mails(hall, kind):
    rows = await hall.parts.db.read("SELECT recipient FROM mail WHERE kind=:kind ORDER BY id", kind=kind)
    return [row["recipient"] for row in rows]


async def _audited(hall, action):
    return [row["actor"] for row in await hall.parts.db.read("SELECT actor FROM audit WHERE action=:a", a=action)]


async def test_an_unknown_card_is_linked_by_whoever_signs_in_and_opens_from_then_on(hall, tmp_path):
    """Tap, PIN and password, link: mailed, audited, one of three; asked twice the same; at most three."""
    printer = await hall.office.buy_printer("p1")
    anna = await hall.hire("anna", pin="1001", email="anna@example.org")
    async with hall.terminal(tmp_path, "door", printer, policy="site") as link:
        ticket = await _unknown(link)
        assert CARD not in ticket
        token = await _pin(link)
        body = {"ticket": ticket, "label": "blue fob"}
        linked = await link.post("/link", body, session=token)
        assert (linked["label"], linked["cards"], linked["cards_max"]) == ("blue fob", 1, 3)
        assert await link.post("/link", body, session=token) == linked
        assert await _mails(hall, "card-added") == ["anna@example.org"]
        assert await _audited(hall, "card.added") == [f"user:{anna.public_id}"]
        asked = await link.post("/session", {"reader": "desk", "raw": "04:A2:24:B1:C2:D3:80"})
        assert asked["password_needed"] is True
        opened = await link.post("/session", {"ticket": asked["ticket"], "password": PASSWORD})
        assert (opened["method"], opened["may"]["link"]) == ("card+password", True)
        again = await link.post("/session", {"reader": "desk", "raw": CARD})
        assert (again["method"], again["may"]["link"], again["may"]["titles"]) == ("card", False, False)
        for raw in (OTHER, THIRD, FOURTH):
            ticket = await _unknown(link, raw)
            token = await _pin(link)
            call = link.post("/link", {"ticket": ticket}, session=token)
            if raw == FOURTH:
                assert (await _refused(call, "card-limit-reached", 422))["cards_max"] == 3
            else:
                await call
        await _refused(link.post("/link", {"ticket": "none of ours"}, session=token), "card-link-expired", 410)
        labels = [card["label"] for card in (await _shown(hall, "anna"))]
        assert labels == ["blue fob", "", ""]


async def _shown(hall, user):
    return [hall.parts.cards.desk.shape(card) for card in await hall.parts.cards.desk.page(user=user)]


async def test_one_card_linked_by_two_at_the_same_instant_is_one_persons(hall, tmp_path):
    """Both hold a good ticket; one gets it, the other hears that it is taken, without a name."""
    printer = await hall.office.buy_printer("p1")
    await hall.hire("anna", pin="1001")
    await hall.hire("bert", pin="1002")
    async with (
        hall.terminal(tmp_path, "a", printer, policy="site") as one,
        hall.terminal(tmp_path, "b", printer, policy="site") as two,
    ):
        for raw in (CARD, OTHER, THIRD):
            tickets = [await _unknown(one, raw), await _unknown(two, raw)]
            tokens = [await _pin(one, "1001"), await _pin(two, "1002")]
            calls = [
                link.post("/link", {"ticket": ticket}, session=token)
                for link, ticket, token in zip((one, two), tickets, tokens, strict=True)
            ]
            results = await asyncio.gather(*calls, return_exceptions=True)
            lost = [result for result in results if isinstance(result, DaemonRefused)]
            assert [result.code for result in lost] == ["card-taken"]
            assert "anna" not in str(lost[0].data)
            assert "bert" not in str(lost[0].data)
        await _refused(two.post("/link", {"ticket": tickets[0]}, session=tokens[1]), "card-link-expired", 410)
    assert len(await hall.parts.cards.desk.page()) == 3


async def test_a_card_alone_prints_within_its_limits_and_changes_nothing_else(tmp_path):
    """Release, delete, downgrade, at the terminal's own printers, up to the cap; everything else asks for the password."""
    config = '[kiosk]\ncard_cost_cap = "5"\n'
    async with office(tmp_path, config=config) as opened, counter_hall(opened) as hall:
        printer, far = await opened.buy_printer("p1"), await opened.buy_printer("p2")
        anna = await hall.hire("anna", pin="1001")
        await hall.add_card(anna, CARD)
        small, big = await opened.submit(anna, 2, title="Letter"), await opened.submit(anna, 6)
        for job in (small, big):
            await opened.read(job)
        async with hall.terminal(tmp_path, "door", printer, policy="card") as link:
            answer = await link.post("/session", {"reader": "desk", "raw": CARD})
            token = answer["session"]
            assert answer["cost_cap"] == {"unit": "pages", "amount": 5, "scale": 0}
            listed = {item["job_id"]: item for item in (await link.get("/jobs", session=token))["items"]}
            assert listed[small.public_id]["title"] != "Letter"
            assert listed[small.public_id]["may"]["two_sided"] is True
            over = {"job_ids": [big.public_id], "key": "k1"}
            assert (await _refused(link.post("/release", over, session=token), "cost-cap", 403))["charged"] is False
            away = {"job_ids": [small.public_id], "key": "k2", "printer_id": far.public_id}
            for call in (
                link.post("/release", away, session=token),
                link.post("/quote", {"job_ids": [small.public_id], "printer_id": far.public_id}, session=token),
                link.get(f"/jobs?printer_id={quote(far.public_id)}", session=token),
                link.post("/claim", {"code": "123456"}, session=token),
                link.post("/preferences", {"release_on_tap": True}, session=token),
                link.post("/link", {"ticket": "x" * 40}, session=token),
                link.get_bytes(f"/preview/{small.public_id}", session=token),
            ):
                await _refused(call, "step-up-needed", 403)
            change = {small.public_id: {"sides": "two-sided-long-edge"}}
            done = await link.post(
                "/release", {"job_ids": [small.public_id], "key": "k3", "changes": change}, session=token
            )
            assert done["total"]["amount"] == 2
            await link.post("/delete", {"job_ids": [big.public_id]}, session=token)
            assert (await opened.finished(small)).state == "completed"


async def test_titles_and_printing_on_tap_are_the_sites_and_the_persons_to_say(tmp_path):
    """The site's setting holds until somebody wishes otherwise; only taps print by themselves."""
    config = "[cards]\nshow_titles = true\nrelease_on_tap = true\n"
    async with office(tmp_path, config=config) as opened, counter_hall(opened) as hall:
        printer = await opened.buy_printer("p1")
        anna = await hall.hire("anna", pin="1001")
        await hall.add_card(anna, CARD)
        await opened.read(await opened.submit(anna, 1, title="Letter"))
        tap = {"reader": "desk", "raw": CARD}
        async with hall.terminal(tmp_path, "door", printer, policy="card") as link:
            answer = await link.post("/session", tap)
            assert (answer["release_on_tap"], answer["may"]["titles"]) == (True, True)
            (item,) = (await link.get("/jobs", session=answer["session"]))["items"]
            assert item["title"] == "Letter"
            token = await _pin(link)
            assert await link.post("/preferences", {"release_on_tap": False}, session=token) == {
                "release_on_tap": False
            }
            await _refused(link.post("/preferences", {"release_on_tap": "yes"}, session=token), "bad-input", 400)
            assert (await link.post("/session", tap))["release_on_tap"] is False
            person = await hall.parts.people.find("anna")
            await hall.parts.people.wish(person, release_on_tap=None, actor="local:0")
            assert (await link.post("/session", tap))["release_on_tap"] is True
            assert (await link.post("/session", {"pin": "1001", "password": PASSWORD}))["release_on_tap"] is False


async def test_a_lost_card_is_out_at_once_everywhere(hall, tmp_path):
    """Blocked while its session is open: the stream ends within two seconds, the next tap is refused, the owner hears."""
    printer = await hall.office.buy_printer("p1")
    anna = await hall.hire("anna", pin="1001", email="anna@example.org")
    card_id = await hall.add_card(anna, CARD)
    tap = {"reader": "desk", "raw": CARD}
    async with (
        hall.terminal(tmp_path, "a", printer, policy="card") as one,
        hall.terminal(tmp_path, "b", printer, policy="card") as two,
    ):
        tokens = [(await link.post("/session", tap))["session"] for link in (one, two)]
        stream = Listener(one, session=tokens[0])
        await stream.until(lambda event: event.name == "hello")
        await hall.parts.cards.desk.block(card_id, actor=ADMIN)
        await stream.until(lambda event: event.name == "session", timeout_s=2)
        for link, token in zip((one, two), tokens, strict=True):
            await _refused(link.get("/jobs", session=token), "session-ended", 401)
            assert "link" not in await _refused(link.post("/session", tap), "sign-in-failed", 401)
        assert await _mails(hall, "card-blocked") == ["anna@example.org"]
        await hall.parts.cards.desk.unblock(card_id, actor=ADMIN)
        assert (await one.post("/session", tap))["session"]
        removed = await hall.parts.cards.desk.remove(card_id, actor=ADMIN)
        assert removed.public_id == card_id
        assert await _unknown(one)
    assert [kind for kind in ("card-given", "card-unblocked", "card-removed") if await _mails(hall, kind)] == [
        "card-given", "card-unblocked", "card-removed",
    ]  # fmt: skip


async def test_an_administrator_gives_a_tapped_card_to_somebody(hall, tmp_path):
    """Tap an unknown card, name its owner at the desk: enrolled without anybody having typed or seen a number."""
    printer = await hall.office.buy_printer("p1")
    await hall.hire("anna", pin="1001")
    enrolment = hall.parts.cards.enrolment
    async with hall.terminal(tmp_path, "door", printer, policy="card") as link:
        await _unknown(link, OTHER)
        await _unknown(link)
        waiting = enrolment.strangers()
        assert [one["terminal"] for one in waiting] == ["door", "door"]
        assert CARD not in json.dumps(waiting)
        linked = await enrolment.give_stranger("anna", "door", label="fob", actor=ADMIN)
        assert linked.is_new
        assert len(enrolment.strangers()) == 1, "it has its owner: nobody else is offered it"
        answer = await link.post("/session", {"reader": "desk", "raw": CARD})
        assert answer["user"]["name"] == "anna"
        with pytest.raises(Exception, match="No unknown card"):
            await enrolment.give_stranger("anna", "elsewhere", actor=ADMIN)


async def test_a_reader_can_stand_for_a_printer_and_for_a_format(tmp_path):
    """Two readers of one terminal: each means its printer, each has its own notation, and one card is one card."""
    config = '[[cards.readers]]\nterminal = "do*"\nreader = "right"\nformat = "reversed"\n'
    formats = {
        "forward": 'pipeline = "hex"\nnamespace = "x"\n',
        "reversed": 'pipeline = "hex | rev"\nnamespace = "x"\n',
    }
    config += '[[cards.readers]]\nreader = "left"\nformat = "forward"\n'

    def write(state):
        for name, text in formats.items():
            (state / "card-formats").mkdir(exist_ok=True)
            (state / "card-formats" / f"{name}.toml").write_text(text)

    async with office(tmp_path, config=config, prepare=write) as opened, counter_hall(opened) as hall:
        left, right = await opened.buy_printer("p1"), await opened.buy_printer("p2")
        anna = await hall.hire("anna", pin="1001")
        await hall.add_card(anna, "01020304", format="forward")
        async with hall.terminal(tmp_path, "door", left, policy="card") as link:
            terminal = await hall.parts.terminals.list()
            unit = Unit()
            unit.add(
                "INSERT INTO terminal_printer(terminal_id, printer_id, reader) VALUES(:t, :p, 'right')",
                t=terminal[0].id, p=right.id,
            )  # fmt: skip
            unit.add("UPDATE terminal_printer SET reader='left' WHERE printer_id=:p", p=left.id)
            await hall.parts.db.commit(unit)
            one = await link.post("/session", {"reader": "left", "raw": "01020304"})
            two = await link.post("/session", {"reader": "right", "raw": "04030201"})
            assert (one["printer_id"], two["printer_id"]) == (left.public_id, right.public_id)
            assert one["user"] == two["user"]
            await _refused(link.post("/session", {"reader": "right", "raw": "xyz"}), "card-unreadable", 422)


async def test_a_code_by_mail_stands_in_for_the_password_once(tmp_path):
    """Allowed by the site: mailed, good once, here, for ten minutes; the session prints and links and no more."""
    config = "[cards]\nmailed_code = true\n"
    async with office(tmp_path, config=config) as opened, counter_hall(opened) as hall:
        printer = await opened.buy_printer("p1")
        await opened.hire("anna", pin="1001", email="anna@example.org")
        await opened.hire("bert", pin="1002")
        async with (
            hall.terminal(tmp_path, "a", printer, policy="site") as link,
            hall.terminal(tmp_path, "b", printer, policy="site") as other,
        ):
            ticket = await _unknown(link)
            answers = [await link.post("/code", {"pin": pin}) for pin in ("1001", "1002", "9999", "1001")]
            assert all(set(answer) == {"expires_at"} for answer in answers)
            code = await _code_in_the_only_mail(hall)
            wrong = f"{(int(code) + 1) % 10**8:08d}"
            for where, pin, text in (
                (link, "1001", wrong),
                (other, "1001", code),
                (link, "1002", code),
                (link, "9999", code),
            ):
                await _refused(where.post("/session", {"pin": pin, "code": text}), "sign-in-failed", 401)
            answer = await link.post("/session", {"pin": "1001", "code": code})
            allowed = {right for right, is_allowed in answer["may"].items() if is_allowed}
            assert (answer["method"], allowed) == ("code", {"release", "delete", "change", "titles", "link"})
            assert (await link.post("/link", {"ticket": ticket}, session=answer["session"]))["cards"] == 1
            await _refused(link.post("/claim", {"code": "1"}, session=answer["session"]), "step-up-needed", 403)
            await _refused(link.post("/session", {"pin": "1001", "code": code}), "sign-in-failed", 401)
            raw = b"".join(path.read_bytes() for path in hall.parts.db.path.parent.glob("holdfast.db*"))
            assert code.encode() not in raw


async def _code_in_the_only_mail(hall):
    from daemon.notices.mail_store import MailStore

    (mail,) = [one for one in await MailStore(hall.parts.db).due(2**60, 10) if one.kind == "sign-in-code"]
    _subject, text = hall.parts.outbox.read(mail)
    return next(word for word in text.split() if len(word) == 8 and word.isdigit())


async def test_a_code_is_tried_five_times_and_not_at_all_where_the_site_says_no(tmp_path):
    """Five wrong tries void the right one; without the setting nothing is mailed and nothing opens."""
    config = "[cards]\nmailed_code = true\n"
    async with office(tmp_path / "a", config=config) as opened, counter_hall(opened) as hall:
        printer = await opened.buy_printer("p1")
        await opened.hire("anna", pin="1001", email="anna@example.org")
        async with hall.terminal(tmp_path, "a", printer, policy="site") as link:
            await link.post("/code", {"pin": "1001"})
            code = await _code_in_the_only_mail(hall)
            for n in range(5):
                wrong = f"{(int(code) + 1 + n) % 10**8:08d}"
                await _refused(link.post("/session", {"pin": "1001", "code": wrong}), "sign-in-failed", 401)
            await _refused(link.post("/session", {"pin": "1001", "code": code}), "sign-in-failed", 401)
            for _ in range(5):
                await link.post("/code", {"pin": "9999"})
            await _refused(link.post("/code", {"pin": "1001"}), "too-many-tries", 429)
    async with office(tmp_path / "b") as opened, counter_hall(opened) as hall:
        printer = await opened.buy_printer("p1")
        await opened.hire("anna", pin="1001", email="anna@example.org")
        async with hall.terminal(tmp_path / "b", "a", printer, policy="site") as link:
            assert (await link.post("/code", {"pin": "1001"}))["expires_at"]
            assert await _mails(hall, "sign-in-code") == []
            await _refused(link.post("/session", {"pin": "1001", "code": "00000000"}), "sign-in-failed", 401)


async def test_a_new_key_leaves_no_card_behind_even_when_the_machine_dies_in_between(hall, tmp_path):
    """Interrupted after the first batch: old and new cards open; the next start finishes; without a read: at its next tap."""
    printer = await hall.office.buy_printer("p1")
    anna = await hall.hire("anna", pin="1001")
    terminal = (await hall.new_terminal("door", printer, policy="card")).terminal
    cards = [f"0B{n:06X}00" for n in range(230)]
    object.__setattr__(hall.parts.cards.rules, "per_person_max", 1000)
    for raw in cards:
        await hall.add_card(anna, raw)
    unit = Unit()
    unit.add("UPDATE card SET sealed=NULL WHERE id=(SELECT max(id) FROM card)")
    await hall.parts.db.commit(unit)
    work, writes = hall.parts.cards.keys, []
    write = work._write

    async def dies(behind):
        writes.append(len(behind))
        if len(writes) == 2:
            raise asyncio.CancelledError
        await write(behind)

    work._write = dies
    with pytest.raises(asyncio.CancelledError):
        await work.rekey(actor=ADMIN)
    sign_in = hall.parts.sign_in
    for raw in (cards[0], cards[150], cards[-1]):
        assert (await sign_in.by_card(raw, terminal=terminal)).subject.id == anna.id
    await hall.office.restart()
    parts = hall.office.parts
    assert isinstance(parts.keys.card, KeyRing)
    await parts.cards.keys.catch_up()
    counts = await parts.cards.store.count_by_key()
    assert counts == {parts.keys.card.current.key_id: len(cards)}
    assert (await parts.sign_in.by_card(cards[-1], terminal=terminal)).subject.id == anna.id


async def test_keys_change_while_cards_are_tapped_and_linked(hall):
    """Three new keys in a row under steady taps and new cards: every tap opens, no card is lost or there twice."""
    printer = await hall.office.buy_printer("p1")
    anna = await hall.hire("anna", pin="1001")
    object.__setattr__(hall.parts.cards.rules, "per_person_max", 1000)
    cards = [f"0C{n:06X}00" for n in range(40)]
    for raw in cards:
        await hall.add_card(anna, raw)
    terminals = [(await hall.new_terminal(f"t{n}", printer, policy="card")).terminal for n in range(8)]
    is_over, opened = asyncio.Event(), 0

    async def taps(number):
        nonlocal opened
        while not is_over.is_set():
            raw = cards[(number * 5 + opened) % len(cards)]
            assert (await hall.parts.sign_in.by_card(raw, terminal=terminals[number])).subject.id == anna.id
            opened += 1
            await asyncio.sleep(0.26)

    async def links():
        for number in range(30):
            for raw in (cards[number], f"0D{number:06X}00"):
                await hall.add_card(anna, raw)

    async def rekeys():
        for _ in range(3):
            await hall.parts.cards.keys.rekey(actor=ADMIN)
            await asyncio.sleep(0.2)

    tapping = [asyncio.create_task(taps(number)) for number in range(len(terminals))]
    await asyncio.gather(rekeys(), links())
    is_over.set()
    await asyncio.gather(*tapping)
    assert opened > len(terminals)
    rows = await hall.parts.db.read("SELECT key_id FROM card")
    assert len(rows) == len(cards) + 30
    assert {row["key_id"] for row in rows} <= set(hall.parts.cards.sign_in.hashes.key_ids)
    for raw in cards:
        assert not (await hall.parts.cards.enrolment.enrol(anna, CardDraft(raw), by="test", how="desk")).is_new
