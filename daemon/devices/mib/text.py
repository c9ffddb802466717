"""Octets of a device as readable text. Pure.

Devices write UTF-8, the character set they declare, or Windows-1252 without saying so; they pad with NUL and blanks.
"""

from __future__ import annotations

from typing import Final

from daemon.devices.mib.walk import Value, octets

CODECS: Final[dict[int, str]] = {
    3: "ascii",
    **{mib_enum: f"iso8859-{mib_enum - 3}" for mib_enum in range(4, 14)},
    17: "shift_jis",
    18: "euc_jp",
    38: "euc_kr",
    106: "utf-8",
    109: "iso8859-13",
    110: "iso8859-14",
    111: "iso8859-15",
    112: "iso8859-16",
    113: "gbk",
    114: "gb18030",
    1013: "utf-16-be",
    1014: "utf-16-le",
    1015: "utf-16",
    2004: "hp-roman8",
    2009: "cp850",
    2010: "cp852",
    2011: "cp437",
    2025: "gb2312",
    2026: "big5",
    2084: "koi8-r",
    2086: "cp866",
    2088: "koi8-u",
    2109: "cp874",
    **{2250 + page: f"cp125{page}" for page in range(9)},
}
"""IANA's MIBenum of a character set (prtLocalizationCharacterSet) -> Python's codec."""
FALLBACK: Final = "cp1252"
CHARS_MAX: Final = 1024
_FIRST_PRINTABLE, _DELETE, _C1_END = 0x20, 0x7F, 0x9F


def clean(value: Value, charset: int | None = None) -> str | None:
    """The text, or None where there is none: decoded, without control characters and outer blanks.

    UTF-8 if the octets are, else the declared `charset`, else Windows-1252 with what cannot be decoded replaced.
    """
    raw = octets(value)
    if raw is None:
        return None
    text = _decoded(raw[: 4 * CHARS_MAX], charset)
    return "".join(filter(_is_shown, text)).strip()[:CHARS_MAX]


def _decoded(raw: bytes, charset: int | None) -> str:
    declared = CODECS.get(charset) if charset is not None else None
    if declared is not None and declared.startswith("utf-16"):  # NUL octets make such text valid UTF-8, wrongly
        order = (declared, "utf-8")
    else:
        order = ("utf-8", declared or FALLBACK)
    for codec in order:
        try:
            return raw.decode(codec)
        except UnicodeDecodeError:
            continue
    return raw.decode(FALLBACK, "replace")


def _is_shown(char: str) -> bool:
    code = ord(char)
    return code >= _FIRST_PRINTABLE and not _DELETE <= code <= _C1_END
