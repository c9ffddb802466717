"""What a reader that types like a keyboard has read: key positions with their times become card reads. Pure.

A read is what was typed up to its terminator: Enter, Tab, or silence. Time is the events' own, so a program that was
busy for a second still sees where one card ended and the next began. What is not certain is never handed out:

- The kernel's buffer (64 events) ran over: everything up to the next silence is thrown away, told once (`TORN`).
- Silence before the terminator came: the rest of a read that was torn, or another terminator than configured (`TORN`).
- More characters than any badge has: told once (`TOO_LONG`), the rest thrown away up to the next silence.
- The device went away: what it had typed so far goes with it. One that is opened while it types: told once (`TORN`).

Keys that type no character (function keys, Caps Lock, Ctrl with a letter) add nothing: many readers put some before the
number. A Tab or Enter that is not the terminator stands between two parts and becomes one space. Caps Lock is never
followed: readers that type in capitals say so by shift, and whether somebody's other keyboard has it on says nothing.
"""

from __future__ import annotations

from enum import StrEnum

from daemon.devices.readers.layouts import (
    ALTGR,
    KEY_ENTER,
    KEY_KPENTER,
    KEY_LEFTALT,
    KEY_LEFTCTRL,
    KEY_LEFTMETA,
    KEY_LEFTSHIFT,
    KEY_RIGHTALT,
    KEY_RIGHTCTRL,
    KEY_RIGHTMETA,
    KEY_RIGHTSHIFT,
    KEY_TAB,
    KEYPAD,
    LAYOUTS,
    PLAIN,
    SHIFTED,
)
from daemon.devices.readers.reading import RAW_CHARS_MAX, Hiccup

RELEASED, PRESSED = 0, 1  # 2 is the kernel's repeat of a key that is held: it types nothing
IDLE_S = 0.25
"""Silence that ends a read without terminator. Readers type a character in 2 to 20 ms."""
UNFINISHED_S = 1.0
"""Silence after which a terminator no longer comes."""
ALT_DIGITS_MAX = 4

SHIFTS = frozenset({KEY_LEFTSHIFT, KEY_RIGHTSHIFT})
CTRLS = frozenset({KEY_LEFTCTRL, KEY_RIGHTCTRL})
ALTS = frozenset({KEY_LEFTALT, KEY_RIGHTALT})
METAS = frozenset({KEY_LEFTMETA, KEY_RIGHTMETA})
MODIFIERS = SHIFTS | CTRLS | ALTS | METAS
ENTERS = frozenset({KEY_ENTER, KEY_KPENTER})


class Terminator(StrEnum):
    """What ends a read."""

    ENTER = "enter"
    TAB = "tab"
    IDLE = "idle"


_CONTROL_KEYS = {"m": Terminator.ENTER, "j": Terminator.ENTER, "i": Terminator.TAB}
_CONTROL_CODES = {13: Terminator.ENTER, 10: Terminator.ENTER, 9: Terminator.TAB}

Outcome = str | Hiccup
"""A read, or why there is none."""


class Decoder:
    """One device's keys, in order. `feed` and `dropped` take events, `silence` the absence of any."""

    def __init__(
        self, *, layout: str = "us", terminator: Terminator = Terminator.ENTER, idle_s: float = IDLE_S
    ) -> None:
        self._layout = LAYOUTS[layout]
        self._terminator = terminator
        self._idle_s = idle_s
        self._quiet_s = idle_s if terminator is Terminator.IDLE else max(idle_s, UNFINISHED_S)
        self._text: list[str] = []
        self._held: set[int] = set()
        self._dead = ""
        self._alt_digits = ""
        self._is_parted = False
        self._is_spoiled = False
        self._is_discarding = False
        self._is_told = False
        self._last_s = 0.0

    @property
    def due_s(self) -> float | None:
        """When to ask `silence`, on the events' clock; None while nothing waits for it."""
        return self._last_s + self._quiet_s if self._is_under_way() else None

    def opened(self, at_s: float) -> None:
        """The device is read from now on. Whether it is typing just now is not known until it was silent once."""
        self._reset()
        self._held.clear()
        self._is_discarding, self._is_told, self._last_s = True, False, at_s

    def feed(self, code: int, value: int, at_s: float) -> list[Outcome]:
        """One key event: its position, whether it was pressed, released or repeated, and when (seconds)."""
        if value not in (PRESSED, RELEASED):
            return []
        outcomes = self._quiet_before(at_s)
        self._last_s = at_s
        if self._is_discarding:
            return outcomes + (self._discard(Hiccup.TORN) if value == PRESSED and code not in MODIFIERS else [])
        if value == PRESSED:
            return outcomes + self._pressed(code)
        self._held.discard(code)
        return outcomes + (self._alt_released() if code in ALTS else [])

    def dropped(self, at_s: float) -> list[Outcome]:
        """Events were lost before `at_s` (SYN_DROPPED): nothing of this read can be trusted.

        Nor is the time since the last event silence: what was lost lay in it.
        """
        outcomes = self._quiet_before(at_s) if self._is_discarding else []
        self._last_s = at_s
        return outcomes + self._discard(Hiccup.TORN)

    def silence(self, now_s: float, *, is_more_waiting: bool) -> list[Outcome]:
        """Nothing came up to `now_s`. With events still waiting it is no silence: they decide, by their own times."""
        return [] if is_more_waiting else self._quiet_before(now_s)

    def _is_under_way(self) -> bool:
        return bool(self._text or self._dead or self._is_spoiled)

    def _quiet_before(self, now_s: float) -> list[Outcome]:
        """What the silence since the last event means. It also lets go of modifiers whose release never came."""
        if now_s - self._last_s < (self._idle_s if self._is_discarding else self._quiet_s):
            return []
        self._held.clear()
        self._alt_digits = ""
        if self._terminator is Terminator.IDLE or not self._is_under_way():
            self._is_discarding = False
            return self._finish()
        self._reset()
        return [Hiccup.TORN]

    def _reset(self) -> None:
        self._text.clear()
        self._dead = self._alt_digits = ""
        self._is_parted = self._is_spoiled = False

    def _discard(self, why: Hiccup) -> list[Outcome]:
        """Throw away up to the next silence, and say so once."""
        told: list[Outcome] = [] if self._is_discarding and self._is_told else [why]
        self._reset()
        self._held.clear()
        self._is_discarding = self._is_told = True
        return told

    def _finish(self) -> list[Outcome]:
        if self._dead:
            self._text.append(self._dead)
        text, is_spoiled = "".join(self._text), self._is_spoiled
        self._reset()
        if is_spoiled:
            return [Hiccup.TORN]
        return [text] if text else []

    def _pressed(self, code: int) -> list[Outcome]:
        if code in MODIFIERS:
            self._held.add(code)
            if code in ALTS:
                self._alt_digits = ""
            return []
        if code in ENTERS:
            return self._ended(Terminator.ENTER)
        if code == KEY_TAB:
            return self._ended(Terminator.TAB)
        level = self._level()
        if level is not None:
            return self._typed(self._layout.typed(code, level), is_dead=(code, level) in self._layout.dead)
        if self._held & ALTS and code in KEYPAD:
            self._alt_digits += KEYPAD[code]
        elif self._held & CTRLS and not self._held & ALTS:
            ending = _CONTROL_KEYS.get(self._layout.typed(code, PLAIN))
            return self._ended(ending) if ending else []
        return []

    def _level(self) -> int | None:
        """Which character of a key the modifiers choose; None when they make it a command."""
        is_altgr = KEY_RIGHTALT in self._held or (self._held & CTRLS and KEY_LEFTALT in self._held)
        if self._layout.has_altgr and is_altgr:
            return ALTGR
        if self._held & (ALTS | CTRLS | METAS):
            return None
        return SHIFTED if self._held & SHIFTS else PLAIN

    def _alt_released(self) -> list[Outcome]:
        """Alt with a number on the keypad types the character of that code, whatever the layout."""
        digits, self._alt_digits = self._alt_digits, ""
        if not digits:
            return []
        code = int(digits) if len(digits) <= ALT_DIGITS_MAX else -1
        if code in _CONTROL_CODES:
            return self._ended(_CONTROL_CODES[code])
        if 0 <= code < ord(" "):
            return []
        # A leading zero means Windows' code page, none the old PC's (Microsoft, "Insert ASCII or Unicode characters").
        page = "cp1252" if digits[0] == "0" else "cp437"
        char = bytes([code]).decode(page, "replace") if 0 <= code <= 0xFF else "\ufffd"
        if not char.isprintable() or char == "\ufffd":
            self._is_spoiled = True
            return []
        return self._typed(char)

    def _ended(self, key: Terminator) -> list[Outcome]:
        if key is self._terminator:
            return self._finish()
        self._is_parted = bool(self._text or self._dead)
        return []

    def _typed(self, char: str, *, is_dead: bool = False) -> list[Outcome]:
        if not char:
            return []
        if self._is_parted:
            self._text.extend(self._dead + " ")
            self._is_parted, self._dead = False, ""
        if is_dead:
            waiting, self._dead = self._dead, char
        elif self._dead and char == " ":
            waiting, self._dead = self._dead, ""  # a dead key and the space bar type the accent itself
        else:
            waiting, self._dead = self._dead + char, ""
        self._text.extend(waiting)
        return self._discard(Hiccup.TOO_LONG) if len(self._text) + len(self._dead) > RAW_CHARS_MAX else []
