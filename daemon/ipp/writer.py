"""IPP messages to bytes (RFC 8010 section 3); the reading half is `codec`."""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final

from daemon.ipp.message import OUT_OF_BAND, Attribute, Collection, Localized, Message, Value
from daemon.ipp.registry_data import GroupTag, Tag

HEADER: Final = Struct(">BBHI")
INT: Final = Struct(">i")
RANGE: Final = Struct(">ii")
RESOLUTION: Final = Struct(">iib")
TAG_AND_LENGTH: Final = Struct(">BH")
LENGTH: Final = Struct(">H")
VALUE_BYTES_MAX: Final = 32_767

_COLLECTION: Final = int(Tag.BEG_COLLECTION)
_NO_NAME: Final = b"\x00\x00"
_BEGIN: Final = b"\x34\x00\x00\x00\x00"
_COLLECTION_END: Final = b"\x37\x00\x00\x00\x00"


def encode(message: Message) -> bytes:
    """The message's octets, without a document.

    Raises:
        ValueError: a value that has no encoding (too long, out of range): a bug of the caller.
    """
    major, minor = message.version
    parts = [HEADER.pack(major, minor, message.code, message.request_id)]
    for group in message.groups:
        parts.append(group.tag.to_bytes(1, "big"))
        _write(parts, group.attributes.values())
        parts.append(group.encoded)
    parts.append(GroupTag.END.to_bytes(1, "big"))
    return b"".join(parts)


def encode_attributes(attributes: Iterable[Attribute]) -> bytes:
    """Attributes alone, to be kept and spliced in as `Group.encoded`."""
    parts: list[bytes] = []
    _write(parts, attributes)
    return b"".join(parts)


def _write(parts: list[bytes], attributes: Iterable[Attribute]) -> None:
    for name, values in attributes:
        raw = name.encode("ascii")
        head = LENGTH.pack(len(raw)) + raw
        for tag, content in values:
            parts.append(tag.to_bytes(1, "big") + head)
            if tag == _COLLECTION:
                parts.append(_NO_NAME)
                _write_members(parts, content)
            else:
                _write_value(parts, tag, content)
            head = _NO_NAME


def _write_members(parts: list[bytes], members: Collection) -> None:
    """A collection after its begin tag (RFC 8010 section 3.1.6)."""
    for name, values in members.values():
        raw = name.encode("ascii")
        parts.append(b"\x4a\x00\x00" + LENGTH.pack(len(raw)) + raw)
        for tag, content in values:
            if tag == _COLLECTION:
                parts.append(_BEGIN)
                _write_members(parts, content)
            else:
                parts.append(TAG_AND_LENGTH.pack(tag, 0))
                _write_value(parts, tag, content)
    parts.append(_COLLECTION_END)


def _write_value(parts: list[bytes], tag: int, content: object) -> None:
    raw = encode_value(tag, content)
    if len(raw) > VALUE_BYTES_MAX:
        raise ValueError(f"a value of {len(raw)} octets")
    parts.append(LENGTH.pack(len(raw)))
    parts.append(raw)


def encode_value(tag: int, content: object) -> bytes:
    """The octets of one value that is not a collection.

    Raises:
        ValueError: content and tag do not go together.
    """
    if isinstance(content, str):
        return content.encode("utf-8")
    if isinstance(content, bytes):
        return content
    if content is None and tag in OUT_OF_BAND:
        return b""
    if isinstance(content, bool):
        return b"\x01" if content else b"\x00"
    try:
        if isinstance(content, int):
            return INT.pack(content)
        if isinstance(content, Localized):
            language, text = content.language.encode("utf-8"), content.text.encode("utf-8")
            return LENGTH.pack(len(language)) + language + LENGTH.pack(len(text)) + text
        if isinstance(content, tuple):
            return (RANGE if len(content) == 2 else RESOLUTION).pack(*content)
    except OverflowError as error:
        raise ValueError(str(error)) from error
    except Exception as error:
        raise ValueError(f"{content!r} does not fit tag 0x{tag:02x}") from error
    raise ValueError(f"no encoding of {type(content).__name__} for {Value.__name__} tag 0x{tag:02x}")
