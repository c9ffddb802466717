"""Input trays (prtInput, RFC 3805): what paper is left where. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from daemon.devices.mib import tables as mib
from daemon.devices.mib.supplies import capacity_of, level_word, percent_of
from daemon.devices.mib.text import clean
from daemon.devices.mib.walk import Index, Variables, dotted, number

_COLUMNS: Final = (
    mib.PRT_INPUT_TYPE,
    mib.PRT_INPUT_CAPACITY_UNIT,
    mib.PRT_INPUT_MAX_CAPACITY,
    mib.PRT_INPUT_CURRENT_LEVEL,
    mib.PRT_INPUT_STATUS,
    mib.PRT_INPUT_MEDIA_NAME,
    mib.PRT_INPUT_NAME,
    mib.PRT_INPUT_DESCRIPTION,
)


@dataclass(frozen=True, slots=True)
class Tray:
    """One row; `status` is the raw PrtSubUnitStatusTC, `percent` of the capacity or None."""

    index: str
    name: str | None
    type: str | None
    media: str | None
    max_capacity: int | None
    raw_level: int | None
    level: str
    percent: float | None
    status: int | None

    def to_json(self) -> dict[str, Any]:
        """As scripts see it."""
        return {
            "index": self.index,
            "name": self.name,
            "type": self.type,
            "media": self.media,
            "max_capacity": self.max_capacity,
            "level": self.level,
            "raw_level": self.raw_level,
            "percent": self.percent,
            "status": self.status,
        }


def read_trays(found: Variables, *, charset: int | None) -> tuple[Tray, ...]:
    """All rows in table order, pseudo trays included."""
    return tuple(_tray(found, index, charset) for index in found.rows(_COLUMNS))


def _tray(found: Variables, index: Index, charset: int | None) -> Tray:
    def cell(column: mib.ObjectId) -> int | None:
        return number(found.column(column).get(index))

    def words(column: mib.ObjectId) -> str | None:
        return clean(found.column(column).get(index), charset) or None

    capacity, level = capacity_of(cell(mib.PRT_INPUT_MAX_CAPACITY)), cell(mib.PRT_INPUT_CURRENT_LEVEL)
    return Tray(
        index=dotted(index),
        name=words(mib.PRT_INPUT_NAME) or words(mib.PRT_INPUT_DESCRIPTION),
        type=mib.INPUT_TYPES.get(cell(mib.PRT_INPUT_TYPE) or 0),
        media=words(mib.PRT_INPUT_MEDIA_NAME),
        max_capacity=capacity,
        raw_level=level,
        level=level_word(level),
        percent=percent_of(level, capacity) if capacity and level is not None and level >= 0 else None,
        status=cell(mib.PRT_INPUT_STATUS),
    )
