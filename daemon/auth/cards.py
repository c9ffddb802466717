"""From a raw read to the bytes that are hashed. Pure. Cards are identifiers: the number is never stored or logged.

This is the default format: what readers wrap around a number is dropped, hexadecimal is upper-cased, and the text
is kept as it was read, leading zeros included. Nothing is converted between notations: two readers that write one
card differently need a declared format each, not a guess.
"""

from __future__ import annotations

from daemon.kernel.errors import Refusal

RAW_CHARS_MAX = 256
NUMBER_CHARS_MIN = 4
NUMBER_CHARS_MAX = 64
_DROPPED = str.maketrans("", "", " \t\r\n\0:.-,")
_FRAMES = ((";", "?"), ("%", "?"), ("\x02", "\x03"))
_HEX = frozenset("0123456789ABCDEF")


class CardUnreadable(Refusal):
    """The read is not a card number: refused, never guessed."""

    code = "card-unreadable"


def normalise(raw: str) -> str:
    """The card's number in the default format: 4 to 64 decimal or upper-case hexadecimal digits.

    Raises:
        CardUnreadable: too long, too short, other characters, or nothing but zeros.
    """
    if len(raw) > RAW_CHARS_MAX:
        raise CardUnreadable("the read is too long for a card number")
    text = raw.strip()
    for head, tail in _FRAMES:
        if text.startswith(head):
            text = text[1:].removesuffix(tail)
            break
    text = text.translate(_DROPPED).upper()
    if not NUMBER_CHARS_MIN <= len(text) <= NUMBER_CHARS_MAX:
        raise CardUnreadable(f"a card number has {NUMBER_CHARS_MIN} to {NUMBER_CHARS_MAX} digits")
    if not _HEX.issuperset(text):
        raise CardUnreadable("a card number has decimal or hexadecimal digits only")
    if not text.strip("0"):
        raise CardUnreadable("a card number of zeros is no number")
    return text


def hashed_form(number: str) -> bytes:
    """The bytes a card's keyed hash is made of; the prefix keeps formats of later releases apart."""
    return b"card-1:" + number.encode("ascii")
