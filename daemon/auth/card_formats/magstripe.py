"""Magnetic stripes as readers type them: `%...?` is track 1, `;...?` track 2, `+...?` track 3. Pure.

ISO/IEC 7811 and 7813: each track has a start sentinel, data, the end sentinel `?` and, where the reader passes it on,
one check character (LRC). A track the reader could not read arrives as the single letter E: refused, never used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from daemon.auth.cards import CardUnreadable

_TRACK = re.compile(r"([%;+])([^%;+?\r\n]*)\?")
_LINE_ENDS = " \t\r\n"
TRACKS_MAX = 3
ACCOUNT_CHARS_MAX = 37
"""Track 2 holds 40 characters, three of them sentinels and check."""


@dataclass(frozen=True, slots=True)
class TrackKind:
    """One track's alphabet: characters are `base` plus their code of `code_bits` bits."""

    name: str
    start: str
    base: int
    code_bits: int
    account: Callable[[str], str | None]

    def check_character(self, data: str) -> str | None:
        """The LRC of a track with these data: the exclusive or of all codes, sentinels included.

        None when a character is not in the track's alphabet.
        """
        total = 0
        for character in f"{self.start}{data}?":
            code = ord(character) - self.base
            if not 0 <= code < 1 << self.code_bits:
                return None
            total ^= code
        return chr(self.base + total)

    def number(self, line: str, *, is_checked: bool) -> str:
        """The account number on this track of `line`; with `is_checked` an LRC that is there must be right.

        Raises:
            CardUnreadable: no such track, an unreadable one, a wrong check character, or no account number.
        """
        text = line.strip(_LINE_ENDS)
        tracks = _tracks(text, TRACKS_MAX)
        if not tracks:
            raise CardUnreadable(f"is no whole magstripe line: {self.name} is {self.start}...?")
        found = [(data, check) for start, data, check in tracks if start == self.start]
        if len(found) != 1:
            raise CardUnreadable(f"has no {self.name}" if not found else f"has {self.name} twice")
        data, check = found[0]
        if data.upper() == "E":
            raise CardUnreadable(f"the reader could not read {self.name} (E): swipe again")
        if is_checked and check and check != self.check_character(data):
            raise CardUnreadable(f"the check character (LRC) of {self.name} is wrong: swipe again")
        account = self.account(data)
        if account is None:
            raise CardUnreadable(f"has no account number where {self.name} keeps it")
        return account


def _tracks(text: str, most: int) -> list[tuple[str, str, str]]:
    """(start sentinel, data, check character or nothing) of every track; empty when the line is not made of tracks.

    A check character may look like a sentinel, so the line is cut where all of it comes out even.
    """
    found = _TRACK.match(text) if most else None
    if found is None:
        return []
    rest = text[found.end() :]
    for size in (0, 1):
        check, after = rest[:size], rest[size:]
        if len(check) == size and (further := _tracks(after, most - 1) if after else [("", "", "")]):
            return [(found.group(1), found.group(2), check), *(track for track in further if track[0])]
    return []


def _account_1(data: str) -> str | None:
    """Format code (one capital letter), number, `^`, name, `^`, the rest."""
    found = re.fullmatch(rf"[A-Z]([0-9 ]{{1,{ACCOUNT_CHARS_MAX}}})\^[ -$&-*,-:<->@-_]*", data)
    return found.group(1).replace(" ", "") or None if found else None


def _account_2(data: str) -> str | None:
    """Number, then nothing or `=` and the rest."""
    found = re.fullmatch(rf"([0-9]{{1,{ACCOUNT_CHARS_MAX}}})(?:=[0-9:<=>]*)?", data)
    return found.group(1) if found else None


TRACK_1 = TrackKind("track 1", "%", 0x20, 6, _account_1)
TRACK_2 = TrackKind("track 2", ";", 0x30, 4, _account_2)
