"""The device's own alerts (prtAlert, RFC 3805). Pure. What Holdfast makes of them is decided elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from daemon.devices.mib import tables as mib
from daemon.devices.mib.text import clean
from daemon.devices.mib.walk import Index, Variables, dotted, number

_NUMBERS: Final = (
    mib.PRT_ALERT_SEVERITY_LEVEL,
    mib.PRT_ALERT_TRAINING_LEVEL,
    mib.PRT_ALERT_GROUP,
    mib.PRT_ALERT_GROUP_INDEX,
    mib.PRT_ALERT_LOCATION,
    mib.PRT_ALERT_CODE,
)
_COLUMNS: Final = (*_NUMBERS, mib.PRT_ALERT_DESCRIPTION)


@dataclass(frozen=True, slots=True)
class DeviceAlert:
    """One row; None for a column the device leaves out. `row` is what it points at: (hrDeviceIndex, group index)."""

    index: str
    severity: str | None
    training: str | None
    group: int | None
    group_index: int | None
    location: int | None
    code: int | None
    description: str | None
    row: Index

    def to_json(self) -> dict[str, Any]:
        """As scripts see it."""
        return {
            "index": self.index,
            "severity": self.severity,
            "training": self.training,
            "group": self.group,
            "group_index": self.group_index,
            "location": self.location,
            "code": self.code,
            "code_name": mib.ALERT_CODES.get(self.code or 0),
            "description": self.description,
        }


def read_alerts(found: Variables, *, charset: int | None) -> tuple[DeviceAlert, ...]:
    """All rows that say something, in table order; rows of zeros are noise of a cleared table."""
    return tuple(
        _alert(found, index, charset)
        for index in found.rows(_COLUMNS)
        if any(number(found.column(column).get(index)) for column in _NUMBERS)
        or clean(found.column(mib.PRT_ALERT_DESCRIPTION).get(index), charset)
    )


def _alert(found: Variables, index: Index, charset: int | None) -> DeviceAlert:
    def cell(column: mib.ObjectId) -> int | None:
        return number(found.column(column).get(index))

    group_index = cell(mib.PRT_ALERT_GROUP_INDEX)
    return DeviceAlert(
        index=dotted(index),
        severity=mib.ALERT_SEVERITIES.get(cell(mib.PRT_ALERT_SEVERITY_LEVEL) or 0),
        training=mib.ALERT_TRAININGS.get(cell(mib.PRT_ALERT_TRAINING_LEVEL) or 0),
        group=cell(mib.PRT_ALERT_GROUP),
        group_index=group_index,
        location=cell(mib.PRT_ALERT_LOCATION),
        code=cell(mib.PRT_ALERT_CODE),
        description=clean(found.column(mib.PRT_ALERT_DESCRIPTION).get(index), charset),
        row=(index[0], group_index or 0),
    )
