"""What a simulated printer puts on paper for a document: sides, and which of them in colour. By simple means.

This is the printer's own opinion, made without any of the daemon's analysis, so that the two can disagree in a test.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Final

RENDER_SCALE: Final = 36 / 72
SPREAD_MAX: Final = 8
"""Channels of a grey pixel differ by at most this."""
PWG_HEADER_BYTES: Final = 1796
URF_HEADER_BYTES: Final = 12
URF_PAGE_BYTES: Final = 32
SIDE_PIXELS_MAX: Final = 200_000
BLANK_REST: Final = 128


class NotADocument(Exception):
    """The octets are not what their format says."""


def count_pages(path: Path, document_format: str) -> list[bool]:
    """One entry per page, True for colour.

    Raises:
        NotADocument: damaged, or of no known format.
    """
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"RaS2"):
        return _pwg(path.read_bytes())
    if head.startswith(b"UNIRAST\0"):
        return _urf(path.read_bytes())
    if head.startswith(b"\xff\xd8"):
        return [_is_color_jpeg(path)]
    if b"%PDF" in head or document_format == "application/pdf":
        return _pdf(path)
    raise NotADocument(document_format)


def _pdf(path: Path) -> list[bool]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(str(path))
    except pypdfium2.PdfiumError as error:
        raise NotADocument(str(error)) from error
    try:
        return [_is_color(page.render(scale=RENDER_SCALE).to_numpy()) for page in document]
    finally:
        document.close()


def _is_color(pixels: Any) -> bool:
    import numpy as np

    if pixels.ndim < 3 or pixels.shape[2] < 3:
        return False
    a, b, c = (pixels[:, :, i] for i in range(3))
    spread = np.maximum(np.maximum(a, b), c) - np.minimum(np.minimum(a, b), c)
    return bool((spread > SPREAD_MAX).any())


def _is_color_jpeg(path: Path) -> bool:
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            image.draft("RGB", (256, 256))
            return _is_color(np.asarray(image.convert("RGB")))
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise NotADocument(str(error)) from error


def _pwg(buf: bytes) -> list[bool]:
    """Pages of a PWG raster file (PWG 5102.4)."""
    at, pages = 4, []
    while at < len(buf):
        if at + PWG_HEADER_BYTES > len(buf):
            raise NotADocument("a page header is cut off")
        width, height = struct.unpack_from(">II", buf, at + 372)
        bits, line_bytes = struct.unpack_from(">II", buf, at + 388)
        at, is_color = _walk(buf, at + PWG_HEADER_BYTES, width, height, line_bytes=line_bytes, pixel=max(1, bits // 8))
        pages.append(is_color)
    return pages


def _urf(buf: bytes) -> list[bool]:
    """Pages of an Apple raster file."""
    at, pages = URF_HEADER_BYTES, []
    while at < len(buf):
        if at + URF_PAGE_BYTES > len(buf):
            raise NotADocument("a page header is cut off")
        bits = buf[at]
        width, height = struct.unpack_from(">II", buf, at + 12)
        at, is_color = _walk(
            buf, at + URF_PAGE_BYTES, width, height, line_bytes=width * bits // 8, pixel=max(1, bits // 8)
        )
        pages.append(is_color)
    return pages


def _walk(buf: bytes, at: int, width: int, height: int, *, line_bytes: int, pixel: int) -> tuple[int, bool]:
    """Step over one page's packed lines; returns what follows and whether a pixel was coloured."""
    if not (0 < width < SIDE_PIXELS_MAX and 0 < height < SIDE_PIXELS_MAX):
        raise NotADocument("impossible page size")
    line, is_color = 0, False
    try:
        while line < height:
            line += buf[at] + 1
            at, x = at + 1, 0
            while x < line_bytes:
                code = buf[at]
                at += 1
                if code == BLANK_REST:
                    break
                stored = pixel if code < BLANK_REST else (257 - code) * pixel
                x += (code + 1) * pixel if code < BLANK_REST else stored
                if pixel == 3 and not is_color:
                    is_color = _has_color(buf[at : at + stored])
                at += stored
    except IndexError as error:
        raise NotADocument("the page is cut off") from error
    if at > len(buf):
        raise NotADocument("the page is cut off")
    return at, is_color


def _has_color(run: bytes) -> bool:
    red, green, blue = run[0::3], run[1::3], run[2::3]
    if red == green == blue:
        return False
    return any(max(p) - min(p) > SPREAD_MAX for p in zip(red, green, blue, strict=False))
