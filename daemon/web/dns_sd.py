"""Announcement of the queues by DNS-SD (RFC 6763), so that phones and laptops find them: AirPrint, Mopria, Everywhere.

Off unless configured. A queue that only its owner may know (`personal`) is never announced; one that asks for a
password is announced over TLS alone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from zeroconf import Error as ZeroconfError
from zeroconf import IPVersion, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from daemon.kernel.errors import Unavailable
from daemon.web.ipp.capability import FORMATS, URF
from daemon.web.ipp.queues import QueueView, Rule

log = structlog.get_logger(__name__)

IPP, IPPS = "_ipp._tcp.local.", "_ipps._tcp.local."
SUBTYPES = ("_universal", "_print")
"""AirPrint's and IPP Everywhere's own subtypes."""
NAME_BYTES_MAX = 63
TXT_VALUE_BYTES_MAX = 200
REGISTER_S = 10
CLOSE_S = 3
PRINTER_TYPE_BASE = 0x0004 | 0x0008 | 0x0010 | 0x0020 | 0x0040 | 0x0080
"""cups_ptype_t bits: black, colour, duplex, staple, copies, collate."""


class CannotAnnounce(Unavailable):
    """The network does not take the announcement; printing by address works all the same."""

    code = "dns-sd-unavailable"


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is said of the house: host name, addresses it is reached at, ports, and the path of its pages."""

    host: str
    addresses: Sequence[str]
    ipp_port: int | None
    ipps_port: int
    pages: str

    @property
    def local_name(self) -> str:
        """The name that is announced, which is also the one clients then use."""
        return f"{self.host.removesuffix('.').removesuffix('.local').split('.')[0]}.local"

    def more_info(self, base: str) -> str:
        """The page about the house, as Get-Printer-Attributes tells it to a client of that service (PWG 5100.14)."""
        scheme, port = ("https", self.ipps_port) if base == IPPS else ("http", self.ipp_port)
        return f"{scheme}://{self.local_name}:{port}{self.pages}"


def txt(queue: QueueView, house: Announcement, base: str = IPPS) -> dict[str, str]:
    """The TXT record (Bonjour Printing 1.2.1, PWG 5100.14, Mopria), the first key as the standards want it."""
    records = {
        "txtvers": "1",
        "qtotal": "1",
        "rp": f"ipp/print/{queue.name}",
        "ty": queue.make_and_model,
        "note": queue.location,
        "product": f"({queue.make_and_model})",
        "adminurl": house.more_info(base),
        "UUID": queue.uuid.removeprefix("urn:uuid:"),
        "pdl": ",".join(f for f in FORMATS if f != "application/octet-stream"),
        "URF": ",".join(URF),
        "Color": "T" if queue.has_color else "F",
        "Duplex": "T" if queue.has_duplex else "F",
        "Copies": "T",
        "Collate": "T",
        "PaperMax": "tabloid-A3",
        "kind": "document",
        "priority": "50",
        "usb_MFG": "Holdfast",
        "usb_MDL": queue.make_and_model,
        "TLS": "1.2",
        "air": "username,password" if queue.rule is Rule.AUTHENTICATED else "none",
        "mopria-certified": "1.3",
        "printer-type": f"0x{PRINTER_TYPE_BASE:X}",
        "printer-state": "3",
    }
    return {key: value.encode()[:TXT_VALUE_BYTES_MAX].decode("utf-8", "ignore") for key, value in records.items()}


def services(queue: QueueView, house: Announcement) -> list[ServiceInfo]:
    """Every registration of one queue, each base type before its subtypes."""
    if queue.rule is Rule.PERSONAL:
        return []
    name = queue.title.encode()[:NAME_BYTES_MAX].decode("utf-8", "ignore").replace(".", " ")
    doors = [(IPPS, house.ipps_port)]
    if house.ipp_port is not None and queue.rule is not Rule.AUTHENTICATED:
        doors.insert(0, (IPP, house.ipp_port))
    made: list[ServiceInfo] = []
    for base, port in doors:
        made.append(_info(base, base, name=name, port=port, queue=queue, house=house))
        for subtype in SUBTYPES:
            one = _info(f"{subtype}._sub.{base}", base, name=name, port=port, queue=queue, house=house)
            # The library keys its registry on the instance's name alone and would refuse the subtype.
            one.key = f"{subtype}.{one.key}"
            made.append(one)
    return made


def _info(kind: str, base: str, *, name: str, port: int, queue: QueueView, house: Announcement) -> ServiceInfo:
    return ServiceInfo(
        kind,
        f"{name}.{base}",
        port=port,
        properties=txt(queue, house, base),
        server=f"{house.local_name}.",
        addresses=[_packed(address) for address in house.addresses],
    )


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


class Announcer:
    """Registers the queues; `close` says goodbye."""

    def __init__(self, queues: Sequence[QueueView], house: Announcement, *, interfaces: Sequence[str]) -> None:
        self._queues = queues
        self._house = house
        self._interfaces = interfaces
        self._zeroconf: AsyncZeroconf | None = None

    async def start(self) -> None:
        """Announce every queue that may be known.

        Raises:
            CannotAnnounce: no multicast here, or the name is somebody else's.
        """
        has_v6 = any(":" in address for address in self._interfaces)
        try:
            self._zeroconf = AsyncZeroconf(
                interfaces=list(self._interfaces), ip_version=IPVersion.All if has_v6 else IPVersion.V4Only
            )
            async with asyncio.timeout(REGISTER_S):
                for queue in self._queues:
                    for service in services(queue, self._house):
                        is_subtype = "._sub." in service.type
                        registered = await self._zeroconf.async_register_service(
                            service, allow_name_change=not is_subtype, cooperating_responders=is_subtype
                        )
                        await registered
        except (OSError, TimeoutError, ZeroconfError) as error:
            await self.close()
            raise CannotAnnounce(f"the queues cannot be announced: {error}") from error
        log.info("dns_sd.announced", queues=len(self._queues))

    async def close(self) -> None:
        """Take the announcement back."""
        if self._zeroconf is None:
            return
        zeroconf, self._zeroconf = self._zeroconf, None
        try:
            async with asyncio.timeout(CLOSE_S):
                await zeroconf.async_unregister_all_services()
                await zeroconf.async_close()
        except TimeoutError:
            log.info("dns_sd.goodbye_lost")
