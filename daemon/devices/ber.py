"""The few ASN.1 BER types an SNMP v2c question and answer are made of (X.690, RFC 3416). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_ID: Final = 0x06
SEQUENCE: Final = 0x30
COUNTER32: Final = 0x41
GAUGE32: Final = 0x42
TIMETICKS: Final = 0x43
COUNTER64: Final = 0x46
NUMBERS: Final = frozenset({INTEGER, COUNTER32, GAUGE32, TIMETICKS, COUNTER64})

ObjectId = tuple[int, ...]


class NotBer(ValueError):
    """The octets are not what they claim to be."""


def tlv(tag: int, content: bytes) -> bytes:
    """One element."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    raw = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(raw))) + raw + content


def integer(number: int) -> bytes:
    """An INTEGER, in as few octets as it takes."""
    return tlv(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def object_id(oid: ObjectId) -> bytes:
    """An OBJECT IDENTIFIER."""
    out = bytearray((oid[0] * 40 + oid[1],))
    for arc in oid[2:]:
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        out += bytes(reversed(groups))
    return tlv(OBJECT_ID, bytes(out))


def elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of a constructed one, as (tag, content).

    Raises:
        NotBer: a length that leads outside, or of indefinite form.
    """
    at = 0
    while at < len(content):
        if at + 2 > len(content):
            raise NotBer("cut off")
        tag, size = content[at], content[at + 1]
        at += 2
        if size & 0x80:
            octets = size & 0x7F
            if not 1 <= octets <= 4:
                raise NotBer("length of a form SNMP does not use")
            size = int.from_bytes(content[at : at + octets], "big")
            at += octets
        if at + size > len(content):
            raise NotBer("cut off")
        yield tag, content[at : at + size]
        at += size


def number_of(tag: int, content: bytes) -> int | None:
    """The value of any of SNMP's number types, None for other types."""
    if tag not in NUMBERS or not content:
        return None
    return int.from_bytes(content, "big", signed=tag == INTEGER)


def oid_of(content: bytes) -> ObjectId:
    """An OBJECT IDENTIFIER's arcs.

    Raises:
        NotBer: empty or cut off.
    """
    if not content or content[-1] & 0x80:
        raise NotBer("not an object identifier")
    first = min(content[0] // 40, 2)
    arcs, arc = [first, content[0] - 40 * first], 0
    for octet in content[1:]:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    return tuple(arcs)
