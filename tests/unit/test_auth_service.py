"""Signing in over a real database: who gets in, who does not, and what is written down."""

import asyncio
import base64
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from daemon.auth import keys, lockout, permissions
from daemon.auth.cards import CardUnreadable
from daemon.auth.credentials import CredentialRules, LinkSpent, NoMailAddress
from daemon.auth.identity import CardsNotAccepted, PasswordNeeded, SessionEnded, SignInFailed, SignInPaused
from daemon.auth.passwords import MEMORY_KIB
from daemon.auth.secret_rules import PasswordRefused
from daemon.auth.terminals import (
    ClockSkew,
    EnrolmentFailed,
    SignedHead,
    TerminalRefused,
    TerminalRevoked,
    TerminalUnknown,
)
from daemon.auth.tokens import NotSignedIn
from daemon.db.unit import Unit, UnitRefused
from daemon.kernel.errors import NotFound, Refusal
from daemon.system import SystemDice
from daemon.wire import signing
from tests.helpers.auth_house import CA_PEM, PASSWORD, SERVER_KEY, AuthHouse, auth_house


@pytest.fixture
async def house(tmp_path):
    async with auth_house(tmp_path) as made:
        yield made


async def _fails(house, pin, secret, terminal) -> None:
    with pytest.raises(SignInFailed):
        await house.sign_in.by_pin(pin, secret, terminal=terminal)


async def test_pin_and_password_open_a_session(house):
    """PIN and password give a session at this terminal; its value is nowhere in the database."""
    await house.add_person("anna", pin="481516", password=PASSWORD)
    terminal = await house.add_terminal()
    signed = await house.sign_in.by_pin("481516", PASSWORD, terminal=terminal)
    assert signed.subject.name == "anna"
    assert signed.token not in repr(signed)
    session = await house.sessions.check(signed.token, terminal_id=terminal.id)
    assert (session.person_name, session.method) == ("anna", "pin")
    raw = b"".join(path.read_bytes() for path in house.db.path.parent.glob("house.db*"))
    for secret in (signed.token, signed.token[4:], PASSWORD):
        assert secret.encode() not in raw
    other = await house.add_terminal("other")
    for token, where in (
        (signed.token, other.id),
        (signed.token, None),
        ("hfs_nonsense", terminal.id),
        ("", terminal.id),
    ):
        with pytest.raises(SessionEnded):
            await house.sessions.check(token, terminal_id=where)


@pytest.mark.parametrize("pin", ["000000", "481517", "", "48151", "x", "4" * 60, "481516 "])
async def test_unknown_pins_fail_like_wrong_passwords(house, pin):
    """Whatever is typed as a PIN: one answer."""
    await house.add_person("anna", pin="481516", password=PASSWORD)
    terminal = await house.add_terminal()
    await _fails(house, pin, PASSWORD, terminal)


async def test_everybody_who_cannot_sign_in_hears_the_same(house):
    """Wrong, unknown, switched off, never had a password, locked: one refusal, one row each."""
    terminal = await house.add_terminal()
    await house.add_person("anna", pin="1001", password=PASSWORD)
    await house.add_person("off", pin="1002", password=PASSWORD, active=False)
    await house.add_person("new", pin="1003")
    for pin, secret in (("1001", "wrong"), ("9999", PASSWORD), ("1002", PASSWORD), ("1003", PASSWORD), ("1003", "")):
        before = await house.count("sign_in_failure")
        await _fails(house, pin, secret, terminal)
        assert await house.count("sign_in_failure") == before + 1
    assert await house.count("session") == 0


async def test_waits_survive_a_restart_and_end_with_success(house):
    """After four wrong passwords the right one is refused for five seconds, also by a daemon that has just started."""
    await house.add_person("anna", pin="1001", password=PASSWORD)
    terminal = await house.add_terminal()
    for _ in range(4):
        await _fails(house, "1001", "wrong", terminal)
    again = AuthHouse(house.db, house.keys, house.clock)
    await again.sign_in.start()
    await _fails(again, "1001", PASSWORD, terminal)
    house.clock.pass_s(5.1)
    await again.sign_in.by_pin("1001", PASSWORD, terminal=terminal)
    for _ in range(3):
        await _fails(again, "1001", "wrong", terminal)
    await again.sign_in.by_pin("1001", PASSWORD, terminal=terminal)
    again.passwords.close()


async def test_twenty_wrong_passwords_disable_it_and_tell_its_owner(house):
    """The answer never changes; mail and audit tell. An operator's unlock brings it back, the password unchanged."""
    person = await house.add_person("anna", pin="1001", password=PASSWORD, email="anna@example.org")
    for n in range(20):
        terminal = await house.add_terminal(f"t{n}")
        await _fails(house, "1001", "wrong", terminal)
        house.clock.pass_s(61)
    assert house.mail.kinds() == ["account-locked", "account-locked"]
    assert [facts["state"] for _, _, facts in house.mail.sent] == ["slowed", "disabled"]
    house.clock.pass_s(10 * 86_400)
    await _fails(house, "1001", PASSWORD, terminal)
    actions = [row["action"] for row in await house.db.read("SELECT action FROM audit ORDER BY id")]
    assert actions.count("credential.disabled") == 1
    await house.credentials.unlock(person, actor="user:9")
    await house.sign_in.by_pin("1001", PASSWORD, terminal=terminal)


async def test_the_right_password_during_a_wait_is_refused_but_not_held_against_anyone(house):
    """Trying the right password too early costs nothing further: after the wait it opens."""
    await house.add_person("anna", pin="1001", password=PASSWORD)
    terminal = await house.add_terminal()
    for _ in range(4):
        await _fails(house, "1001", "wrong", terminal)
    for _ in range(6):
        await _fails(house, "1001", PASSWORD, terminal)
    row = await house.db.read_one("SELECT failures, is_disabled FROM credential")
    assert (row["failures"], row["is_disabled"]) == (4, 0)
    house.clock.pass_s(5.1)
    await house.sign_in.by_pin("1001", PASSWORD, terminal=terminal)


async def test_parallel_guesses_cannot_overtake_the_count(house):
    """Sixteen guesses at once are counted one by one; the right one behind four wrong ones is refused."""
    await house.add_person("anna", pin="1001", password=PASSWORD)
    terminal = await house.add_terminal()
    guesses = ["wrong"] * 4 + [PASSWORD] + ["wrong"] * 11
    results = await asyncio.gather(
        *(house.sign_in.by_pin("1001", guess, terminal=terminal) for guess in guesses), return_exceptions=True
    )
    assert all(isinstance(result, SignInFailed) for result in results)
    row = await house.db.read_one("SELECT failures FROM credential")
    assert row["failures"] == 15
    assert len(house.sign_in._turns) == 0


async def test_two_daemons_count_together(house):
    """A second process on the same store counts on: the row, not memory, is the truth."""
    await house.add_person("anna", pin="1001", password=PASSWORD)
    one, two = await house.add_terminal("one"), await house.add_terminal("two")
    other = AuthHouse(house.db, house.keys, house.clock)
    tries = [h.sign_in.by_pin("1001", "wrong", terminal=t) for h, t in [(house, one), (other, two)] * 5]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert all(isinstance(result, SignInFailed) for result in results)
    assert (await house.db.read_one("SELECT failures FROM credential"))["failures"] == 10
    other.passwords.close()


async def test_spraying_is_paused_and_a_restart_does_not_help(house):
    """4 tries on each of 200 people at one terminal: at most 40 are checked, the rest hear 'wait', also after a restart."""
    terminal = await house.add_terminal()
    tried, paused, waits = 0, 0, []
    for n in range(800):
        try:
            await house.sign_in.by_pin(f"{n // 4:04d}", "Password1", terminal=terminal)
        except SignInFailed:
            tried += 1
        except SignInPaused as refused:
            paused += 1
            waits.append(refused.data["retry_after_s"])
    assert tried <= 40
    assert paused >= 760
    assert set(waits) <= set(range(1, 61))
    again = AuthHouse(house.db, house.keys, house.clock)
    await again.sign_in.start()
    with pytest.raises(SignInPaused):
        await again.sign_in.by_pin("0001", "x", terminal=terminal)
    assert (await house.terminals.get(terminal.public_id)).paused_until_us is not None
    topics = [row["topic"] for row in await house.db.read("SELECT topic FROM event")]
    assert "sign-in.paused" in topics
    other = await house.add_terminal("other")
    with pytest.raises(SignInFailed):
        await again.sign_in.by_pin("0001", "x", terminal=other)
    house.clock.pass_s(61)
    with pytest.raises(SignInFailed):
        await again.sign_in.by_pin("0001", "x", terminal=terminal)
    again.passwords.close()


async def test_a_spray_is_told_to_the_administrators_once(house):
    """Wrong passwords on thirty people: one mail to each active administrator with an address, however long it goes on."""
    for name, role in (("ada", "admin"), ("bob", "admin"), ("cyd", "auditor"), ("dan", "admin")):
        person = await house.add_person(name, email=f"{name}@example.org", active=name != "dan")
        unit = Unit()
        unit.add("INSERT INTO role_grant(person_id, role, site) VALUES(:id, :role, '*')", id=person, role=role)
        await house.db.commit(unit)
    for n in range(45):
        terminal = await house.add_terminal(f"t{n}")
        await _fails(house, f"{n:04d}", "Password1", terminal)
    told = [(kind, name) for kind, name, _ in house.mail.sent]
    assert told == [("sign-in-sprayed", "ada"), ("sign-in-sprayed", "bob")]
    house.clock.pass_s(3600)
    for n in range(45):
        await _fails(house, f"{n:04d}", "Password2", await house.add_terminal(f"u{n}"))
    assert len(house.mail.sent) == 4


async def test_unknown_wrong_and_switched_off_take_the_same_time(tmp_path):
    """The lower quartiles of all four within 25 % at full strength: a busy machine blurs the rest, a shortcut would halve."""
    no_pause = lockout.Limits(disable_password_at=10**6, source_failures_max=10**6, house_people_max=10**6)
    async with auth_house(tmp_path, memory_kib=MEMORY_KIB, limits=no_pause) as house:
        terminal = await house.add_terminal()
        await house.add_person("anna", pin="1001", password=PASSWORD)
        await house.add_person("off", pin="1002", password=PASSWORD, active=False)
        await house.add_person("new", pin="1003")
        took = {pin: [] for pin in ("1001", "1002", "1003", "9999")}
        for _ in range(15):
            for pin, times in took.items():
                started = time.perf_counter()
                await _fails(house, pin, "wrong but quite long", terminal)
                times.append(time.perf_counter() - started)
        quartiles = sorted(sorted(times)[len(times) // 4] for times in took.values())
        assert quartiles[0] > 0.02
        assert quartiles[-1] / quartiles[0] < 1.25


@pytest.mark.parametrize("meanwhile", ["password", "failure", "removed"])
async def test_what_changes_during_a_check_counts(house, meanwhile):
    """A password replaced, a failure counted or a person removed while a hash is computed is decided on as it is then."""
    person = await house.add_person("anna", pin="1001", password=PASSWORD)
    terminal = await house.add_terminal()
    check = house.passwords.verify

    async def slow(secret, stored):
        verdict = await check(secret, stored)
        house.passwords.verify = check
        if meanwhile == "password":
            await house.credentials.set_password(person, "another quiet evening", actor="x")
        else:
            sql = {
                "failure": "UPDATE credential SET failures=failures+1",
                "removed": "UPDATE person SET removed_at_us=1, is_active=0",
            }[meanwhile]
            unit = Unit()
            unit.add(sql)
            await house.db.commit(unit)
        return verdict

    house.passwords.verify = slow
    if meanwhile == "failure":
        assert await house.sign_in.by_pin("1001", PASSWORD, terminal=terminal)
        assert (await house.db.read_one("SELECT failures FROM credential"))["failures"] == 0
    else:
        await _fails(house, "1001", PASSWORD, terminal)
        assert await house.count("session") == 0


async def test_old_hashes_move_to_the_new_pepper_on_use(house, tmp_path):
    """Signing in after a rotation stores the hash anew under the new key."""
    await house.add_person("anna", pin="1001", password=PASSWORD)
    terminal = await house.add_terminal()
    key = keys.rotate(tmp_path / "keys", keys.PEPPER, SystemDice())
    again = AuthHouse(house.db, keys.load(tmp_path / "keys"), house.clock)
    await again.sign_in.by_pin("1001", PASSWORD, terminal=terminal)
    assert (await house.db.read_one("SELECT key_id FROM credential"))["key_id"] == key.key_id
    await again.sign_in.by_pin("1001", PASSWORD, terminal=terminal)
    again.passwords.close()


async def test_cards_follow_the_terminals_policy(house, tmp_path):
    """card: a session that only releases and deletes; card+password: a ticket; none: refused. The number is nowhere."""
    person = await house.add_person("anna", pin="1001", password=PASSWORD)
    await house.add_card(person, "04A224B1C2D380")
    card, both, none = [
        await house.add_terminal(n, policy=p) for n, p in (("a", "card"), ("b", "card+password"), ("c", "none"))
    ]
    signed = await house.sign_in.by_card("04:a2:24:b1:c2:d3:80\r\n", terminal=card)
    assert signed.session.method == "card"
    rights = house.card_sign_in.rules.rights(signed.session.method)
    assert (rights.release, rights.delete, rights.change) == (True, True, True)
    assert (rights.claim, rights.titles, rights.link, rights.prefer, rights.anywhere) == (False,) * 5
    needed = await house.sign_in.by_card("04a224b1c2d380", terminal=both)
    assert isinstance(needed, PasswordNeeded)
    with pytest.raises(CardsNotAccepted):
        await house.sign_in.by_card("04a224b1c2d380", terminal=none)
    with pytest.raises(SignInFailed):
        await house.sign_in.by_ticket(needed.ticket, "wrong", terminal=both)
    for ticket in (needed.ticket[:-2], "", "AAAA", "ä"):
        with pytest.raises(SignInFailed):
            await house.sign_in.by_ticket(ticket, PASSWORD, terminal=both)
    with pytest.raises(SignInFailed):
        await house.sign_in.by_ticket(needed.ticket, PASSWORD, terminal=card)
    assert (await house.sign_in.by_ticket(needed.ticket, PASSWORD, terminal=both)).session.method == "card+password"
    house.clock.pass_s(121)
    with pytest.raises(SignInFailed):
        await house.sign_in.by_ticket(needed.ticket, PASSWORD, terminal=both)
    raw = b"".join(path.read_bytes() for path in tmp_path.glob("house.db*"))
    assert b"04A224B1" not in raw
    assert bytes.fromhex("04A224B1C2D380") not in raw


async def test_bad_cards_all_fail_alike(house):
    """Unknown, expired, blocked, and a card of somebody switched off; what is no card says so."""
    terminal = await house.add_terminal(policy="card")
    anna = await house.add_person("anna")
    off = await house.add_person("off", active=False)
    await house.add_card(anna, "11112222", expires_at_us=house.clock.us - 1)
    await house.add_card(anna, "33334444")
    await house.add_card(off, "55556666")
    unit_sql = "UPDATE card SET blocked_at_us=1 WHERE id=2"
    unit = Unit()
    unit.add(unit_sql)
    await house.db.commit(unit)
    for raw in ("11112222", "33334444", "55556666", "99999999"):
        with pytest.raises(SignInFailed):
            await house.sign_in.by_card(raw, terminal=terminal)
    for raw in ("not a card", "", "0" * 300, "1" * 65536, "1234\x1b[2J5678", "<script>alert(1)</script>"):
        with pytest.raises(CardUnreadable) as refused:
            await house.sign_in.by_card(raw, terminal=terminal)
        assert raw not in str(refused.value) or not raw
    counted = house.card_sign_in.taps_total
    assert (counted["expired"], counted["blocked"], counted["disabled"], counted["unknown"]) == (1, 1, 1, 1)
    assert counted["unreadable"] == 6


async def test_cards_move_to_the_new_key_on_use(house, tmp_path):
    """After a rotation old cards work and are stored under the new key at the first tap."""
    person = await house.add_person("anna")
    await house.add_card(person, "11112222")
    terminal = await house.add_terminal(policy="card")
    key = keys.rotate(tmp_path / "keys", keys.CARD, SystemDice())
    again = AuthHouse(house.db, keys.load(tmp_path / "keys"), house.clock)
    await again.sign_in.by_card("11112222", terminal=terminal)
    assert (await house.db.read_one("SELECT key_id FROM card"))["key_id"] == key.key_id
    await again.sign_in.by_card("11112222", terminal=terminal)
    again.passwords.close()


async def test_the_keypad_password_opens_the_keypad_only(tmp_path):
    """Digits for the kiosk: refused for Basic, disabled after ten failures, and the full password still opens both."""
    async with auth_house(tmp_path, rules=CredentialRules(keypad_allowed=True)) as house:
        person = await house.add_person("anna", pin="1001", password=PASSWORD)
        terminal = await house.add_terminal()
        with pytest.raises(PasswordRefused):
            await house.credentials.set_keypad(person, "123456", actor="user:1")
        await house.credentials.set_keypad(person, "704913", actor="user:1")
        await house.sign_in.by_pin("1001", "704913", terminal=terminal)
        assert await house.sign_in.basic("anna", "704913", peer="192.0.2.1") is None
        for _ in range(10):
            await _fails(house, "1001", "111111", terminal)
            house.clock.pass_s(61)
        await _fails(house, "1001", "704913", terminal)
        house.clock.pass_s(61)
        await house.sign_in.by_pin("1001", PASSWORD, terminal=terminal)
        assert (await house.sign_in.basic("anna", PASSWORD, peer="192.0.2.1")).person_id == person


async def test_basic_knows_names_and_aliases_and_what_is_still_true(house):
    """Any spelling of the network name; a proof ends with the password it was given for."""
    person = await house.add_person("anna", password=PASSWORD)
    identity = await house.sign_in.basic("EXAMPLE\\Anna", PASSWORD, peer="192.0.2.1")
    assert identity.name == "anna"
    assert await house.sign_in.is_current(person, epoch=identity.epoch)
    assert await house.sign_in.basic("anna\x00", PASSWORD, peer="192.0.2.1") is None
    assert await house.sign_in.basic("", PASSWORD, peer="192.0.2.1") is None
    await house.credentials.set_password(person, "another quiet evening", actor="local:0")
    assert not await house.sign_in.is_current(person, epoch=identity.epoch)
    assert await house.sign_in.basic("anna", PASSWORD, peer="192.0.2.1") is None
    for _ in range(25):
        await house.sign_in.basic("nobody", "x", peer="192.0.2.9")
    assert await house.sign_in.basic("anna", "another quiet evening", peer="192.0.2.9") is None
    assert await house.sign_in.basic("anna", "another quiet evening", peer="192.0.2.1") is not None


async def test_sessions_end_in_every_way_they_should(house):
    """Idle, absolute end, logout, the next person, switching off, a new password."""
    anna = await house.add_person("anna", pin="1001", password=PASSWORD)
    await house.add_person("bert", pin="1002", password=PASSWORD)
    terminal = await house.add_terminal()

    async def opened(pin="1001"):
        return await house.sign_in.by_pin(pin, PASSWORD, terminal=terminal)

    async def is_open(signed):
        try:
            await house.sessions.check(signed.token, terminal_id=terminal.id)
        except SessionEnded:
            return False
        return True

    idle = await opened()
    house.clock.pass_s(121)
    assert not await is_open(idle)
    with pytest.raises(SessionEnded):
        await house.sessions.extend(idle.session)
    long = await opened()
    session = long.session
    for _ in range(8):
        house.clock.pass_s(110)
        session = await house.sessions.check(long.token, terminal_id=terminal.id)
        assert await house.sessions.extend(session) <= session.absolute_us
    house.clock.pass_s(25)
    assert not await is_open(long)
    out = await opened()
    await house.sessions.end(out.session)
    assert not await is_open(out)
    first, second = await opened(), await opened("1002")
    assert not await is_open(first)
    assert await is_open(second)
    off = await opened()
    await house.set_active(anna, False)
    assert not await is_open(off)
    await house.set_active(anna, True)
    assert not await is_open(off)
    before = await opened()
    await house.credentials.set_password(anna, "another quiet evening", actor="local:0")
    assert not await is_open(before)


async def test_a_mailed_link_sets_the_password_once(house):
    """Five looks change nothing; a poor password leaves it usable; one use, then it is spent. A PIN is made with it."""
    person = await house.add_person("anna", email="anna@example.org")
    await house.credentials.send_link(person, actor="local:0")
    kind, _, facts = house.mail.sent[-1]
    token = facts["code"]
    assert kind == "password-link"
    assert facts["url"] == f"https://print.example.org:8632/password/set#t={token}"
    raw = b"".join(path.read_bytes() for path in house.db.path.parent.glob("house.db*"))
    assert token.encode() not in raw
    assert token[4:24].encode() not in raw
    for _ in range(5):
        assert (await house.credentials.link_holder(token)).name == "anna"
    with pytest.raises(PasswordRefused):
        await house.credentials.use_link(token, "short")
    pin = await house.credentials.use_link(token, PASSWORD)
    assert len(pin) == 6
    for secret in (PASSWORD, "another quiet evening"):
        with pytest.raises(LinkSpent):
            await house.credentials.use_link(token, secret)
    terminal = await house.add_terminal()
    await house.sign_in.by_pin(pin, PASSWORD, terminal=terminal)
    assert house.mail.kinds() == ["password-link", "password-changed"]


async def test_links_expire_and_new_ones_replace_old_ones(house):
    """Good until the second it expires; asking again kills the one before; at most three an hour; nothing is told."""
    person = await house.add_person("anna", pin="1001", email="anna@example.org")
    await house.add_person("off", email="off@example.org", active=False)
    await house.add_person("poor")
    for name in ("nobody", "off", "poor", "", "anna", "anna", "anna", "anna"):
        await house.credentials.ask_link(name)
    tokens = [facts["code"] for kind, _, facts in house.mail.sent]
    assert len(tokens) == 3
    for token in tokens[:2]:
        with pytest.raises(LinkSpent):
            await house.credentials.link_holder(token)
    await house.credentials.link_holder(tokens[2])
    house.clock.pass_s(7 * 86_400 - 2)
    await house.credentials.link_holder(tokens[2])
    house.clock.pass_s(2)
    with pytest.raises(LinkSpent):
        await house.credentials.use_link(tokens[2], PASSWORD)
    with pytest.raises(NoMailAddress):
        await house.credentials.send_link((await house.store.by_name("poor")).id, actor="local:0")
    with pytest.raises(NotFound):
        await house.credentials.send_link(person + 100, actor="local:0")


async def test_two_windows_with_one_link_have_one_winner(house):
    """Both posts at once: one sets its password, the other hears that the link is spent."""
    person = await house.add_person("anna", pin="1001", email="anna@example.org")
    await house.credentials.send_link(person, actor="local:0")
    token = house.mail.sent[-1][2]["code"]
    results = await asyncio.gather(
        house.credentials.use_link(token, "the first window wins"),
        house.credentials.use_link(token, "the second window wins"),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["LinkSpent", "str"]


async def test_api_tokens_are_named_hashed_expiring_and_revocable(house):
    """A token carries a role; neither its value nor part of it is stored; revoked and expired ones are nobody."""
    made = await house.tokens.create("ci", role="operator", actor="local:0")
    assert made.token.startswith("hfa_")
    actor = await house.tokens.actor(made.token)
    assert actor.name == "token:ci"
    assert actor.may(permissions.JOBS_CONTROL)
    assert not actor.may(permissions.USERS_WRITE)
    with pytest.raises(UnitRefused):
        await house.tokens.create("ci", role="admin", actor="local:0")
    with pytest.raises(permissions.RoleUnknown):
        await house.tokens.create("x", role="root", actor="local:0")
    with pytest.raises(Refusal):
        await house.tokens.create(" \n", role="admin", actor="local:0")
    short = await house.tokens.create("short", role="admin", actor="local:0", expires_at_us=house.clock.us + 10_000_000)
    await house.tokens.actor(short.token)
    house.clock.pass_s(11)
    await house.tokens.revoke("ci", actor="local:0")
    for token in (made.token, short.token, "hfa_x", "", "Bearer"):
        with pytest.raises(NotSignedIn):
            await house.tokens.actor(token)
    with pytest.raises(UnitRefused):
        await house.tokens.revoke("ci", actor="local:0")
    listed = await house.tokens.list()
    assert [token.name for token in listed] == ["ci", "short"]
    assert listed[0].last_used_at_us is not None


async def test_people_act_with_their_roles(house):
    """Basic on the API gives what the person's roles give, and nothing to somebody without one."""
    await house.add_person("anna", password=PASSWORD)
    unit = Unit()
    unit.add("INSERT INTO role_grant(person_id, role, site) VALUES(1, 'operator', 'north')")
    await house.db.commit(unit)
    actor = await house.tokens.person_actor(house.sign_in, "anna", PASSWORD, peer="192.0.2.1")
    assert actor.may(permissions.JOBS_CONTROL, site="north")
    assert not actor.may(permissions.JOBS_CONTROL, site="south")
    with pytest.raises(NotSignedIn):
        await house.tokens.person_actor(house.sign_in, "anna", "wrong", peer="192.0.2.1")


async def test_personal_addresses_are_secret_and_replaceable(house):
    """One address a person; a new one ends the old one; switched off, it is nobody's."""
    anna = await house.add_person("anna")
    first = await house.tokens.new_address(anna, public_id="a", actor="user:1")
    assert (await house.tokens.personal(first)).name == "anna"
    second = await house.tokens.new_address(anna, public_id="a", actor="user:1")
    assert await house.tokens.personal(first) is None
    assert (await house.tokens.personal(second)).person_id == anna
    await house.set_active(anna, False)
    assert await house.tokens.personal(second) is None
    assert await house.tokens.personal("x") is None


class Device:
    """A terminal's side: its key and its counter."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.counter = 0

    def head(self, house, terminal_id, *, body=b"", method="GET", target="/terminal/v1/jobs", skew_us=0, counter=None):
        self.counter += 1
        counter = self.counter if counter is None else counter
        at = house.clock.us + skew_us
        text = signing.signing_input(method=method, target=target, body=body, time_us=at, counter=counter)
        signature = base64.b64encode(self.key.sign(text)).decode()
        return SignedHead(terminal_id, str(at), str(counter), signature, method, target)

    async def enrol(self, house, new, *, server_key=SERVER_KEY):
        code = signing.parse_code(new.code)
        proof = signing.terminal_proof(signing.code_key(code), public_key=self.public, server_key_sha256=server_key)
        return await house.terminals.enrol(locator=code.locator, public_key=self.public, proof=proof, version="0.1")


async def _new(house, name="door"):
    if await house.count("printer") == 0:
        await house.add_printer()
    return await house.terminals.add(name, printers=["p1"], actor="local:0")


async def test_a_terminal_enrols_once_with_its_code(house):
    """The code proves both sides to each other; the second use of the same code is refused."""
    new, device = await _new(house), Device()
    enrolled = await device.enrol(house, new)
    key = signing.code_key(signing.parse_code(new.code))
    expected = signing.daemon_proof(
        key, public_key=device.public, server_key_sha256=SERVER_KEY, ca_pem=CA_PEM, terminal_id=new.terminal.public_id
    )
    assert enrolled.proof == expected
    assert (await house.terminals.get(new.terminal.public_id)).enrolled_at_us is not None
    with pytest.raises(EnrolmentFailed):
        await Device().enrol(house, new)
    head = device.head(house, new.terminal.public_id)
    assert (await house.terminals.recognise(head, b"")).name == "door"


async def test_a_man_in_the_middle_spends_the_code(house):
    """A terminal that sees another server key cannot enrol, and the code is gone afterwards."""
    new = await _new(house)
    with pytest.raises(EnrolmentFailed):
        await Device().enrol(house, new, server_key=b"m" * 32)
    with pytest.raises(EnrolmentFailed):
        await Device().enrol(house, new)
    renewed = await house.terminals.renew_code(new.terminal.public_id, actor="local:0")
    assert renewed.code != new.code
    await Device().enrol(house, renewed)


async def test_codes_expire_and_rubbish_is_refused(house):
    """Fifteen minutes; unknown locators and keys of the wrong size fail alike."""
    new = await _new(house)
    with pytest.raises(EnrolmentFailed):
        await house.terminals.enrol(locator="ZZZZ", public_key=b"k" * 32, proof=b"", version="")
    house.clock.pass_s(901)
    with pytest.raises(EnrolmentFailed):
        await Device().enrol(house, new)
    again = await house.terminals.renew_code(new.terminal.public_id, actor="local:0")
    with pytest.raises(EnrolmentFailed):
        await house.terminals.enrol(
            locator=signing.parse_code(again.code).locator, public_key=b"short", proof=b"", version=""
        )


async def test_signed_requests_are_good_once_and_soon(house):
    """Another body, path, method or key, a used counter, an old time: refused. A restart forgets no counter that changed something."""
    new, device = await _new(house), Device()
    await device.enrol(house, new)
    ident = new.terminal.public_id
    head = device.head(house, ident, body=b"{}", method="POST")
    await house.terminals.recognise(head, b"{}")
    with pytest.raises(TerminalUnknown):
        await house.terminals.recognise(head, b"{}")
    bad = [
        (device.head(house, ident, body=b"{}", method="POST"), b"{ }"),
        (Device().head(house, ident, counter=50), b""),
        (device.head(house, "unknown"), b""),
        (device.head(house, ident, counter=0), b""),
        (SignedHead(ident, "", "", "", "GET", "/"), b""),
        (SignedHead(ident, "1", "1", "%%%", "GET", "/"), b""),
    ]
    for wrong, body in bad:
        with pytest.raises(TerminalUnknown):
            await house.terminals.recognise(wrong, body)
    for skew in (-400_000_000, 400_000_000):
        with pytest.raises(ClockSkew) as refused:
            await house.terminals.recognise(device.head(house, ident, skew_us=skew), b"")
        assert abs(refused.value.data["now_us"] - house.clock.us) < 10
    late = device.head(house, ident)
    await house.terminals.recognise(device.head(house, ident, body=b"", method="POST"), b"")
    await house.terminals.recognise(late, b"")
    again = AuthHouse(house.db, house.keys, house.clock)
    for old in (head, late):
        with pytest.raises(TerminalUnknown):
            await again.terminals.recognise(old, b"{}" if old is head else b"")
    await again.terminals.recognise(device.head(house, ident), b"")
    again.passwords.close()


async def test_a_revoked_terminal_is_refused_at_once(house):
    """Its next request says so, its sessions are over, its name is free, its code is void."""
    await house.add_person("anna", pin="1001", password=PASSWORD)
    new, device = await _new(house), Device()
    await device.enrol(house, new)
    terminal = await house.terminals.recognise(device.head(house, new.terminal.public_id), b"")
    signed = await house.sign_in.by_pin("1001", PASSWORD, terminal=terminal)
    await house.terminals.revoke(new.terminal.public_id, actor="local:0")
    with pytest.raises(TerminalRevoked):
        await house.terminals.recognise(device.head(house, new.terminal.public_id), b"")
    with pytest.raises(SessionEnded):
        await house.sessions.check(signed.token, terminal_id=terminal.id)
    for call in (house.terminals.get, lambda i: house.terminals.revoke(i, actor="x")):
        with pytest.raises(NotFound):
            await call(new.terminal.public_id)
    assert (await _new(house)).terminal.name == "door"
    assert len(await house.terminals.list()) == 2


@pytest.mark.parametrize(
    ("name", "policy", "printers"),
    [("", "card", ["p1"]), ("x" * 65, "card", ["p1"]), ("a\nb", "card", ["p1"]), ("a", "maybe", ["p1"])],
)
async def test_terminals_that_make_no_sense_are_refused(house, name, policy, printers):
    """A name, a known policy."""
    await house.add_printer()
    with pytest.raises(TerminalRefused):
        await house.terminals.add(name, printers=printers, policy=policy, actor="x")


async def test_terminals_need_printers_that_exist_and_names_that_are_free(house):
    """No printer, an unknown printer, a name in use."""
    await house.add_printer()
    for printers in ([], ["p2"], ["p1", "p2"]):
        with pytest.raises(NotFound):
            await house.terminals.add("a", printers=printers, actor="x")
    await house.terminals.add("a", printers=["p1"], actor="x")
    with pytest.raises(UnitRefused) as refused:
        await house.terminals.add("a", printers=["p1"], actor="x")
    assert refused.value.code == "name-taken"


async def test_old_rows_are_swept(house):
    """Failures, sessions and links that ended a day ago go; what still matters stays."""
    person = await house.add_person("anna", pin="1001", password=PASSWORD, email="a@example.org")
    terminal = await house.add_terminal()
    await _fails(house, "1001", "wrong", terminal)
    await house.sign_in.by_pin("1001", PASSWORD, terminal=terminal)
    await house.credentials.send_link(person, actor="x")
    await house.credentials.prune()
    assert [await house.count(t) for t in ("sign_in_failure", "session", "mailed_token")] == [1, 1, 1]
    house.clock.pass_s(9 * 86_400)
    await house.credentials.prune()
    assert [await house.count(t) for t in ("sign_in_failure", "session", "mailed_token")] == [0, 0, 0]
