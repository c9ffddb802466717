"""The supplies table (prtMarkerSupplies, RFC 3805): what is in each cartridge, drum and waste box. Pure.

Levels and capacities of -1, -2 and -3 become words here and never travel on as numbers. The percentage of a
receptacle is the space left, as the RFC says: 0 is a full waste box.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from daemon.devices.mib import tables as mib
from daemon.devices.mib.text import clean
from daemon.devices.mib.walk import Index, Variables, dotted, number
from daemon.devices.mib.words import color_of, is_receptacle

UNRESTRICTED, UNKNOWN, SOME = -1, -2, -3
CONSUMED: Final = "supplyThatIsConsumed"
RECEPTACLE: Final = "receptacleThatIsFilled"
RECEPTACLE_TYPES: Final = frozenset({"wasteToner", "wasteInk", "wasteWax", "wasteWater", "wastePaper"})
_NO_TYPES: Final = frozenset({None, "other", "unknown"})
_LEVELS: Final = {UNRESTRICTED: "unrestricted", SOME: "some"}
_NO_COLORS: Final = frozenset({"", "other", "unknown"})
PERCENT: Final = "percent"
FULL_PERCENT: Final = 100
SUPPLIES_GROUP: Final = 11
"""prtAlertGroup markerSupplies."""
_COLUMNS: Final = (
    mib.PRT_MARKER_SUPPLIES_CLASS,
    mib.PRT_MARKER_SUPPLIES_TYPE,
    mib.PRT_MARKER_SUPPLIES_DESCRIPTION,
    mib.PRT_MARKER_SUPPLIES_SUPPLY_UNIT,
    mib.PRT_MARKER_SUPPLIES_MAX_CAPACITY,
    mib.PRT_MARKER_SUPPLIES_LEVEL,
)


@dataclass(frozen=True, slots=True)
class Supply:
    """One row. `index` is `hrDeviceIndex.prtMarkerSuppliesIndex`, the row's only name: descriptions repeat.

    `level` is measured, some, unknown or unrestricted; `percent` is None where it cannot be computed, and
    `percent_assumed` when the level itself was taken for one. `hide` marks a row that says nothing at all.
    """

    index: str
    description: str | None
    supply_class: str
    class_source: str
    type: str | None
    unit: str | None
    color: str | None
    max_capacity: int | None
    raw_level: int | None
    level: str
    percent: float | None
    percent_assumed: bool
    hide: bool

    def to_json(self) -> dict[str, Any]:
        """As scripts see it."""
        return {
            "index": self.index,
            "description": self.description,
            "class": self.supply_class,
            "class_source": self.class_source,
            "type": self.type,
            "unit": self.unit,
            "color": self.color,
            "max_capacity": self.max_capacity,
            "level": self.level,
            "raw_level": self.raw_level,
            "percent": self.percent,
            "percent_assumed": self.percent_assumed,
            "hide": self.hide,
        }


def read_supplies(found: Variables, *, charset: int | None, alerted: Collection[Index]) -> tuple[Supply, ...]:
    """All rows in table order. `alerted` are the rows an alert points at: those are never hidden."""
    return tuple(_supply(found, index, charset=charset, alerted=alerted) for index in found.rows(_COLUMNS))


def level_word(raw: int | None) -> str:
    """The level as a word: a number says measured."""
    if raw is None:
        return "unknown"
    return "measured" if raw >= 0 else _LEVELS.get(raw, "unknown")


def capacity_of(raw: int | None) -> int | None:
    """The capacity, or None where the device gives none."""
    return raw if raw is not None and raw >= 0 else None


def percent_of(level: int, capacity: int) -> float:
    """Level of capacity within 0 to 100, one decimal, halves up."""
    return min(10 * FULL_PERCENT, (2000 * level + capacity) // (2 * capacity)) / 10


def _supply(found: Variables, index: Index, *, charset: int | None, alerted: Collection[Index]) -> Supply:
    def cell(column: mib.ObjectId) -> int | None:
        return number(found.column(column).get(index))

    description = clean(found.column(mib.PRT_MARKER_SUPPLIES_DESCRIPTION).get(index), charset)
    kind = mib.SUPPLY_TYPES.get(cell(mib.PRT_MARKER_SUPPLIES_TYPE) or 0)
    unit = mib.SUPPLY_UNITS.get(cell(mib.PRT_MARKER_SUPPLIES_SUPPLY_UNIT) or 0)
    said = mib.SUPPLY_CLASSES.get(cell(mib.PRT_MARKER_SUPPLIES_CLASS) or 0)
    supply_class, source = (
        (said, "mib") if said in (CONSUMED, RECEPTACLE) else (_inferred(kind, description), "inferred")
    )
    capacity, level = cell(mib.PRT_MARKER_SUPPLIES_MAX_CAPACITY), cell(mib.PRT_MARKER_SUPPLIES_LEVEL)
    percent, is_assumed = _percent(level, capacity, unit)
    return Supply(
        index=dotted(index),
        description=description,
        supply_class=supply_class or CONSUMED,
        class_source=source,
        type=kind,
        unit=unit,
        color=None if supply_class == RECEPTACLE else _color(found, index, description, charset),
        max_capacity=capacity_of(capacity),
        raw_level=level,
        level=level_word(level),
        percent=percent,
        percent_assumed=is_assumed,
        hide=level == UNKNOWN and capacity == UNKNOWN and index not in alerted,
    )


def _inferred(kind: str | None, description: str | None) -> str:
    """The class where the device gives none: by the type, by the words only without a useful type."""
    if kind in RECEPTACLE_TYPES or (kind in _NO_TYPES and is_receptacle(description or "")):
        return RECEPTACLE
    return CONSUMED


def _color(found: Variables, index: Index, description: str | None, charset: int | None) -> str | None:
    """The colorant the row points at, else what its words say. Index 0 points at none."""
    device, _row = index
    colorant = number(found.column(mib.PRT_MARKER_SUPPLIES_COLORANT_INDEX).get(index))
    if colorant:
        value = clean(found.column(mib.PRT_MARKER_COLORANT_VALUE).get((device, colorant)), charset)
        named = (value or "").lower().replace("-", " ")
        if named not in _NO_COLORS:
            return color_of(named) or named
    return color_of(description or "")


def _percent(level: int | None, capacity: int | None, unit: str | None) -> tuple[float | None, bool]:
    """(percent, whether the level itself was taken for it)."""
    if level is None or level < 0:
        return None, False
    if capacity is not None and capacity > 0:
        return percent_of(level, capacity), False
    if capacity in (None, UNRESTRICTED, UNKNOWN) and unit in (None, PERCENT) and level <= FULL_PERCENT:
        return float(level), True
    return None, False
