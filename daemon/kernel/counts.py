"""What a job puts on paper, by media: the input of pricing and the output of document analysis."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MediaCount:
    """Counts on one PWG media size (`iso_a4_210x297mm`).

    `impressions` are sides marked; `color_impressions` of them in colour; `sheets` pieces of paper;
    `duplex_sheets` of them marked on both sides. All include copies.
    """

    media: str
    impressions: int
    color_impressions: int
    sheets: int
    duplex_sheets: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals over all media of one job, all copies."""

    by_media: tuple[MediaCount, ...]

    @property
    def impressions(self) -> int:
        """Sides marked."""
        return sum(m.impressions for m in self.by_media)

    @property
    def color_impressions(self) -> int:
        """Sides marked in colour."""
        return sum(m.color_impressions for m in self.by_media)

    @property
    def sheets(self) -> int:
        """Pieces of paper."""
        return sum(m.sheets for m in self.by_media)

    @property
    def duplex_sheets(self) -> int:
        """Pieces of paper marked on both sides."""
        return sum(m.duplex_sheets for m in self.by_media)


NOTHING = Counts(())
