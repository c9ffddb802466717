"""Announcement of the queues on the local network by DNS-SD, with what AirPrint and Mopria clients look for. Optional.

Only queues that need no secret address are announced: `_ipps._tcp` always, `_ipp._tcp` unless the queue asks for a
password. Subtypes: `_universal` (AirPrint) and `_print` (IPP Everywhere, PWG 5100.14 section 4.2).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING

import structlog
from zeroconf import IPVersion, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from daemon.web.ipp import capability
from daemon.web.ipp.addresses import PAGES_PREFIX, QUEUE_PREFIX, Ports
from daemon.web.ipp.queues import QueueView, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.web.ipp.queues import Queues

log = structlog.get_logger(__name__)

INSTANCE_BYTES_MAX = 63
"""One DNS label (RFC 6763 section 4.1.1)."""
TXT_VALUE_BYTES_MAX = 240
SUBTYPES = ("_universal", "_print")
CLOSE_S = 3.0


def instance_name(title: str, host: str) -> str:
    """`Find me @ printhost`, cut between characters to one DNS label; dots and slashes are fine in it."""
    return f"{title} @ {host}".encode()[:INSTANCE_BYTES_MAX].decode(errors="ignore")


def txt_record(queue: QueueView, *, host: str, ports: Ports, is_tls: bool) -> dict[str, str]:
    """The TXT keys of AirPrint, Mopria and Bonjour Printing 1.2.1; each value fits one string."""
    scheme, port = ("https", ports.ipps) if is_tls else ("http", ports.ipp)
    is_large = any(size.name.startswith("iso_a3") for size in queue.media)
    record = {
        "txtvers": "1",
        "qtotal": "1",
        "rp": f"{QUEUE_PREFIX}/{queue.name}".lstrip("/"),
        "ty": queue.make_and_model,
        "note": queue.location,
        "product": f"({queue.make_and_model})",
        "adminurl": f"{scheme}://{host}:{port}{PAGES_PREFIX}/",
        "UUID": queue.uuid.removeprefix("urn:uuid:"),
        "pdl": ",".join(capability.FORMATS),
        "URF": ",".join(capability.URF),
        "Color": "T" if queue.has_color else "F",
        "Duplex": "T" if queue.has_duplex else "F",
        "Staple": "T" if 4 in queue.finishings else "F",
        "Punch": "1" if 5 in queue.finishings else "0",
        "Copies": "T",
        "Collate": "T",
        "PaperMax": "tabloid-A3" if is_large else "legal-A4",
        "kind": "document",
        "priority": "50",
        "usb_MFG": "Holdfast",
        "usb_MDL": queue.make_and_model,
        "air": "username,password" if queue.rule is Rule.AUTHENTICATED else "none",
        "mopria-certified": "1.3",
        "print_wfds": "T",
        "printer-type": "0x809046" if queue.has_duplex else "0x801046",
        "printer-state": "3",
    }
    if is_tls or ports.ipps:
        record["TLS"] = "1.2"
    return {key: value.encode()[:TXT_VALUE_BYTES_MAX].decode(errors="ignore") for key, value in record.items()}


def services(queue: QueueView, *, host: str, ports: Ports, addresses: Sequence[str]) -> list[ServiceInfo]:
    """The registrations of one queue, base types before their subtypes."""
    if queue.rule is Rule.PERSONAL:
        return []
    kinds = [("_ipps._tcp.local.", ports.ipps, True)]
    if queue.rule is not Rule.AUTHENTICATED:
        kinds.append(("_ipp._tcp.local.", ports.ipp, False))
    name = instance_name(queue.title, host)
    packed = [ipaddress.ip_address(address).packed for address in addresses]
    found = []
    for base, port, is_tls in kinds:
        if not port:
            continue
        txt = txt_record(queue, host=host, ports=ports, is_tls=is_tls)
        for subtype in ("", *SUBTYPES):
            kind = f"{subtype}._sub.{base}" if subtype else base
            info = ServiceInfo(
                kind, f"{name}.{base}", addresses=packed, port=port, properties=txt, server=f"{_label(host)}.local."
            )
            if subtype:
                # The library keeps registrations by instance name alone and would take the subtype for a double.
                info.key = f"{subtype}.{info.key}"
            found.append(info)
    return found


def _label(host: str) -> str:
    """The host's first label, as it stands under `.local`."""
    return host.split(".", 1)[0] or "holdfast"


class Announcer:
    """Registers the queues and takes them back. Owns its multicast sockets between `start` and `close`."""

    def __init__(self, queues: Queues, *, host: str, ports: Ports, interfaces: Sequence[str]) -> None:
        self._queues = queues
        self._host = host
        self._ports = ports
        self._interfaces = list(interfaces)
        self._zeroconf: AsyncZeroconf | None = None

    async def start(self) -> None:
        """Announce every queue on the given interface addresses. A network that refuses is logged, not fatal."""
        try:
            self._zeroconf = AsyncZeroconf(interfaces=self._interfaces, ip_version=_version(self._interfaces))
            for queue in self._queues.by_name.values():
                for info in services(queue, host=self._host, ports=self._ports, addresses=self._interfaces):
                    is_sub = "._sub." in info.type
                    done = await self._zeroconf.async_register_service(info, cooperating_responders=is_sub)
                    await done
        except (OSError, socket.gaierror) as error:
            log.warning("dns_sd.unavailable", reason=str(error))
            await self.close()
        else:
            log.info("dns_sd.announced", queues=len(self._queues.by_name))

    async def close(self) -> None:
        """Say goodbye and let go of the sockets; bounded."""
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await zeroconf.async_unregister_all_services()
                await zeroconf.async_close()
        except TimeoutError:
            log.warning("dns_sd.close_timed_out")


def _version(interfaces: Sequence[str]) -> IPVersion:
    versions = {ipaddress.ip_address(address).version for address in interfaces}
    return {frozenset({4}): IPVersion.V4Only, frozenset({6}): IPVersion.V6Only}.get(
        frozenset(versions), IPVersion.All
    )  # fmt: skip
