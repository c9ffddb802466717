"""PINs: a person's number at the keypad. An identifier, never a secret; unique, made by the house. Pure."""

from __future__ import annotations

import math

from daemon.kernel.errors import Refusal

LENGTH_MIN = 4
LENGTH_MAX = 12
LENGTH_DEFAULT = 6
FILL_MAX = 0.5
"""Above this share of numbers given out, a site must choose longer PINs: a typing slip would meet a colleague."""
_BYTES_PER_DRAW = 8


class PinRefused(Refusal):
    """Not a PIN: the message says why."""

    code = "pin-refused"


class PinTaken(Refusal):
    """Somebody else has this PIN."""

    code = "pin-taken"


class PinsExhausted(Refusal):
    """Too few free PINs of this length."""

    code = "pins-exhausted"


def check(pin: str) -> str:
    """The PIN as stored: 4 to 12 ASCII digits; leading zeros count.

    Raises:
        PinRefused: it is not that.
    """
    text = pin.strip()
    if not (LENGTH_MIN <= len(text) <= LENGTH_MAX) or not (text.isascii() and text.isdigit()):
        raise PinRefused(f"a PIN has {LENGTH_MIN} to {LENGTH_MAX} digits")
    return text


def drawn(random: bytes, *, length: int = LENGTH_DEFAULT) -> str:
    """A PIN of `length` digits from 8 unpredictable bytes; never all one digit, which people type to try.

    The bias of taking 64 bits modulo 10^12 is below one in ten million.
    """
    if not LENGTH_MIN <= length <= LENGTH_MAX:
        raise PinRefused(f"a PIN has {LENGTH_MIN} to {LENGTH_MAX} digits")
    if len(random) < _BYTES_PER_DRAW:
        raise ValueError("a PIN needs 8 random bytes")
    number = int.from_bytes(random[:_BYTES_PER_DRAW], "big") % 10**length
    text = str(number).zfill(length)
    return text if len(set(text)) > 1 else str(number ^ 1).zfill(length)


def tries_for(*, taken: int, length: int) -> int:
    """How many draws find a free PIN with a failure chance below 10^-12.

    Raises:
        PinsExhausted: more than half of all numbers of this length are given out.
    """
    share = taken / 10**length
    if share > FILL_MAX:
        raise PinsExhausted(f"{taken} of {10**length} PINs with {length} digits are given out; choose longer ones")
    return max(8, math.ceil(-12 / math.log10(max(share, 1e-6))) + 1)
