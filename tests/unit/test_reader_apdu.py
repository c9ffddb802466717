"""What a card's answer means, and what a reader's make can be told: the pure part of PC/SC."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.devices.readers.apdu import (
    FEEDBACK,
    GET_UID,
    Again,
    CardClass,
    Number,
    card_class,
    feedback_for,
    understand,
)
from daemon.devices.readers.reading import Hiccup, is_plausible

OK = b"\x90\x00"


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        ("04A1B2C3 9000", Number("04A1B2C3")),
        ("00000001 9000", Number("00000001")),
        ("0102030405 9000", Number("0102030405")),
        ("04A1B2C3D4E5F6 9000", Number("04A1B2C3D4E5F6")),
        ("08A1B2C3D4E5F6 9000", Number("08A1B2C3D4E5F6")),
        ("E004015012345678 9000", Number("E004015012345678")),
        ("0401020304050607080A 9000", Number("0401020304050607080A")),
        ("04A1B2C3 6282", Number("04A1B2C3")),
        ("08A1B2C3 9000", Hiccup.RANDOM_UID),
        ("01FE010203040506 9000", Hiccup.RANDOM_UID),
        ("8804A1B2 9000", Hiccup.NO_NUMBER),
        ("00000000 9000", Hiccup.NO_NUMBER),
        ("FFFFFFFFFFFFFF 9000", Hiccup.NO_NUMBER),
        ("9000", Hiccup.NO_NUMBER),
        ("01 9000", Hiccup.NO_NUMBER),
        ("010203040506 9000", Hiccup.NO_NUMBER),
        ("0102030405060708090A0B 9000", Hiccup.TOO_LONG),
        ("6A81", Hiccup.NO_NUMBER),
        ("6D00", Hiccup.NO_NUMBER),
        ("6E00", Hiccup.NO_NUMBER),
        ("6300", Hiccup.MUTE),
        ("6F00", Hiccup.MUTE),
        ("", Hiccup.MUTE),
        ("90", Hiccup.MUTE),
        ("6C07", Again(bytes.fromhex("FFCA000007"))),
        ("6C00", Hiccup.MUTE),
        ("6107", Again(bytes.fromhex("00C0000007"))),
    ],
)
def test_every_shape_of_answer_has_its_meaning(answer: str, meaning: object) -> None:
    """The table of the module, written out again."""
    assert understand(bytes.fromhex(answer)) == meaning


@given(st.binary(max_size=400))
@example(b"\x41" * 65533 + OK)
def test_no_answer_breaks_anything(answer: bytes) -> None:
    """Whatever comes: a plausible number of a length cards have, a short command, or a named reason; never an error."""
    meaning = understand(answer)
    if isinstance(meaning, Number):
        assert is_plausible(meaning.raw)
        assert bytes.fromhex(meaning.raw) == answer[:-2]
        assert meaning.raw == meaning.raw.upper()
    elif isinstance(meaning, Again):
        assert len(meaning.apdu) == len(GET_UID)
    else:
        assert meaning in set(Hiccup)


def test_a_number_is_in_no_repr() -> None:
    """What a log line or a traceback would show of a number is nothing."""
    assert "A1B2" not in repr(understand(bytes.fromhex("04A1B2C39000")))


@pytest.mark.parametrize(
    ("atr", "kind"),
    [
        ("3B8F8001804F0CA000000306030001000000006A", CardClass.STORAGE),
        ("3B8180018080", CardClass.CONTACTLESS),
        ("3B9F95801FC78031E073FE211B63D0018E830F900079", CardClass.CONTACT),
        ("3B00", CardClass.CONTACT),
        ("", CardClass.UNKNOWN),
        ("FF" * 20, CardClass.UNKNOWN),
        ("3B" + "FF" * 60, CardClass.UNKNOWN),
    ],
)
def test_an_atr_tells_the_class(atr: str, kind: CardClass) -> None:
    """Storage card, contactless processor, contact card, or nothing known."""
    assert card_class(bytes.fromhex(atr)) is kind


@given(st.binary(max_size=80))
def test_no_atr_breaks_anything(atr: bytes) -> None:
    """Any bytes have a class."""
    assert card_class(atr) in set(CardClass)


def test_known_makes_can_be_told_and_others_stay_silent() -> None:
    """Every make of the table is found by its name as PC/SC writes it; an unknown one is None."""
    for one in FEEDBACK:
        assert feedback_for(f"ACS {one.pattern}U PICC Interface (serial) 00 00") is one
        assert all(0 < len(command) <= 16 for command in one.good + one.bad)
        assert one.good != one.bad
    assert feedback_for("HID Global OMNIKEY 5427 CK 00 00") is None
    assert feedback_for("") is None
