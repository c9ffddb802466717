"""What a printer can do, from its own attributes. Pure; what a printer says is data, cleaned and bounded here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from daemon.ipp.message import Collection, Group, Localized, Range, Resolution
from daemon.ipp.registry import Operation

VALUES_MAX: Final = 1000
TEXT_CHARACTERS_MAX: Final = 255
CM_PER_INCH: Final = 2.54
DOTS_PER_CM: Final = 4
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffd]+")

REQUESTED: Final = (
    "printer-uuid", "printer-name", "printer-info", "printer-location", "printer-make-and-model", "printer-device-id",
    "printer-dns-sd-name", "printer-more-info", "printer-state", "printer-state-reasons", "printer-state-message",
    "printer-is-accepting-jobs", "printer-up-time", "printer-impressions-completed", "printer-media-sheets-completed",
    "queued-job-count", "operations-supported", "ipp-versions-supported", "ipp-features-supported",
    "document-format-supported", "document-format-default", "compression-supported", "color-supported",
    "print-color-mode-supported", "sides-supported", "copies-supported", "media-supported", "media-ready",
    "media-default", "media-col-ready", "media-col-supported", "media-size-supported",
    "media-source-supported", "media-type-supported",
    "finishings-supported", "output-bin-supported", "print-quality-supported", "orientation-requested-supported",
    "print-scaling-supported", "number-up-supported", "page-ranges-supported", "printer-resolution-supported",
    "pwg-raster-document-resolution-supported", "pwg-raster-document-type-supported",
    "pwg-raster-document-sheet-back", "urf-supported", "job-creation-attributes-supported",
    "multiple-document-handling-supported", "which-jobs-supported", "identify-actions-supported",
)  # fmt: skip
"""The printer attributes worth asking for: state and capabilities in one question."""


@dataclass(frozen=True, slots=True)
class ReadyMedia:
    """Paper in a tray now: hundredths of a millimetre, and the printer's words for tray and type (may be empty)."""

    width: int
    height: int
    source: str = ""
    type: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """A printer's abilities; empty means the printer did not say, which is not the same as "cannot".

    `resolutions` are dots per inch (across, along); `finishings`, `qualities`, `orientations` and `operations`
    are IPP numbers; `copies_max` is 1 where copies are not supported; `media_sizes` are hundredths of a millimetre.
    """

    formats: tuple[str, ...] = ()
    default_format: str = ""
    sides: tuple[str, ...] = ()
    is_color: bool = False
    color_modes: tuple[str, ...] = ()
    media_supported: tuple[str, ...] = ()
    media_ready: tuple[str, ...] = ()
    media_default: str = ""
    media_col_ready: tuple[ReadyMedia, ...] = ()
    media_sizes: tuple[tuple[int, int], ...] = ()
    media_col_members: tuple[str, ...] = ()
    media_sources: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    finishings: tuple[int, ...] = ()
    output_bins: tuple[str, ...] = ()
    copies_max: int = 1
    qualities: tuple[int, ...] = ()
    orientations: tuple[int, ...] = ()
    scalings: tuple[str, ...] = ()
    number_up: tuple[int, ...] = ()
    page_ranges: bool = False
    resolutions: tuple[tuple[int, int], ...] = ()
    raster_resolutions: tuple[tuple[int, int], ...] = ()
    raster_types: tuple[str, ...] = ()
    raster_sheet_back: str = ""
    urf: tuple[str, ...] = ()
    document_handlings: tuple[str, ...] = ()
    job_attributes: tuple[str, ...] = ()
    compression: tuple[str, ...] = ()
    operations: tuple[int, ...] = ()
    which_jobs: tuple[str, ...] = ()
    identify_actions: tuple[str, ...] = ()
    ipp_versions: tuple[str, ...] = ()
    name: str = ""
    info: str = ""
    make_and_model: str = ""
    device_id: str = ""
    location: str = ""
    more_info: str = ""

    def supports(self, operation: Operation) -> bool:
        """True if the printer lists the operation."""
        return int(operation) in self.operations

    @property
    def device_name(self) -> str:
        """The best name the printer has for itself."""
        return self.info or self.name or self.make_and_model

    def to_json(self) -> dict[str, Any]:
        """JSON-ready, without what is empty."""
        out: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in ((), "", False):
                out[field.name] = [_plain(v) for v in value] if isinstance(value, tuple) else value
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Capabilities:
        """The inverse of `to_json`; unknown keys are ignored."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            if field.name not in data:
                continue
            value = data[field.name]
            if field.name == "media_col_ready":
                value = tuple(ReadyMedia(*item) for item in value)
            elif isinstance(value, list):
                value = tuple(tuple(v) if isinstance(v, list) else v for v in value)
            values[field.name] = value
        return cls(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, ReadyMedia):
        return [value.width, value.height, value.source, value.type]
    return list(value) if isinstance(value, tuple) else value


def clean(text: object) -> str:
    """A printer's text on one line, without control characters, cut to 255 characters."""
    content = text.text if isinstance(text, Localized) else text
    return _CONTROL.sub(" ", content).strip()[:TEXT_CHARACTERS_MAX] if isinstance(content, str) else ""


def parse(printer: Group) -> Capabilities:
    """Capabilities from a printer's answer; whatever does not have the expected syntax is left out."""
    copies = printer.first("copies-supported")
    return Capabilities(
        formats=_words(printer, "document-format-supported"),
        default_format=clean(printer.first("document-format-default")),
        sides=_words(printer, "sides-supported"),
        is_color=printer.first("color-supported") is True,
        color_modes=_words(printer, "print-color-mode-supported"),
        media_supported=_words(printer, "media-supported"),
        media_ready=_words(printer, "media-ready"),
        media_default=clean(printer.first("media-default")),
        media_col_ready=_ready(printer),
        media_sizes=tuple(s for s in map(_size, printer.all("media-size-supported")[:VALUES_MAX]) if s),
        media_col_members=_words(printer, "media-col-supported"),
        media_sources=_words(printer, "media-source-supported"),
        media_types=_words(printer, "media-type-supported"),
        finishings=_numbers(printer, "finishings-supported"),
        output_bins=_words(printer, "output-bin-supported"),
        copies_max=max(1, copies.upper) if isinstance(copies, Range) else 1,
        qualities=_numbers(printer, "print-quality-supported"),
        orientations=_numbers(printer, "orientation-requested-supported"),
        scalings=_words(printer, "print-scaling-supported"),
        number_up=_numbers(printer, "number-up-supported"),
        page_ranges=printer.first("page-ranges-supported") is True,
        resolutions=_resolutions(printer, "printer-resolution-supported"),
        raster_resolutions=_resolutions(printer, "pwg-raster-document-resolution-supported"),
        raster_types=_words(printer, "pwg-raster-document-type-supported"),
        raster_sheet_back=clean(printer.first("pwg-raster-document-sheet-back")),
        urf=_words(printer, "urf-supported"),
        document_handlings=_words(printer, "multiple-document-handling-supported"),
        job_attributes=_words(printer, "job-creation-attributes-supported"),
        compression=_words(printer, "compression-supported"),
        operations=_numbers(printer, "operations-supported"),
        which_jobs=_words(printer, "which-jobs-supported"),
        identify_actions=_words(printer, "identify-actions-supported"),
        ipp_versions=_words(printer, "ipp-versions-supported"),
        name=clean(printer.first("printer-name")),
        info=clean(printer.first("printer-info")),
        make_and_model=clean(printer.first("printer-make-and-model")),
        device_id=clean(printer.first("printer-device-id")),
        location=clean(printer.first("printer-location")),
        more_info=clean(printer.first("printer-more-info")),
    )


def _words(printer: Group, name: str) -> tuple[str, ...]:
    return words(printer.all(name))


def words(values: Iterable[object]) -> tuple[str, ...]:
    """The texts among a printer's values, cleaned, each once, in order."""
    found = dict.fromkeys(clean(value) for value in tuple(values)[:VALUES_MAX])
    return tuple(word for word in found if word)


def _numbers(printer: Group, name: str) -> tuple[int, ...]:
    """Integers and enums; a range counts with all its numbers as long as it is small (number-up 1-16)."""
    found: dict[int, None] = {}
    for value in printer.all(name)[:VALUES_MAX]:
        if isinstance(value, Range) and 0 <= value.upper - value.lower <= VALUES_MAX:
            found.update(dict.fromkeys(range(value.lower, value.upper + 1)))
        elif isinstance(value, int) and not isinstance(value, bool):
            found[value] = None
    return tuple(found)


def _resolutions(printer: Group, name: str) -> tuple[tuple[int, int], ...]:
    found = []
    for value in printer.all(name)[:VALUES_MAX]:
        if isinstance(value, Resolution) and value.x > 0 and value.y > 0:
            scale = CM_PER_INCH if value.units == DOTS_PER_CM else 1
            found.append((round(value.x * scale), round(value.y * scale)))
    return tuple(dict.fromkeys(found))


def _size(value: object) -> tuple[int, int] | None:
    """Width and height of a media-size collection; None for ranges (custom sizes) and nonsense."""
    if not isinstance(value, dict):
        return None
    members = Group(0, value)
    x, y = members.integer("x-dimension"), members.integer("y-dimension")
    return (x, y) if x and y and x > 0 and y > 0 else None


def _ready(printer: Group) -> tuple[ReadyMedia, ...]:
    found = []
    for value in printer.all("media-col-ready")[:VALUES_MAX]:
        members: Collection = value if isinstance(value, dict) else {}
        col = Group(0, members)
        size = _size(col.first("media-size"))
        if size:
            found.append(ReadyMedia(*size, clean(col.first("media-source")), clean(col.first("media-type"))))
    return tuple(found)
