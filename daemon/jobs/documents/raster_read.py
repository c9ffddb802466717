"""Unpacking raster pages: lines of bytes, and rows of grey or RGB samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from daemon.jobs.documents import raster_format as rf
from daemon.jobs.documents.frames import Refuse
from daemon.jobs.documents.render import grey_of_rgb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap

    from numpy.typing import NDArray

BAND_LINES = 256
PAGES_MAX = 100_000


@dataclass(frozen=True, slots=True)
class PageAt:
    """A page's header, where its packed lines begin, and where they end."""

    header: rf.PageHeader
    start: int
    end: int


def index(content: mmap | bytes) -> list[PageAt]:
    """Where every page is.

    Raises:
        Refuse: damaged.
    """
    pwg, at = rf.is_pwg(content), rf.first_page_at(content)
    pages: list[PageAt] = []
    while at < len(content) and len(pages) < PAGES_MAX:
        header = rf.page_header(content, at, pwg=pwg)
        start = end = at + len(header.raw)
        for _, after, _ in rf.each_line(content, start, header):
            end = after
        pages.append(PageAt(header, start, end))
        at = end
    if not pages:
        raise Refuse("document-format-error", "the document has no pages")
    return pages


def bands(content: mmap | bytes, page: PageAt, *, is_grey: bool) -> Iterator[NDArray[np.uint8]]:
    """The page as rows of grey samples, or of red, green, blue."""
    lines: list[bytes] = []
    for start, after, times in rf.each_line(content, page.start, page.header):
        line = unpack(bytes(content[start:after]), page.header)
        lines.extend([line] * times)
        if len(lines) >= BAND_LINES:
            yield _samples(lines, page.header, is_grey=is_grey)
            lines = []
    if lines:
        yield _samples(lines, page.header, is_grey=is_grey)


def unpack(runs: bytes, header: rf.PageHeader) -> bytes:
    """One line's bytes."""
    pixel, width = header.pixel_bytes, header.line_bytes
    parts: list[bytes] = []
    at, end = 0, len(runs)
    while at < end:
        code = runs[at]
        if code == rf.BLANK_REST:
            break
        if code < rf.BLANK_REST:
            parts.append(runs[at + 1 : at + 1 + pixel] * (code + 1))
            at += 1 + pixel
        else:
            stored = (257 - code) * pixel
            parts.append(runs[at + 1 : at + 1 + stored])
            at += 1 + stored
    line = b"".join(parts)[:width]
    return line + white(header) * (width - len(line))


def white(header: rf.PageHeader) -> bytes:
    """The byte of blank paper: ink-like spaces count from none, light-like ones from full."""
    return b"\x00" if header.space in (rf.SPACE_K, rf.SPACE_CMYK) else b"\xff"


def _samples(lines: list[bytes], header: rf.PageHeader, *, is_grey: bool) -> NDArray[np.uint8]:
    rows = np.frombuffer(b"".join(lines), np.uint8).reshape(len(lines), header.line_bytes)
    bits, space = header.bits_per_pixel, header.space
    if bits == 1:
        plane = np.unpackbits(rows, axis=1)[:, : header.width] * np.uint8(255)
        grey = 255 - plane if space == rf.SPACE_K else plane
    elif space in rf.GRAY_SPACES and bits in (8, 16):
        plane = rows[:, :: bits // 8]
        grey = 255 - plane if space == rf.SPACE_K else plane
    elif space in rf.RGB_SPACES and bits in (24, 48):
        color = rows[:, :: bits // 24].reshape(len(lines), header.width, 3)
        return grey_of_rgb(color) if is_grey else color
    elif space == rf.SPACE_CMYK and bits in (32, 64):
        inks = 255 - rows[:, :: bits // 32].reshape(len(lines), header.width, 4).astype(np.uint16)
        color = (inks[..., :3] * inks[..., 3:] // 255).astype(np.uint8)
        return grey_of_rgb(color) if is_grey else color
    else:
        raise Refuse("document-format-not-supported", "this kind of raster document cannot be converted")
    return grey if is_grey else np.repeat(grey[..., None], 3, axis=2)
