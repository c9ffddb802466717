"""Cards whose numbers are each other's bytes in reverse, when the format of their reader is turned round."""

from __future__ import annotations

import pytest

from daemon.auth.card_formats import Formats, parse_format
from daemon.workflows.card_enrolment import CardDraft
from tests.helpers.office import office

HEXED = 'pipeline = "hex"\nnamespace = "site"\n'
TURNED = HEXED.replace("hex", "rev", 1)
CUT = HEXED.replace("hex", "hex | last:6", 1)


@pytest.fixture
async def house(tmp_path):
    def write(state):
        (state / "card-formats").mkdir(exist_ok=True)
        (state / "card-formats/hexed.toml").write_text(HEXED)

    async with office(tmp_path, config='[cards]\ndefault_format = "hexed"\npolicy = "card"\n', prepare=write) as opened:
        yield opened


async def enrol(house, name: str, raw: str) -> None:
    person = await house.hire(name)
    await house.parts.cards.enrolment.enrol(person, CardDraft(raw), by="local:0", how="desk")


async def read_as(parts, text: str) -> None:
    """The format reads so from now on, as after a restart with another file."""
    parts.cards.keys._cards.reads.formats = Formats([parse_format(text, "hexed.toml")])
    parts.cards.keys._next_us = 0
    await parts.cards.keys.catch_up()


async def hashes(parts) -> dict[str, bytes]:
    rows = await parts.db.read("SELECT person.name, card.hash FROM card JOIN person ON person.id=card.person_id")
    return {row["name"]: bytes(row["hash"]) for row in rows}


async def test_twins_never_open_for_each_other(house):
    """Anna's card and Bert's are bytes in reverse: after the format is turned round, each has what the other had."""
    parts = house.parts
    for name, raw in (("anna", "946EBD28"), ("bert", "28BD6E94"), ("carl", "0A0B0C0D")):
        await enrol(house, name, raw)
    before = await hashes(parts)
    await read_as(parts, TURNED)
    after = await hashes(parts)
    assert (after["anna"], after["bert"]) == (before["bert"], before["anna"])
    assert after["carl"] not in before.values()
    await read_as(parts, HEXED)
    assert await hashes(parts) == before


async def test_cards_that_become_one_open_for_one_alone(house):
    """A format that gives up a part of the number: of two cards that become one, the second opens nothing any more."""
    parts = house.parts
    for name, raw in (("anna", "01AABBCC"), ("bert", "02AABBCC")):
        await enrol(house, name, raw)
    before = await hashes(parts)
    await read_as(parts, CUT)
    after = await hashes(parts)
    assert after["anna"] not in before.values()
    assert after["bert"] not in {*before.values(), after["anna"]}
    await read_as(parts, HEXED)
    assert await hashes(parts) == before
