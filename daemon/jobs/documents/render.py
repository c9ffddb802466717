"""Drawing PDF pages on sheets of paper, in bands: a page of any size and resolution stays within a fixed memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from daemon.jobs.documents.frames import Refuse
from daemon.jobs.facts import UM_PER_POINT, media_name, media_size_um

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BAND_BYTES_MAX = 48 << 20
SIDE_PIXELS_MAX = 60_000
UM_PER_INCH = 25_400
FITS_UM = 2_500
"""A page this much larger than its paper is not scaled: PDF and paper sizes are rounded differently."""
_RED, _GREEN, _BLUE = 77, 150, 29  # Rec. 601 weights of 256: equal channels keep their value
_DITHER = np.array(
    [
        [0, 32, 8, 40, 2, 34, 10, 42], [48, 16, 56, 24, 50, 18, 58, 26], [12, 44, 4, 36, 14, 46, 6, 38],
        [60, 28, 52, 20, 62, 30, 54, 22], [3, 35, 11, 43, 1, 33, 9, 41], [51, 19, 59, 27, 49, 17, 57, 25],
        [15, 47, 7, 39, 13, 45, 5, 37], [63, 31, 55, 23, 61, 29, 53, 21],
    ],
    np.uint8,
) * 4 + 2  # fmt: skip
"""Bayer's 8 x 8 thresholds for grey values 0-255."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page lies on its sheet: pixels from the top left, and quarter turns clockwise."""

    sheet: tuple[int, int]
    x: int
    y: int
    width: int
    height: int
    turns: int


def page_size_um(page: pdfium.PdfPage) -> tuple[int, int]:
    """Width and height as shown, in micrometres."""
    width, height = page.get_size()
    return round(width * UM_PER_POINT), round(height * UM_PER_POINT)


def sheet_for(page_um: tuple[int, int], media_um: tuple[int, int] | None, *, is_portrait: bool) -> tuple[int, int]:
    """The sheet a page goes on: the paper asked for, else the paper of its size; `is_portrait` as it lies in a tray."""
    size = media_um or media_size_um(media_name(*page_um)) or page_um
    if is_portrait:
        return (min(size), max(size))
    return (max(size), min(size)) if page_um[0] > page_um[1] else (min(size), max(size))


def place(page_um: tuple[int, int], sheet_um: tuple[int, int], dpi: tuple[int, int], scaling: str) -> Place:
    """Centred, turned to the sheet's orientation, scaled by print-scaling (PWG 5100.13 section 7.4.2).

    Raises:
        Refuse: the sheet has more pixels than can be drawn.
    """
    turns = int((page_um[0] > page_um[1]) != (sheet_um[0] > sheet_um[1]) and page_um[0] != page_um[1])
    width, height = (page_um[1], page_um[0]) if turns else page_um
    fit = min(sheet_um[0] / max(width, 1), sheet_um[1] / max(height, 1))
    fill = max(sheet_um[0] / max(width, 1), sheet_um[1] / max(height, 1))
    is_fitting = width <= sheet_um[0] + FITS_UM and height <= sheet_um[1] + FITS_UM
    scale = {"none": 1.0, "fit": fit, "fill": fill}.get(scaling, 1.0 if is_fitting else fit)
    sheet = tuple(max(1, round(side * d / UM_PER_INCH)) for side, d in zip(sheet_um, dpi, strict=True))
    if max(sheet) > SIDE_PIXELS_MAX:
        raise Refuse("document-too-complex", "the document's pages are too large to be drawn")
    shown = tuple(max(1, round(side * scale * d / UM_PER_INCH)) for side, d in zip((width, height), dpi, strict=True))
    x, y = (sheet[0] - shown[0]) // 2, (sheet[1] - shown[1]) // 2
    return Place((sheet[0], sheet[1]), x, y, shown[0], shown[1], turns)


def bands(
    document: pdfium.PdfDocument,
    index: int,
    where: Place,
    *,
    is_grey: bool,
    is_upward: bool = False,
) -> Iterator[NDArray[np.uint8]]:
    """The sheet in bands of rows from the top (from the bottom with `is_upward`): rows x width, x 3 unless grey.

    Raises:
        Refuse: the page cannot be drawn.
    """
    width, height = where.sheet
    rows = max(1, min(height, BAND_BYTES_MAX // (width * 4)))
    try:
        page = document[index]
    except pdfium.PdfiumError as error:
        raise Refuse("document-format-error", f"page {index + 1} is damaged and cannot be printed") from error
    try:
        bitmap = pdfium.PdfBitmap.new_native(width, rows, format=pdfium_c.FPDFBitmap_BGRx)
        tops = list(range(0, height, rows))
        for top in reversed(tops) if is_upward else tops:
            count = min(rows, height - top)
            bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, rows)
            _draw(document, page, bitmap, where, top)
            pixels = bitmap.to_numpy()[:count]
            yield _grey(pixels) if is_grey else np.ascontiguousarray(pixels[..., 2::-1])
        bitmap.close()
    finally:
        page.close()


def one_bit(grey: NDArray[np.uint8], top: int) -> NDArray[np.uint8]:
    """Dithered lines of packed bits, 1 = black (PWG's black_1), for grey rows that begin at row `top` of the sheet."""
    rows, width = grey.shape
    thresholds = np.tile(np.roll(_DITHER, -(top % 8), axis=0), (rows // 8 + 1, width // 8 + 1))[:rows, :width]
    return np.packbits(grey < thresholds, axis=1)


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    weighed = pixels[..., 2].astype(np.uint16) * _RED
    weighed += pixels[..., 1].astype(np.uint16) * _GREEN
    weighed += pixels[..., 0].astype(np.uint16) * _BLUE
    weighed += 128
    return (weighed >> 8).astype(np.uint8)


def grey_of_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey values of pixels in the order red, green, blue."""
    return _grey(pixels[..., ::-1])


def _draw(document: pdfium.PdfDocument, page: pdfium.PdfPage, bitmap: pdfium.PdfBitmap, where: Place, top: int) -> None:
    target = (where.x, where.y - top, where.width, where.height, where.turns)
    flags = pdfium_c.FPDF_ANNOT | pdfium_c.FPDF_PRINTING
    pdfium_c.FPDF_RenderPageBitmap(bitmap, page, *target, flags)
    if document.formenv is not None:
        pdfium_c.FPDF_FFLDraw(document.formenv, bitmap, page, *target, flags)
