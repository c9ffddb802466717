"""What a reader's firmware does to type a text on a keyboard of a layout: key positions, pressed and released."""

from __future__ import annotations

from daemon.devices.readers.layouts import (
    ALTGR,
    KEY_ENTER,
    KEY_KPENTER,
    KEY_LEFTALT,
    KEY_LEFTSHIFT,
    KEY_RIGHTALT,
    KEY_RIGHTSHIFT,
    KEY_SPACE,
    KEY_TAB,
    KEYPAD,
    LAYOUTS,
    SHIFTED,
)

ENDINGS = {"enter": KEY_ENTER, "kp-enter": KEY_KPENTER, "tab": KEY_TAB}
Stroke = tuple[int, int]
"""Key code and value: 1 pressed, 0 released, 2 repeated."""


def key(code: int, *, held: int | None = None) -> list[Stroke]:
    """One key, perhaps with another held."""
    inner = [(code, 1), (code, 0)]
    return inner if held is None else [(held, 1), *inner, (held, 0)]


def typed(text: str, layout: str = "us", *, shift: int = KEY_LEFTSHIFT, on_keypad: bool = False) -> list[Stroke]:
    """The strokes of a text; dead keys are followed by the space bar, as firmware does it."""
    places = _places(layout)
    strokes: list[Stroke] = []
    for char in text:
        if on_keypad and char in KEYPAD.values():
            strokes += key(next(code for code, digit in KEYPAD.items() if digit == char))
            continue
        code, level = places[char]
        strokes += key(code, held={SHIFTED: shift, ALTGR: KEY_RIGHTALT}.get(level))
        if (code, level) in LAYOUTS[layout].dead:
            strokes += key(KEY_SPACE)
    return strokes


def by_alt_codes(text: str, *, alt: int = KEY_LEFTALT) -> list[Stroke]:
    """Layout-proof: Alt held, the character's number on the keypad, Alt released."""
    keypad = {digit: code for code, digit in KEYPAD.items()}
    strokes: list[Stroke] = []
    for char in text:
        digits = [stroke for digit in str(ord(char)) for stroke in key(keypad[digit])]
        strokes += [(alt, 1), *digits, (alt, 0)]
    return strokes


def end(ending: str) -> list[Stroke]:
    """The terminator's strokes; none for `idle`."""
    return key(ENDINGS[ending]) if ending in ENDINGS else []


def typeable(layout: str) -> str:
    """Every character a layout has a key for."""
    return "".join(sorted(_places(layout)))


def _places(layout: str) -> dict[str, tuple[int, int]]:
    """Where each character is: on the main block, on a key that is not dead, at the lowest level, where there is a choice."""
    table = LAYOUTS[layout]
    found: dict[str, tuple[int, int]] = {}
    for code, chars in sorted(table.keys.items(), key=lambda item: (item[0] in _BLOCK_LAST, item[0])):
        for level, char in enumerate(chars):
            place = (code, level)
            if char and (char not in found or (found[char] in table.dead and place not in table.dead)):
                found[char] = place
    return found


_BLOCK_LAST = frozenset({86, 55, 98, 117, 121, 83, 74, 78, *KEYPAD})
BOTH_SHIFTS = (KEY_LEFTSHIFT, KEY_RIGHTSHIFT)
