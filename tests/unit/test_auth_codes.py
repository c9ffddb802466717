"""Codes by mail over a real database: how often, how long, where, and what a wrong one costs."""

import pytest

from daemon.auth.card_rules import CardRules
from daemon.auth.identity import SignInFailed, SignInPaused
from daemon.auth.mailed_codes import ASKS_BURST, CODE_GAP_S, CODE_S, CODES_PER_HOUR_MAX, TRIES_MAX
from tests.helpers.auth_house import PASSWORD, AuthHouse, auth_house

RULES = CardRules(mailed_code=True)


@pytest.fixture
async def house(tmp_path):
    async with auth_house(tmp_path, cards=RULES) as made:
        await made.add_person("anna", pin="1001", password=PASSWORD, email="anna@example.org")
        made.terminal = await made.add_terminal()
        yield made


def _codes(house) -> list[str]:
    return [facts["code"] for kind, _, facts in house.mail.sent if kind == "sign-in-code"]


async def _asked(house, *, terminal=None) -> str:
    await house.codes.ask("1001", terminal=terminal or house.terminal)
    return _codes(house)[-1]


async def _opens(house, code, *, terminal=None) -> bool:
    try:
        signed = await house.sign_in.by_code("1001", code, terminal=terminal or house.terminal)
    except SignInFailed:
        return False
    return signed.session.method == "code"


async def test_a_code_is_good_for_ten_minutes_and_once(house):
    """At its end it is over; used, it is over; and it is in no row as it was mailed."""
    code = await _asked(house)
    assert (len(code), code.isdigit()) == (8, True)
    house.clock.pass_s(CODE_S)
    assert not await _opens(house, code)
    code = await _asked(house)
    house.clock.pass_s(CODE_S - 1)
    assert await _opens(house, code)
    assert not await _opens(house, code)
    raw = b"".join(path.read_bytes() for path in house.db.path.parent.glob("house.db*"))
    assert code.encode() not in raw


async def test_the_next_code_voids_the_one_before_and_comes_not_too_often(house):
    """A minute apart, five an hour, whoever asks; more are answered alike and mailed to nobody."""
    first = await _asked(house)
    await house.codes.ask("1001", terminal=house.terminal)
    assert len(_codes(house)) == 1
    for _ in range(2 * CODES_PER_HOUR_MAX):
        house.clock.pass_s(CODE_GAP_S)
        await house.codes.ask("1001", terminal=house.terminal)
    codes = _codes(house)
    assert len(codes) == CODES_PER_HOUR_MAX
    assert not await _opens(house, first)
    assert await _opens(house, codes[-1])
    house.clock.pass_s(3600)
    assert await _asked(house) not in codes


async def test_wrong_codes_void_it_and_count_like_wrong_passwords(house):
    """Five wrong tries and the right one is void; the password's waits hold for codes, and the other way round."""
    code = await _asked(house)
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    for _ in range(TRIES_MAX):
        assert not await _opens(house, wrong)
    assert not await _opens(house, code)
    row = await house.db.read_one("SELECT failures, locked_until_us FROM credential")
    assert row["failures"] == TRIES_MAX + 1
    house.clock.pass_s(1)
    with pytest.raises(SignInFailed):
        await house.sign_in.by_pin("1001", PASSWORD, terminal=house.terminal)
    house.clock.pass_s(60)
    assert await _opens(house, await _asked(house))
    assert (await house.db.read_one("SELECT failures FROM credential"))["failures"] == 0


@pytest.mark.parametrize("who", ["elsewhere", "off", "no-mail", "nobody", "forbidden"])
async def test_whoever_may_not_have_one_is_answered_the_same(tmp_path, who):
    """Another terminal, somebody switched off, without address, unknown, or a site that mails none: no way in."""
    rules = CardRules(mailed_code=who != "forbidden")
    async with auth_house(tmp_path, cards=rules) as house:
        email = "" if who == "no-mail" else "anna@example.org"
        pin = "2002" if who == "nobody" else "1001"
        await house.add_person("anna", pin=pin, email=email, active=who != "off")
        terminal, other = await house.add_terminal(), await house.add_terminal("other")
        until = await house.codes.ask("1001", terminal=terminal)
        assert until > house.clock.us
        assert await house.count("sign_in_failure") == 1
        codes = _codes(house)
        assert bool(codes) is (who == "elsewhere")
        assert not await _opens(house, codes[0] if codes else "00000000", terminal=other)


async def test_somebody_without_a_password_gets_in_by_code_alone(tmp_path):
    """That is what it is for."""
    async with auth_house(tmp_path, cards=RULES) as house:
        await house.add_person("anna", pin="1001", email="anna@example.org")
        house.terminal = await house.add_terminal()
        assert await _opens(house, await _asked(house))


async def test_a_terminal_that_asks_too_often_waits_also_after_a_restart(house):
    """Whatever PIN it names; another terminal is not concerned, and nobody's sign-in is."""
    for n in range(ASKS_BURST):
        await house.codes.ask(f"9{n:03d}", terminal=house.terminal)
    for asking in (house, await _again(house)):
        with pytest.raises(SignInPaused):
            await asking.codes.ask("1001", terminal=house.terminal)
    await house.codes.ask("1001", terminal=await house.add_terminal("other"))
    assert await house.sign_in.by_pin("1001", PASSWORD, terminal=house.terminal)


async def _again(house) -> AuthHouse:
    other = AuthHouse(house.db, house.keys, house.clock, cards=RULES)
    other.passwords.close()
    await other.sign_in.start()
    return other
