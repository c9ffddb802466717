"""Where a printer's URI leads, and whether we go there: the guard against being sent to services of our own.

A name is resolved for each connection, every address is checked, and the checked address itself is connected to,
so that a name which changes its meaning between check and use gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from daemon.devices.errors import AddressForbidden, BadPrinterUri, PrinterUnreachable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PORTS: Final = {"ipp": 631, "ipps": 631, "socket": 9100}
"""Schemes we deliver to and their default ports; `socket` is raw 9100."""
URI_CHARACTERS_MAX: Final = 1023
RESOLVE_TIMEOUT_S: Final = 5.0
NEVER: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "169.254.169.254/32",
        "::/128",
        "ff00::/8",
        "fd00:ec2::254/128",
    )
)
"""No printer lives here: this network, multicast, reserved, and the clouds' metadata services."""
SPECIAL: Final = tuple(ipaddress.ip_network(text) for text in ("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10"))
"""Loopback and link-local: only where a listed network lies inside them, so that 0.0.0.0/0 does not open them."""
NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Target:
    """A printer's URI taken apart. `host` is without brackets; `path` begins with a slash."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """`host:port` as a Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 80 else f"{host}:{self.port}"

    @property
    def uri(self) -> str:
        """The URI as the printer-uri attribute has it."""
        return f"{self.scheme}://{self.authority}{self.path}"


def parse_uri(uri: str) -> Target:
    """Take a printer's URI apart.

    Raises:
        BadPrinterUri: another scheme, credentials, query, control characters, no host, or a port out of range.
    """
    if len(uri) > URI_CHARACTERS_MAX or not uri.isascii() or not uri.isprintable() or " " in uri:
        raise BadPrinterUri("a printer's URI is plain ASCII and at most 1023 characters", uri=uri[:80])
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise BadPrinterUri(str(error), uri=uri) from error
    scheme = parts.scheme.lower()
    if scheme not in PORTS:
        raise BadPrinterUri(f"use ipp://, ipps:// or socket://, not {scheme or 'nothing'}", uri=uri)
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise BadPrinterUri("a printer's URI has a host and a path, and no user, query or fragment", uri=uri)
    path = parts.path or "/"
    if "\x00" in unquote(path) or not unquote(path).isprintable():
        raise BadPrinterUri("control characters in the path", uri=uri)
    return Target(scheme, parts.hostname, PORTS[scheme] if port is None else port, path)


def is_allowed(address: Address, allow_networks: Sequence[Network] = ()) -> bool:
    """True if a printer may live at this address.

    Loopback and link-local only where a listed network lies inside them. Any ordinary host may be one, unless the list
    names ordinary networks: then only hosts in those. A list of special networks alone takes nothing away.
    """
    inner = _embedded(address)
    if inner is not None:
        return is_allowed(inner, allow_networks)
    if _holder(address, NEVER) is not None:
        return False
    if _holder(address, SPECIAL) is not None:
        return _holder(address, [network for network in allow_networks if _is_special(network)]) is not None
    ordinary = [network for network in allow_networks if not _is_special(network)]
    return not ordinary or _holder(address, ordinary) is not None


def _is_special(network: Network) -> bool:
    """Whether it lies within loopback or link-local."""
    special = _holder(network.network_address, SPECIAL)
    return special is not None and network.prefixlen >= special.prefixlen


def _holder(address: Address, networks: Sequence[Network]) -> Network | None:
    """The first network the address is in."""
    return next((n for n in networks if n.version == address.version and address in n), None)


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address an IPv6 one stands for (mapped, 6to4, Teredo, NAT64)."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


async def resolve(target: Target, allow_networks: Sequence[Network] = ()) -> tuple[str, ...]:
    """The addresses to connect to, in the resolver's order.

    Raises:
        PrinterUnreachable: the name is not known, or the resolver does not answer.
        AddressForbidden: one of its addresses is not allowed; a name with a good and a bad address is a bad name.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise PrinterUnreachable("the printer's name is not known", code="printer-name-unknown") from error
    addresses = tuple(dict.fromkeys(str(info[4][0]) for info in found))
    for text in addresses:
        if not is_allowed(ipaddress.ip_address(text.partition("%")[0]), allow_networks):
            message = f"{target.host} is at an address that is not allowed for printers: see [printers] allow_networks"
            raise AddressForbidden(message, host=target.host)
    return addresses


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks in CIDR form.

    Raises:
        ValueError: not a network.
    """
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
