"""PWG raster (PWG 5102.4) and Apple raster (URF): page headers, and walking the compressed lines without unpacking.

Both pack a page the same way: per line a repeat count, then runs: 0-127 = one pixel drawn n+1 times, 129-255 = 257-n
pixels as they are, 128 = the rest of the line is blank. Counts in headers are never trusted: pages are walked.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

from daemon.jobs.documents.frames import Refuse

PWG_SYNC, URF_SYNC = b"RaS2", b"UNIRAST\0"
PWG_HEADER_BYTES, URF_HEADER_BYTES, URF_FILE_BYTES = 1796, 32, 12
SIDE_PIXELS_MAX = 200_000
BLANK_REST = 128
UM_PER_INCH = 25_400
DPI_MAX = 4800

SPACE_GRAY, SPACE_RGB, SPACE_K, SPACE_CMYK, SPACE_SGRAY, SPACE_SRGB, SPACE_ADOBE = 0, 1, 3, 6, 18, 19, 20
RGB_SPACES = frozenset({SPACE_RGB, SPACE_SRGB, SPACE_ADOBE})
GRAY_SPACES = frozenset({SPACE_GRAY, SPACE_SGRAY, SPACE_K})
_URF_SPACES = {0: SPACE_SGRAY, 1: SPACE_SRGB, 3: SPACE_ADOBE, 4: SPACE_GRAY, 5: SPACE_RGB, 6: SPACE_CMYK}
_KINDS = {
    (SPACE_K, 1): "black_1", (SPACE_SGRAY, 1): "sgray_1", (SPACE_SGRAY, 8): "sgray_8", (SPACE_SGRAY, 16): "sgray_16",
    (SPACE_SRGB, 24): "srgb_8", (SPACE_SRGB, 48): "srgb_16", (SPACE_ADOBE, 24): "adobe-rgb_8",
    (SPACE_ADOBE, 48): "adobe-rgb_16", (SPACE_CMYK, 32): "cmyk_8", (SPACE_CMYK, 64): "cmyk_16",
    (SPACE_K, 8): "black_8", (SPACE_K, 16): "black_16",
}  # fmt: skip
_BITS = frozenset({1, 8, 16, 24, 32, 48, 64})
BROKEN = "the raster document is damaged"


@dataclass(frozen=True, slots=True)
class PageHeader:
    """What one page says of itself: `sides` empty for one-sided, `copies` 0 when unsaid, `raw` the header's bytes."""

    width: int
    height: int
    bits_per_pixel: int
    space: int
    dpi: tuple[int, int]
    sides: str
    copies: int
    raw: bytes

    @property
    def line_bytes(self) -> int:
        """Bytes of one unpacked line."""
        return (self.width * self.bits_per_pixel + 7) // 8

    @property
    def pixel_bytes(self) -> int:
        """Bytes a run repeats: a pixel, or eight of them at one bit."""
        return max(1, self.bits_per_pixel // 8)

    @property
    def kind(self) -> str:
        """PWG's name for space and depth, such as `srgb_8`."""
        return _KINDS.get((self.space, self.bits_per_pixel), f"device_{self.space}_{self.bits_per_pixel}")

    @property
    def size_um(self) -> tuple[int, int]:
        """Width and height on paper in micrometres."""
        return self.width * UM_PER_INCH // self.dpi[0], self.height * UM_PER_INCH // self.dpi[1]


def is_pwg(content: mmap | bytes) -> bool:
    """True for PWG raster, False for URF.

    Raises:
        Refuse: neither.
    """
    if content[:4] == PWG_SYNC:
        return True
    if content[:8] == URF_SYNC:
        return False
    raise Refuse("document-format-error", "this is no raster document")


def first_page_at(content: mmap | bytes) -> int:
    """Offset of the first page header."""
    return len(PWG_SYNC) if is_pwg(content) else URF_FILE_BYTES


def page_header(content: mmap | bytes, at: int, *, pwg: bool) -> PageHeader:
    """The page header at an offset.

    Raises:
        Refuse: cut off, or not possible.
    """
    size = PWG_HEADER_BYTES if pwg else URF_HEADER_BYTES
    raw = bytes(content[at : at + size])
    if len(raw) < size:
        raise Refuse("document-format-error", BROKEN)
    header = _pwg_header(raw) if pwg else _urf_header(raw)
    if not (0 < header.width <= SIDE_PIXELS_MAX and 0 < header.height <= SIDE_PIXELS_MAX):
        raise Refuse("document-format-error", BROKEN)
    if header.bits_per_pixel not in _BITS or not all(0 < d <= DPI_MAX for d in header.dpi):
        raise Refuse("document-format-error", BROKEN)
    return header


def _pwg_header(raw: bytes) -> PageHeader:
    (duplex,) = struct.unpack_from(">I", raw, 272)
    dpi = struct.unpack_from(">II", raw, 276)
    (copies,) = struct.unpack_from(">I", raw, 340)
    tumble, width, height = struct.unpack_from(">III", raw, 368)
    _, bits, line_bytes, order, space = struct.unpack_from(">IIIII", raw, 384)
    if order != 0 or line_bytes != (width * bits + 7) // 8:
        raise Refuse("document-format-error", BROKEN)
    sides = "" if not duplex else "two-sided-short-edge" if tumble else "two-sided-long-edge"
    return PageHeader(width, height, bits, space, (dpi[0], dpi[1]), sides, copies, raw)


def _urf_header(raw: bytes) -> PageHeader:
    bits, space, duplex = raw[0], raw[1], raw[2]
    width, height, dpi = struct.unpack_from(">III", raw, 12)
    sides = {2: "two-sided-short-edge", 3: "two-sided-long-edge"}.get(duplex, "")
    return PageHeader(width, height, bits, _URF_SPACES.get(space, space + 100), (dpi, dpi), sides, 0, raw)


def each_line(content: mmap | bytes, at: int, header: PageHeader) -> Iterator[tuple[int, int, int]]:
    """(offset of the runs, offset after them, lines drawn so) for each packed line of the page at offset `at`.

    Raises:
        Refuse: the data end before the page does, or a run leaves its line.
    """
    y, end, pixel, width = 0, len(content), header.pixel_bytes, header.line_bytes
    while y < header.height:
        if at >= end:
            raise Refuse("document-format-error", BROKEN)
        times = min(content[at] + 1, header.height - y)
        y += times
        start = at = at + 1
        x = 0
        while x < width:
            if at >= end:
                raise Refuse("document-format-error", BROKEN)
            code = content[at]
            if code < BLANK_REST:
                at += 1 + pixel
                x += (code + 1) * pixel
            elif code == BLANK_REST:
                at += 1
                break
            else:
                stored = (257 - code) * pixel
                at += 1 + stored
                x += stored
        if at > end or x > width + pixel:
            raise Refuse("document-format-error", BROKEN)
        yield start, at, times
