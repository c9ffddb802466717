"""Key positions become card reads: layouts, modifiers, terminators, silence, and what is thrown away."""

from __future__ import annotations

import pytest

from daemon.devices.readers.keystrokes import UNFINISHED_S, Decoder, Terminator
from daemon.devices.readers.reading import RAW_CHARS_MAX, Hiccup
from tests.helpers.keyboard import by_alt_codes, end, key, typed

# linux/input-event-codes.h, written out again.
KEY = {
    "1": 2, "2": 3, "3": 4, "6": 7, "7": 8, "8": 9, "9": 10, "0": 11, "MINUS": 12, "EQUAL": 13, "TAB": 15, "Q": 16,
    "Y": 21, "LEFTBRACE": 26, "RIGHTBRACE": 27, "ENTER": 28, "LEFTCTRL": 29, "A": 30, "SEMICOLON": 39, "APOSTROPHE": 40,
    "GRAVE": 41, "LEFTSHIFT": 42, "BACKSLASH": 43, "Z": 44, "V": 47, "B": 48, "M": 50, "COMMA": 51, "SLASH": 53, "RIGHTSHIFT": 54,
    "LEFTALT": 56, "SPACE": 57, "CAPSLOCK": 58, "F12": 88, "NUMLOCK": 69, "KP1": 79, "KPDOT": 83, "102ND": 86, "KPENTER": 96,
    "RIGHTALT": 100, "LEFTMETA": 125,
}  # fmt: skip
SHIFT, ALTGR = KEY["LEFTSHIFT"], KEY["RIGHTALT"]
ENTER = key(KEY["ENTER"])


def read(strokes, one=None, *, at_s=100.0, gap_s=0.005):
    """Outcomes of strokes typed one after the other, and of the long silence after them."""
    one = one or Decoder()
    outcomes = []
    for code, value in strokes:
        outcomes += one.feed(code, value, at_s)
        at_s += gap_s
    return outcomes + one.silence(at_s + 10, is_more_waiting=False)


@pytest.mark.parametrize(
    ("layout", "name", "chars"),
    [
        ("us", "2", "2@"), ("us", "MINUS", "-_"), ("us", "SEMICOLON", ";:"), ("us", "SLASH", "/?"), ("us", "EQUAL", "=+"),
        ("us", "6", "6^"), ("us", "Y", "yY"), ("us", "102ND", "\\|"),
        ("de", "Y", "zZ"), ("de", "Z", "yY"), ("de", "7", "7/{"), ("de", "0", "0=}"), ("de", "MINUS", "ß?\\"),
        ("de", "Q", "qQ@"), ("de", "COMMA", ",;"), ("de", "SLASH", "-_"), ("de", "102ND", "<>|"), ("de", "RIGHTBRACE", "+*~"),
        ("de", "BACKSLASH", "#'"), ("de", "SEMICOLON", "öÖ"), ("de", "3", "3§³"),
        ("fr", "1", "&1"), ("fr", "2", "é2"), ("fr", "6", "-6|"), ("fr", "8", "_8\\"), ("fr", "0", "à0@"), ("fr", "9", "ç9^"),
        ("fr", "Q", "aA"), ("fr", "A", "qQ"), ("fr", "Z", "wW"), ("fr", "M", ",?"), ("fr", "SEMICOLON", "mM"),
        ("fr", "COMMA", ";."), ("fr", "SLASH", "!§"), ("fr", "MINUS", ")°]"), ("fr", "BACKSLASH", "*µ"),
    ],
)  # fmt: skip
def test_keys_type_what_is_printed_on_them(layout, name, chars):
    """Plain, with shift, with AltGr: as on that country's keyboards."""
    got = "".join(
        outcome
        for held in (None, SHIFT, ALTGR)[: len(chars)]
        for outcome in read(key(KEY[name], held=held) + ENTER, Decoder(layout=layout))
        if isinstance(outcome, str)
    )
    assert got == chars


@pytest.mark.parametrize(
    "strokes",
    [
        key(KEY["GRAVE"]) + key(KEY["SPACE"]) + key(KEY["A"], held=SHIFT),
        key(KEY["GRAVE"]) + key(KEY["A"], held=SHIFT),
    ],
)
def test_a_dead_key_types_its_accent(strokes):
    """A stripe's ^ on a German keyboard waits for the space bar, or stands before the next letter; it makes no Â."""
    assert read(strokes + ENTER, Decoder(layout="de")) == ["^A"]


def test_a_dead_key_at_the_end_is_not_lost():
    """The accent is there even when nothing follows it."""
    assert read(key(KEY["1"]) + key(KEY["GRAVE"]) + ENTER, Decoder(layout="de")) == ["1^"]


@pytest.mark.parametrize(("ending", "name"), [("enter", "ENTER"), ("enter", "KPENTER"), ("tab", "TAB")])
def test_a_terminator_ends_a_read(ending, name):
    """Enter of either block, or Tab, as configured; at once, and never with nothing typed."""
    one = Decoder(terminator=Terminator(ending))
    got = [outcome for code, value in typed("0042") + key(KEY[name]) for outcome in one.feed(code, value, 9.0)]
    assert got == ["0042"]
    assert read(key(KEY[name]), one) == []


def test_silence_ends_a_read_without_terminator():
    """After `idle_s` without a key the read is out; before, or with keys still waiting unread, it is not."""
    one = Decoder(terminator=Terminator.IDLE, idle_s=0.25)
    for code, value in typed("0042"):
        assert one.feed(code, value, 9.0) == []
    assert one.due_s == 9.25
    assert one.silence(9.2, is_more_waiting=False) == []
    assert one.silence(20.0, is_more_waiting=True) == []
    assert one.silence(9.25, is_more_waiting=False) == ["0042"]
    assert one.due_s is None


def test_the_events_times_part_two_cards_read_late():
    """A program that was busy finds two cards in the buffer: the silence between them is in their times."""
    one = Decoder(terminator=Terminator.IDLE, idle_s=0.25)
    strokes = [(*stroke, 1.0) for stroke in typed("0042")] + [(*stroke, 1.5) for stroke in typed("0043")]
    assert [outcome for stroke in strokes for outcome in one.feed(*stroke)] == ["0042"]
    assert one.silence(99.0, is_more_waiting=False) == ["0043"]


@pytest.mark.parametrize(
    ("terminator", "strokes", "wanted"),
    [
        ("enter", typed("118") + key(KEY["TAB"]) + typed("4123") + ENTER, ["118 4123"]),
        ("idle", typed("%A?") + ENTER + typed(";12?") + ENTER, ["%A? ;12?"]),
        ("tab", ENTER + typed("7") + key(KEY["TAB"]), ["7"]),
    ],
)
def test_another_ending_inside_a_read_parts_it(terminator, strokes, wanted):
    """118 and 4123 are never run together: 1184 and 123 would look the same."""
    assert read(strokes, Decoder(terminator=Terminator(terminator))) == wanted


def test_the_wrong_terminator_is_noticed():
    """A reader that sends Tab where Enter is awaited: each tap is told as torn, none is glued to the next."""
    one = Decoder()
    assert read(typed("0042") + end("tab"), one, at_s=1.0) == [Hiccup.TORN]
    assert read(typed("0043") + ENTER, one, at_s=9.0) == ["0043"]


def test_a_remainder_is_not_glued_to_the_next_card():
    """A key touched by accident, then a card seconds later that nobody looked at in between: one torn, one whole."""
    one = Decoder()
    late = [outcome for code, value in key(KEY["7"]) for outcome in one.feed(code, value, 1.0)]
    for code, value in typed("0042") + ENTER:
        late += one.feed(code, value, 1.0 + UNFINISHED_S)
    assert late == [Hiccup.TORN, "0042"]


def test_a_key_that_is_held_types_once():
    """The kernel's repeats (value 2) are not characters."""
    strokes = [(KEY["7"], 1), *[(KEY["7"], 2)] * 5, (KEY["7"], 0)]
    assert read(strokes + typed("89") + ENTER) == ["789"]


@pytest.mark.parametrize("name", ["LEFTSHIFT", "RIGHTSHIFT"])
def test_shift_is_followed_by_press_and_release(name):
    """Held over several keys, with either hand; one of two released is still shift."""
    shift = KEY[name]
    strokes = [(shift, 1), *key(KEY["A"]), *key(KEY["B"]), (shift, 0), *key(KEY["A"])]
    both = [(KEY["LEFTSHIFT"], 1), (KEY["RIGHTSHIFT"], 1), (shift, 0), *key(KEY["A"])]
    assert read(strokes + ENTER) == ["ABa"]
    assert read(both + ENTER) == ["A"]


@pytest.mark.parametrize("name", ["LEFTSHIFT", "LEFTCTRL", "LEFTALT", "LEFTMETA", "RIGHTALT"])
def test_a_modifier_whose_release_was_lost_is_let_go(name):
    """The next card is not read as signs: no reader holds a modifier through a silence."""
    one = Decoder(layout="de")
    assert read([(KEY[name], 1)], one, at_s=1.0) == []
    assert read(typed("123") + ENTER, one, at_s=5.0) == ["123"]


def test_caps_lock_changes_nothing():
    """Readers say capitals by shift; what the lock says belongs to somebody's other keyboard."""
    assert read(key(KEY["CAPSLOCK"]) + typed("aB1") + ENTER) == ["aB1"]


def test_the_keypad_types_digits():
    """With Num Lock sent before or not, with shift held or not; its decimal key types the layout's own sign."""
    digits = typed("1234567890", on_keypad=True)
    assert read(key(KEY["NUMLOCK"]) + digits + ENTER) == ["1234567890"]
    assert read([(SHIFT, 1), *digits, (SHIFT, 0), *ENTER]) == ["1234567890"]
    decimal = key(KEY["KP1"]) + key(KEY["KPDOT"]) + key(KEY["KP1"]) + ENTER
    assert [read(decimal, Decoder(layout=layout)) for layout in ("us", "de")] == [["1.1"], ["1,1"]]


def test_alt_and_a_number_type_its_character():
    """Also with a leading zero, and as the terminator (Alt+013)."""
    assert read(by_alt_codes("0Az;?") + by_alt_codes("\r")) == ["0Az;?"]
    zero = [(KEY["LEFTALT"], 1), *typed("0228", on_keypad=True), (KEY["LEFTALT"], 0)]
    none = [(KEY["LEFTALT"], 1), *typed("132", on_keypad=True), (KEY["LEFTALT"], 0)]
    assert read(zero + none + ENTER) == ["ää"]


@pytest.mark.parametrize("number", ["999", "0129", "00065", "0160"])
def test_a_number_without_character_spoils_the_read(number):
    """Better no read than one with a character missing."""
    strokes = [(KEY["LEFTALT"], 1), *typed(number, on_keypad=True), (KEY["LEFTALT"], 0)]
    assert read(typed("12") + strokes + typed("34") + ENTER) == [Hiccup.TORN]


@pytest.mark.parametrize(
    "junk",
    [
        key(KEY["F12"]), key(KEY["B"], held=KEY["LEFTCTRL"]), key(KEY["LEFTMETA"]), by_alt_codes("\x02"),
        key(KEY["A"], held=KEY["LEFTALT"]), ENTER, key(KEY["TAB"]), key(700), [(KEY["LEFTALT"], 1), (KEY["LEFTALT"], 0)],
    ],
)  # fmt: skip
def test_keys_without_character_add_nothing(junk):
    """What readers send before the number (function keys, Ctrl+B, STX, an empty line) is no part of it."""
    assert read(junk + typed("0042") + ENTER) == ["0042"]


def test_control_and_a_letter_may_be_the_terminator():
    """Ctrl+M and Ctrl+J are Enter, Ctrl+I is Tab, as in every terminal."""
    assert read(typed("42") + key(KEY["M"], held=KEY["LEFTCTRL"])) == ["42"]
    tab = Decoder(terminator=Terminator.TAB)
    assert read(typed("42") + [(KEY["LEFTCTRL"], 1), (23, 1), (23, 0), (KEY["LEFTCTRL"], 0)], tab) == ["42"]


def test_control_with_alt_is_altgr():
    """Some readers type a German @ as Ctrl+Alt+Q."""
    strokes = [(KEY["LEFTCTRL"], 1), (KEY["LEFTALT"], 1), *key(KEY["Q"]), (KEY["LEFTALT"], 0), (KEY["LEFTCTRL"], 0)]
    assert read(strokes + ENTER, Decoder(layout="de")) == ["@"]


def test_too_much_is_told_once_and_thrown_away():
    """513 characters and all that follow them without a silence are one hiccup; the longest badge is read."""
    one = Decoder()
    assert read(typed("7" * RAW_CHARS_MAX) + ENTER, one, at_s=1.0) == ["7" * RAW_CHARS_MAX]
    flood = (typed("7" * (RAW_CHARS_MAX + 1)) + ENTER) * 3
    assert read(flood, one, at_s=1000.0) == [Hiccup.TOO_LONG]
    assert read(typed("0042") + ENTER, one, at_s=9000.0) == ["0042"]


def test_lost_events_are_told_once_and_what_is_left_is_thrown_away():
    """After SYN_DROPPED nothing counts up to the next silence, not even a terminator."""
    one = Decoder()
    told = []
    for code, value in typed("00"):
        told += one.feed(code, value, 5.0)
    told += one.dropped(5.0)
    for code, value in typed("42") + ENTER:
        told += one.feed(code, value, 5.1)
    told += one.dropped(5.1)
    assert told == [Hiccup.TORN]
    assert read(typed("0042") + ENTER, one, at_s=6.0) == ["0042"]


def test_a_device_is_trusted_after_its_first_silence():
    """Opened while a card is being typed: the end of a number is not a number. A quiet device is read at once."""
    one = Decoder()
    one.opened(5.0)
    assert read(typed("42") + ENTER, one, at_s=5.1) == [Hiccup.TORN]
    one.opened(20.0)
    assert read([(KEY["ENTER"], 0)], one, at_s=20.1) == []
    one.opened(50.0)
    assert read(typed("0042") + ENTER, one, at_s=50.3) == ["0042"]
