"""Facts of PWG and Apple raster documents: every page walked, colour found in the packed data."""

from __future__ import annotations

from collections import Counter
from mmap import mmap
from typing import Any

import numpy as np

from daemon.jobs.documents import raster_format as rf
from daemon.jobs.documents.frames import Refuse
from daemon.jobs.documents.source import too_many_pages
from daemon.jobs.facts import PWG, URF, DocumentFacts, PageFact, media_name


def facts(content: mmap | bytes, request: dict[str, Any]) -> DocumentFacts:
    """Pages, sizes, colour, and what the headers ask for.

    Raises:
        Refuse: damaged, or too many pages.
    """
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
    if header.space in rf.GRAY_SPACES or bits == 1:
        looks = None
    elif header.space in rf.RGB_SPACES and bits == 24:
        looks = _rgb_dots
    elif header.space == rf.SPACE_CMYK and bits == 32:
        looks = _cmyk_dots
    else:
        return _end(content, at, header), True
    dots = 0
    for start, after, times in rf.each_line(content, at, header):
        if looks is not None and dots < request["color_dots_min"]:
            dots += times * looks(bytes(content[start:after]), header, request["color_tolerance"])
        at = after
    return at, looks is not None and dots >= request["color_dots_min"]


def _end(content: mmap | bytes, at: int, header: rf.PageHeader) -> int:
    for _, after, _ in rf.each_line(content, at, header):
        at = after
    return at


def _stored(runs: bytes, pixel: int) -> list[tuple[int, bytes]]:
    """(pixels drawn per pixel stored, the stored pixels) of one packed line."""
    out, at, end = [], 0, len(runs)
    while at < end:
        code = runs[at]
        if code == rf.BLANK_REST:
            break
        stored = pixel if code < rf.BLANK_REST else (257 - code) * pixel
        out.append((code + 1 if code < rf.BLANK_REST else 1, runs[at + 1 : at + 1 + stored]))
        at += 1 + stored
    return out


def _rgb_dots(runs: bytes, header: rf.PageHeader, tolerance: int) -> int:
    """Pixels of a packed line whose channels lie further apart than the tolerance."""
    dots = 0
    for drawn, stored in _stored(runs, header.pixel_bytes):
        if len(stored) == header.pixel_bytes:
            if max(stored) - min(stored) > tolerance:
                dots += drawn
            continue
        r, g, b = stored[0::3], stored[1::3], stored[2::3]
        if not r == g == b:
            channels = np.frombuffer(stored, np.uint8).reshape(-1, 3)
            spread = channels.max(axis=1) - channels.min(axis=1)
            dots += int(np.count_nonzero(spread > tolerance))
    return dots


def _cmyk_dots(runs: bytes, header: rf.PageHeader, tolerance: int) -> int:
    """Pixels of a packed line that use cyan, magenta or yellow."""
    dots = 0
    for drawn, stored in _stored(runs, header.pixel_bytes):
        inks = np.frombuffer(stored, np.uint8).reshape(-1, 4)[:, :3]
        dots += drawn * int(np.count_nonzero((inks > tolerance).any(axis=1)))
    return dots
