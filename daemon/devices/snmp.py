"""One question by SNMP v2c: how many sides has this printer marked in its life (prtMarkerLifeCount, RFC 3805)?

Asked before and after a job that reports no counts of its own, the difference is what came out. A lean codec of our
own: the general SNMP library costs seconds of CPU on its first use, in a process where somebody waits at a kiosk.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from daemon.devices import ber
from daemon.devices.printer import SNMP_PORT
from daemon.devices.targets import Network, is_allowed

log = structlog.get_logger(__name__)

MARKER_ENTRY: Final = (1, 3, 6, 1, 2, 1, 43, 10, 2, 1)
COUNTER_UNIT: Final = 3
LIFE_COUNT: Final = 4
FIRST_MARKER: Final = (1, 1)
"""hrDeviceIndex and prtMarkerIndex of the only marker nearly every device has."""
IMPRESSIONS: Final = 7
"""prtMarkerCounterUnit: the only unit the ledger can use."""
VERSION_2C: Final = 1
GET: Final = 0xA0
RESPONSE: Final = 0xA2
TRIES: Final = 3
TRY_S: Final = 1.0
DATAGRAM_BYTES_MAX: Final = 4096
REQUEST_ID_MAX: Final = 0x7FFFFFFF


async def life_count(
    host: str,
    port: int = SNMP_PORT,
    community: str = "public",
    *,
    allow_networks: Sequence[Network] = (),
    try_s: float = TRY_S,
) -> int | None:
    """Impressions in the printer's life.

    None if it does not answer, does not count, counts something else, or is where no printer may be: a counter that
    cannot be read never stops a settlement.
    """
    unit, count = (*MARKER_ENTRY, COUNTER_UNIT, *FIRST_MARKER), (*MARKER_ENTRY, LIFE_COUNT, *FIRST_MARKER)
    values = await get(host, port, community, (unit, count), allow_networks=allow_networks, try_s=try_s)
    if values.get(unit) != IMPRESSIONS:
        return None
    found = values.get(count)
    return found if found is not None and found >= 0 else None


async def get(
    host: str,
    port: int,
    community: str,
    oids: Sequence[ber.ObjectId],
    *,
    allow_networks: Sequence[Network] = (),
    try_s: float = TRY_S,
) -> Mapping[ber.ObjectId, int]:
    """The numbers at these objects; what is missing or no number is left out, everything if there is no answer."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port)
        address = str(found[0][4][0])
        if not is_allowed(ipaddress.ip_address(address.partition("%")[0]), allow_networks):
            log.warning("snmp.address-forbidden", host=host)
            return {}
        transport, protocol = await loop.create_datagram_endpoint(_Answers, remote_addr=(address, port))
    except (OSError, UnicodeError) as error:
        log.info("snmp.unreachable", error=str(error))
        return {}
    try:
        for number in range(TRIES):
            request_id = (id(protocol) + number) & REQUEST_ID_MAX
            transport.sendto(encode_get(request_id, community, oids))
            try:
                async with asyncio.timeout(try_s):
                    return await protocol.answer(request_id, community)
            except (TimeoutError, OSError):
                continue
        return {}
    finally:
        transport.close()


class _Answers(asyncio.DatagramProtocol):
    """Datagrams of one conversation; the socket is connected, so only the printer's arrive."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | Exception] = asyncio.Queue(maxsize=16)

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002  -- asyncio's signature
        self._put(data)

    def error_received(self, exc: Exception) -> None:
        self._put(exc)

    def _put(self, item: bytes | Exception) -> None:
        if not self._queue.full():
            self._queue.put_nowait(item)

    async def answer(self, request_id: int, community: str) -> Mapping[ber.ObjectId, int]:
        """The answer to this request; anything else that arrives is dropped."""
        while True:
            item = await self._queue.get()
            if isinstance(item, Exception):
                raise item
            try:
                found = decode_response(item, request_id, community)
            except (ber.NotBer, StopIteration, ValueError):
                continue
            if found is not None:
                return found


def encode_get(request_id: int, community: str, oids: Sequence[ber.ObjectId]) -> bytes:
    """A GetRequest (RFC 3416 section 4.2.1)."""
    bindings = b"".join(ber.tlv(ber.SEQUENCE, ber.object_id(oid) + ber.tlv(ber.NULL, b"")) for oid in oids)
    pdu = ber.integer(request_id) + ber.integer(0) + ber.integer(0) + ber.tlv(ber.SEQUENCE, bindings)
    head = ber.integer(VERSION_2C) + ber.tlv(ber.OCTET_STRING, community.encode())
    return ber.tlv(ber.SEQUENCE, head + ber.tlv(GET, pdu))


def decode_response(data: bytes, request_id: int, community: str) -> Mapping[ber.ObjectId, int] | None:
    """The numbers in a Response to this request; None for somebody else's datagram, empty for an error answer.

    Raises:
        NotBer, ValueError: not a response at all.
    """
    if len(data) > DATAGRAM_BYTES_MAX:
        return None
    ((outer, message),) = ber.elements(data)
    (version_tag, version), (_tag, name), (pdu_tag, pdu) = ber.elements(message)
    (id_tag, raw_id), (_status_tag, raw_status), _index, (_list_tag, bindings) = ber.elements(pdu)
    if outer != ber.SEQUENCE or pdu_tag != RESPONSE or name != community.encode():
        return None
    if ber.number_of(version_tag, version) != VERSION_2C or ber.number_of(id_tag, raw_id) != request_id:
        return None
    if any(raw_status):
        return {}
    values: dict[ber.ObjectId, int] = {}
    for _tag, binding in ber.elements(bindings):
        (_oid_tag, raw_oid), (tag, content) = ber.elements(binding)
        number = ber.number_of(tag, content)
        if number is not None:
            values[ber.oid_of(raw_oid)] = number
    return values
