"""Which format a document travels in: its own where the printer takes it, else the best it can be turned into. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.jobs.facts import JPEG, PDF, PWG, RASTER_FORMATS, URF, DocumentFacts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from daemon.jobs.abilities import Capabilities
    from daemon.jobs.ticket import Ticket

RESOLUTION_PREFERRED = 300
RESOLUTION_MAX = 600
"""Rendering finer than this costs four times the time for nothing an eye sees."""
DRAFT, HIGH = 3, 5


@dataclass(frozen=True, slots=True)
class Target:
    """The format to send.

    The raster fields matter for raster output only; an empty `raster_type` keeps every page's own kind and resolution.
    `needs_grey` means RGB pages without colour, for a printer that takes grey ones only.
    """

    format: str
    raster_type: str = ""
    resolution: tuple[int, int] = (RESOLUTION_PREFERRED, RESOLUTION_PREFERRED)
    sheet_back: str = "normal"
    needs_grey: bool = False


def choose_target(ticket: Ticket, facts: DocumentFacts, capabilities: Capabilities) -> Target | None:
    """The best format the printer takes: the document's own, then PDF, PWG raster, Apple raster, JPEG."""
    formats = [f.lower() for f in capabilities.formats]
    if not formats:
        return Target(facts.format)
    if facts.format in formats and _fits_as_it_is(ticket, facts, capabilities):
        kinds, _ = _raster_abilities(facts.format, capabilities)
        return Target(
            facts.format,
            resolution=_best_resolution(ticket, ()),
            sheet_back=_sheet_back(facts.format, capabilities),
            needs_grey=bool(kinds) and any(kind not in kinds for kind, _ in _rasters(facts)),
        )
    if PDF in formats:
        return Target(PDF, resolution=_best_resolution(ticket, ()))
    for raster in (PWG, URF):
        if raster in formats:
            target = _raster_target(raster, ticket, facts, capabilities)
            if target is not None:
                return target
    return None


def _fits_as_it_is(ticket: Ticket, facts: DocumentFacts, capabilities: Capabilities) -> bool:
    """False when the printer takes the format, but not this file in it (or not what has to be done to it)."""
    if facts.format == JPEG:
        return ticket.number_up == 1 and capabilities.copies_max >= ticket.copies
    if facts.format in RASTER_FORMATS:
        if ticket.number_up > 1:
            return False
        kinds, resolutions = _raster_abilities(facts.format, capabilities)
        may_be_grey = "sgray_8" in kinds and (ticket.is_monochrome or not facts.is_color)
        for kind, resolution in _rasters(facts):
            if kinds and kind not in kinds and not may_be_grey:
                return False
            if resolutions and resolution not in resolutions:
                return False
    return True


def _raster_target(
    document_format: str,
    ticket: Ticket,
    facts: DocumentFacts,
    capabilities: Capabilities,
) -> Target | None:
    if document_format not in RASTER_FORMATS:
        return None
    kinds, resolutions = _raster_abilities(document_format, capabilities)
    colorful = facts.is_color and not ticket.is_monochrome
    own = {kind for kind, _ in _rasters(facts)}
    if colorful or (own == {"srgb_8"} and not ticket.is_monochrome):
        wanted: tuple[str, ...] = ("srgb_8", "sgray_8", "black_1")
    else:
        wanted = ("sgray_8", "srgb_8", "black_1")
    kind = next((k for k in wanted if not kinds or k in kinds), None)
    if kind is None:
        return None
    return Target(
        document_format,
        raster_type=kind,
        resolution=_best_resolution(ticket, resolutions, own={resolution for _, resolution in _rasters(facts)}),
        sheet_back=_sheet_back(document_format, capabilities),
    )


def _raster_abilities(document_format: str, capabilities: Capabilities) -> tuple[set[str], list[tuple[int, int]]]:
    """Page kinds (by PWG name) and resolutions a printer takes in one raster format."""
    if document_format == PWG:
        return set(capabilities.raster_types), list(capabilities.raster_resolutions)
    names = {"W8": "sgray_8", "SRGB24": "srgb_8", "ADOBERGB24": "adobe-rgb_8", "CMYK32": "cmyk_8"}
    kinds = {names[k] for k in capabilities.urf if k in names}
    dots = [k[2:] for k in capabilities.urf if k.startswith("RS")]
    return kinds, [(int(d), int(d)) for text in dots for d in text.split("-") if d.isdigit()]


def _sheet_back(document_format: str, capabilities: Capabilities) -> str:
    """How the back of a sheet must be turned (PWG 5102.4 section 4.3.2; URF: DM1 to DM4)."""
    if document_format == PWG:
        return capabilities.raster_sheet_back or "normal"
    names = {"DM1": "normal", "DM2": "flipped", "DM3": "rotated", "DM4": "manual-tumble"}
    return next((names[k] for k in capabilities.urf if k in names), "normal")


def _best_resolution(
    ticket: Ticket,
    offered: Sequence[tuple[int, int]],
    *,
    own: Collection[tuple[int, int]] = (),
) -> tuple[int, int]:
    """The resolution to draw at.

    What a raster document already has, or what the ticket wants, if offered; else by print-quality: draft the lowest,
    normal the lowest from 300 dpi, high the highest up to 600 dpi.
    """
    if len(own) == 1 and next(iter(own)) in offered:
        return next(iter(own))
    if not offered:
        high = RESOLUTION_MAX if ticket.print_quality == HIGH else RESOLUTION_PREFERRED
        return (high, high)
    if ticket.resolution in offered and ticket.resolution is not None:
        return ticket.resolution
    ordered = sorted(offered)
    usual = [r for r in ordered if max(r) <= RESOLUTION_MAX] or ordered[:1]
    if ticket.print_quality == DRAFT:
        return usual[0]
    if ticket.print_quality == HIGH:
        return usual[-1]
    enough = [r for r in usual if min(r) >= RESOLUTION_PREFERRED]
    return enough[0] if enough else usual[-1]


def _rasters(facts: DocumentFacts) -> list[tuple[str, tuple[int, int]]]:
    """(kind, resolution) of the kinds of page in a raster document."""
    found = []
    for raster in facts.rasters:
        kind, _, resolution = raster.partition("@")
        across, _, along = resolution.partition("x")
        found.append((kind, (int(across), int(along))))
    return found
