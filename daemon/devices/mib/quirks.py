"""Makers' own tables, where the standard ones say nothing: read by rules that are data (`config/quirks/*.toml`). Pure.

A rule applies to devices of one enterprise number (sysObjectID) or, without one, to whoever answers the object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from daemon.devices.mib.tables import ObjectId
from daemon.devices.mib.text import clean
from daemon.devices.mib.walk import Variables, octets

PERCENT_MAX: Final = 100
RECORDS_MAX: Final = 256
RECORD_END: Final = 0xFF


@dataclass(frozen=True, slots=True)
class RecordField:
    """What one record means: `scale` parts are one percent; `octets` is how long its value must be.

    `is_coarse` fields count only where no fine one of the same kind and colour is there.
    """

    kind: str
    color: str | None
    scale: int
    octets: int
    is_coarse: bool


@dataclass(frozen=True, slots=True)
class Quirk:
    """One maker's objects."""

    maker: str
    enterprise: int
    status: ObjectId | None = None
    serial: ObjectId | None = None
    records: ObjectId | None = None
    fields: Mapping[int, RecordField] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VendorSupply:
    """A level from a maker's own table."""

    kind: str
    color: str | None
    percent: float

    def to_json(self) -> dict[str, Any]:
        """As scripts see it."""
        return {"kind": self.kind, "color": self.color, "percent": self.percent}


def vendor_supplies(found: Variables, quirks: Sequence[Quirk]) -> tuple[VendorSupply, ...]:
    """What the makers' records say, in the order of the rules; a fine value wins over a coarse one."""
    chosen: dict[tuple[str, str | None], tuple[bool, float]] = {}
    for quirk in quirks:
        raw = octets(found.scalar(quirk.records)) if quirk.records else None
        for number, value in records(raw or b""):
            meant = quirk.fields.get(number)
            if meant is None or len(value) != meant.octets:
                continue
            percent = int.from_bytes(value, "big") / meant.scale
            if not 0 <= percent <= PERCENT_MAX:
                continue
            known = chosen.get((meant.kind, meant.color))
            if known is None or (known[0] and not meant.is_coarse):
                chosen[meant.kind, meant.color] = (meant.is_coarse, round(percent, 1))
    order = dict.fromkeys((meant.kind, meant.color) for quirk in quirks for meant in quirk.fields.values())
    return tuple(VendorSupply(*key, chosen[key][1]) for key in order if key in chosen)


def vendor_text(found: Variables, quirks: Sequence[Quirk], name: str, charset: int | None) -> str | None:
    """The `status` or `serial` of the first maker that gives one."""
    for quirk in quirks:
        oid = getattr(quirk, name)
        text = clean(found.scalar(oid), charset) if oid else None
        if text:
            return text
    return None


def records(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Records `id, 01, length, value` until FF or the end; a record cut short ends it."""
    position = 0
    for _ in range(RECORDS_MAX):
        if position + 3 > len(raw) or raw[position] == RECORD_END:
            return
        number, length = raw[position], raw[position + 2]
        value = raw[position + 3 : position + 3 + length]
        if len(value) < length:
            return
        yield number, value
        position += 3 + length
