"""One device asked once, and everything Holdfast understands of it. I/O.

Silence is looked into: SNMPv2c does not tell a wrong community from a printer that is off, but a printer that answers
the question every SNMPv3 agent answers, or refuses the port, does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from daemon.devices.makers import known_quirks, vendor_objects
from daemon.devices.mib.reading import DeviceReading, read_device
from daemon.devices.printer import SNMP_PORT
from daemon.devices.snmp_collect import Limits, NoAnswer, collect
from daemon.devices.snmp_general import Community, GeneralAsk, GeneralSnmp, V3User
from daemon.devices.snmp_socket import TRIES, TRY_S, LeanAsk, SnmpSocket
from daemon.kernel.errors import BadInput

if TYPE_CHECKING:
    from daemon.kernel.ids import Dice

RESOLVE_S: Final = 5.0
PROBE_S: Final = 90.0
"""The longest a probe may take, whatever the device does."""
PORT_MAX: Final = 65535
V3_HELLO: Final = bytes.fromhex(
    "303e0201033011020411223344020300ffe30401040201030410300e0400020100020100040004000400301404000400a00e"
    "0204112233440201000201003000"
)
"""An SNMPv3 GetRequest of no user for nothing: every agent answers it with a Report that tells its engine id."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found and what it took."""

    host: str
    port: int
    version: str
    reading: DeviceReading
    requests: int
    broken: int
    has_bulk: bool
    refused: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As `printer probe --json` prints it."""
        return {
            "host": self.host,
            "port": self.port,
            "version": self.version,
            **self.reading.to_json(),
            "requests": self.requests,
            "broken_values": self.broken,
            "bulk": self.has_bulk,
            "refused_columns": list(self.refused),
        }


async def probe(
    place: str,
    *,
    who: V3User | Community,
    dice: Dice,
    reference: bool = False,
    try_s: float = TRY_S,
    tries: int = TRIES,
) -> Probe:
    """Ask the device at `HOST[:PORT]` everything once; `reference` uses the general library for v1 and v2c too.

    Raises:
        BadInput: no such address.
        NoAnswer: silence; `data["why"]` is port-closed, community-refused or silent.
        SnmpDenied: SNMPv3 refuses, and why.
    """
    host, port = split_place(place)
    address = await _resolved(host, port)
    lean, general = SnmpSocket(first_id=int.from_bytes(dice.token(4), "big")), GeneralSnmp()
    try:
        ask: LeanAsk | GeneralAsk
        if isinstance(who, Community) and not reference:
            community = who.name.encode()
            ask = LeanAsk(lean, address, version=who.version, community=community, try_s=try_s, tries=tries)
        else:
            ask = GeneralAsk(general, address, who=who, try_s=try_s, tries=tries)
        try:
            async with asyncio.timeout(PROBE_S):
                found = await collect(ask, limits=Limits(), vendor=vendor_objects())
        except (NoAnswer, TimeoutError) as silence:
            raise await _explained(silence, address, who) from silence
    finally:
        lean.close()
        general.close()
    return Probe(
        host=host,
        port=port,
        version="3" if isinstance(who, V3User) else ("1", "2c")[who.version],
        reading=read_device(found.walk, known_quirks()),
        requests=ask.requests,
        broken=ask.broken,
        has_bulk=found.limits.has_bulk,
        refused=tuple(".".join(map(str, oid)) for oid in found.refused),
    )


def split_place(place: str) -> tuple[str, int]:
    """Host and port of `HOST`, `HOST:PORT`, `[V6]:PORT` or a bare IPv6 address.

    Raises:
        BadInput: none of these.
    """
    text = place.strip()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
        is_good = bool(bracket) and (not rest or rest.startswith(":"))
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        is_good = True
    else:
        host, port, is_good = text, "", True
    number = int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else (SNMP_PORT if not port else 0)
    if not host or not is_good or not 1 <= number <= PORT_MAX or any(c.isspace() or c == "/" for c in host):
        raise BadInput(f"{place!r} is no printer's address: give HOST or HOST:PORT")
    return host, number


async def _resolved(host: str, port: int) -> tuple[str, int]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise NoAnswer(f"there is no host called {host!r}", why="name-unknown") from error
    return str(found[0][4][0]), port


async def _explained(silence: Exception, address: tuple[str, int], who: V3User | Community) -> NoAnswer:
    """The same silence, with what can be said about it."""
    place = f"{address[0]} port {address[1]}"
    if isinstance(silence, NoAnswer) and silence.data.get("why"):
        return silence
    if await _is_closed(address):
        return NoAnswer(f"nothing listens for SNMP at {place}: is it switched on in the printer?", why="port-closed")
    if isinstance(who, Community) and await _speaks_v3(address):
        return NoAnswer(
            f"{place} speaks SNMP, but not with this community or version: look it up in the printer, or use --v3",
            why="community-refused",
        )
    typed = "wrong community" if isinstance(who, Community) else "wrong context"
    return NoAnswer(f"no answer from {place}: switched off, another address, or a {typed}", why="silent")


async def _is_closed(address: tuple[str, int]) -> bool:
    """Whether the host itself says that nothing listens there (ICMP port unreachable)."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.setblocking(False)
        try:
            await loop.sock_connect(one, address)
            await loop.sock_sendall(one, V3_HELLO)
            async with asyncio.timeout(1.0):
                await loop.sock_recv(one, 1)
        except ConnectionRefusedError:
            return True
        except (OSError, TimeoutError):
            return False
    return False


async def _speaks_v3(address: tuple[str, int]) -> bool:
    """Whether something answers the question for its engine id (RFC 3414 section 4), which needs no secret."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.setblocking(False)
        with contextlib.suppress(OSError, TimeoutError):
            await loop.sock_connect(one, address)
            await loop.sock_sendall(one, V3_HELLO)
            async with asyncio.timeout(1.0):
                return len(await loop.sock_recv(one, 1500)) > len(V3_HELLO) // 2
    return False
