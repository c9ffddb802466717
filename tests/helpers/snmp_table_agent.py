"""An SNMP agent over a table of variables, with the bad habits of real ones; encoded by the general library."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto import api, rfc1902

NO_SUCH_NAME, TOO_BIG = 2, 1


def encoded(value):
    """A plain value as the library's type."""
    if isinstance(value, bytes):
        return rfc1902.OctetString(value)
    if isinstance(value, tuple):
        return rfc1902.ObjectIdentifier(value)
    return rfc1902.Integer32(value)


@dataclass
class TableAgent(asyncio.DatagramProtocol):
    """`deaf_to` are kinds of request it never answers (get, next, bulk); `deaf_columns` prefixes it dies on.

    `bindings_max` cuts answers, `too_big` refuses requests for more names, `circles` answers every walk with the
    same name again, `twice` sends every answer twice, `foreign` sends noise before it.
    """

    variables: dict
    community: str = "public"
    deaf_to: frozenset = frozenset()
    deaf_columns: tuple = ()
    bindings_max: int = 1000
    too_big: int = 1000
    circles: tuple = ()
    twice: bool = False
    foreign: bool = False
    port: int = 0
    asked: list = field(default_factory=list)
    transport: asyncio.DatagramTransport | None = field(default=None, repr=False)

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr) -> None:
        version = api.decodeMessageVersion(data)
        module = api.PROTOCOL_MODULES[version]
        message, _rest = decoder.decode(data, asn1Spec=module.Message())
        request = module.apiMessage.get_pdu(message)
        kind = self._kind(module, request)
        names = [tuple(oid) for oid, _ in self._asked(module, request, kind)]
        self.asked.append((kind, names))
        is_deaf = kind in self.deaf_to or any(n[: len(c)] == c for n in names for c in self.deaf_columns)
        if is_deaf or str(module.apiMessage.get_community(message)) != self.community:
            return
        answer = module.apiMessage.get_response(message)
        self._fill(module, answer, request, kind, names)
        raw = encoder.encode(answer)
        if self.foreign:
            self.transport.sendto(b"\x30\x03noise", addr)
        for _ in range(2 if self.twice else 1):
            self.transport.sendto(raw, addr)

    @staticmethod
    def _kind(module, request) -> str:
        if request.isSameTypeWith(module.GetRequestPDU()):
            return "get"
        return "next" if request.isSameTypeWith(module.GetNextRequestPDU()) else "bulk"

    @staticmethod
    def _asked(module, request, kind):
        where = module.apiBulkPDU if kind == "bulk" else module.apiPDU
        return where.get_varbinds(request)

    def _fill(self, module, answer, request, kind, names) -> None:
        pdu = module.apiMessage.get_pdu(answer)
        is_v1 = not hasattr(module, "NoSuchInstance")
        if len(names) > self.too_big:
            module.apiPDU.set_error_status(pdu, TOO_BIG)
            return
        rows = module.apiBulkPDU.get_max_repetitions(request) if kind == "bulk" else 1
        found, last = [], list(names)
        for _ in range(rows):
            for place, name in enumerate(last):
                oid, value = (name, self.variables.get(name)) if kind == "get" else self._after(name)
                if value is None and is_v1:
                    module.apiPDU.set_error_status(pdu, NO_SUCH_NAME)
                    module.apiPDU.set_error_index(pdu, place + 1)
                    module.apiPDU.set_varbinds(pdu, [(n, module.Null("")) for n in names])
                    return
                missing = module.NoSuchInstance("") if kind == "get" and not is_v1 else None
                end = None if is_v1 else module.EndOfMibView("")
                found.append((oid, encoded(value) if value is not None else (missing or end)))
                last[place] = oid
        module.apiPDU.set_varbinds(pdu, found[: self.bindings_max])

    def _after(self, name):
        if self.circles and name[: len(self.circles)] == self.circles:
            first = min(oid for oid in self.variables if oid[: len(self.circles)] == self.circles)
            return first, self.variables[first]
        names = sorted(self.variables)
        place = bisect.bisect_right(names, name)
        return (names[place], self.variables[names[place]]) if place < len(names) else (name, None)


@contextlib.asynccontextmanager
async def running(variables: dict, **habits) -> AsyncIterator[TableAgent]:
    """The agent on a loopback port for the length of a block."""
    agent = TableAgent(variables, **habits)
    transport, _protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: agent, local_addr=("127.0.0.1", 0)
    )
    try:
        yield agent
    finally:
        transport.close()
