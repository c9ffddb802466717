"""What the jobs feature needs to know of a printer. Pure; the devices feature's `Capabilities` fulfils it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Capabilities(Protocol):
    """What planning needs to know of a printer; an empty list means the printer does not say."""

    @property
    def formats(self) -> Sequence[str]:
        """document-format-supported."""
        ...

    @property
    def is_color(self) -> bool:
        """color-supported."""
        ...

    @property
    def color_modes(self) -> Sequence[str]:
        """print-color-mode-supported."""
        ...

    @property
    def sides(self) -> Sequence[str]:
        """sides-supported."""
        ...

    @property
    def copies_max(self) -> int:
        """Upper end of copies-supported; 1 when the printer makes no copies."""
        ...

    @property
    def finishings(self) -> Sequence[int]:
        """finishings-supported."""
        ...

    @property
    def media_supported(self) -> Sequence[str]:
        """media-supported, PWG names."""
        ...

    @property
    def media_ready(self) -> Sequence[str]:
        """media-ready, PWG names: what lies in the trays now."""
        ...

    @property
    def media_default(self) -> str:
        """media-default, or an empty string."""
        ...

    @property
    def media_sources(self) -> Sequence[str]:
        """media-source-supported."""
        ...

    @property
    def media_types(self) -> Sequence[str]:
        """media-type-supported."""
        ...

    @property
    def media_col_members(self) -> Sequence[str]:
        """media-col-supported; empty when media-col is not understood."""
        ...

    @property
    def output_bins(self) -> Sequence[str]:
        """output-bin-supported."""
        ...

    @property
    def qualities(self) -> Sequence[int]:
        """print-quality-supported."""
        ...

    @property
    def document_handlings(self) -> Sequence[str]:
        """multiple-document-handling-supported."""
        ...

    @property
    def scalings(self) -> Sequence[str]:
        """print-scaling-supported."""
        ...

    @property
    def raster_resolutions(self) -> Sequence[tuple[int, int]]:
        """pwg-raster-document-resolution-supported, dots per inch."""
        ...

    @property
    def raster_types(self) -> Sequence[str]:
        """pwg-raster-document-type-supported."""
        ...

    @property
    def raster_sheet_back(self) -> str:
        """pwg-raster-document-sheet-back; empty means normal."""
        ...

    @property
    def urf(self) -> Sequence[str]:
        """urf-supported keywords, such as `W8`, `SRGB24`, `RS300-600`, `DM1`."""
        ...
