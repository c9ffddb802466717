"""Raster in, raster out: choosing pages, copies, grey, other headers, PWG to Apple raster and back.

Packed lines are copied as they are, or made grey run by run: a page is never unpacked unless its back side has to be
turned for the printer.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.jobs.documents import raster_format as rf
from daemon.jobs.documents import raster_read
from daemon.jobs.documents.pdf_edit import BLANK, copy_order
from daemon.jobs.documents.raster_pack import URF_SIDES, Look, blank, pack
from daemon.jobs.documents.render import grey_of_rgb

if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap

    from daemon.jobs.documents.raster_read import PageAt

PIECE_BYTES = 1 << 20


def rewritten(content: mmap | bytes, request: dict[str, Any], sink: Callable[[bytes], Any], *, to_pwg: bool) -> int:
    """Write the document anew; returns how many pages were written.

    Raises:
        Refuse: damaged, or a kind of raster that cannot be converted.
    """
    pages = chosen(raster_read.index(content), request["pages"])
    order = copy_order(len(pages), request)
    base = Look.of_request(request, is_pwg=to_pwg, total=len(order))
    sink(base.file_header())
    last = pages[0]
    for position, number in enumerate(order):
        last = last if number == BLANK else pages[number]
        header = last.header
        look = replace(base, kind=_kind(header, is_grey=request["is_grey"]), dpi=header.dpi)
        sink(_header(look, header, position, is_same=to_pwg == rf.is_pwg(content)))
        if number == BLANK:
            pixel = raster_read.white(header) * look.pixel_bytes
            sink(blank(header.width * look.pixel_bytes, header.height, pixel))
        elif look.back(position) != (1, 1):
            _turned(content, last, look, position, sink)
        elif look.kind == header.kind:
            for at in range(last.start, last.end, PIECE_BYTES):
                sink(bytes(content[at : min(at + PIECE_BYTES, last.end)]))
        else:
            _grey(content, last, sink)
    return len(order)


def chosen(pages: list[PageAt], ranges: list[list[int]]) -> list[PageAt]:
    """The pages within (first, last) pairs; no pairs mean all."""
    if not ranges:
        return pages
    return [page for first, last in ranges for page in pages[first - 1 : last]]


def _kind(header: rf.PageHeader, *, is_grey: bool) -> str:
    if not is_grey or header.space in rf.GRAY_SPACES:
        return header.kind
    return "sgray_8"


def _header(look: Look, header: rf.PageHeader, position: int, *, is_same: bool) -> bytes:
    """A new page header; where the format stays the same, what the client said of paper and quality is kept."""
    if not is_same:
        return look.page_header(header.width, header.height, position)
    raw = bytearray(header.raw)
    if not look.is_pwg:
        raw[2] = URF_SIDES[look.sides]
        if look.kind != header.kind:
            raw[0:2] = look.page_header(header.width, header.height, position)[0:2]
        return bytes(raw)
    raw[0:10] = b"PwgRaster\0"
    put = struct.Struct(">I").pack_into
    put(raw, 272, int(look.is_two_sided))
    put(raw, 340, look.copies)
    put(raw, 368, int(look.sides == "two-sided-short-edge"))
    put(raw, 452, look.total)
    struct.pack_into(">ii", raw, 456, *look.back(position))
    if look.kind != header.kind:
        fresh = look.page_header(header.width, header.height, position)
        raw[384:404] = fresh[384:404]
        raw[420:424] = fresh[420:424]
    return bytes(raw)


def _grey(content: mmap | bytes, page: PageAt, sink: Callable[[bytes], Any]) -> None:
    """Packed RGB lines as packed grey lines; other colour spaces are unpacked and packed again."""
    header = page.header
    if header.space not in rf.RGB_SPACES or header.bits_per_pixel != 24:
        for band in raster_read.bands(content, page, is_grey=True):
            for piece in pack(band, 1):
                sink(piece)
        return
    out = bytearray()
    for start, after, times in rf.each_line(content, page.start, header):
        out.append(times - 1)
        _grey_line(bytes(content[start:after]), out)
        if len(out) >= PIECE_BYTES:
            sink(bytes(out))
            out.clear()
    sink(bytes(out))


def _grey_line(runs: bytes, out: bytearray) -> None:
    at, end = 0, len(runs)
    while at < end:
        code = runs[at]
        out.append(code)
        if code == rf.BLANK_REST:
            return
        if code < rf.BLANK_REST:
            out.append((runs[at + 1] * 77 + runs[at + 2] * 150 + runs[at + 3] * 29 + 128) >> 8)
            at += 4
        else:
            stored = (257 - code) * 3
            colors = np.frombuffer(runs, np.uint8, stored, at + 1).reshape(-1, 3)
            out += grey_of_rgb(colors).tobytes()
            at += 1 + stored


def _turned(content: mmap | bytes, page: PageAt, look: Look, position: int, sink: Callable[[bytes], Any]) -> None:
    """A back side turned as the printer wants it (PWG 5102.4 section 4.3.2)."""
    cross, feed = look.back(position)
    is_grey = look.pixel_bytes == 1
    rows = np.concatenate(list(raster_read.bands(content, page, is_grey=is_grey)))
    turned = rows[::feed, ::cross]
    for piece in pack(turned.reshape(len(turned), -1), look.pixel_bytes):
        sink(piece)
