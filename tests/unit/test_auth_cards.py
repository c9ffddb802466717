"""Signing in by card over a real database: every policy, first use, day and terminal; refusals, floods and races."""

import asyncio
import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from daemon.auth import keys
from daemon.auth.card_rules import CardRules, ExpiryUnreadable, asks_password, expiry_of, judge
from daemon.auth.cards import CardUnreadable
from daemon.auth.identity import CardsNotAccepted, PasswordNeeded, SessionEnded, SignedIn, SignInFailed, SignInPaused
from daemon.auth.keys import SealBroken
from daemon.auth.tap_gate import GARBAGE_BURST, STRANGERS_BURST, TAPS_BURST, Bucket, TapGate
from daemon.db.unit import Unit
from daemon.kernel.clock import US_PER_S
from daemon.system import SystemDice
from tests.helpers.auth_house import PASSWORD, AuthHouse, SetClock, auth_house

CARD = "04A224B1C2D380"
OTHER = "04A224B1C2D381"
TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.fixture
async def house(tmp_path):
    async with auth_house(tmp_path) as made:
        yield made


async def _person_with_card(house, name="anna", pin="1001", raw=CARD) -> int:
    person = await house.add_person(name, pin=pin, password=PASSWORD)
    await house.add_card(person, raw)
    return person


async def _taps(house, terminal, raw=CARD) -> str:
    """What a tap comes to: `session`, `password`, or the code of the refusal."""
    try:
        answer = await house.sign_in.by_card(raw, terminal=terminal)
    except (SignInFailed, SignInPaused, CardsNotAccepted, CardUnreadable) as refused:
        return refused.code
    return "session" if isinstance(answer, SignedIn) else "password"


async def _completes(house, terminal, raw=CARD) -> SignedIn:
    asked = await house.sign_in.by_card(raw, terminal=terminal)
    assert isinstance(asked, PasswordNeeded)
    return await house.sign_in.by_ticket(asked.ticket, PASSWORD, terminal=terminal)


# policy of the terminal, of the site; then: first tap, after the password here, elsewhere the same day, next day here
POLICIES = [
    ("card", "none", "session", "session", "session", "session"),
    ("card+password", "card", "password", "password", "password", "password"),
    ("daily", "card", "password", "session", "password", "password"),
    ("none", "card", *["cards-not-accepted"] * 4),
    ("site", "card", "session", "session", "session", "session"),
    ("site", "card+password", "password", "password", "password", "password"),
    ("site", "daily", "password", "session", "password", "password"),
    ("site", "none", *["cards-not-accepted"] * 4),
]


@pytest.mark.parametrize("row", POLICIES, ids=lambda row: f"{row[0]}-of-{row[1]}")
async def test_what_a_tap_opens_by_policy_terminal_and_day(tmp_path, row):
    """Every policy of terminal and site x first use, later use, another terminal, another day."""
    policy, site, first, proven, elsewhere, next_day = row
    async with auth_house(tmp_path, cards=CardRules(policy=site)) as house:
        await _person_with_card(house)
        here, there = await house.add_terminal("here", policy=policy), await house.add_terminal("there", policy=policy)
        assert await _taps(house, here) == first
        if first == "password":
            assert (await _completes(house, here)).session.method == "card+password"
        assert await _taps(house, here) == proven
        assert await _taps(house, there) == elsewhere
        house.clock.pass_s(86_400)
        assert await _taps(house, here) == next_day


async def test_the_day_is_the_sites_not_the_servers(tmp_path):
    """One minute to midnight in Tokyo, proven; two minutes later it is another day there, and the same in Greenwich."""
    before = int(datetime(2026, 11, 22, 23, 59, tzinfo=TOKYO).timestamp()) * US_PER_S
    async with auth_house(tmp_path, clock=SetClock(before), cards=CardRules(timezone="Asia/Tokyo")) as house:
        await _person_with_card(house)
        terminal = await house.add_terminal(policy="site")
        await _completes(house, terminal)
        assert await _taps(house, terminal) == "session"
        house.clock.pass_s(120)
        assert datetime.fromtimestamp(house.clock.us / US_PER_S, UTC).day == 22
        assert await _taps(house, terminal) == "password"


async def test_another_card_of_the_same_person_proves_itself(house):
    """The day's proof is the card's, not the person's: a second card, perhaps found, still needs the password."""
    person = await _person_with_card(house)
    await house.add_card(person, OTHER)
    terminal = await house.add_terminal(policy="daily")
    await _completes(house, terminal)
    assert (await _taps(house, terminal), await _taps(house, terminal, OTHER)) == ("session", "password")


@pytest.mark.parametrize("what", ["password", "disable", "block"])
async def test_what_changes_takes_the_days_proof_with_it(house, what):
    """A new password, switching off and on, blocking and letting in again: the card needs the password anew."""
    person = await _person_with_card(house)
    terminal = await house.add_terminal(policy="daily")
    signed = await _completes(house, terminal)
    unit = Unit()
    if what == "block":
        card = (await house.cards.page())[0]
        house.cards.block(unit, card, at_us=house.clock.now_us())
        house.cards.unblock(unit, card)
    else:
        house.store.void_sessions(unit, person_id=person, at_us=house.clock.now_us())
    await house.db.commit(unit)
    with pytest.raises(SessionEnded):
        await house.sessions.check(signed.token, terminal_id=terminal.id)
    assert await _taps(house, terminal) == "password"


async def test_a_tap_ends_what_was_open_at_the_terminal_and_the_last_tap_wins(house):
    """The same card again is a new session; another card switches; of two at once exactly one stays open."""
    await _person_with_card(house)
    await _person_with_card(house, "bert", "1002", OTHER)
    terminal = await house.add_terminal(policy="card")
    first = await house.sign_in.by_card(CARD, terminal=terminal)
    again = await house.sign_in.by_card(CARD, terminal=terminal)
    with pytest.raises(SessionEnded):
        await house.sessions.check(first.token, terminal_id=terminal.id)
    assert await house.sessions.check(again.token, terminal_id=terminal.id)
    both = await asyncio.gather(*(house.sign_in.by_card(raw, terminal=terminal) for raw in (CARD, OTHER)))
    row = await house.db.read(
        "SELECT person_id FROM session WHERE terminal_id=:t AND ended_at_us IS NULL", t=terminal.id
    )
    assert [one["person_id"] for one in row] == [both[1].subject.id]


@pytest.mark.parametrize("policy", ["card", "card+password"])
async def test_a_card_blocked_during_a_tap_opens_nothing(house, policy):
    """Blocked between look-up and write, or between tap and password: refused like any other card."""
    await _person_with_card(house)
    terminal = await house.add_terminal(policy=policy)
    look = house.cards.tapped

    async def slow(*args, **options):
        found = await look(*args, **options)
        await _block_all(house)
        return found

    if policy == "card":
        house.cards.tapped = slow
        assert await _taps(house, terminal) == "sign-in-failed"
    else:
        asked = await house.sign_in.by_card(CARD, terminal=terminal)
        await _block_all(house)
        with pytest.raises(SignInFailed):
            await house.sign_in.by_ticket(asked.ticket, PASSWORD, terminal=terminal)
    assert await house.count("session") == 0
    assert await house.count("card_proof") == 0


async def _block_all(house) -> None:
    unit = Unit()
    for card in await house.cards.page():
        if card.blocked_at_us is None:
            house.cards.block(unit, card, at_us=house.clock.now_us())
    await house.db.commit(unit)


async def test_only_an_unknown_card_may_be_linked_and_its_number_stays_sealed(tmp_path):
    """The ticket is for this terminal and five minutes; a blocked card has none; a site may forbid it altogether."""
    async with auth_house(tmp_path / "a") as house:
        await _person_with_card(house)
        terminal, other = await house.add_terminal(policy="site"), await house.add_terminal("other", policy="site")
        with pytest.raises(SignInFailed) as unknown:
            await house.sign_in.by_card(OTHER, terminal=terminal, reader="desk")
        ticket = unknown.value.data["link"]
        assert OTHER not in json.dumps(unknown.value.data)
        opened = house.tickets.link(ticket, terminal_id=terminal.id)
        assert (opened.raw, opened.reader, OTHER in repr(opened)) == (OTHER, "desk", False)
        assert house.tickets.link(ticket, terminal_id=other.id) is None
        assert house.tickets.password(ticket, terminal_id=terminal.id) is None
        assert house.card_sign_in.strangers()[0].terminal_name == "door"
        await _block_all(house)
        with pytest.raises(SignInFailed) as blocked:
            await house.sign_in.by_card(CARD, terminal=terminal)
        assert "link" not in blocked.value.data
        house.clock.pass_s(300)
        assert house.tickets.link(ticket, terminal_id=terminal.id) is None
        assert house.card_sign_in.strangers() == []
    async with auth_house(tmp_path / "b", cards=CardRules(self_enrolment=False)) as house:
        terminal = await house.add_terminal(policy="site")
        with pytest.raises(SignInFailed) as unknown:
            await house.sign_in.by_card(OTHER, terminal=terminal)
        assert unknown.value.data == {}


async def test_a_thousand_taps_a_minute_are_slowed_told_once_and_lock_nobody_out_for_long(house):
    """Unknown cards: a dozen or so a minute are looked at, the rest wait seconds, also for a known card; then it goes on.

    One alert, at this terminal only; PIN and password and every other terminal go on all the time.
    """
    await _person_with_card(house)
    terminal, other = await house.add_terminal(policy="card"), await house.add_terminal("other", policy="card")
    seen = {"sign-in-failed": 0, "too-many-tries": 0}
    for n in range(1000):
        seen[await _taps(house, terminal, f"{n:08d}" if n else "99999999")] += 1
        house.clock.pass_s(0.06)
    assert STRANGERS_BURST <= seen["sign-in-failed"] <= STRANGERS_BURST + 12
    assert await house.count("sign_in_failure") == seen["sign-in-failed"]
    while await _taps(house, terminal, f"{house.clock.us}"[-8:]) == "sign-in-failed":
        seen["sign-in-failed"] += 1
    with pytest.raises(SignInPaused) as paused:
        await house.sign_in.by_card(CARD, terminal=terminal)
    assert 1 <= paused.value.data["retry_after_s"] <= 6
    assert await _taps(house, other) == "session"
    assert await house.sign_in.by_pin("1001", PASSWORD, terminal=terminal)
    assert house.card_sign_in.taps_total["unknown"] == seen["sign-in-failed"]
    again = AuthHouse(house.db, house.keys, house.clock)
    await again.sign_in.start()
    assert await _taps(again, terminal) == "too-many-tries"
    again.passwords.close()
    house.clock.pass_s(6)
    assert await _taps(house, terminal) == "session"
    topics = [row["topic"] for row in await house.db.read("SELECT topic FROM event WHERE topic LIKE 'taps.%'")]
    assert sorted(topics) == ["taps.paused", "taps.paused", "taps.strangers"], "once each; a restart tells it anew"


async def test_somebody_impatient_with_a_new_card_closes_nothing(house):
    """One unknown card held against the reader again and again is one guess."""
    await _person_with_card(house)
    terminal = await house.add_terminal(policy="card")
    for _ in range(40):
        assert await _taps(house, terminal, OTHER) == "sign-in-failed"
        house.clock.pass_s(1)
    assert await _taps(house, terminal) == "session"


async def test_a_reader_whose_format_is_wrong_is_told(house):
    """Reads that are no numbers are refused by name, counted, written nowhere, and reported once there are many."""
    terminal = await house.add_terminal(policy="card")
    for raw in ["not a card", "\x1b]0;x\x07", "%E?", "<img src=x onerror=alert(1)>", "0" * 65_536] * 4:
        assert await _taps(house, terminal, raw) == "card-unreadable"
        house.clock.pass_s(0.3)
    assert house.card_sign_in.taps_total["unreadable"] == 20
    assert await house.count("sign_in_failure") == 0
    topics = [row["topic"] for row in await house.db.read("SELECT topic FROM event")]
    assert topics.count("taps.unreadable") == 1


async def test_a_blocked_card_that_turns_up_is_told_with_the_place(house):
    """Operators hear once in a while where a lost card is tried; the one at the terminal hears nothing special."""
    await _person_with_card(house)
    terminal = await house.add_terminal("hall", policy="card")
    await _block_all(house)
    for _ in range(3):
        assert await _taps(house, terminal) == "sign-in-failed"
    rows = await house.db.read("SELECT detail FROM audit WHERE action='card.blocked-used'")
    assert [json.loads(row["detail"])["terminal"] for row in rows] == ["hall"]


async def test_temporary_cards_end_to_the_microsecond(house):
    """Good until, not at, its end; what it had opened is over at the same moment."""
    person = await house.add_person("anna")
    until = house.clock.us + 10 * US_PER_S
    await house.add_card(person, CARD, expires_at_us=until)
    terminal = await house.add_terminal(policy="card")
    opened = await house.sign_in.by_card(CARD, terminal=terminal)
    house.clock.us = until - 2  # the clock moves on with every look
    assert await house.sessions.check(opened.token, terminal_id=terminal.id)
    house.clock.us = until
    with pytest.raises(SessionEnded):
        await house.sessions.check(opened.token, terminal_id=terminal.id)
    assert await _taps(house, terminal) == "sign-in-failed"


async def test_kept_reads_open_for_their_own_card_only(house, tmp_path):
    """Sealed with the card's id, the key outside the database: moved to another row, or without the key, noise."""
    person = await house.add_person("anna")
    mine, other = await house.add_card(person, CARD), await house.add_card(person, OTHER)
    rows = {row["public_id"]: bytes(row["sealed"]) for row in await house.db.read("SELECT public_id, sealed FROM card")}
    assert house.card_sign_in.open_read(rows[mine], card_id=mine) == CARD
    assert CARD.encode() not in rows[mine]
    bent = rows[mine][:-1] + bytes((rows[mine][-1] ^ 1,))
    for sealed, card_id in ((rows[mine], other), (bent, mine), (b"", mine)):
        with pytest.raises(SealBroken):
            house.card_sign_in.open_read(sealed, card_id=card_id)
    keys.generate(tmp_path / "elsewhere", SystemDice())
    stranger = AuthHouse(house.db, keys.load(tmp_path / "elsewhere"), house.clock)
    with pytest.raises(SealBroken):
        stranger.card_sign_in.open_read(rows[mine], card_id=mine)
    stranger.passwords.close()


async def test_a_card_added_before_reads_were_kept_gets_its_read_at_the_next_tap(house):
    """So a re-keying reaches it too."""
    person = await house.add_person("anna")
    card_id = await house.add_card(person, CARD)
    unit = Unit()
    unit.add("UPDATE card SET sealed=NULL")
    await house.db.commit(unit)
    terminal = await house.add_terminal(policy="card")
    await house.sign_in.by_card(CARD, terminal=terminal)
    row = await house.db.read_one("SELECT sealed FROM card")
    assert house.card_sign_in.open_read(bytes(row["sealed"]), card_id=card_id) == CARD


# ----- the pure rules -----
def test_buckets_let_a_burst_through_and_then_one_per_gap():
    """A waiting tap costs nothing: whoever keeps tapping does not push the end away."""
    bucket = Bucket(gap_us=10, burst=3)
    for _ in range(3):
        assert bucket.wait_us(100) == 0
        bucket = bucket.taken(100)
    assert [bucket.wait_us(at) for at in (100, 105, 109, 110)] == [10, 5, 1, 0]
    assert bucket.taken(1000).full_us == 1010


def test_the_gate_counts_every_terminal_for_itself():
    """Taps, strangers and garbage in bursts; one alert in ten minutes for each kind."""
    gate = TapGate()
    assert [gate.admit(1, 0) for _ in range(TAPS_BURST)] == [0] * TAPS_BURST
    assert gate.admit(1, 0) == 1
    assert gate.admit(2, 0) == 0
    alerts = [gate.stranger(2, bytes([n]), 0) for n in range(STRANGERS_BURST + 3)]
    assert alerts.count(True) == 1
    assert gate.admit(2, 0) > 0
    assert [gate.garbage(3, 0) for _ in range(GARBAGE_BURST + 2)].count(True) == 1


@pytest.mark.parametrize(
    ("policy", "proven", "asks"),
    [
        ("card", False, False),
        ("card", True, False),
        ("card+password", False, True),
        ("card+password", True, True),
        ("daily", False, True),
        ("daily", True, False),
    ],
)
def test_when_the_password_is_asked(policy, proven, asks):
    """The whole table."""
    assert asks_password(policy, is_proven_today=proven) is asks


def test_a_card_is_judged_by_its_worst():
    """A person switched off, then blocked, then expired."""
    good = {"is_active": True, "blocked_at_us": None, "expires_at_us": None, "now_us": 10}
    assert judge(**good) == "good"
    assert judge(**good | {"expires_at_us": 11}) == "good"
    assert judge(**good | {"expires_at_us": 10}) == "expired"
    assert judge(**good | {"expires_at_us": 10, "blocked_at_us": 1}) == "blocked"
    assert judge(**good | {"is_active": False, "blocked_at_us": 1}) == "disabled"


@pytest.mark.parametrize(
    ("text", "timezone", "wanted"),
    [
        ("", "UTC", None),
        ("+8h", "UTC", 8 * 3600),
        ("+2w", "UTC", 14 * 86_400),
        ("1970-01-02", "UTC", 2 * 86_400),
        ("1970-01-02", "Asia/Tokyo", 2 * 86_400 - 9 * 3600),
        ("1970-01-01T01:00:00Z", "UTC", 3600),
        ("1970-01-01T01:00:00+01:00", "UTC", 0),
    ],
)
def test_ends_as_people_write_them(text, timezone, wanted):
    """A day is good through its last moment in the site's zone."""
    found = expiry_of(text, now_us=0, timezone=timezone)
    assert found == (None if wanted is None else wanted * US_PER_S)


@pytest.mark.parametrize(
    "text", ["tomorrow", "+0h", "+8", "8h", "2026-13-01", "2026-11-22T10:00:00", "9999-12-31", "+99999w " * 9]
)
def test_what_is_no_end_is_refused(text):
    """Never guessed."""
    with pytest.raises(ExpiryUnreadable):
        expiry_of(text, now_us=0, timezone="UTC")
