"""A small SNMP v2c agent for tests, on the general library's protocol classes: an independent opinion of the encoding."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto import rfc1902
from pysnmp.proto.api import v2c

LIFE_COUNT = (1, 3, 6, 1, 2, 1, 43, 10, 2, 1, 4, 1, 1)
COUNTER_UNIT = (1, 3, 6, 1, 2, 1, 43, 10, 2, 1, 3, 1, 1)
IMPRESSIONS = 7


@dataclass
class SnmpAgent(asyncio.DatagramProtocol):
    """Answers GetRequests for the life counter; `drops` datagrams are ignored first."""

    count: int = 1000
    unit: int = IMPRESSIONS
    community: str = "public"
    drops: int = 0
    port: int = 0
    asked: int = 0
    transport: asyncio.DatagramTransport | None = field(default=None, repr=False)

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr) -> None:
        self.asked += 1
        if self.drops:
            self.drops -= 1
            return
        message, _rest = decoder.decode(data, asn1Spec=v2c.Message())
        if bytes(v2c.apiMessage.get_community(message)).decode() != self.community:
            return
        answer = v2c.apiMessage.get_response(message)
        pdu = v2c.apiMessage.get_pdu(answer)
        bindings = []
        for oid, _value in v2c.apiPDU.get_varbinds(v2c.apiMessage.get_pdu(message)):
            known = {LIFE_COUNT: rfc1902.Counter32(self.count), COUNTER_UNIT: rfc1902.Integer32(self.unit)}
            bindings.append((oid, known.get(tuple(oid), v2c.NoSuchInstance(""))))
        v2c.apiPDU.set_varbinds(pdu, bindings)
        self.transport.sendto(encoder.encode(answer), addr)


@contextlib.asynccontextmanager
async def running(**options) -> AsyncIterator[SnmpAgent]:
    """An agent on a loopback port for the length of a block."""
    agent = SnmpAgent(**options)
    transport, _protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: agent, local_addr=("127.0.0.1", 0)
    )
    try:
        yield agent
    finally:
        transport.close()
