"""Everything a raw read may mean, for somebody who holds the card and wants to know which is right. Pure.

Each reading is a pipeline that takes the read, so that what is seen can be used at once. Readings with a check of their
own (parity, check byte, LRC) say how it came out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from daemon.auth.card_formats import wiegand
from daemon.auth.card_formats.pipeline import Pipeline
from daemon.auth.card_formats.steps import DIGITS, HEX, TEXT_CHARS_MAX, clean


class Check(StrEnum):
    """What the read's own check says of a reading."""

    NONE = "none"
    GOOD = "good"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Reading:
    """One meaning: `value` is what `pipeline` gives, empty where its check is wrong."""

    meaning: str
    pipeline: str
    value: str
    check: Check = Check.NONE


_UID = "(ISO 14443)"
_BY_HEX_DIGITS = {
    8: (
        (f"4-byte UID {_UID}", "hex"),
        ("decimal, first byte highest", "hex2dec"),
        ("last byte first", "rev"),
        ("decimal, last byte highest", "rev | hex2dec"),
    ),
    10: (
        ("EM4100, five bytes", "hex"),
        ("decimal of all five bytes", "hex2dec | zfill:13"),
        ("decimal of the last four bytes", "hex | last:8 | hex2dec | zfill:10"),
        ("last byte first", "rev"),
        ("printed as 077,30211", "hex | last:6 | fields:8:16"),
    ),
    12: (("bytes, the last one their check", "xor"), ("EM4100 without its check", "xor | last:8 | hex2dec | zfill:10")),
    14: (
        (f"7-byte UID {_UID}", "hex"),
        ("decimal, first byte highest", "hex2dec"),
        ("last byte first", "rev"),
        ("decimal, last byte highest", "rev | hex2dec"),
    ),
    16: (
        ("8 bytes: ISO 15693 UID (begins with E0) or FeliCa IDm", "hex"),
        ("last byte first", "rev"),
        ("decimal, first byte highest", "hex2dec"),
    ),
    20: ((f"10-byte UID {_UID}", "hex"), ("last byte first", "rev")),
}
_FRAMES = {
    r"re:^\*([0-9A-Za-z]{4,})\*$": "Code 39 barcode without its stars",
    r"re:^([0-9]+)=[0-9]*$": "what stands before = (a checksum follows)",
    r"re:^[;%*\x02]([0-9A-Fa-f]{4,})[?/\x03]$": "without its frame",
}
_BY_BYTES = {4: "a 4-byte UID", 5: "five bytes (EM4100)", 7: "a 7-byte UID", 8: "8 bytes"}


def readings(raw: str) -> list[Reading]:
    """All meanings of a read, the likeliest of each kind first; empty when it is none anybody knows."""
    if not raw or len(raw) > TEXT_CHARS_MAX:
        return []
    found = [*_framed(raw), *_unframed(raw)]
    seen: dict[tuple[str, str], Reading] = {}
    for one in found:
        seen.setdefault((one.pipeline, one.value), one)
    return list(seen.values())


def _unframed(raw: str) -> Iterator[Reading]:
    """Reads of decimal or hexadecimal digits, separators or not."""
    text = clean(raw)
    if text and HEX.issuperset(text):
        if DIGITS.issuperset(text):
            yield from _decimal(raw, text)
        yield from _hexadecimal(raw, text)


def _run(raw: str, pipeline: str, meaning: str, *, is_checked: bool = False) -> Iterator[Reading]:
    """The reading if the pipeline takes the read; a wrong check is told, not hidden."""
    value = Pipeline.parse(pipeline).trace(raw).normalised
    if value is not None:
        yield Reading(meaning, pipeline, value, Check.GOOD if is_checked else Check.NONE)
    elif is_checked:
        yield Reading(meaning, pipeline, "", Check.WRONG)


def _framed(raw: str) -> Iterator[Reading]:
    """Reads that show by their frame what they are."""
    for name, start in (("track1", "%"), ("track2", ";")):
        if start in raw and "?" in raw:
            has_check = Pipeline.parse(name).trace(raw).normalised is not None and not raw.rstrip().endswith("?")
            meaning = f"magnetic stripe, account number of {name[:5]} {name[5:]}"
            if has_check:
                yield from _run(raw, f"{name}:lrc", meaning, is_checked=True)
            else:
                yield from _run(raw, name, meaning)
    for pattern, meaning in _FRAMES.items():
        for outer in _run(raw, pattern, meaning):
            yield outer
            yield from (
                Reading(f"{meaning}, {inner.meaning}", f"{pattern} | {inner.pipeline}", inner.value, inner.check)
                for inner in _unframed(outer.value)
            )
    if not DIGITS.issuperset(raw):
        yield from _run(raw, "fr2us | fullre:[0-9]{4,}", "digits typed on a French keyboard")


def _decimal(raw: str, text: str) -> Iterator[Reading]:
    before = "" if raw == text else "clean | "
    yield Reading("decimal digits as they are", before + "fullre:[0-9]+", text)
    size = (int(text).bit_length() + 7) // 8
    for count, what in _BY_BYTES.items():
        if max(size, 3) <= count <= size + 1 or count == size:
            yield from _run(raw, f"{before}dec2hex:{count}", f"decimal of {what}, first byte highest")
            yield from _run(raw, f"{before}dec2hex:{count} | rev", f"decimal of {what}, last byte highest")
    if len(text) == 8:
        yield from _run(raw, f"{before}fclen", "facility code (3 digits) and number (5 digits)")
    yield from _wiegand(raw, f"{before}dec2hex | ", int(text), len(text) >= 7)


def _hexadecimal(raw: str, text: str) -> Iterator[Reading]:
    if not DIGITS.issuperset(text) or len(text) in (8, 10, 14, 16, 20):
        for meaning, pipeline in _BY_HEX_DIGITS.get(len(text), ()):
            yield from _run(raw, pipeline, meaning, is_checked=pipeline.startswith("xor"))
    if len(text) not in _BY_HEX_DIGITS and not DIGITS.issuperset(text):
        yield from _run(raw, "hex", "bytes in hexadecimal")
        yield from _run(raw, "hex2dec", "decimal, first byte highest")
    yield from _run(raw, "ascii | fullre:[0-9A-Za-z]{4,}", "ASCII codes of a number")
    if len(text) >= 6:
        before = "" if raw == text else "clean | "
        yield from _wiegand(raw, before, int(text, 16), is_hopeful=True)


def _wiegand(raw: str, before: str, value: int, is_hopeful: bool) -> Iterator[Reading]:
    """Card layouts the value fits closely enough to be meant, with the verdict of their parity."""
    for layout, step in (
        *((one, f"wiegand:{bits}") for bits, one in wiegand.LAYOUTS.items()),
        (wiegand.H10302, "wiegand37nofc"),
    ):
        is_close = layout.bits - 11 <= value.bit_length() <= layout.bits
        if is_hopeful and is_close:
            yield from _run(raw, before + step, layout.name, is_checked=True)
