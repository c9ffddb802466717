"""The steps a card format is made of: each turns one text into another, or refuses it with a sentence. Pure.

The sentences never contain the read. Characters are ASCII throughout: letters and digits of other scripts that
Python would take for a-z or 0-9 are refused or left alone, never converted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from daemon.auth import cards
from daemon.auth.card_formats import magstripe, wiegand
from daemon.auth.card_formats.pattern import Pattern
from daemon.auth.card_formats.pattern_syntax import PatternWrong
from daemon.auth.cards import CardUnreadable

TEXT_CHARS_MAX = 512
"""Longest text before and after every step; a longer read is refused unread."""
FCLEN_FACILITY_DIGITS = 3

DIGITS = frozenset("0123456789")
HEX = DIGITS | frozenset("abcdefABCDEF")
_SEPARATORS = frozenset(":.-,")
_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LOWER = {value: key for key, value in _UPPER.items()}
_FRENCH = str.maketrans("&é\"'(-è_çàqQ", "1234567890aA")
_FRENCH_KEYS = frozenset("&é\"'(-è_çàqQbcdefBCDEF")

Transform = Callable[[str], str]


class StepWrong(ValueError):
    """A step that is not one; `suggestion` is what was probably meant."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.suggestion = suggestion


@dataclass(frozen=True, slots=True)
class Step:
    """One step as written, ready to run. Two steps are equal when their texts are."""

    text: str
    run: Transform = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """Its own name, whatever it was written as, without what follows the colon."""
        written = self.text.partition(":")[0]
        return ALIASES.get(written, written)


@dataclass(frozen=True, slots=True)
class Kind:
    """A step people can write: `form` as in the documents, `build` from what stands after the colon."""

    form: str
    meaning: str
    build: Callable[[str], Transform]


def clean(text: str) -> str:
    """Without white space and `: . - ,`."""
    if text.isalnum():
        return text
    return "".join(one for one in text if one not in _SEPARATORS and not one.isspace())


def hex_digits(text: str) -> str:
    """Upper-case hexadecimal digits, separators dropped, any number of them.

    Raises:
        CardUnreadable: something else is in it, or nothing is.
    """
    digits = clean(text)
    if not digits or not HEX.issuperset(digits):
        raise CardUnreadable("expects hexadecimal digits only (0-9, A-F)")
    return digits.translate(_UPPER)


def hex_bytes(text: str) -> str:
    """`hex_digits` of whole bytes; raises also for an odd number of digits."""
    digits = hex_digits(text)
    if len(digits) % 2:
        raise CardUnreadable("expects whole bytes, and one hexadecimal digit has no partner: one was lost")
    return digits


def decimal_digits(text: str) -> str:
    """The text itself.

    Raises:
        CardUnreadable: it has anything but the digits 0-9, or nothing.
    """
    if not text or not DIGITS.issuperset(text):
        raise CardUnreadable("expects decimal digits only (0-9)")
    return text


def reverse_bytes(text: str) -> str:
    """Whole hexadecimal bytes, the last one first."""
    return bytes.fromhex(hex_bytes(text))[::-1].hex().upper()


def _reverse_bits(text: str, size: int) -> str:
    """The bits of every `size` (8: byte, 4: hexadecimal digit) turned round, the order of these kept."""
    digits = hex_bytes(text)
    width = size // 4
    parts = (digits[at : at + width] for at in range(0, len(digits), width))
    return "".join(f"{int(f'{int(part, 16):0{size}b}'[::-1], 2):0{width}X}" for part in parts)


def _invert(text: str) -> str:
    return bytes(octet ^ 0xFF for octet in bytes.fromhex(hex_bytes(text))).hex().upper()


def _hex_to_decimal(text: str) -> str:
    return str(int(hex_digits(text), 16))


def _decimal_to_hex(text: str, size: int | None) -> str:
    value = int(decimal_digits(text))
    if size is None:
        digits = f"{value:X}"
        return digits.zfill(len(digits) + len(digits) % 2)
    if value >> size * 8:
        raise CardUnreadable(f"needs more than {size} bytes")
    return f"{value:0{size * 2}X}"


def _ascii(text: str) -> str:
    octets = bytes.fromhex(hex_bytes(text))
    if not octets.isascii():
        raise CardUnreadable("expects ASCII characters written as hexadecimal bytes 00 to 7F")
    return octets.decode("ascii")


def _first(text: str, count: int) -> str:
    return _enough(text, count)[:count]


def _last(text: str, count: int) -> str:
    return _enough(text, count)[-count:]


def _drop(text: str, count: int) -> str:
    return _enough(text, count + 1)[count:]


def _enough(text: str, count: int) -> str:
    if len(text) < count:
        raise CardUnreadable(f"expects at least {count} characters")
    return text


def _zfill(text: str, count: int) -> str:
    return text.rjust(count, "0")


def _strip_zeros(text: str) -> str:
    return text.lstrip("0") or "0"


def _search(text: str, pattern: Pattern) -> str:
    found = pattern.search(text)
    if found is None:
        raise CardUnreadable("the pattern is not found in it")
    if not pattern.has_group:
        return found.whole
    if found.first is None:
        raise CardUnreadable("the pattern's first group took no part in the match")
    return found.first


def _full_match(text: str, pattern: Pattern) -> str:
    if pattern.fullmatch(text) is None:
        raise CardUnreadable("the pattern does not match the whole of it")
    return text


def _xor(text: str) -> str:
    octets = bytes.fromhex(hex_bytes(text))
    if len(octets) < 2:
        raise CardUnreadable("expects bytes and a check byte after them")
    check = 0
    for octet in octets[:-1]:
        check ^= octet
    if check != octets[-1]:
        raise CardUnreadable("the check byte is wrong: read again")
    return octets[:-1].hex().upper()


def _bits(text: str, width: int, start: int, length: int) -> str:
    value = int(decimal_digits(text))
    if value >> width:
        raise CardUnreadable(f"has more than {width} bits")
    return str(value >> (width - start - length) & ((1 << length) - 1))


def _facility_number(text: str) -> str:
    digits = decimal_digits(text)
    if len(digits) <= FCLEN_FACILITY_DIGITS:
        raise CardUnreadable(f"expects {FCLEN_FACILITY_DIGITS} digits of facility code and then the number")
    return f"{int(digits[:FCLEN_FACILITY_DIGITS])}-{int(digits[FCLEN_FACILITY_DIGITS:])}"


def _fields(text: str, facility_bits: int, number_bits: int) -> str:
    value = int(hex_digits(text), 16)
    if value >> facility_bits + number_bits:
        raise CardUnreadable(f"has more than {facility_bits + number_bits} bits")
    return f"{value >> number_bits}-{value & ((1 << number_bits) - 1)}"


def _wiegand(text: str, layout: wiegand.Layout) -> str:
    return layout.text(int(hex_digits(text), 16))


def _french_to_us(text: str) -> str:
    if DIGITS.issuperset(text):
        return text  # Caps Lock or a keypad: already digits
    if not _FRENCH_KEYS.issuperset(text):
        raise CardUnreadable("expects what the digit keys give on a French keyboard without shift")
    return text.translate(_FRENCH)


def _decimal_bytes(_text: str) -> str:
    raise CardUnreadable("decimal bytes glued together can be cut in several ways: set the reader to hexadecimal")


def _number(rest: str, *, low: int = 1) -> int:
    if not rest or len(rest) > 3 or not DIGITS.issuperset(rest) or not low <= int(rest) <= TEXT_CHARS_MAX:
        raise StepWrong(f"needs a whole number from {low} to {TEXT_CHARS_MAX} after the colon")
    return int(rest)


def _plain(run: Transform) -> Callable[[str], Transform]:
    def build(rest: str) -> Transform:
        if rest:
            raise StepWrong("takes nothing after its name")
        return run

    return build


def _counted(run: Callable[[str, int], str]) -> Callable[[str], Transform]:
    return lambda rest: partial(_call_counted, run, _number(rest))


def _call_counted(run: Callable[[str, int], str], count: int, text: str) -> str:
    return run(text, count)


def _build_dec2hex(rest: str) -> Transform:
    return partial(_decimal_to_hex, size=_number(rest) if rest else None)


def _call_pattern(run: Callable[[str, Pattern], str], pattern: Pattern, text: str) -> str:
    return run(text, pattern)


def _build_pattern(run: Callable[[str, Pattern], str]) -> Callable[[str], Transform]:
    def build(rest: str) -> Transform:
        if not rest:
            raise StepWrong("needs a regular expression after the colon")
        try:
            return partial(_call_pattern, run, Pattern.compile(rest))
        except PatternWrong as wrong:
            raise StepWrong(f"the pattern {wrong}") from None

    return build


def _build_bits(rest: str) -> Transform:
    parts = rest.split(":")
    if len(parts) != 3:
        raise StepWrong("is written bits:WIDTH:START:LENGTH, such as bits:26:9:16")
    width, start, length = _number(parts[0]), _number(parts[1], low=0), _number(parts[2])
    if start + length > width:
        raise StepWrong(f"takes bits beyond the last one: {start} + {length} is more than {width}")
    return partial(_bits, width=width, start=start, length=length)


def _build_fields(rest: str) -> Transform:
    facility, _, number = rest.partition(":")
    return partial(_fields, facility_bits=_number(facility), number_bits=_number(number))


def _build_wiegand(rest: str) -> Transform:
    layout = wiegand.LAYOUTS.get(int(rest)) if rest.isascii() and rest.isdigit() and len(rest) < 4 else None
    if layout is None:
        known = ", ".join(str(bits) for bits in wiegand.LAYOUTS)
        raise StepWrong(f"knows the layouts {known}; cut others with bits:WIDTH:START:LENGTH")
    return partial(_wiegand, layout=layout)


def _build_track(kind: magstripe.TrackKind) -> Callable[[str], Transform]:
    def build(rest: str) -> Transform:
        if rest not in ("", "lrc"):
            raise StepWrong("takes nothing or :lrc after its name")
        return partial(kind.number, is_checked=bool(rest))

    return build


_KINDS = {
    "clean": Kind("clean", "drop white space and : . - ,", _plain(clean)),
    "upper": Kind("upper", "a-z become A-Z", _plain(lambda text: text.translate(_UPPER))),
    "lower": Kind("lower", "A-Z become a-z", _plain(lambda text: text.translate(_LOWER))),
    "hex": Kind("hex", "whole bytes in hexadecimal: separators dropped, upper case, even number", _plain(hex_bytes)),
    "rev": Kind("rev", "reverse the order of the bytes of a hexadecimal text", _plain(reverse_bytes)),
    "bitrev": Kind("bitrev", "reverse the bits of every byte", _plain(partial(_reverse_bits, size=8))),
    "nibrev": Kind("nibrev", "reverse the bits of every hexadecimal digit", _plain(partial(_reverse_bits, size=4))),
    "invert": Kind("invert", "every bit the other way round", _plain(_invert)),
    "hex2dec": Kind("hex2dec", "hexadecimal to decimal, first byte highest, any length", _plain(_hex_to_decimal)),
    "dec2hex": Kind("dec2hex[:N]", "decimal to hexadecimal of N bytes; without N whole bytes", _build_dec2hex),
    "ascii": Kind("ascii", "hexadecimal bytes to the ASCII text they spell; also ascii-enc", _plain(_ascii)),
    "first": Kind("first:N", "the first N characters", _counted(_first)),
    "last": Kind("last:N", "the last N characters", _counted(_last)),
    "drop": Kind("drop:N", "all but the first N characters", _counted(_drop)),
    "zfill": Kind("zfill:N", "zeros in front up to N characters; longer ones stay", _counted(_zfill)),
    "strip0": Kind("strip0", "without leading zeros; one zero stays", _plain(_strip_zeros)),
    "re": Kind("re:X", "the first group of the first match of X, or the whole match", _build_pattern(_search)),
    "fullre": Kind("fullre:X", "unchanged, if X matches the whole of it", _build_pattern(_full_match)),
    "xor": Kind("xor", "the last byte must be the exclusive or of the others; dropped", _plain(_xor)),
    "bits": Kind("bits:W:S:L", "a decimal as W bits: L bits from bit S (0 is the first), in decimal", _build_bits),
    "fclen": Kind("fclen", "three digits of facility code, then the number: FACILITY-NUMBER", _plain(_facility_number)),
    "fields": Kind("fields:F:N", "hexadecimal as F bits of facility code and N of number, no parity", _build_fields),
    "wiegand": Kind("wiegand:N", "hexadecimal as a card of 26, 34, 35, 37 or 48 bits: FACILITY-NUMBER", _build_wiegand),
    "wiegand37nofc": Kind(
        "wiegand37nofc", "the 37 bits without a facility code (H10302): one number",
        _plain(partial(_wiegand, layout=wiegand.H10302)),
    ),
    "track1": Kind("track1[:lrc]", "account number of magstripe track 1", _build_track(magstripe.TRACK_1)),
    "track2": Kind("track2[:lrc]", "the same of track 2; :lrc verifies its check", _build_track(magstripe.TRACK_2)),
    "fr2us": Kind("fr2us", "digits a US-layout reader typed at a host with French layout", _plain(_french_to_us)),
    "decbytes": Kind("decbytes", "decimal bytes glued together: ambiguous, always refused", _plain(_decimal_bytes)),
    "default": Kind("default", "as the built-in format: no frame, no separators, upper case", _plain(cards.normalise)),
}  # fmt: skip
KINDS: Mapping[str, Kind] = MappingProxyType(_KINDS)
"""Every step by its name."""
ALIASES: Mapping[str, str] = MappingProxyType({"ascii-enc": "ascii"})
"""PaperCut's names where ours differ."""
ELSEWHERE: Mapping[str, str] = MappingProxyType({
    "javascript": "runs no JavaScript; say it in steps, which `holdfast card learn` finds from a few pairs",
    "GLOBAL": "is PaperCut's word for `as everywhere`; give this reader no rule of its own instead",
})  # fmt: skip
"""Words of PaperCut's settings that are no steps, and why."""
GIVES_FACILITY = frozenset({"wiegand", "fields", "fclen"})
"""Steps whose result is FACILITY-NUMBER."""
