"""What the keys of a keyboard type, by position: the layouts card readers can be set to. Data, pure.

Positions are the kernel's key codes (linux/input-event-codes.h); the console's own keymap plays no part. Three levels:
plain, with shift, with AltGr. The German and French tables are Windows' (KBDGR, KBDFR), which readers are made for,
dead keys included.
"""

from __future__ import annotations

from dataclasses import dataclass

KEY_TAB, KEY_ENTER, KEY_KPENTER = 15, 28, 96
KEY_LEFTSHIFT, KEY_RIGHTSHIFT = 42, 54
KEY_LEFTCTRL, KEY_RIGHTCTRL = 29, 97
KEY_LEFTALT, KEY_RIGHTALT = 56, 100
KEY_LEFTMETA, KEY_RIGHTMETA = 125, 126
KEY_SPACE = 57

PLAIN, SHIFTED, ALTGR = 0, 1, 2

KEYPAD = dict(zip((82, 79, 80, 81, 75, 76, 77, 71, 72, 73), "0123456789", strict=True))
"""Digits of the numeric keypad, whatever Num Lock says: a reader that uses them means digits."""
KEYPAD_SIGNS = {74: "-", 78: "+", 55: "*", 98: "/", 117: "=", 121: ","}
KEY_KPDOT = 83

DIGIT_KEYS = frozenset(range(2, 12))
"""KEY_1 to KEY_0: with `KEY_ENTER`, what tells a typing device from a button or a media wheel."""

# Positions, left to right, as the rows below list them.
_ROWS = (range(2, 14), range(16, 28), range(30, 41), range(44, 54), (41, 43, 86))
_NOTHING = " "  # the space bar alone types a space


@dataclass(frozen=True, slots=True)
class Layout:
    """One layout: what each key types at each level, and which of these wait for the next key (dead keys)."""

    name: str
    keys: dict[int, tuple[str, str, str]]
    dead: frozenset[tuple[int, int]]
    has_altgr: bool

    def typed(self, code: int, level: int) -> str:
        """The character of a key at a level; empty when it types none."""
        return self.keys[code][level] if code in self.keys else ""


def _layout(
    name: str, *, plain: tuple[str, ...], shifted: tuple[str, ...], altgr: tuple[str, ...] = (), kp_dot: str = ".",
    dead: frozenset[tuple[int, int]] = frozenset(),
) -> Layout:  # fmt: skip
    keys: dict[int, tuple[str, str, str]] = {KEY_SPACE: (" ", " ", "")}
    empty = tuple(_NOTHING * len(row) for row in _ROWS)
    for codes, one, two, three in zip(_ROWS, plain, shifted, altgr or empty, strict=True):
        for code, *typed in zip(codes, one, two, three, strict=True):
            first, second, third = (char.replace(_NOTHING, "") for char in typed)
            keys[code] = (first, second, third)
    for code, char in {**KEYPAD, **KEYPAD_SIGNS, KEY_KPDOT: kp_dot}.items():
        keys[code] = (char, char, char)
    return Layout(name, keys, dead, has_altgr=bool(altgr))


US = _layout(
    "us",
    plain=("1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "`\\\\"),
    shifted=("!@#$%^&*()_+", "QWERTYUIOP{}", 'ASDFGHJKL:"', "ZXCVBNM<>?", "~||"),
)
DE = _layout(
    "de",
    plain=("1234567890ß´", "qwertzuiopü+", "asdfghjklöä", "yxcvbnm,.-", "^#<"),  # noqa: RUF001  -- that key's sign
    shifted=('!"§$%&/()=?`', "QWERTZUIOPÜ*", "ASDFGHJKLÖÄ", "YXCVBNM;:_", "°'>"),
    altgr=(" ²³   {[]}\\ ", "@ €        ~", " " * 11, "      µ   ", "  |"),
    kp_dot=",",
    dead=frozenset({(41, PLAIN), (13, PLAIN), (13, SHIFTED)}),
)
FR = _layout(
    "fr",
    plain=("&é\"'(-è_çà)=", "azertyuiop^$", "qsdfghjklmù", "wxcvbn,;:!", "²*<"),
    shifted=("1234567890°+", "AZERTYUIOP¨£", "QSDFGHJKLM%", "WXCVBN?./§", " µ>"),
    altgr=(" ~#{[|`\\^@]}", "  €        ¤", " " * 11, " " * 10, "   "),
    dead=frozenset({(26, PLAIN), (26, SHIFTED), (3, ALTGR), (8, ALTGR)}),
)

LAYOUTS = {layout.name: layout for layout in (US, DE, FR)}
