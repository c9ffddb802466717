"""The ticket: how a job wants to be printed, by RFC 8011 and PWG 5100.x names. Pure.

A ticket is what the client asked for, later perhaps narrowed by its owner at the kiosk (`downgrade`): never widened,
because what was submitted is what was shown. In JSON the keys are the IPP names in snake_case; defaults are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from daemon.kernel.errors import Refusal

ONE_SIDED = "one-sided"
LONG_EDGE = "two-sided-long-edge"
SHORT_EDGE = "two-sided-short-edge"
SIDES = (ONE_SIDED, LONG_EDGE, SHORT_EDGE)
MONOCHROME_MODES = frozenset(
    {"monochrome", "auto-monochrome", "process-monochrome", "bi-level", "process-bi-level"},
)
"""print-color-mode values under which no side can come out in colour (PWG 5100.13)."""

FINISHINGS_NONE = 3
COPIES_MAX = 999
NUMBER_UP_MAX = 16
PAGE_MAX = 2_147_483_647

_JSON_NAMES = {"orientation": "orientation_requested", "resolution": "printer_resolution"}


class NotADowngrade(Refusal):
    """The change asks for more than was submitted; only grey, two-sided and fewer copies may be chosen later."""

    code = "not-a-downgrade"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Job template attributes of one job; every field is named after its IPP attribute.

    `media` is a PWG self-describing name, `media_col` the collection with snake_case members
    (`media_size: {x_dimension, y_dimension}` in hundredths of a millimetre, `media_type`, `media_source`, ...).
    `page_ranges` are inclusive and start at 1. `finishings`, `print_quality` and `orientation` are IPP enums.
    `resolution` is dots per inch across and along.
    """

    copies: int = 1
    sides: str = ONE_SIDED
    print_color_mode: str = "auto"
    media: str = ""
    media_col: Mapping[str, Any] = field(default_factory=dict)
    media_source: str = ""
    page_ranges: tuple[tuple[int, int], ...] = ()
    number_up: int = 1
    finishings: tuple[int, ...] = (FINISHINGS_NONE,)
    output_bin: str = ""
    print_quality: int = 4
    orientation: int | None = None
    resolution: tuple[int, int] | None = None
    multiple_document_handling: str = ""
    print_scaling: str = "auto"

    def __post_init__(self) -> None:
        if not 1 <= self.copies <= COPIES_MAX:
            raise ValueError(f"copies must be 1 to {COPIES_MAX}, not {self.copies}")
        if self.sides not in SIDES:
            raise ValueError(f"no such sides: {self.sides!r}")
        if not 1 <= self.number_up <= NUMBER_UP_MAX:
            raise ValueError(f"number-up must be 1 to {NUMBER_UP_MAX}, not {self.number_up}")
        if any(not 1 <= low <= high <= PAGE_MAX for low, high in self.page_ranges):
            raise ValueError("page-ranges must be pairs of first and last page, counted from 1")

    @property
    def is_two_sided(self) -> bool:
        """True when both sides of a sheet may be marked."""
        return self.sides != ONE_SIDED

    @property
    def is_monochrome(self) -> bool:
        """True when nothing may come out in colour."""
        return self.print_color_mode in MONOCHROME_MODES

    @property
    def is_collated(self) -> bool:
        """True when copies come out one after another, not sheet by sheet (RFC 8011 section 5.2.4)."""
        return self.multiple_document_handling != "separate-documents-uncollated-copies"

    @property
    def finishing_codes(self) -> tuple[int, ...]:
        """The finishings really asked for, without `none`."""
        return tuple(code for code in self.finishings if code != FINISHINGS_NONE)

    @property
    def wanted_source(self) -> str:
        """The tray asked for by media-col or media-source; empty when it does not matter."""
        source = str(self.media_col.get("media_source", "") or self.media_source)
        return "" if source == "auto" else source

    @property
    def wanted_size(self) -> tuple[int, int] | None:
        """Width and height asked for by media-col, in hundredths of a millimetre, or None."""
        size = self.media_col.get("media_size")
        if not isinstance(size, Mapping):
            return None
        x, y = size.get("x_dimension"), size.get("y_dimension")
        return (x, y) if isinstance(x, int) and isinstance(y, int) and x > 0 and y > 0 else None

    def to_json(self) -> dict[str, Any]:
        """A JSON object; what is left at its default is left out."""
        out: dict[str, Any] = {}
        for own, name in _FIELDS:
            value = getattr(self, own)
            if value != getattr(_DEFAULT, own):
                out[name] = _plain(value)
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ticket:
        """The inverse of `to_json`; unknown keys are ignored, so an older daemon reads a newer one's rows.

        Raises:
            ValueError: a value outside its range.
        """
        values: dict[str, Any] = {own: data[name] for own, name in _FIELDS if name in data}
        if "media_col" in values:
            values["media_col"] = snake_members(values["media_col"])
        if "page_ranges" in values:
            values["page_ranges"] = tuple((int(low), int(high)) for low, high in values["page_ranges"])
        if "finishings" in values:
            values["finishings"] = tuple(int(code) for code in values["finishings"])
        if values.get("resolution") is not None:
            across, along = values["resolution"]
            values["resolution"] = (int(across), int(along))
        return cls(**values)


_DEFAULT = Ticket()
_FIELDS = tuple((f.name, _JSON_NAMES.get(f.name, f.name)) for f in fields(Ticket))
"""Every field and its key in JSON, found once: tickets are read by the hundred."""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    return value


def snake_members(collection: Mapping[str, Any]) -> dict[str, Any]:
    """A collection with `media-size` style member names written `media_size`, at every depth."""
    return {
        name.replace("-", "_"): snake_members(value) if isinstance(value, Mapping) else value
        for name, value in collection.items()
    }


def may_downgrade(old: Ticket, new: Ticket) -> bool:
    """True when `new` asks for nothing that `old` did not: grey, two-sided, fewer copies, or no change at all."""
    if new.copies > old.copies:
        return False
    if old.is_two_sided and not new.is_two_sided:
        return False
    if old.is_two_sided and new.sides != old.sides:
        return False
    if new.print_color_mode not in (old.print_color_mode, "monochrome"):
        return False
    same = replace(new, copies=old.copies, sides=old.sides, print_color_mode=old.print_color_mode)
    return same == old


def downgrade(
    old: Ticket,
    *,
    print_color_mode: str | None = None,
    sides: str | None = None,
    copies: int | None = None,
) -> Ticket:
    """`old` with the owner's changes at the kiosk; None leaves a field as it is.

    Raises:
        NotADowngrade: the change asks for more than was submitted, or is no valid value.
    """
    try:
        new = replace(
            old,
            print_color_mode=old.print_color_mode if print_color_mode is None else print_color_mode,
            sides=old.sides if sides is None else sides,
            copies=old.copies if copies is None else copies,
        )
    except (TypeError, ValueError) as error:
        raise NotADowngrade(str(error)) from error
    if not may_downgrade(old, new):
        raise NotADowngrade("only grey, two-sided and fewer copies can be chosen here")
    return new
