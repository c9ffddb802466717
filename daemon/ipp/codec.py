"""IPP messages to and from bytes (RFC 8010 section 3). Sans I/O, bounded, byte-exact.

Decoding is strict for requests, which are answered with a status and never repaired, and lenient for answers of
printers, whose odd values stay data. A strict message that decodes encodes to the same bytes.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any, Final

from daemon.ipp.message import (
    OUT_OF_BAND,
    Attribute,
    Attributes,
    Collection,
    Group,
    IppError,
    Localized,
    Message,
    Range,
    Resolution,
    Value,
    Version,
)
from daemon.ipp.registry_data import SYNTAX, GroupTag, Status, Tag
from daemon.ipp.writer import HEADER, RANGE, RESOLUTION, encode, encode_attributes

__all__ = ["LENIENT", "STRICT", "Decoder", "Limits", "decode", "encode", "encode_attributes"]

NAME_BYTES_MAX: Final = 255
DATE_BYTES: Final = 11
COLLECTION: Final = int(Tag.BEG_COLLECTION)
COLLECTION_END: Final = int(Tag.END_COLLECTION)
MEMBER: Final = int(Tag.MEMBER_ATTR_NAME)
END: Final = int(GroupTag.END)
GROUP_TAG_MAX: Final = 0x0F
VALUE_TAG_MAX: Final = 0x7F
INTEGERS: Final = frozenset({int(Tag.INTEGER), int(Tag.ENUM)})
LANGUAGE_TAGS: Final = frozenset({int(Tag.TEXT_WITH_LANGUAGE), int(Tag.NAME_WITH_LANGUAGE)})
STRING_BYTES_MAX: Final[dict[int, int]] = {
    Tag.TEXT_WITHOUT_LANGUAGE: 1023,
    Tag.NAME_WITHOUT_LANGUAGE: 255,
    Tag.KEYWORD: 255,
    Tag.URI: 1023,
    Tag.URI_SCHEME: 63,
    Tag.CHARSET: 63,
    Tag.NATURAL_LANGUAGE: 63,
    Tag.MIME_MEDIA_TYPE: 255,
    Tag.MEMBER_ATTR_NAME: 255,
}
"""Longest value of each character syntax in octets (RFC 8011 section 5.1); longer is refused in strict decoding."""
TEXTUAL: Final = frozenset(int(tag) for tag in STRING_BYTES_MAX)
SHORT_BYTES: Final = min(STRING_BYTES_MAX.values())
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
CONTROL_IN_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
MEMBER_HEAD: Final = struct.Struct(">BHH").unpack_from
from_bytes: Final = int.from_bytes
_make: Final = tuple.__new__
"""Value and Attribute without the detour over their Python-level constructors: half the time of decoding."""
INTERNABLE: Final = frozenset(
    {*INTEGERS, Tag.BOOLEAN, Tag.KEYWORD, Tag.CHARSET, Tag.NATURAL_LANGUAGE, Tag.MIME_MEDIA_TYPE, Tag.URI_SCHEME}
)
"""Syntaxes whose values come again and again and are nobody's secret: decoded once, the object is shared."""
INTERNED_MAX: Final = 2048
_INTERNED: Final[tuple[dict[bytes, Value], ...]] = tuple({} for _ in range(256))
"""Per tag, octets -> value; only what strict decoding accepts is in here."""
_KNOWN: Final[dict[bytes, str]] = {part.encode(): part for path in SYNTAX for part in path.split("/")}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one message may cost before it is refused; `is_strict` is False only for what printers answer."""

    header_bytes_max: int = 1 << 20
    depth_max: int = 16
    values_max: int = 20_000
    value_bytes_max: int = 32_767
    is_strict: bool = True


STRICT: Final = Limits()
LENIENT: Final = Limits(is_strict=False)


class _Incomplete(Exception):
    """The message goes on after the bytes at hand."""


class _Reader:
    """One pass over the attribute groups of a whole message."""

    __slots__ = ("buf", "is_strict", "limits", "size", "values")

    def __init__(self, buf: bytes, limits: Limits) -> None:
        self.buf, self.size, self.limits, self.is_strict = buf, len(buf), limits, limits.is_strict
        self.values = 0

    def groups(self) -> tuple[list[Group], int]:
        """The groups and where the document begins."""
        buf, pos, groups = self.buf, HEADER.size, []
        while (tag := buf[pos]) != END:
            if not 0 < tag <= GROUP_TAG_MAX:
                raise _bad("a value outside any group" if tag else "reserved delimiter tag")
            attributes, pos = self.group(pos + 1)
            groups.append(Group(tag, attributes))
            if self.values > self.limits.values_max or pos > self.limits.header_bytes_max:
                raise IppError(Status.CLIENT_ERROR_REQUEST_ENTITY_TOO_LARGE, "too many attributes")
        return groups, pos + 1

    def group(self, pos: int) -> tuple[Attributes, int]:
        """The attributes from `pos` to the next delimiter; of a printer's repeated attribute the first counts."""
        buf, size, values_max, interned = self.buf, self.size, self.limits.values_max, _INTERNED
        attributes: Attributes = {}
        name, values = "", list[Value]()
        while (tag := buf[pos]) > GROUP_TAG_MAX:
            name_size = buf[pos + 1] << 8 | buf[pos + 2]
            start = pos + 5 + name_size
            end = start + (buf[start - 2] << 8 | buf[start - 1])
            if end > size:
                raise _Incomplete
            if name_size:
                if values:
                    attributes.setdefault(name, _make(Attribute, (name, tuple(values))))
                raw = buf[pos + 3 : start - 2]
                name = _KNOWN.get(raw) or self.name(raw)
                values = []
                if self.is_strict and name in attributes:
                    raise _bad("an attribute came twice", attribute=name)
                if self.values > values_max:
                    raise IppError(Status.CLIENT_ERROR_REQUEST_ENTITY_TOO_LARGE, "too many attributes")
            elif not name:
                raise _bad("a value without an attribute")
            self.values += 1
            pos = end
            if tag == COLLECTION:
                members, pos = self.collection(end, end - start, 1)
                values.append(_make(Value, (COLLECTION, members)))
            else:
                raw = buf[start:end]
                values.append(interned[tag].get(raw) or self.fresh(tag, raw))
        if values:
            attributes.setdefault(name, _make(Attribute, (name, tuple(values))))
        return attributes, pos

    def collection(self, pos: int, length: int, depth: int) -> tuple[Collection, int]:
        """The members of the collection whose begin tag ends at `pos` (RFC 8010 section 3.1.6)."""
        if depth > self.limits.depth_max:
            raise _bad("collections nested too deep")
        if self.is_strict and length:
            raise _bad("a collection's begin tag has a value")
        buf, size, interned = self.buf, self.size, _INTERNED
        members: Collection = {}
        name = ""
        values: list[Value] = []
        while True:
            tag, name_size, value_size = MEMBER_HEAD(buf, pos)
            start = pos + 5
            pos = start + value_size
            if name_size:
                raise _bad("a name inside a collection")
            if pos > size:
                raise _Incomplete
            if tag == MEMBER:
                if name:
                    self.keep(members, name, values)
                raw = buf[start:pos]
                name, values = _KNOWN.get(raw) or self.name(raw), []
            elif tag == COLLECTION_END:
                if name:
                    self.keep(members, name, values)
                if self.is_strict and value_size:
                    raise _bad("a collection's end tag has a value")
                self.values += 1
                return members, pos
            elif not name:
                raise _bad("a collection's value without a member name")
            elif tag == COLLECTION:
                inner, pos = self.collection(pos, value_size, depth + 1)
                values.append(_make(Value, (COLLECTION, inner)))
            elif tag <= GROUP_TAG_MAX:
                raise _bad("a collection does not end")
            else:
                raw = buf[start:pos]
                values.append(interned[tag].get(raw) or self.fresh(tag, raw))

    def keep(self, members: Collection, name: str, values: list[Value]) -> None:
        """Add a finished member to its collection; of a printer's repeated member the first counts."""
        self.values += 1 + len(values)
        if self.is_strict and (not values or name in members):
            raise _bad("a collection's member has no value or came twice", attribute=name)
        if values and name not in members:
            members[name] = _make(Attribute, (name, tuple(values)))

    def name(self, raw: bytes) -> str:
        """An attribute name the registry does not know."""
        name = raw.decode("ascii", errors="replace")
        if self.is_strict and (not NAME.fullmatch(name) or len(raw) > NAME_BYTES_MAX):
            raise _bad("an attribute name that is none")
        if not name:
            raise _bad("an empty attribute name")
        return name

    def fresh(self, tag: int, raw: bytes) -> Value:
        """A value that is not interned yet."""
        content = self.value(tag, raw)
        found = Value(tag, content)
        if tag in INTERNABLE and len(raw) <= SHORT_BYTES:
            is_plain = content.isprintable() if isinstance(content, str) else isinstance(content, int)
            if is_plain:
                memo = _INTERNED[tag]
                if len(memo) >= INTERNED_MAX:
                    memo.clear()
                memo[raw] = found
        return found

    def value(self, tag: int, raw: bytes) -> Any:
        """One value that is not a collection, by its tag (RFC 8010 section 3.9)."""
        if tag in TEXTUAL:
            try:
                text = raw.decode()
            except UnicodeDecodeError:
                if self.is_strict:
                    raise _bad("a text that is not UTF-8") from None
                return raw.decode("utf-8", errors="replace")
            if self.is_strict and (len(raw) > SHORT_BYTES or not text.isprintable()):
                self.check_text(tag, text, len(raw) > STRING_BYTES_MAX[tag])
            return text
        if len(raw) == 4 and tag in INTEGERS:
            return from_bytes(raw, "big", signed=True)
        if len(raw) > self.limits.value_bytes_max:
            raise IppError(Status.CLIENT_ERROR_REQUEST_VALUE_TOO_LONG)
        try:
            return self.rare(tag, raw)
        except (ValueError, IndexError):
            if self.is_strict:
                raise _bad("a value of the wrong length or form", tag=tag) from None
            return raw

    def check_text(self, tag: int, text: str, is_too_long: bool) -> None:
        """Strict decoding only: refuse what is too long or carries control characters."""
        if is_too_long:
            raise IppError(Status.CLIENT_ERROR_REQUEST_VALUE_TOO_LONG)
        allowed = CONTROL_IN_TEXT if tag == Tag.TEXT_WITHOUT_LANGUAGE else CONTROL
        if allowed.search(text):
            raise _bad("a control character in a value", tag=tag)

    def rare(self, tag: int, raw: bytes) -> Any:
        """The syntaxes that are neither plain text nor a number. Raises ValueError for a wrong form."""
        size = len(raw)
        if tag in OUT_OF_BAND:
            return raw or None
        if tag == Tag.BOOLEAN and size == 1 and raw[0] <= 1:
            return raw[0] == 1
        if tag == Tag.RANGE_OF_INTEGER and size == RANGE.size:
            return Range(*RANGE.unpack(raw))
        if tag == Tag.RESOLUTION and size == RESOLUTION.size:
            return Resolution(*RESOLUTION.unpack(raw))
        if tag == Tag.OCTET_STRING or (tag == Tag.DATE_TIME and size == DATE_BYTES):
            return raw
        if tag in LANGUAGE_TAGS:
            return self.localized(tag, raw)
        if tag in _FIXED or tag == COLLECTION_END or tag > VALUE_TAG_MAX:
            raise ValueError(tag)
        return raw  # a syntax we do not know stays octets, so that it can be answered as unsupported

    def localized(self, tag: int, raw: bytes) -> Localized:
        size = raw[0] << 8 | raw[1]
        text_size = raw[2 + size] << 8 | raw[3 + size]
        if len(raw) != size + text_size + 4:
            raise ValueError("lengths disagree")
        language, text = str(raw[2 : 2 + size], "utf-8"), str(raw[4 + size :], "utf-8")
        if self.is_strict:
            plain = int(Tag.TEXT_WITHOUT_LANGUAGE if tag == Tag.TEXT_WITH_LANGUAGE else Tag.NAME_WITHOUT_LANGUAGE)
            self.check_text(Tag.NATURAL_LANGUAGE, language, size > STRING_BYTES_MAX[Tag.NATURAL_LANGUAGE])
            self.check_text(plain, text, text_size > STRING_BYTES_MAX[plain])
        return Localized(language, text)


_FIXED: Final = frozenset(
    {*INTEGERS, int(Tag.BOOLEAN), int(Tag.RANGE_OF_INTEGER), int(Tag.RESOLUTION), int(Tag.DATE_TIME)}
)


def _bad(message: str, **data: Any) -> IppError:
    return IppError(Status.CLIENT_ERROR_BAD_REQUEST, message, **data)


class Decoder:
    """Fed with chunks until the header is whole; what follows it is the document's beginning, in `remainder`."""

    def __init__(self, limits: Limits = STRICT) -> None:
        self.limits = limits
        self.remainder = b""
        self._buffer = bytearray()
        self._scanned = HEADER.size

    def feed(self, data: bytes) -> Message | None:
        """The message once its last attribute is in, else None: more is needed.

        Raises:
            IppError: it cannot become a message; carries version and request id if they were read.
        """
        is_first = not self._buffer
        self._buffer += data
        try:
            found = _try(data, self.limits) if is_first else None
            if found is None:
                if not self._has_end():
                    return None
                found = _decode(bytes(self._buffer), self.limits)
        except IppError as error:
            raise _addressed(error, self._buffer) from None
        message, used = found
        self.remainder = bytes(self._buffer[used:])
        self._buffer.clear()
        return message

    def finish(self) -> None:
        """The stream ended before the message did.

        Raises:
            IppError: always, `client-error-bad-request`.
        """
        raise _addressed(_bad("the message is cut off"), self._buffer)

    def _has_end(self) -> bool:
        """Step over whole attributes from where the last call stopped: tiny chunks cost no more than big ones."""
        buf, pos = self._buffer, self._scanned
        size = len(buf)
        while pos < size:
            if buf[pos] == END:
                return True
            if buf[pos] <= GROUP_TAG_MAX:
                pos += 1
            else:
                if pos + 3 > size or (at := pos + 3 + (buf[pos + 1] << 8 | buf[pos + 2])) + 2 > size:
                    break
                end = at + 2 + (buf[at] << 8 | buf[at + 1])
                if end > size:
                    break
                pos = end
            self._scanned = pos
        if size > self.limits.header_bytes_max:
            raise IppError(Status.CLIENT_ERROR_REQUEST_ENTITY_TOO_LARGE, "too many octets of attributes")
        return False


def decode(data: bytes, limits: Limits = STRICT) -> tuple[Message, int]:
    """A whole message and the number of octets it took.

    Raises:
        IppError: malformed, cut off, or over a limit.
    """
    try:
        return _decode(data, limits)
    except IppError as error:
        raise _addressed(error, data) from None


def _decode(data: bytes, limits: Limits) -> tuple[Message, int]:
    found = _try(data, limits)
    if found is None:
        raise _bad("the message is cut off")
    return found


def _try(data: bytes, limits: Limits) -> tuple[Message, int] | None:
    """The message and its length, None if it goes on after the octets at hand."""
    if len(data) < HEADER.size:
        return None
    major, minor, code, request_id = HEADER.unpack_from(data)
    version: Version = (major, minor)
    try:
        groups, used = _Reader(data, limits).groups()
    except (_Incomplete, IndexError, struct.error):
        return None
    return Message(version, code, request_id, groups), used


def _addressed(error: IppError, head: bytes | bytearray) -> IppError:
    """Give the error the version and request id its answer must repeat, if that much was read."""
    if len(head) >= HEADER.size:
        major, minor, _code, error.request_id = HEADER.unpack_from(head)
        error.version = (major, minor)
    return error
