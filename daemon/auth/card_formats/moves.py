"""The steps worth trying on texts while a pipeline is being learned, with their price. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from daemon.auth.card_formats import wiegand
from daemon.auth.card_formats.pipeline import parse_step
from daemon.auth.card_formats.steps import DIGITS, HEX, TEXT_CHARS_MAX, Step, clean
from daemon.auth.cards import CardUnreadable

Texts = tuple[str, ...]
Move = tuple[tuple[str, ...], int, Texts]
"""Steps, price, what they make of the texts."""

_SIZES = (3, 4, 5, 7, 8, 10)
_LENGTHS = (6, 8, 10, 12, 13, 14, 16, 20)
_FIELD_BITS = (16, 19, 20, 24, 32, 34, 35)
_CARD_BITS = (26, 32, 34, 35, 36, 37, 40, 48, 56, 64, 80)
_FIELDS = ((8, 16), (16, 16))
_SPARE_BITS = 11
"""A facility code is seldom so small that more leading bits are zero."""
_FRAMES = (
    (r"re:^\*(.+)\*$", 2),
    (r"re:^([0-9]+)=[0-9]*$", 2),
    (r"re:=([0-9]+)=", 3),
    (r"re:^[;%*\x02]?([0-9A-Fa-f]+)[?/\x03\r\n]*$", 3),
    (r"re:([0-9]{4,})", 4),
    (r"re:-([0-9]+)$", 2),
    (r"re:^([0-9]+)-", 3),
)
_steps: dict[str, Step] = {}


def _step(text: str) -> Step:
    """A step by its text; patterns are read once."""
    if text not in _steps:
        _steps[text] = parse_step(text)
    return _steps[text]


def moves(texts: Texts, goals: Collection[Texts]) -> Iterator[Move]:
    """Every step, or pair of steps, that all texts take; prices are small whole numbers."""
    for text, price in _candidates(texts, goals):
        results = _apply(_step(text), texts)
        if results is not None:
            yield (text,), price, results
    yield from _fields(texts, goals)


def _apply(step: Step, texts: Texts) -> Texts | None:
    made = []
    for text in texts:
        try:
            out = step.run(text)
        except CardUnreadable:
            return None
        if not 0 < len(out) <= TEXT_CHARS_MAX:
            return None
        made.append(out)
    return tuple(made)


def _candidates(texts: Texts, goals: Collection[Texts]) -> Iterator[tuple[str, int]]:
    """(step, price) that may make sense for texts of this kind."""
    is_decimal = all(DIGITS.issuperset(text) for text in texts)
    is_hex = all(HEX.issuperset(clean(text)) and clean(text) for text in texts)
    is_framed = not all(HEX.issuperset(text) for text in texts)
    wanted = {len(text) for goal in goals for text in goal}
    yield "clean", 1
    if any("?" in text for text in texts):
        yield from (("track2", 1), ("track1", 1))
    if is_framed:
        yield from _FRAMES
        yield "fr2us", 2
    if any(text != text.lower() for text in texts) or any(text != text.upper() for text in texts):
        yield from (("upper", 2), ("lower", 2))
    if is_hex:
        yield from _of_hex(texts, is_decimal=is_decimal)
    if is_decimal:
        yield from _of_decimal(texts)
    for text, price in _cuts(texts, wanted):
        yield text, price + 2 * is_framed


def _of_hex(texts: Texts, *, is_decimal: bool) -> Iterator[tuple[str, int]]:
    """Decimal digits are hexadecimal ones too, but seldom meant so."""
    dear = 2 if is_decimal and not {len(text) for text in texts} <= {8, 10, 14, 16, 20} else 0
    yield from (("hex", 1), ("rev", 1 + dear), ("hex2dec", 1 + dear), ("ascii", 2), ("xor", 1))
    yield from ((("bitrev", 3 + dear), ("nibrev", 3 + dear), ("invert", 4 + dear)))
    size = max(int(clean(text), 16).bit_length() for text in texts)
    for bits in wiegand.LAYOUTS:
        if size <= bits:
            yield f"wiegand:{bits}", 1 + dear + (bits - size > _SPARE_BITS)
    yield "wiegand37nofc", 2 + dear
    for first, second in _FIELDS:
        if size <= first + second:
            yield f"fields:{first}:{second}", 3 + dear


def _of_decimal(texts: Texts) -> Iterator[tuple[str, int]]:
    least = max((int(text).bit_length() + 7) // 8 for text in texts)
    for size in _SIZES:
        if size >= least:
            yield f"dec2hex:{size}", 1 + (size > least)
    if all(len(text) == 8 for text in texts):
        yield "fclen", 2
    yield "strip0", 2


def _cuts(texts: Texts, wanted: set[int]) -> Iterator[tuple[str, int]]:
    shortest, longest = min(map(len, texts)), max(map(len, texts))
    for length in sorted({*_LENGTHS, *wanted}):
        price = 2 if length in wanted or length in (8, 10) else 3
        if length < longest and length <= shortest:
            yield f"last:{length}", price
            yield f"first:{length}", price + 1
        if length > shortest and length in (*wanted, 8, 10, 14):
            yield f"zfill:{length}", 1 if length in wanted else 2
    for count in (1, 2):
        if shortest > count + 3:
            yield f"drop:{count}", 4


def _fields(texts: Texts, goals: Collection[Texts]) -> Iterator[Move]:
    """Bits of a number: windows of hexadecimal or decimal texts that hold the wanted decimal numbers."""
    is_decimal = all(DIGITS.issuperset(text) for text in texts)
    is_hex = all(text and HEX.issuperset(text) for text in texts)
    for goal in goals:
        if not is_hex or not all(DIGITS.issuperset(one) for one in goal):
            continue
        wanted = tuple(int(one) for one in goal)
        if is_decimal:
            values = tuple(int(text) for text in texts)
            for window in _windows(values, wanted):
                yield (window,), 4, tuple(str(one) for one in wanted)
        values = tuple(int(text, 16) for text in texts)
        for window in _windows(values, wanted, least_width=4 * max(map(len, texts))):
            yield ("hex2dec", window), 5, tuple(str(one) for one in wanted)


def _windows(values: tuple[int, ...], wanted: tuple[int, ...], *, least_width: int = 0) -> Iterator[str]:
    """`bits:W:S:L` steps that cut `wanted` out of `values`."""
    most, need = max(value.bit_length() for value in values), max(one.bit_length() for one in wanted)
    if values == wanted or most > _CARD_BITS[-1] or not need or least_width > TEXT_CHARS_MAX:
        return
    both = list(zip(values, wanted, strict=True))
    for trailing in range(most - need + 1):
        if any(value >> trailing & ((1 << need) - 1) != one for value, one in both):
            continue
        fit = [
            length
            for length in range(need, most - trailing + 1)
            if all(value >> trailing & ((1 << length) - 1) == one for value, one in both)
        ]
        length = next((one for one in fit if one in _FIELD_BITS), fit[-1])
        width = least_width or next(bits for bits in _CARD_BITS if bits >= max(most, length + trailing))
        yield f"bits:{width}:{width - trailing - length}:{length}"
