"""Typed values by their syntax's name: `attributes({"copies": integer(2), "sides": keyword("one-sided")})`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from daemon.ipp.message import Attribute, Attributes, Group, Localized, Message, Range, Resolution, Value
from daemon.ipp.registry_data import GroupTag, Tag
from daemon.kernel.clock import US_PER_S

Values = tuple[Value, ...]
INTEGER_MAX: Final = 2_147_483_647


def _values(tag: Tag, contents: Iterable[object]) -> Values:
    number = int(tag)
    return tuple(Value(number, content) for content in contents)


def integer(*numbers: int) -> Values:
    """Integers of 32 bits."""
    return _values(Tag.INTEGER, numbers)


def enum(*numbers: int) -> Values:
    """Enum values, by number or by a registry enum."""
    return _values(Tag.ENUM, (int(n) for n in numbers))


def boolean(is_true: bool) -> Values:
    """A boolean."""
    return _values(Tag.BOOLEAN, (is_true,))


def range_of(*ranges: tuple[int, int]) -> Values:
    """RangeOfInteger values, both ends included."""
    return _values(Tag.RANGE_OF_INTEGER, (Range(*r) for r in ranges))


def resolution(*dpi: int | tuple[int, int]) -> Values:
    """Resolutions in dots per inch; one number is the same both ways."""
    return _values(Tag.RESOLUTION, (Resolution(*((d, d) if isinstance(d, int) else d)) for d in dpi))


def octets(*contents: bytes | str) -> Values:
    """octetString; text is written as UTF-8."""
    return _values(Tag.OCTET_STRING, (c.encode() if isinstance(c, str) else c for c in contents))


def keyword(*words: str) -> Values:
    """Keywords."""
    return _values(Tag.KEYWORD, words)


def name(*names: str) -> Values:
    """nameWithoutLanguage, cut to its 255 octets between characters."""
    return _values(Tag.NAME_WITHOUT_LANGUAGE, (_cut(n, 255) for n in names))


def text(*texts: str) -> Values:
    """textWithoutLanguage, cut to its 1023 octets between characters."""
    return _values(Tag.TEXT_WITHOUT_LANGUAGE, (_cut(t, 1023) for t in texts))


def uri(*uris: str) -> Values:
    """URIs."""
    return _values(Tag.URI, uris)


def uri_scheme(*schemes: str) -> Values:
    """URI schemes, `ipps`."""
    return _values(Tag.URI_SCHEME, schemes)


def charset(*names: str) -> Values:
    """Charsets, `utf-8`."""
    return _values(Tag.CHARSET, names)


def language(*tags: str) -> Values:
    """Natural languages, `en-gb`."""
    return _values(Tag.NATURAL_LANGUAGE, tags)


def mime(*types: str) -> Values:
    """MIME media types, `application/pdf`."""
    return _values(Tag.MIME_MEDIA_TYPE, types)


def localized_text(*texts: Localized) -> Values:
    """TextWithLanguage."""
    return _values(Tag.TEXT_WITH_LANGUAGE, texts)


def localized_name(*names: Localized) -> Values:
    """NameWithLanguage."""
    return _values(Tag.NAME_WITH_LANGUAGE, names)


def collection(*members: Mapping[str, Values]) -> Values:
    """One collection per mapping of member name to values."""
    return _values(Tag.BEG_COLLECTION, (attributes(m) for m in members))


def no_value() -> Values:
    """Marks an attribute that is known but has no value."""
    return _values(Tag.NO_VALUE, (None,))


def unknown() -> Values:
    """Marks an attribute whose value is not known."""
    return _values(Tag.UNKNOWN, (None,))


def unsupported() -> Values:
    """Marks an attribute as not supported, in an answer's unsupported group."""
    return _values(Tag.UNSUPPORTED, (None,))


def date_time(at_us: int | None) -> Values:
    """DateTime (RFC 2579 DateAndTime) in UTC of microseconds since the epoch; no-value for None."""
    if at_us is None:
        return no_value()
    at = datetime.fromtimestamp(at_us // US_PER_S, UTC)
    tenths = at_us % US_PER_S // 100_000
    raw = at.year.to_bytes(2, "big") + bytes((at.month, at.day, at.hour, at.minute, at.second, tenths)) + b"+\x00\x00"
    return _values(Tag.DATE_TIME, (raw,))


def date_time_us(raw: bytes) -> int:
    """Microseconds since the epoch of a dateTime's 11 octets.

    Raises:
        ValueError: not a date.
    """
    if len(raw) != 11 or raw[8:9] not in (b"+", b"-"):
        raise ValueError("not a dateTime")
    year, (month, day, hour, minute, second, tenths) = int.from_bytes(raw[:2], "big"), raw[2:8]
    at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    offset = timedelta(hours=raw[9], minutes=raw[10])
    at = at - offset if raw[8:9] == b"+" else at + offset
    return int(at.timestamp()) * US_PER_S + tenths * 100_000


def attributes(values: Mapping[str, Values]) -> Attributes:
    """Attributes in the mapping's order."""
    return {key: Attribute(key, content) for key, content in values.items()}


def group(tag: GroupTag, values: Mapping[str, Values], /, *, encoded: bytes = b"") -> Group:
    """A group with the mapping's attributes, and `encoded` ones behind them."""
    return Group(tag, attributes(values), encoded)


def message(
    code: int, *groups: Group, request_id: int = 1, version: tuple[int, int] = (2, 0), natural_language: str = "en"
) -> Message:
    """A message whose operation group starts with charset and language, as every message must (RFC 8011 section 4.1.4).

    A first group that is an operation group is merged behind these two.
    """
    head = group(
        GroupTag.OPERATION,
        {"attributes-charset": charset("utf-8"), "attributes-natural-language": language(natural_language)},
    )
    rest = list(groups)
    if rest and rest[0].tag == GroupTag.OPERATION:
        first = rest.pop(0)
        head.attributes.update(first.attributes)
        head.encoded = first.encoded
    return Message(version, int(code), request_id, [head, *rest])


def _cut(content: str, bytes_max: int) -> str:
    raw = content.encode("utf-8", errors="replace")
    return content if len(raw) <= bytes_max else raw[:bytes_max].decode("utf-8", errors="ignore")
