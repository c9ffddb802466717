"""Facts of PWG and Apple raster documents: every page walked, colour found in the packed data."""

from __future__ import annotations

from collections import Counter
from mmap import mmap
from typing import Any

import numpy as np

from daemon.jobs.documents import raster_format as rf
from daemon.jobs.documents import raster_read
from daemon.jobs.documents.frames import Refuse
from daemon.jobs.documents.source import too_many_pages
from daemon.jobs.facts import PWG, URF, DocumentFacts, PageFact, media_name

_BLANK_REST = rf.BLANK_REST
IN_MEMORY_BYTES_MAX = 256 << 20
"""Documents up to this size are copied for walking: indexing bytes is twice as fast as indexing a mapping."""


def facts(content: mmap | bytes, request: dict[str, Any]) -> DocumentFacts:
    """Pages, sizes, colour, and what the headers ask for.

    Raises:
        Refuse: damaged, or too many pages.
    """
    if len(content) <= IN_MEMORY_BYTES_MAX:
        content = bytes(content)
    pwg = rf.is_pwg(content)
    at = rf.first_page_at(content)
    pages: list[PageFact] = []
    copies: Counter[int] = Counter()
    sides: Counter[str] = Counter()
    kinds: dict[str, None] = {}
    while at < len(content):
        if len(pages) >= request["pages_max"]:
            raise too_many_pages(request["pages_max"])
        header = rf.page_header(content, at, pwg=pwg)
        at, is_color = _walk(content, at + len(header.raw), header, request)
        width, height = header.size_um
        pages.append(PageFact(media_name(width, height), is_color, width, height))
        copies[header.copies] += 1
        sides[header.sides] += 1
        kinds[f"{header.kind}@{header.dpi[0]}x{header.dpi[1]}"] = None
    if not pages:
        raise Refuse("document-format-error", "the document has no pages")
    return DocumentFacts.of_pages(
        PWG if pwg else URF,
        pages,
        copies=max(copies),
        sides=sides.most_common(1)[0][0],
        rasters=tuple(kinds),
    )


def _walk(content: mmap | bytes, at: int, header: rf.PageHeader, request: dict[str, Any]) -> tuple[int, bool]:
    """Offset after the page, and whether it holds colour (an unknown colour space counts as colour)."""
    bits = header.bits_per_pixel
    if header.space in rf.RGB_SPACES and bits == 24:
        return _walk_rgb(content, at, header, request)
    is_cmyk = header.space == rf.SPACE_CMYK and bits == 32
    is_color = not (is_cmyk or header.space in rf.GRAY_SPACES or bits == 1)
    dots, wanted = 0, request["color_dots_min"]
    for start, after, times in rf.each_line(content, at, header):
        if is_cmyk and dots < wanted:
            dots += times * _cmyk_dots(bytes(content[start:after]), header, request["color_tolerance"])
        at = after
    return at, is_color or (is_cmyk and dots >= wanted)


def _walk_rgb(content: mmap | bytes, at: int, header: rf.PageHeader, request: dict[str, Any]) -> tuple[int, bool]:
    """The same for 24-bit RGB, which is most of what clients send, in one loop.

    `rf.each_line` says the same, more slowly; a test holds them together.
    """
    y, end, height, width = 0, len(content), header.height, header.line_bytes
    tolerance, left = request["color_tolerance"], request["color_dots_min"]
    try:
        while y < height:
            times = content[at] + 1
            y += times
            at += 1
            x = 0
            while x < width:
                code = content[at]
                if code < _BLANK_REST:
                    red, green, blue = content[at + 1], content[at + 2], content[at + 3]
                    at += 4
                    x += 3 * code + 3
                    if (
                        left > 0
                        and not red == green == blue
                        and max(red, green, blue) - min(red, green, blue) > tolerance
                    ):
                        left -= times * (code + 1)
                elif code == _BLANK_REST:
                    at += 1
                    break
                else:
                    stored = 3 * (257 - code)
                    if left > 0:
                        dots = content[at + 1 : at + 1 + stored]
                        if dots[1:] != dots[:-1]:  # else one grey throughout
                            left -= times * _spread_dots(dots, tolerance)
                    at += 1 + stored
                    x += stored
            if at > end or x > width + 3:
                raise Refuse("document-format-error", rf.BROKEN)
    except IndexError as error:
        raise Refuse("document-format-error", rf.BROKEN) from error
    return at, left <= 0


def _spread_dots(dots: bytes, tolerance: int) -> int:
    """Pixels whose channels lie further apart than the tolerance."""
    red, green, blue = dots[0::3], dots[1::3], dots[2::3]
    if red == green == blue:
        return 0
    channels = np.frombuffer(dots[: len(dots) // 3 * 3], np.uint8).reshape(-1, 3)
    spread = channels.max(axis=1) - channels.min(axis=1)
    return int(np.count_nonzero(spread > tolerance))


def _cmyk_dots(runs: bytes, header: rf.PageHeader, tolerance: int) -> int:
    """Pixels of a packed line that use cyan, magenta or yellow."""
    inks = np.frombuffer(raster_read.unpack(runs, header), np.uint8).reshape(-1, 4)[:, :3]
    return int(np.count_nonzero((inks > tolerance).any(axis=1)))
