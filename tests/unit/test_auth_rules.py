"""The pure rules of signing in: lockout, throttles, PINs, secrets, permissions, cards."""

import random

import pytest

from daemon.auth import cards, lockout, permissions, pins, secret_rules
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import Forbidden


def _fail(attempts, times, *, start_us=0, step_us=61 * US_PER_S):
    for n in range(times):
        attempts = attempts.failed(start_us + n * step_us)
    return attempts


@pytest.mark.parametrize(("failures", "wait"), [(1, 0), (3, 0), (4, 5), (5, 15), (6, 60), (7, 60), (19, 60)])
def test_waits_grow_after_three_free_failures(failures, wait):
    """Three failures cost nothing, then 5, 15 and 60 seconds."""
    assert lockout.wait_s(failures) == wait
    after = _fail(lockout.Attempts("password"), failures, step_us=0)
    assert (after.locked_until_us or 0) == wait * US_PER_S
    assert after.is_open(wait * US_PER_S)
    assert after.is_open(wait * US_PER_S - 1) is (wait == 0)


@pytest.mark.parametrize(("kind", "limit"), [("password", 20), ("keypad-password", 10)])
def test_consecutive_failures_disable_the_credential(kind, limit):
    """The limit disables for good, one less does not; only success clears the count."""
    assert not _fail(lockout.Attempts(kind), limit - 1).is_disabled
    after = _fail(lockout.Attempts(kind), limit)
    assert after.is_disabled
    assert not after.is_open(10**18)
    assert _fail(lockout.Attempts(kind), limit - 1).succeeded() == lockout.Attempts(kind)


def test_owner_hears_of_the_long_wait_and_of_the_end():
    """One piece of news when waiting reaches its longest, one when the credential goes; none between."""
    attempts = lockout.Attempts("password")
    news = []
    for n in range(20):
        after = attempts.failed(n)
        news.append(attempts.news(after))
        attempts = after
    assert [(n + 1, word) for n, word in enumerate(news) if word] == [(6, "slowed"), (20, "disabled")]


def test_spraying_from_one_terminal_is_paused_at_twenty():
    """4 tries on each of 200 people at one terminal: paused at the 20th, long before any person's own limit."""
    throttle = lockout.Throttle()
    tried = 0
    for person in range(200):
        for _ in range(4):
            if throttle.paused_s(source="terminal:1", now_us=tried):
                break
            throttle.failed(source="terminal:1", person=f"p{person}", at_us=tried)
            tried += 1
    assert tried == 20
    assert throttle.paused_s(source="terminal:1", now_us=tried) == 60
    assert throttle.paused_s(source="terminal:2", now_us=tried) == 0
    assert throttle.paused_s(source="terminal:1", now_us=tried + 61 * US_PER_S) == 0


def test_spraying_over_many_terminals_pauses_each_of_them():
    """Ten terminals, four tries a person: the house notices at thirty people, and at most 40 tries get through."""
    throttle = lockout.Throttle()
    tried = 0
    for round_ in range(80):
        for terminal in range(10):
            source = f"terminal:{terminal}"
            if throttle.paused_s(source=source, now_us=tried):
                continue
            throttle.failed(source=source, person=f"p{round_ * 10 + terminal}", at_us=tried)
            tried += 1
    assert tried <= 40
    assert throttle.is_sprayed(tried)
    assert not throttle.is_sprayed(tried + lockout.WINDOW_US)


def test_failures_during_a_pause_do_not_prolong_it():
    """Attempts that were under way when the pause began are not counted twice."""
    throttle = lockout.Throttle(lockout.Limits(source_failures_max=2))
    assert [throttle.failed(source="t", person="p", at_us=n) for n in range(4)] == [False, True, False, False]
    assert throttle.paused_s(source="t", now_us=4) == 60


def test_a_slow_trickle_of_slips_pauses_nobody():
    """One slip a minute at one terminal is office life."""
    throttle = lockout.Throttle()
    paused = [throttle.failed(source="t", person=f"p{n % 7}", at_us=n * 60 * US_PER_S) for n in range(300)]
    assert not any(paused)


def test_the_throttle_forgets_the_oldest_and_stays_small():
    """Made-up sources and names cannot make it grow without bound."""
    throttle = lockout.Throttle()
    for n in range(lockout.SOURCES_MAX + 500):
        throttle.failed(source=f"host:{n}", person=f"x{n}", at_us=n)
    assert len(throttle._sources) <= lockout.SOURCES_MAX
    assert len(throttle._people) <= lockout.SOURCES_MAX


def test_pins_are_digits_of_the_chosen_length():
    """Every draw has the length asked for and is never one digit repeated."""
    rng = random.Random(7)
    for length in (4, 6, 12):
        for _ in range(300):
            pin = pins.drawn(rng.randbytes(8), length=length)
            assert len(pin) == length
            assert pins.check(pin) == pin
            assert len(set(pin)) > 1
    for all_same in range(10):
        number = int(str(all_same) * 6)
        assert len(set(pins.drawn(number.to_bytes(8, "big"), length=6))) == 2


@pytest.mark.parametrize("bad", ["", "123", "1" * 13, "12a4", "١٢٣٤", "-123"])
def test_what_is_no_pin_is_refused(bad):
    """Length and ASCII digits are checked."""
    with pytest.raises(pins.PinRefused):
        pins.check(bad)


@pytest.mark.parametrize("length", [3, 13])
def test_pins_of_other_lengths_are_not_made(length):
    """4 to 12 digits; and eight random bytes are needed."""
    with pytest.raises(pins.PinRefused):
        pins.drawn(b"12345678", length=length)
    with pytest.raises(ValueError):
        pins.drawn(b"1234567")


def test_a_crowded_number_space_is_refused():
    """Above half full the site is told to choose longer PINs; below, enough draws are made."""
    assert pins.tries_for(taken=0, length=6) >= 8
    assert 0.5 ** pins.tries_for(taken=5_000, length=4) < 1e-12
    with pytest.raises(pins.PinsExhausted):
        pins.tries_for(taken=5_001, length=4)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("fourteen chars", "too-short"),
        ("passwordpassword", "too-common"),
        ("Password123456789", "too-common"),
        ("P@ssw0rdP@ssw0rd!", "too-common"),
        ("qwertyuiopasdfghjkl", "too-common"),
        ("1234567890123456", "too-common"),
        ("aaaaaaaaaaaaaaaaaaaa", "too-simple"),
        ("abcdefghijklmnopqrs", "too-common"),
        ("maria.gonzalez@example.org", "personal"),
        ("a quiet\x07 harbour town", "too-simple"),
        ("é" * 600, "too-long"),
    ],
)
def test_poor_passwords_are_refused_with_a_reason(secret, reason):
    """Length, blocklist and own names are told; there is no rule of composition."""
    with pytest.raises(secret_rules.PasswordRefused) as refused:
        secret_rules.check_password(secret, context=["maria", "gonzalez", "maria.gonzalez@example.org", "example.org"])
    assert refused.value.data["reason"] == reason


@pytest.mark.parametrize(
    "secret",
    [
        "correct horse battery",
        "tinned peaches at nine",
        "das Schiff liegt im Hafen",
        "ñandú bebe café tibio",
        "x7#Lq2v!Tz9&wPbK",
    ],
)
def test_long_ordinary_passwords_are_accepted(secret):
    """15 code points that nobody would try first are enough, spaces and accents welcome."""
    assert secret_rules.check_password(secret, context=["maria"])


def test_passwords_are_counted_in_code_points_after_nfc():
    """A decomposed accent counts once and the stored text is the composed one."""
    decomposed = "cafe\u0301 tibio azul"
    assert len(secret_rules.check_password(decomposed)) == 15
    with pytest.raises(secret_rules.PasswordRefused):
        secret_rules.check_password("cafe\u0301 tibio azu")


@pytest.mark.parametrize(
    "bad",
    [
        "12345",
        "111111",
        "121212",
        "123456",
        "987654",
        "135791",
        "112233",
        "240385",
        "123321",
        "704913",
        "24031985",
        "19850324",
        "03241985",
        "1234567890123",
    ],
)
def test_keypad_passwords_refuse_patterns_dates_and_the_pin(bad):
    """Six digits that people choose first are refused."""
    with pytest.raises(secret_rules.PasswordRefused):
        secret_rules.check_keypad(bad, pin="704913")


def test_keypad_rules_cost_between_one_and_five_percent():
    """Enough is refused to matter, little enough that generated ones almost always pass."""
    rng = random.Random(1)
    refused = 0
    for _ in range(20_000):
        try:
            secret_rules.check_keypad(f"{rng.randrange(10**6):06d}", pin="")
        except secret_rules.PasswordRefused:
            refused += 1
    assert 0.01 < refused / 20_000 < 0.05


def test_permissions_deny_by_default():
    """No role, an unknown role and a foreign site all grant nothing; unknown permissions are a bug."""
    nobody = permissions.actor("user:1", [("no-such-role", "*")])
    assert not any(nobody.may(permission) for permission in permissions.PERMISSIONS)
    operator = permissions.actor("user:2", [("operator", "north")])
    assert operator.may(permissions.JOBS_CONTROL, site="north")
    assert operator.may_anywhere(permissions.JOBS_CONTROL)
    for site in ("south", "*"):
        with pytest.raises(Forbidden):
            operator.require(permissions.JOBS_CONTROL, site=site)
    with pytest.raises(ValueError):
        operator.require("everything.always")
    with pytest.raises(permissions.RoleUnknown):
        permissions.check_role("root")


def test_only_admin_writes_users_and_only_money_roles_adjust():
    """The matrix of who may write what, spelled out again."""
    holders = {p: {role for role, held in permissions.ROLES.items() if p in held} for p in permissions.PERMISSIONS}
    assert holders[permissions.USERS_WRITE] == {"admin"}
    assert holders[permissions.ROLES_WRITE] == {"admin"}
    assert holders[permissions.PRINTERS_WRITE] == {"admin"}
    assert holders[permissions.TERMINALS_WRITE] == {"admin"}
    assert holders[permissions.TOKENS_WRITE] == {"admin"}
    assert holders[permissions.ACCOUNTS_ADJUST] == {"admin", "billing"}
    assert holders[permissions.JOBS_CONTROL] == {"admin", "operator"}
    assert holders[permissions.METRICS_READ] == {"admin", "metrics"}
    assert permissions.SYSTEM.may(permissions.BACKUP_RUN)


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("04a224b1c2d380", "04A224B1C2D380"),
        ("04:a2:24:b1", "04A224B1"),
        (";0012345678?\r\n", "0012345678"),
        ("\x0200AB12\x03", "00AB12"),
    ],
)
def test_default_card_format_keeps_the_text(raw, number):
    """Frames and separators go, hexadecimal is upper-cased, leading zeros stay."""
    assert cards.normalise(raw) == number
    assert cards.hashed_form(number) != cards.hashed_form(number.lstrip("0"))


@pytest.mark.parametrize("raw", ["", "123", "00000000", "12G4", "x" * 300, "1" * 65, "１２３４", "12;34"])
def test_unreadable_cards_are_refused(raw):
    """A read that is no number is refused, never guessed."""
    with pytest.raises(cards.CardUnreadable):
        cards.normalise(raw)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [("seven77", "too-short"), ("aaaaaaaa", "too-simple"), ("eight\n chars", "too-simple"), ("x7" * 600, "too-long")],
)
def test_what_an_administrator_may_not_give(secret, reason):
    """A first password given by an administrator has its own, shorter rule."""
    with pytest.raises(secret_rules.PasswordRefused) as refused:
        secret_rules.check_initial(secret)
    assert refused.value.data["reason"] == reason


def test_what_an_administrator_may_give():
    """Eight characters do to begin with, also such as nobody may choose themselves."""
    assert secret_rules.check_initial("anna-2026") == "anna-2026"
