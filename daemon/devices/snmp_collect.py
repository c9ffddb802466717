"""Everything of interest from one device, with what that device can take. I/O: through `Ask`.

Tables are read by several columns at once. Agents differ: some hang on GetBulk, some drop a whole answer for one bad
column, some answer in circles. What was learned is given back as `Limits` and never tried again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from daemon.devices.mib import tables as mib
from daemon.devices.mib.reading import ENTERPRISES, SYS_DESCR, SYS_OBJECT_ID, SYS_UP_TIME
from daemon.devices.mib.tables import ObjectId
from daemon.devices.mib.walk import Value
from daemon.devices.snmp_codec import BROKEN, END_OF_VIEW, EXCEPTIONS, Binding
from daemon.kernel.errors import Unavailable

SCALARS: Final = (SYS_DESCR, SYS_OBJECT_ID, SYS_UP_TIME)
TABLES: Final[tuple[tuple[ObjectId, ...], ...]] = (
    (
        mib.HR_DEVICE_TYPE, mib.HR_DEVICE_DESCR, mib.HR_DEVICE_STATUS,
        mib.HR_PRINTER_STATUS, mib.HR_PRINTER_DETECTED_ERROR_STATE,
    ),
    (
        mib.PRT_GENERAL_CONFIG_CHANGES, mib.PRT_GENERAL_CURRENT_LOCALIZATION, mib.PRT_GENERAL_PRINTER_NAME,
        mib.PRT_GENERAL_SERIAL_NUMBER, mib.PRT_ALERT_CRITICAL_EVENTS, mib.PRT_ALERT_ALL_EVENTS,
        mib.PRT_LOCALIZATION_CHARACTER_SET,
    ),
    (
        mib.PRT_MARKER_COUNTER_UNIT, mib.PRT_MARKER_LIFE_COUNT, mib.PRT_MARKER_POWER_ON_COUNT,
        mib.PRT_MARKER_COLORANT_VALUE, mib.PRT_CONSOLE_DISPLAY_BUFFER_TEXT,
    ),
    (
        mib.PRT_MARKER_SUPPLIES_COLORANT_INDEX, mib.PRT_MARKER_SUPPLIES_CLASS, mib.PRT_MARKER_SUPPLIES_TYPE,
        mib.PRT_MARKER_SUPPLIES_DESCRIPTION, mib.PRT_MARKER_SUPPLIES_SUPPLY_UNIT,
        mib.PRT_MARKER_SUPPLIES_MAX_CAPACITY, mib.PRT_MARKER_SUPPLIES_LEVEL,
    ),
    (
        mib.PRT_INPUT_TYPE, mib.PRT_INPUT_CAPACITY_UNIT, mib.PRT_INPUT_MAX_CAPACITY, mib.PRT_INPUT_CURRENT_LEVEL,
        mib.PRT_INPUT_STATUS, mib.PRT_INPUT_MEDIA_NAME, mib.PRT_INPUT_NAME, mib.PRT_INPUT_DESCRIPTION,
    ),
    (
        mib.PRT_OUTPUT_MAX_CAPACITY, mib.PRT_OUTPUT_REMAINING_CAPACITY, mib.PRT_OUTPUT_NAME,
        mib.PRT_OUTPUT_DESCRIPTION, mib.PRT_COVER_DESCRIPTION, mib.PRT_COVER_STATUS,
    ),
    (
        mib.PRT_ALERT_SEVERITY_LEVEL, mib.PRT_ALERT_TRAINING_LEVEL, mib.PRT_ALERT_GROUP, mib.PRT_ALERT_GROUP_INDEX,
        mib.PRT_ALERT_LOCATION, mib.PRT_ALERT_CODE, mib.PRT_ALERT_DESCRIPTION,
    ),
)  # fmt: skip
ROWS_MAX: Final = 128
"""Rows read of one table: no printer has as many supplies, trays or alerts."""
ROUNDS_MAX: Final = 200
ANSWER_BINDINGS_MAX: Final = 60
"""About 1,400 octets: an answer that travels in one packet."""
FIRST_ROWS: Final = 8
TOO_BIG, NO_SUCH_NAME = 1, 2


class NoAnswer(Unavailable):
    """The device did not answer in time; `data["why"]` tells what is known."""

    code = "snmp-no-answer"


class AgentError(Exception):
    """The agent answered with an error status, for the binding at `index` (from 1)."""

    def __init__(self, status: int, index: int) -> None:
        super().__init__(f"error status {status} at {index}")
        self.status, self.index = status, index


class Ask(Protocol):
    """One device, one request at a time; bounded retries are the asker's."""

    has_bulk: bool

    async def get(self, oids: Sequence[ObjectId]) -> list[Binding]:
        """GetRequest. Raises NoAnswer, AgentError."""
        ...

    async def after(self, oids: Sequence[ObjectId], repetitions: int) -> list[Binding]:
        """GetBulkRequest, or GetNextRequest for 0 repetitions. Raises NoAnswer, AgentError."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device can take: kept per device, so that nothing that failed is tried again."""

    has_bulk: bool = True
    columns_max: int = 8
    get_max: int = 12
    rows: Mapping[ObjectId, int] | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """The variables, what the device turned out to take, and columns it would not give."""

    walk: dict[ObjectId, Value]
    limits: Limits
    refused: tuple[ObjectId, ...]


async def collect(ask: Ask, *, limits: Limits, vendor: Mapping[int, Sequence[ObjectId]]) -> Collected:
    """All scalars and tables, and the objects `vendor` names for the maker's enterprise number.

    Raises:
        NoAnswer: the device answers nothing at all.
    """
    limits = limits if ask.has_bulk else replace(limits, has_bulk=False)
    reader = _Reader(ask, limits)
    await reader.scalars(SCALARS)
    for columns in TABLES:
        await reader.table(columns)
    object_id = reader.walk.get(SYS_OBJECT_ID)
    if isinstance(object_id, tuple) and object_id[: len(ENTERPRISES)] == ENTERPRISES:
        enterprise = object_id[len(ENTERPRISES) : len(ENTERPRISES) + 1]
        await reader.scalars(vendor.get(enterprise[0], ()) if enterprise else (), is_needed=False)
    return Collected(reader.walk, reader.limits, tuple(reader.refused))


class _Reader:
    """Collects into `walk`; falls back from many rows to one, from many columns to one."""

    def __init__(self, ask: Ask, limits: Limits) -> None:
        self._ask = ask
        self.limits = limits
        self.walk: dict[ObjectId, Value] = {}
        self.refused: list[ObjectId] = []

    async def scalars(self, oids: Sequence[ObjectId], *, is_needed: bool = True) -> None:
        """By name; one that the agent refuses is asked for no more, the others are asked for again without it."""
        left = list(oids)
        while left:
            try:
                self._keep(await self._ask.get(left[: self.limits.get_max]))
                left = left[self.limits.get_max :]
            except AgentError as error:
                if error.status == NO_SUCH_NAME and 1 <= error.index <= len(left):
                    del left[error.index - 1]
                elif len(left) == 1 or self.limits.get_max == 1:
                    del left[0]
                else:
                    self.limits = replace(self.limits, get_max=max(1, self.limits.get_max // 2))
            except NoAnswer:
                if is_needed and not self.walk and len(left[: self.limits.get_max]) == 1:
                    raise
                if len(left[: self.limits.get_max]) == 1:
                    self.refused.append(left.pop(0))
                else:
                    self.limits = replace(self.limits, get_max=1)

    async def table(self, columns: Sequence[ObjectId]) -> None:
        """All rows of these columns, as many columns at once as the device takes."""
        waiting = list(columns)
        while waiting:
            some = waiting[: self.limits.columns_max]
            try:
                await self._columns(some)
                waiting = waiting[len(some) :]
            except (NoAnswer, AgentError):
                if self.limits.has_bulk:
                    self.limits = replace(self.limits, has_bulk=False)
                elif len(some) > 1:
                    self.limits = replace(self.limits, columns_max=1)
                else:
                    self.refused.append(waiting.pop(0))

    async def _columns(self, columns: Sequence[ObjectId]) -> None:
        last = {column: column for column in columns}
        rows = dict.fromkeys(columns, 0)
        for _ in range(ROUNDS_MAX):
            asked = list(last)
            if not asked:
                return
            repetitions = min(FIRST_ROWS, max(1, ANSWER_BINDINGS_MAX // len(asked))) if self.limits.has_bulk else 0
            try:
                found = await self._ask.after([last[column] for column in asked], repetitions)
            except AgentError as error:
                if error.status == NO_SUCH_NAME and 1 <= error.index <= len(asked):
                    del last[asked[error.index - 1]]  # a v1 agent's end of the table
                    continue
                raise
            if not self._take(found, asked, last, rows):
                return

    def _take(
        self, found: list[Binding], asked: list[ObjectId], last: dict[ObjectId, ObjectId], rows: dict[ObjectId, int]
    ) -> bool:
        """Keep what lies inside its column, told by position; a column ends where the next begins, or in a circle.

        False when nothing came of it: the agent would answer the same again.
        """
        has_moved = False
        for position, (name, tag, value) in enumerate(found):
            column = asked[position % len(asked)]
            if column not in last or not name:
                continue
            has_moved = True
            inside = name[: len(column)] == column and tag != END_OF_VIEW
            if not inside or name <= last[column] or rows[column] >= ROWS_MAX:
                del last[column]
                continue
            last[column] = name
            rows[column] += 1
            if tag not in EXCEPTIONS and tag != BROKEN:
                self.walk[name] = value
        return has_moved

    def _keep(self, found: list[Binding]) -> None:
        for name, tag, value in found:
            if tag not in EXCEPTIONS and tag != BROKEN:
                self.walk[name] = value
