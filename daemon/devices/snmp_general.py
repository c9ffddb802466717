"""Printers through the general SNMP library: SNMPv3, and v1/v2c where a site wants the reference engine. I/O.

The library is imported on first use: it costs 37 MB and seconds of CPU, in the process that polls and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from daemon.devices.snmp_codec import END_OF_VIEW, NO_SUCH_INSTANCE, NO_SUCH_OBJECT, V1, V2C, Binding
from daemon.devices.snmp_collect import AgentError, NoAnswer
from daemon.devices.snmp_socket import TRIES, TRY_S
from daemon.kernel.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from daemon.devices.mib.tables import ObjectId
    from daemon.devices.mib.walk import Value

AUTH: Final = {
    "none": "usmNoAuthProtocol",
    "md5": "usmHMACMD5AuthProtocol",
    "sha": "usmHMACSHAAuthProtocol",
    "sha224": "usmHMAC128SHA224AuthProtocol",
    "sha256": "usmHMAC192SHA256AuthProtocol",
    "sha384": "usmHMAC256SHA384AuthProtocol",
    "sha512": "usmHMAC384SHA512AuthProtocol",
}
PRIVACY: Final = {
    "none": "usmNoPrivProtocol",
    "des": "usmDESPrivProtocol",
    "aes": "usmAesCfb128Protocol",
    "aes192": "usmAesBlumenthalCfb192Protocol",
    "aes256": "usmAesBlumenthalCfb256Protocol",
    "aes192-cisco": "usmAesCfb192Protocol",
    "aes256-cisco": "usmAesCfb256Protocol",
}
SECRET_CHARS_MIN: Final = 8
"""RFC 3414 section 11.2: shorter passwords are refused."""
_SPECIAL: Final = {"NoSuchObject": NO_SUCH_OBJECT, "NoSuchInstance": NO_SUCH_INSTANCE, "EndOfMibView": END_OF_VIEW}


class SnmpDenied(Unavailable):
    """The printer answers, and refuses: told apart from silence, because somebody has typed something wrong.

    `data["why"]` is user-unknown, auth-wrong, privacy-wrong, clock-apart, level-refused or denied.
    """

    code = "snmp-denied"


@dataclass(frozen=True, slots=True)
class V3User:
    """A user of the user-based security model (RFC 3414). Secrets never appear in a repr."""

    user: str
    auth: str = "none"
    auth_secret: str = field(default="", repr=False)
    privacy: str = "none"
    privacy_secret: str = field(default="", repr=False)
    context: str = ""

    def check(self) -> None:
        """Nothing a printer would refuse in any case.

        Raises:
            BadInput: with the words to mend it.
        """
        if not self.user:
            raise BadInput("SNMPv3 needs a user name")
        if self.auth not in AUTH:
            raise BadInput(f"no authentication {self.auth!r}: use one of {', '.join(AUTH)}")
        if self.privacy not in PRIVACY:
            raise BadInput(f"no privacy {self.privacy!r}: use one of {', '.join(PRIVACY)}")
        if self.privacy != "none" and self.auth == "none":
            raise BadInput("SNMPv3 privacy needs authentication too (RFC 3414)")
        for name, kind, secret in (
            ("authentication", self.auth, self.auth_secret),
            ("privacy", self.privacy, self.privacy_secret),
        ):
            if kind != "none" and len(secret) < SECRET_CHARS_MIN:
                raise BadInput(f"the SNMPv3 {name} password needs {SECRET_CHARS_MIN} characters or more")


@dataclass(frozen=True, slots=True)
class Community:
    """v1 or v2c."""

    version: int
    name: str = field(repr=False)


class GeneralSnmp:
    """One engine of the library, made on first use and closed with its owner."""

    def __init__(self) -> None:
        self._engine: Any = None

    def engine(self) -> Any:
        """The engine."""
        if self._engine is None:
            from pysnmp.hlapi.v3arch.asyncio import SnmpEngine

            self._engine = SnmpEngine()
        return self._engine

    def close(self) -> None:
        """Its socket and what it remembers of every printer."""
        if self._engine is not None:
            self._engine.close_dispatcher()
            self._engine = None


class GeneralAsk:
    """One printer through the library, one request at a time: implements `snmp_collect.Ask`."""

    def __init__(
        self,
        through: GeneralSnmp,
        address: tuple[str, int],
        *,
        who: V3User | Community,
        try_s: float = TRY_S,
        tries: int = TRIES,
    ) -> None:
        self._through = through
        self._address = address
        self._who = who
        self._try_s = try_s
        self._tries = tries
        self._target: Any = None
        self.has_bulk = not isinstance(who, Community) or who.version != V1
        self.requests = 0
        self.broken = 0

    async def get(self, oids: Sequence[ObjectId]) -> list[Binding]:
        """GetRequest."""
        from pysnmp.hlapi.v3arch.asyncio import get_cmd

        return await self._ask(get_cmd, (), oids)

    async def after(self, oids: Sequence[ObjectId], repetitions: int) -> list[Binding]:
        """GetBulkRequest, or GetNextRequest for 0 repetitions."""
        from pysnmp.hlapi.v3arch.asyncio import bulk_cmd, next_cmd

        if repetitions:
            return await self._ask(bulk_cmd, (0, repetitions), oids)
        return await self._ask(next_cmd, (), oids)

    async def _ask(self, command: Any, numbers: tuple[int, ...], oids: Sequence[ObjectId]) -> list[Binding]:
        from pysnmp.hlapi.v3arch.asyncio import ContextData, ObjectIdentity, ObjectType
        from pysnmp.proto.rfc1905 import unSpecified

        context = ContextData(contextName=self._who.context.encode() if isinstance(self._who, V3User) else b"")
        names = [ObjectType(ObjectIdentity(oid), unSpecified) for oid in oids]
        self.requests += 1
        try:
            async with asyncio.timeout(self._try_s * (self._tries + 1) + 1):
                indication, status, index, rows = await command(
                    self._through.engine(), self._login(), await self._aim(), context, *numbers, *names, lookupMib=False
                )
        except TimeoutError as error:
            raise NoAnswer("the printer does not answer SNMP") from error
        if indication is not None:
            raise _refusal(indication)
        if int(status):
            raise AgentError(int(status), int(index))
        return [_binding(name, value) for name, value in rows]

    def _login(self) -> Any:
        from pysnmp.hlapi.v3arch import asyncio as library

        if isinstance(self._who, Community):
            return library.CommunityData(self._who.name, mpModel=self._who.version)
        who = self._who
        return library.UsmUserData(
            who.user,
            authKey=who.auth_secret or None,
            privKey=who.privacy_secret or None,
            authProtocol=getattr(library, AUTH[who.auth]),
            privProtocol=getattr(library, PRIVACY[who.privacy]),
        )

    async def _aim(self) -> Any:
        from pysnmp.hlapi.v3arch.asyncio import Udp6TransportTarget, UdpTransportTarget

        if self._target is None:
            kind = Udp6TransportTarget if ":" in self._address[0] else UdpTransportTarget
            self._target = await kind.create(self._address, timeout=self._try_s, retries=self._tries - 1)
        return self._target


def _refusal(indication: Any) -> Unavailable:
    """Silence, or what was typed wrong."""
    kind = type(indication).__name__
    told = {
        "UnknownUserName": ("user-unknown", "the printer knows no such SNMPv3 user"),
        "UnknownSecurityName": ("user-unknown", "the printer knows no such SNMPv3 user"),
        "WrongDigest": ("auth-wrong", "the SNMPv3 authentication password or method is wrong"),
        "AuthenticationFailure": ("auth-wrong", "the SNMPv3 authentication password or method is wrong"),
        "AuthenticationError": ("auth-wrong", "the SNMPv3 authentication password or method is wrong"),
        "DecryptionError": ("privacy-wrong", "the SNMPv3 privacy password or method is wrong"),
        "UnsupportedPrivProtocol": ("privacy-wrong", "the SNMPv3 privacy password or method is wrong"),
        "UnsupportedAuthProtocol": ("auth-wrong", "the SNMPv3 authentication password or method is wrong"),
        "NotInTimeWindow": ("clock-apart", "the printer's SNMPv3 clock is not where it said"),
        "UnsupportedSecurityLevel": ("level-refused", "the printer wants another SNMPv3 security level for this user"),
    }.get(kind)
    if told is not None:
        return SnmpDenied(told[1], why=told[0])
    if kind in ("RequestTimedOut", "EmptyResponse"):
        return NoAnswer("the printer does not answer SNMP")
    return SnmpDenied(f"the printer refuses SNMP: {indication}", why="denied")


def _binding(name: Any, value: Any) -> Binding:
    kind = type(value).__name__
    oid = tuple(int(arc) for arc in name)
    return oid, _SPECIAL.get(kind, 0), _value(kind, value)


def _value(kind: str, value: Any) -> Value:
    if kind in _SPECIAL or kind in ("Null", "UnSpecified"):
        return None
    if hasattr(value, "asNumbers"):
        return bytes(value)
    if kind.startswith("Object"):
        return tuple(int(arc) for arc in value)
    return int(value)


VERSIONS: Final = {"1": V1, "2c": V2C}
