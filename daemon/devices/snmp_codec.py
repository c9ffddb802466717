"""SNMP v1 and v2c messages, encoded once and decoded leniently (RFC 1157, RFC 3416). Pure.

Printers encode badly: counters as negative numbers, lengths in long form, octets after the end. One bad value never
costs the rest of the answer: it is left out and counted, and everything that can be read is. Decoding goes by
offsets over the datagram, without an object per element: a fleet is polled in one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from daemon.devices import ber
from daemon.devices.mib.tables import ObjectId
from daemon.devices.mib.walk import Value

V1: Final = 0
V2C: Final = 1
GET: Final = 0xA0
GET_NEXT: Final = 0xA1
RESPONSE: Final = 0xA2
GET_BULK: Final = 0xA5
OCTET_STRING, NULL, OBJECT_ID, IP_ADDRESS, OPAQUE = 0x04, 0x05, 0x06, 0x40, 0x44
INTEGER: Final = 0x02
UNSIGNED: Final = frozenset({0x41, 0x42, 0x43, 0x46, 0x47})
"""Counter32, Gauge32, TimeTicks, Counter64, UInteger32."""
OCTETS: Final = frozenset({OCTET_STRING, IP_ADDRESS, OPAQUE})
NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_VIEW = 0x80, 0x81, 0x82
EXCEPTIONS: Final = frozenset({NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_VIEW})
REQUEST_ID_MIN: Final = 0x01000000
REQUEST_ID_MAX: Final = 0x7FFFFFFF
"""Ids of exactly four octets, so that a question is encoded once and only its id is written anew."""
DATAGRAM_BYTES_MAX: Final = 65507
BINDINGS_MAX: Final = 512
NUMBER_OCTETS_MAX: Final = 9
KNOWN_NAMES_MAX: Final = 100_000
_LONG: Final = 0x80
_known_names: dict[bytes, ObjectId] = {}

BROKEN: Final = -1
"""Tag of a value that could not be read. Its place is kept: answers to several columns are told apart by position."""

Binding = tuple[ObjectId, int, Value]
"""(name, tag of the value, value); the name is empty where not even that could be read."""


class NotSnmp(ValueError):
    """The datagram is no answer at all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A Response. `broken` of its `bindings` could not be read (tag `BROKEN`)."""

    version: int
    community: bytes
    request_id: int
    status: int
    index: int
    bindings: list[Binding]
    broken: int


@dataclass(frozen=True, slots=True)
class Question:
    """A request, encoded but for its id."""

    head: bytes
    tail: bytes

    def datagram(self, request_id: int) -> bytes:
        """The octets to send; `request_id` is `REQUEST_ID_MIN` to `REQUEST_ID_MAX`."""
        return self.head + request_id.to_bytes(4, "big") + self.tail


def question(
    pdu: int, oids: Sequence[ObjectId], *, version: int, community: bytes, repetitions: int = 0, non_repeaters: int = 0
) -> Question:
    """A GetRequest, GetNextRequest or GetBulkRequest for these names."""
    bindings = b"".join(ber.tlv(ber.SEQUENCE, ber.object_id(oid) + ber.tlv(ber.NULL, b"")) for oid in oids)
    after = ber.integer(non_repeaters) + ber.integer(repetitions) + ber.tlv(ber.SEQUENCE, bindings)
    body = ber.tlv(pdu, b"\x02\x04" + bytes(4) + after)
    head = ber.integer(version) + ber.tlv(ber.OCTET_STRING, community)
    whole = ber.tlv(ber.SEQUENCE, head + body)
    at = len(whole) - len(after) - 4
    return Question(whole[:at], whole[at + 4 :])


def decode(data: bytes) -> Answer:
    """What a datagram answers.

    Raises:
        NotSnmp: it is no Response that could be told whose it is.
    """
    if len(data) > DATAGRAM_BYTES_MAX:
        raise NotSnmp("too long")
    try:
        at, end = _list(data, 0, len(data), 0x30)
        at, version = _integer(data, at, end)
        start, stop = _inside(data, at, end, OCTET_STRING)
        community = data[start:stop]
        at, end = _list(data, stop, end, RESPONSE)
        at, request_id = _integer(data, at, end)
        at, status = _integer(data, at, end)
        at, index = _integer(data, at, end)
        at, end = _list(data, at, end, 0x30)
    except IndexError as error:
        raise NotSnmp("cut off") from error
    bindings, broken = _bindings(data, at, end)
    return Answer(version, community, request_id, status, index, bindings, broken)


def _bindings(data: bytes, at: int, end: int) -> tuple[list[Binding], int]:
    """Every binding in its place, and how many of them could not be read."""
    found: list[Binding] = []
    broken = 0
    known = _known_names
    for _ in range(BINDINGS_MAX):
        if at >= end:
            break
        try:
            start, stop = _inside(data, at, end, 0x30)
        except (IndexError, NotSnmp):
            broken += 1
            break
        at = stop
        name: ObjectId = ()
        try:
            name_start, name_stop = _inside(data, start, stop, OBJECT_ID)
            raw = data[name_start:name_stop]
            name = known.get(raw) or _learn(raw)
            tag = data[name_stop]
            value_start, value_stop = _span(data, name_stop, stop)
            found.append((name, tag, _value(tag, data[value_start:value_stop])))
        except (IndexError, ValueError):
            broken += 1
            found.append((name, BROKEN, None))
    return found, broken


def _value(tag: int, raw: bytes) -> Value:
    if tag == INTEGER and len(raw) <= NUMBER_OCTETS_MAX:
        return int.from_bytes(raw, "big", signed=True)
    if tag in UNSIGNED and len(raw) <= NUMBER_OCTETS_MAX:
        return int.from_bytes(raw, "big")
    if tag in OCTETS:
        return raw
    if tag == OBJECT_ID:
        return ber.oid_of(raw)
    if tag == NULL or tag in EXCEPTIONS:
        return None
    raise NotSnmp("a type SNMP does not have, or a number of too many octets")


def _learn(raw: bytes) -> ObjectId:
    """The name's arcs; remembered, because a fleet answers with the same few thousand names."""
    name = ber.oid_of(raw)
    if len(_known_names) >= KNOWN_NAMES_MAX:
        _known_names.clear()
    _known_names[raw] = name
    return name


def _integer(data: bytes, at: int, end: int) -> tuple[int, int]:
    start, stop = _inside(data, at, end, INTEGER)
    return stop, int.from_bytes(data[start:stop], "big", signed=True)


def _inside(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Start and end of the content of the element at `at`, which must have this tag."""
    if data[at] != tag:
        raise NotSnmp("another element than expected")
    return _span(data, at, end)


def _list(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """The same for what holds others: a datagram that was cut still gives the members that are whole."""
    if data[at] != tag:
        raise NotSnmp("another element than expected")
    start, size = _length(data, at)
    return start, min(start + size, end)


def _span(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Start and end of an element's content, which must end before `end`."""
    start, size = _length(data, at)
    if start + size > end:
        raise NotSnmp("cut off")
    return start, start + size


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins, and its length."""
    size = data[at + 1]
    if not size & _LONG:
        return at + 2, size
    octets = size & 0x7F
    if not 1 <= octets <= 4:
        raise NotSnmp("a length of a form SNMP does not use")
    return at + 2 + octets, int.from_bytes(data[at + 2 : at + 2 + octets], "big")
