"""What a document is: its pages, their size and whether they hold colour. Pure.

Facts are found once by analysis (`jobs.analysis`) and never change; what they cost depends on the ticket
(`jobs.counting`). Pages are kept as runs of equal neighbours, so a thousand-page text is one run in memory and in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

PDF = "application/pdf"
PWG = "image/pwg-raster"
URF = "image/urf"
JPEG = "image/jpeg"
FORMATS = (PDF, PWG, URF, JPEG)
RASTER_FORMATS = frozenset({PWG, URF})

PAGE_COUNT_DIFFERS = "page-count-differs"
"""Two independent readers found different page counts: a damaged file or a lying one. The larger is charged."""
COLOUR_ASSUMED = "color-assumed"
"""Some pages were not looked at (too many, or too slow together) and are taken as colour."""

HEAD_BYTES = 1024
"""How much of a document's beginning `sniff` looks at; PDF allows junk before its header (ISO 32000-2, annex H)."""

UM_PER_POINT = 25400 / 72
_TOLERANCE_UM = 2500

_SIZES_UM: tuple[tuple[str, int, int], ...] = (
    ("iso_a4_210x297mm", 210_000, 297_000),
    ("na_letter_8.5x11in", 215_900, 279_400),
    ("iso_a3_297x420mm", 297_000, 420_000),
    ("na_legal_8.5x14in", 215_900, 355_600),
    ("iso_a5_148x210mm", 148_000, 210_000),
    ("na_ledger_11x17in", 279_400, 431_800),
    ("iso_a6_105x148mm", 105_000, 148_000),
    ("iso_a2_420x594mm", 420_000, 594_000),
    ("iso_a1_594x841mm", 594_000, 841_000),
    ("iso_a0_841x1189mm", 841_000, 1_189_000),
    ("iso_b4_250x353mm", 250_000, 353_000),
    ("iso_b5_176x250mm", 176_000, 250_000),
    ("jis_b4_257x364mm", 257_000, 364_000),
    ("jis_b5_182x257mm", 182_000, 257_000),
    ("na_executive_7.25x10.5in", 184_150, 266_700),
    ("na_invoice_5.5x8.5in", 139_700, 215_900),
    ("na_foolscap_8.5x13in", 215_900, 330_200),
    ("na_index-4x6_4x6in", 101_600, 152_400),
    ("na_5x7_5x7in", 127_000, 177_800),
    ("na_number-10_4.125x9.5in", 104_775, 241_300),
    ("iso_dl_110x220mm", 110_000, 220_000),
    ("iso_c5_162x229mm", 162_000, 229_000),
    ("iso_c6_114x162mm", 114_000, 162_000),
    ("jpn_hagaki_100x148mm", 100_000, 148_000),
)
"""PWG 5101.1 names with width and height in micrometres; the more usual one first where two are close."""

_SELF_DESCRIBING = re.compile(r"_(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)(mm|in)$")


@dataclass(frozen=True, slots=True)
class PageFact:
    """One page: the PWG media name its size matches, whether its content holds colour, and its size as shown.

    Width and height are micrometres after rotation: a landscape page is wider than high, its media name is the same.
    """

    media: str
    is_color: bool
    width_um: int
    height_um: int


@dataclass(frozen=True, slots=True)
class PageRun:
    """`count` equal pages in a row."""

    count: int
    page: PageFact


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """A document as analysis found it.

    `copies` and `sides` are what a raster file's own page headers ask for (0 and empty when they say nothing);
    `rasters` are the kinds of page in it, as `srgb_8@300x300`; `flags` hold this module's words, for the operator.
    """

    format: str
    runs: tuple[PageRun, ...]
    copies: int = 0
    sides: str = ""
    rasters: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @classmethod
    def of_pages(
        cls,
        document_format: str,
        pages: Iterable[PageFact],
        *,
        copies: int = 0,
        sides: str = "",
        rasters: tuple[str, ...] = (),
        flags: tuple[str, ...] = (),
    ) -> DocumentFacts:
        """Facts of a sequence of pages, equal neighbours joined."""
        runs = tuple(PageRun(sum(1 for _ in same), page) for page, same in groupby(pages))
        return cls(document_format, runs, copies=copies, sides=sides, rasters=rasters, flags=flags)

    @property
    def page_count(self) -> int:
        """Pages in the document."""
        return sum(run.count for run in self.runs)

    @property
    def color_page_count(self) -> int:
        """Pages whose content holds colour."""
        return sum(run.count for run in self.runs if run.page.is_color)

    @property
    def is_color(self) -> bool:
        """True when any page holds colour."""
        return any(run.page.is_color for run in self.runs)

    @property
    def pages(self) -> tuple[PageFact, ...]:
        """Every page, in document order."""
        return tuple(self.each_page())

    def each_page(self) -> Iterator[PageFact]:
        """Every page, in document order, without building the tuple."""
        for run in self.runs:
            for _ in range(run.count):
                yield run.page

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `pages` is a list of [count, media, is_color, width_um, height_um]."""
        out: dict[str, Any] = {
            "format": self.format,
            "pages": [[r.count, r.page.media, r.page.is_color, r.page.width_um, r.page.height_um] for r in self.runs],
        }
        if self.copies:
            out["copies"] = self.copies
        if self.sides:
            out["sides"] = self.sides
        if self.rasters:
            out["rasters"] = list(self.rasters)
        if self.flags:
            out["flags"] = list(self.flags)
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DocumentFacts:
        """The inverse of `to_json`."""
        runs = tuple(
            PageRun(n, PageFact(media, color, width, height)) for n, media, color, width, height in data["pages"]
        )
        return cls(
            data["format"],
            runs,
            copies=data.get("copies", 0),
            sides=data.get("sides", ""),
            rasters=tuple(data.get("rasters", ())),
            flags=tuple(data.get("flags", ())),
        )


def sniff(head: bytes) -> str:
    """The MIME type of a document by its first `HEAD_BYTES`, or an empty string when it is none we take."""
    if head.startswith(b"RaS2"):
        return PWG
    if head.startswith(b"UNIRAST\0"):
        return URF
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    return PDF if b"%PDF-" in head[:HEAD_BYTES] else ""


def media_name(width_um: int, height_um: int) -> str:
    """The PWG name of a size in either orientation: a known one within 2.5 mm, else `custom_..._WxHmm`."""
    low, high = sorted((width_um, height_um))
    best, best_distance = "", _TOLERANCE_UM + 1
    for name, width, height in _SIZES_UM:
        distance = max(abs(low - width), abs(high - height))
        if distance < best_distance:
            best, best_distance = name, distance
    if best:
        return best
    size = f"{_mm(low)}x{_mm(high)}mm"
    return f"custom_{size}_{size}"


def media_size_um(name: str) -> tuple[int, int] | None:
    """Width and height in micrometres that a PWG self-describing name states, or None when it states none."""
    found = _SELF_DESCRIBING.search(name)
    if found is None:
        return None
    unit = 1000.0 if found[3] == "mm" else 25_400.0
    return round(float(found[1]) * unit), round(float(found[2]) * unit)


def _mm(size_um: int) -> str:
    return f"{size_um / 1000:.2f}".rstrip("0").rstrip(".")
