"""Reader states from one look to the next: no tap lost, none seen twice, whatever the flags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.devices.readers.pcsc_states import (
    CHANGED,
    EMPTY,
    EXCLUSIVE,
    INUSE,
    MUTE,
    PRESENT,
    UNAVAILABLE,
    UNKNOWN,
    Change,
    Seen,
    change,
    is_match,
    model_of,
    next_state,
)

ATR = b"\x3b\x00"


def state(flags: int, counter: int) -> int:
    return counter << 16 | flags


@pytest.mark.parametrize(
    ("old", "new", "seen"),
    [
        (0, state(PRESENT, 5), Seen.INSERTED),
        (0, state(EMPTY, 5), None),
        (state(EMPTY, 5), state(PRESENT, 6), Seen.INSERTED),
        (state(PRESENT, 6), state(EMPTY, 7), Seen.GONE),
        (state(PRESENT, 6), state(PRESENT | INUSE, 6), None),
        (state(PRESENT, 6), state(PRESENT | EXCLUSIVE | INUSE, 6), None),
        (state(PRESENT, 6), state(PRESENT, 8), Seen.INSERTED),
        (state(PRESENT, 0xFFFF), state(PRESENT, 1), Seen.INSERTED),
        (state(EMPTY, 5), state(EMPTY, 7), Seen.TOO_SHORT),
        (state(EMPTY, 0xFFFF), state(EMPTY, 1), Seen.TOO_SHORT),
        (state(EMPTY, 5), state(PRESENT | MUTE, 6), Seen.MUTE),
        (state(PRESENT | MUTE, 6), state(PRESENT | MUTE, 6), None),
        (state(PRESENT | MUTE, 6), state(PRESENT, 6), Seen.INSERTED),
        (state(PRESENT, 6), state(UNKNOWN, 6), Seen.GONE),
        (state(EMPTY, 6), state(UNAVAILABLE, 6), None),
    ],
)
def test_each_pair_of_looks_has_its_meaning(old: int, new: int, seen: Seen | None) -> None:
    """The rules, written out: a wrapped counter and a lost tap among them."""
    found = change("r", old, new | CHANGED, ATR)
    assert (found.seen if found else None) is seen
    assert next_state(new | CHANGED) == new


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 0xFFFF), st.data())
def test_no_tap_is_lost_or_doubled(moves: list[bool], counter: int, data: st.DataObject) -> None:
    """Cards come and go, we look now and then: every look after an insertion tells a card or a tap too short.

    And a look with nothing new since the last one tells nothing.
    """
    is_in, old, taps = False, state(EMPTY, counter), 0
    for wants_in in moves:
        if wants_in != is_in:
            is_in, counter = wants_in, counter + 1 & 0xFFFF
            taps += wants_in
        if data.draw(st.booleans()):
            new = state(PRESENT if is_in else EMPTY, counter)
            found = change("r", old, new, ATR)
            told = found is not None and found.seen in (Seen.INSERTED, Seen.TOO_SHORT)
            assert told == (taps > 0) or (taps and not is_in and found == Change("r", Seen.GONE))
            assert change("r", next_state(new), new, ATR) is None
            old, taps = next_state(new), 0


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF), st.binary(max_size=40))
def test_no_state_breaks_anything(old: int, new: int, atr: bytes) -> None:
    """Any two numbers are a change or none."""
    found = change("r", old, new, atr)
    assert found is None or found.seen in set(Seen)


@pytest.mark.parametrize(
    ("pattern", "device", "fits"),
    [
        ("*", "Virtual PCD 00 00", True),
        ("acs acr122u*", "ACS ACR122U PICC Interface 00 00", True),
        ("ACR122", "ACS ACR122U PICC Interface 00 00", True),
        ("ACS ACR122U PICC Interface", "ACS ACR122U PICC Interface (0001) 01 00", True),
        ("QEMU QEMU USB CCID [CCID Interface]*", "QEMU QEMU USB CCID [CCID Interface] (1-0000:00:03.0-1) 00 00", True),
        ("*CCID?[CCID Interface]", "QEMU QEMU USB CCID [CCID Interface] (1-0000:00:03.0-2) 00 00", True),
        ("* 00 01", "Virtual PCD 00 00", False),
        ("OMNIKEY*", "HID Global OMNIKEY 5427 CK 00 00", False),
        ("(.*)+$", "Virtual PCD 00 00", False),
        ("", "Virtual PCD 00 00", True),
    ],
)
def test_names_are_matched_by_pattern(pattern: str, device: str, fits: bool) -> None:
    """Only `*` and `?` are special; case, port and serial number do not matter; words fit wherever they stand."""
    assert is_match(pattern, device) is fits


@given(st.text(max_size=40), st.text(max_size=130))
def test_no_pattern_breaks_anything(pattern: str, device: str) -> None:
    """Any text is a pattern, and a name fits itself."""
    assert is_match(pattern, device) in (True, False)
    assert is_match(device, device)
    assert len(model_of(device)) <= 128
