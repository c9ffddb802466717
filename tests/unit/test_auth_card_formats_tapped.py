"""Cards enrolled in formats of their own, tapped at readers with and without a rule."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.auth.card_formats import Formats, parse_format
from daemon.auth.card_reads import CardReads
from daemon.auth.cards import CardUnreadable
from daemon.auth.identity import SignedIn, SignInFailed
from tests.helpers.auth_house import PASSWORD, auth_house

FOLDER = Path(__file__).resolve().parents[2] / "config" / "card-formats"
NAMES = ("uid-hex", "uid-hex-reversed", "track2", "h10301")
UID = "04A1B2C3"
TURNED = "C3B2A104"
STRIPE = ";1234567=99?"


@dataclass(frozen=True)
class Rule:
    """One `[[cards.readers]]` entry."""

    terminal: str
    reader: str
    format: str


@pytest.fixture
async def house(tmp_path):
    async with auth_house(tmp_path) as made:
        made.formats = Formats(parse_format((FOLDER / f"{name}.toml").read_text("utf-8"), name) for name in NAMES)
        made.card_sign_in.reads = CardReads(made.formats)
        yield made


async def person(house, name: str, pin: str, raw: str, form_of: str) -> int:
    """Somebody with this card."""
    made = await house.add_person(name, pin=pin, password=PASSWORD)
    await house.add_card(made, raw, form_of=form_of)
    return made


async def tapped(house, raw: str, *, reader: str = "desk") -> str:
    """Whose session a tap opens, or the code of the refusal."""
    terminal = house.terminal
    try:
        answer = await house.card_sign_in.tap(raw, terminal=terminal, reader=reader)
    except (SignInFailed, CardUnreadable) as refused:
        return refused.code
    assert isinstance(answer, SignedIn)
    return answer.subject.name


async def test_the_read_given_at_the_desk_finds_its_card_at_a_reader_without_a_rule(house):
    """Whatever format it was enrolled in, one that the default cannot even read among them."""
    house.terminal = await house.add_terminal(policy="card")
    await person(house, "anna", "1001", UID, "uid-hex")
    await person(house, "ben", "1002", STRIPE, "track2")
    assert await tapped(house, UID) == "anna"
    assert await tapped(house, STRIPE) == "ben"
    assert await tapped(house, TURNED) == "sign-in-failed"
    assert await tapped(house, ";E?") == "card-unreadable"


async def test_a_card_counts_only_in_the_format_it_was_enrolled_in(house):
    """The bytes of one format are nobody's card in another: no guess opens anything."""
    house.terminal = await house.add_terminal(policy="card")
    await person(house, "anna", "1001", UID, "uid-hex-reversed")
    await person(house, "ben", "1002", "11223344", "uid-hex")
    assert await tapped(house, TURNED) == "sign-in-failed"
    assert await tapped(house, UID) == "anna"


async def test_a_read_that_stands_for_two_cards_opens_nothing(house):
    """One enrolled as it is, one turned round, from the same read: refused, not chosen."""
    house.terminal = await house.add_terminal(policy="card")
    await person(house, "anna", "1001", UID, "uid-hex")
    await person(house, "ben", "1002", UID, "uid-hex-reversed")
    assert await tapped(house, UID) == "sign-in-failed"


async def test_a_rule_is_the_only_way_to_read_at_its_readers(house):
    """At a reader with a rule only that format holds; other readers stay as they were."""
    house.terminal = await house.add_terminal(policy="card")
    await person(house, "anna", "1001", UID, "uid-hex")
    house.card_sign_in.reads = CardReads(house.formats, rules=[Rule("*", "left", "h10301")])
    assert await tapped(house, UID, reader="left") == "card-unreadable"
    assert await tapped(house, UID, reader="right") == "anna"
