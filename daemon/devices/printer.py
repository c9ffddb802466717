"""A printer as the house knows it: what an operator wrote down, and what it said of itself when last asked."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from daemon.devices.capabilities import Capabilities
from daemon.devices.targets import parse_uri
from daemon.devices.trust import check_scheme, parse_tls
from daemon.kernel.errors import BadInput

NAME_CHARACTERS_MAX: Final = 127
COMMUNITY_CHARACTERS_MAX: Final = 64
SNMP_PORT: Final = 161


@dataclass(frozen=True, slots=True)
class SnmpTarget:
    """Where the printer's life counter is read (SNMP v2c). A community is an address, not a secret, in practice."""

    host: str
    port: int = SNMP_PORT
    community: str = "public"


@dataclass(frozen=True, slots=True)
class Printer:
    """One row. `state` is unknown, idle, processing, stopped or unreachable, as of `checked_at_us`."""

    id: int
    public_id: str
    name: str
    uri: str
    tls: str
    tariff: str
    location: str
    site: str
    snmp: SnmpTarget | None
    state: str
    reasons: tuple[str, ...]
    is_accepting: bool
    capabilities: Capabilities
    uuid: str
    up_time_s: int | None
    checked_at_us: int | None
    created_at_us: int

    @property
    def is_raw(self) -> bool:
        """True for raw 9100: no state, no counts, no questions."""
        return self.uri.startswith("socket:")


@dataclass(frozen=True, slots=True)
class NewPrinter:
    """A printer to add, checked by `new_printer`."""

    public_id: str
    name: str
    uri: str
    created_at_us: int
    tls: str = "verify"
    tariff: str = "standard"
    location: str = ""
    site: str = "main"
    snmp: SnmpTarget | None = None


def new_printer(new: NewPrinter) -> NewPrinter:
    """The same printer with normalised name, address and pin.

    Raises:
        BadInput: a name nobody could type.
        BadPrinterUri: an address we do not speak to, or a pin that is none.
    """
    name = unicodedata.normalize("NFC", new.name).strip()
    if not name or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        message = f"a printer's name has 1 to {NAME_CHARACTERS_MAX} printable characters"
        raise BadInput(message, details=[{"key": "name", "message": message}])
    target, tls = parse_uri(new.uri), parse_tls(new.tls)
    check_scheme(target, tls)
    snmp = new.snmp
    if snmp is not None and not (0 < len(snmp.community) <= COMMUNITY_CHARACTERS_MAX and snmp.community.isprintable()):
        message = f"a community has 1 to {COMMUNITY_CHARACTERS_MAX} printable characters"
        raise BadInput(message, details=[{"key": "snmp.community", "message": message}])
    return NewPrinter(
        public_id=new.public_id,
        name=name,
        uri=target.uri,
        created_at_us=new.created_at_us,
        tls=tls,
        tariff=new.tariff,
        location=new.location,
        site=new.site,
        snmp=snmp,
    )
