"""One device, read once: everything Holdfast understands of a walk. Pure.

What is absent is None, never "fine". The printer's row of the device table is found by its type; `hrDeviceIndex` may
be any number, 0 too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from daemon.devices.mib import tables as mib
from daemon.devices.mib.alert_rows import DeviceAlert, read_alerts
from daemon.devices.mib.quirks import Quirk, VendorSupply, vendor_supplies, vendor_text
from daemon.devices.mib.supplies import SUPPLIES_GROUP, Supply, read_supplies
from daemon.devices.mib.text import clean
from daemon.devices.mib.trays import Tray, read_trays
from daemon.devices.mib.walk import Value, Variables, Walk, dotted, number, octets

SYS_DESCR: Final = (1, 3, 6, 1, 2, 1, 1, 1, 0)
SYS_OBJECT_ID: Final = (1, 3, 6, 1, 2, 1, 1, 2, 0)
SYS_UP_TIME: Final = (1, 3, 6, 1, 2, 1, 1, 3, 0)
ENTERPRISES: Final = (1, 3, 6, 1, 4, 1)
PRINTER_TYPE: Final = (1, 3, 6, 1, 2, 1, 25, 3, 1, 5)
ERROR_BITS: Final = (
    "lowPaper", "noPaper", "lowToner", "noToner", "doorOpen", "jammed", "offline", "serviceRequested",
    "inputTrayMissing", "outputTrayMissing", "markerSupplyMissing", "outputNearFull", "outputFull", "inputTrayEmpty",
    "overduePreventMaint",
)  # fmt: skip
"""Bits of hrPrinterDetectedErrorState from the most significant one of the first octet (RFC 2790)."""
_DEVICE_TABLES: Final = (
    mib.HR_PRINTER_STATUS,
    mib.HR_PRINTER_DETECTED_ERROR_STATE,
    mib.PRT_GENERAL_CONFIG_CHANGES,
    mib.PRT_GENERAL_SERIAL_NUMBER,
    mib.PRT_GENERAL_PRINTER_NAME,
)
_ROW_TABLES: Final = (
    mib.PRT_MARKER_SUPPLIES_LEVEL,
    mib.PRT_MARKER_SUPPLIES_DESCRIPTION,
    mib.PRT_MARKER_LIFE_COUNT,
    mib.PRT_INPUT_CURRENT_LEVEL,
)


@dataclass(frozen=True, slots=True)
class Marker:
    """A page counter and what it counts; counters are never converted."""

    index: str
    life_count: int | None
    power_on_count: int | None
    unit: str | None

    def to_json(self) -> dict[str, Any]:
        """As scripts see it."""
        return {
            "index": self.index,
            "life_count": self.life_count,
            "power_on_count": self.power_on_count,
            "unit": self.unit,
        }


@dataclass(frozen=True, slots=True)
class Part:
    """A cover or an output: its name and its state as the table says it."""

    index: str
    name: str | None
    state: str | None

    def to_json(self) -> dict[str, Any]:
        """As scripts see it."""
        return {"index": self.index, "name": self.name, "state": self.state}


@dataclass(frozen=True, slots=True)
class DeviceReading:
    """Everything. `change_marks` are the counters that move when descriptions or alerts changed."""

    sys_descr: str | None
    sys_object_id: str | None
    up_time_ticks: int | None
    device_index: int | None
    device_description: str | None
    printer_name: str | None
    serial: str | None
    device_status: str | None
    printer_status: str | None
    detected_errors: tuple[str, ...] | None
    console: str | None
    change_marks: Mapping[str, int | None]
    markers: tuple[Marker, ...]
    supplies: tuple[Supply, ...]
    trays: tuple[Tray, ...]
    outputs: tuple[Part, ...]
    covers: tuple[Part, ...]
    alerts: tuple[DeviceAlert, ...]
    vendor_serial: str | None
    vendor_status: str | None
    vendor_supplies: tuple[VendorSupply, ...]

    @property
    def life_count(self) -> int | None:
        """The first marker's counter, in whatever it counts."""
        return self.markers[0].life_count if self.markers else None

    def to_json(self) -> dict[str, Any]:
        """As scripts see it: the keys of `printer probe --json`."""
        listed = ("markers", "supplies", "trays", "outputs", "covers", "alerts", "vendor_supplies")
        plain = (
            "sys_descr", "sys_object_id", "up_time_ticks", "device_index", "device_description", "printer_name",
            "serial", "life_count", "device_status", "printer_status", "console", "vendor_serial", "vendor_status",
        )  # fmt: skip
        answer: dict[str, Any] = {name: getattr(self, name) for name in plain}
        answer["detected_errors"] = None if self.detected_errors is None else list(self.detected_errors)
        answer["change_marks"] = dict(self.change_marks)
        return answer | {name: [row.to_json() for row in getattr(self, name)] for name in listed}


def read_device(walk: Walk, quirks: Sequence[Quirk] = ()) -> DeviceReading:
    """What these variables say of a printer."""
    found = Variables(walk)
    device = _printer_index(found)
    charset = _charset(found, device)
    mine = _quirks_of(walk, quirks)
    alerts = read_alerts(found, charset=charset)
    alerted = {alert.row for alert in alerts if alert.group == SUPPLIES_GROUP}

    def words(column: mib.ObjectId) -> str | None:
        return clean(_at(found, column, device), charset) or None

    def cell(column: mib.ObjectId) -> int | None:
        return number(_at(found, column, device))

    object_id = walk.get(SYS_OBJECT_ID)
    return DeviceReading(
        sys_descr=clean(found.scalar(SYS_DESCR), charset),
        sys_object_id=dotted(object_id) if isinstance(object_id, tuple) else None,
        up_time_ticks=number(found.scalar(SYS_UP_TIME)),
        device_index=device,
        device_description=words(mib.HR_DEVICE_DESCR),
        printer_name=words(mib.PRT_GENERAL_PRINTER_NAME),
        serial=words(mib.PRT_GENERAL_SERIAL_NUMBER),
        device_status=mib.DEVICE_STATES.get(cell(mib.HR_DEVICE_STATUS) or 0),
        printer_status=mib.PRINTER_STATES.get(cell(mib.HR_PRINTER_STATUS) or 0),
        detected_errors=detected_errors(_at(found, mib.HR_PRINTER_DETECTED_ERROR_STATE, device)),
        console=_console(found, charset),
        change_marks={
            "config": cell(mib.PRT_GENERAL_CONFIG_CHANGES),
            "critical_alerts": cell(mib.PRT_ALERT_CRITICAL_EVENTS),
            "all_alerts": cell(mib.PRT_ALERT_ALL_EVENTS),
        },
        markers=_markers(found, device),
        supplies=read_supplies(found, charset=charset, alerted=alerted),
        trays=read_trays(found, charset=charset),
        outputs=_outputs(found, charset),
        covers=_covers(found, charset),
        alerts=alerts,
        vendor_serial=vendor_text(found, mine, "serial", charset),
        vendor_status=vendor_text(found, mine, "status", charset),
        vendor_supplies=vendor_supplies(found, mine),
    )


def detected_errors(value: Value) -> tuple[str, ...] | None:
    """Names of the bits set, in bit order; None when the object is absent or has no octet. More octets are ignored."""
    raw = octets(value)
    if not raw:
        return None
    return tuple(
        name for bit, name in enumerate(ERROR_BITS) if bit // 8 < len(raw) and raw[bit // 8] & (0x80 >> bit % 8)
    )


def _printer_index(found: Variables) -> int | None:
    """The printer's hrDeviceIndex: the row of that type, else the one the printer tables speak of."""
    typed = [i for (i,), value in found.column(mib.HR_DEVICE_TYPE, arcs=1).items() if _is_printer(value)]
    spoken = [i for column in _DEVICE_TABLES for (i,) in found.column(column, arcs=1)]
    spoken += [i for column in _ROW_TABLES for (i, _row) in found.column(column)]
    for index in typed:
        if index in spoken:
            return index
    return typed[0] if typed else min(spoken, default=None)


def _is_printer(value: Value) -> bool:
    return isinstance(value, tuple) and value == PRINTER_TYPE


def _at(found: Variables, column: mib.ObjectId, device: int | None) -> Value:
    return None if device is None else found.column(column, arcs=1).get((device,))


def _charset(found: Variables, device: int | None) -> int | None:
    """MIBenum of the current localization, else of the first one."""
    current = number(_at(found, mib.PRT_GENERAL_CURRENT_LOCALIZATION, device))
    declared = found.column(mib.PRT_LOCALIZATION_CHARACTER_SET)
    if device is not None and current is not None and (device, current) in declared:
        return number(declared[device, current])
    return number(next(iter(declared.values()), None))


def _quirks_of(walk: Walk, quirks: Sequence[Quirk]) -> list[Quirk]:
    object_id = walk.get(SYS_OBJECT_ID)
    place = len(ENTERPRISES)
    if not isinstance(object_id, tuple) or object_id[:place] != ENTERPRISES or len(object_id) == place:
        return list(quirks)
    return [quirk for quirk in quirks if quirk.enterprise == object_id[place]]


def _console(found: Variables, charset: int | None) -> str | None:
    lines = (clean(value, charset) for value in found.column(mib.PRT_CONSOLE_DISPLAY_BUFFER_TEXT).values())
    return " / ".join(line for line in lines if line) or None


def _markers(found: Variables, device: int | None) -> tuple[Marker, ...]:
    """The printer's own markers first."""
    counts = found.column(mib.PRT_MARKER_LIFE_COUNT)
    rows = sorted(found.rows((mib.PRT_MARKER_LIFE_COUNT,)), key=lambda index: (index[0] != device, index))
    return tuple(
        Marker(
            index=dotted(row),
            life_count=number(counts[row]),
            power_on_count=number(found.column(mib.PRT_MARKER_POWER_ON_COUNT).get(row)),
            unit=mib.COUNTER_UNITS.get(number(found.column(mib.PRT_MARKER_COUNTER_UNIT).get(row)) or 0),
        )
        for row in rows
    )


def _covers(found: Variables, charset: int | None) -> tuple[Part, ...]:
    names, states = found.column(mib.PRT_COVER_DESCRIPTION), found.column(mib.PRT_COVER_STATUS)
    return tuple(
        Part(dotted(row), clean(names.get(row), charset), mib.COVER_STATES.get(number(states.get(row)) or 0))
        for row in found.rows((mib.PRT_COVER_DESCRIPTION, mib.PRT_COVER_STATUS))
    )


def _outputs(found: Variables, charset: int | None) -> tuple[Part, ...]:
    columns = (mib.PRT_OUTPUT_NAME, mib.PRT_OUTPUT_DESCRIPTION, mib.PRT_OUTPUT_REMAINING_CAPACITY)
    names, more, left = (found.column(column) for column in columns)
    most = found.column(mib.PRT_OUTPUT_MAX_CAPACITY)

    def state(row: tuple[int, ...]) -> str | None:
        room = number(left.get(row))
        if room is None or room < 0:
            return None
        return "full" if room == 0 and (number(most.get(row)) or 0) > 0 else "room"

    return tuple(
        Part(dotted(row), clean(names.get(row), charset) or clean(more.get(row), charset), state(row))
        for row in found.rows(columns)
    )
