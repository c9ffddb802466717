"""Facts of PDF documents: pages counted by two readers, colour seen by rendering small.

The page count is the larger of pdfium's and a walk of the page tree that believes no /Count: a lying count is an old
trick to pay for one page and print three. Colour: each page is rendered at 36 dpi and has colour when its channels lie
further apart than a tolerance somewhere; that finds RGB, spot and CMYK colour, hidden layers stay hidden, and black
made of RGB stays black.
"""

from __future__ import annotations

import ctypes
import time
from mmap import mmap
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from daemon.jobs.documents.frames import Refuse
from daemon.jobs.documents.pdf_edit import UNCHANGED, edited
from daemon.jobs.documents.source import open_file, open_pdfium, open_pikepdf, too_many_pages, tree_leaves
from daemon.jobs.facts import COLOUR_ASSUMED, PAGE_COUNT_DIFFERS, PDF, UM_PER_POINT, DocumentFacts, PageFact, media_name

SCALE = 0.5
"""36 dpi."""
SIDE_PIXELS_MAX = 1200
"""A page larger than 33 inches is rendered at a smaller scale, so a giant page costs no more than a large one."""
USER_UNIT_MAX = 1000.0


def facts(content: mmap, request: dict[str, Any]) -> DocumentFacts:
    """Pages, sizes and colour.

    Raises:
        Refuse: damaged, locked with a password, or too many pages.
    """
    document = open_pdfium(content)
    if len(document) > request["pages_max"]:
        raise too_many_pages(request["pages_max"])
    flags: list[str] = []
    units, said = _tree(request["pages_max"])
    if not len(units) == len(document) == said:
        flags.append(PAGE_COUNT_DIFFERS)
        document = _rebuilt(document, pages_min=len(units))
    seen = len(document)
    colors = _colors(document, seen, request)
    if len(colors) < seen:
        flags.append(COLOUR_ASSUMED)
    pages = [
        _page(document, index, unit=units[index] if index < len(units) else 1.0, is_color=_at(colors, index))
        for index in range(seen)
    ]
    if len(units) > seen:
        last = pages[-1]
        pages += [PageFact(last.media, is_color=True, width_um=last.width_um, height_um=last.height_um)] * (
            len(units) - seen
        )
    return DocumentFacts.of_pages(PDF, pages, flags=tuple(flags))


def _rebuilt(document: pdfium.PdfDocument, *, pages_min: int) -> pdfium.PdfDocument:
    """The document written anew with every page of the tree in it, as delivery will write it; the longer one wins."""
    with open_file() as file:
        anew = open_pdfium(edited(open_pikepdf(file), UNCHANGED, with_copies=False).getvalue())
    return anew if len(anew) >= max(pages_min, len(document)) else document


def _at(colors: list[bool], index: int) -> bool:
    """A page that was not looked at counts as colour."""
    return colors[index] if index < len(colors) else True


def _tree(pages_max: int) -> tuple[list[float], int]:
    """/UserUnit of every page of the tree (so its length is the page count), and what the root's /Count says."""
    with open_file() as file:
        document = open_pikepdf(file)
        units: list[float] = []
        for leaf in tree_leaves(document, pages_max=pages_max):
            unit = 1.0
            if "/UserUnit" in leaf:
                try:
                    unit = min(max(float(leaf["/UserUnit"]), 1.0), USER_UNIT_MAX)
                except (TypeError, ValueError):
                    unit = 1.0
            units.append(unit)
        if not units:
            raise Refuse("document-format-error", "the document has no pages")
        said = document.Root.Pages.get("/Count")
        return units, said if isinstance(said, int) else -1


def _page(document: pdfium.PdfDocument, index: int, *, unit: float, is_color: bool) -> PageFact:
    size = pdfium_c.FS_SIZEF()
    pdfium_c.FPDF_GetPageSizeByIndexF(document, index, ctypes.byref(size))
    width, height = (round(side * unit * UM_PER_POINT) for side in (size.width, size.height))
    return PageFact(media_name(width, height), is_color, width, height)


def _colors(document: pdfium.PdfDocument, pages: int, request: dict[str, Any]) -> list[bool]:
    """Whether each page holds colour, for as many pages as the limits on pages and time allow."""
    until = time.monotonic() + request["color_s_max"]
    out: list[bool] = []
    for index in range(min(pages, request["color_pages_max"])):
        if time.monotonic() > until:
            break
        color = page_color(document, index, tolerance=request["color_tolerance"], dots_min=request["color_dots_min"])
        out.append(color)
    return out


def page_color(document: pdfium.PdfDocument, index: int, *, tolerance: int, dots_min: int) -> bool:
    """Whether a page holds colour; one that cannot be drawn counts as colour."""
    try:
        page = document[index]
    except pdfium.PdfiumError:
        return True  # pdfium cannot read this page; what a printer makes of it is unknown
    try:
        scale = min(SCALE, SIDE_PIXELS_MAX / max(*page.get_size(), 1.0))
        bitmap = page.render(scale=scale, prefer_bgrx=True, optimize_mode="print")
        pixels = bitmap.to_numpy()
        blue, green, red = pixels[..., 0], pixels[..., 1], pixels[..., 2]
        is_color = False
        if not (np.array_equal(red, green) and np.array_equal(green, blue)):
            high = np.maximum(np.maximum(red, green), blue)
            low = np.minimum(np.minimum(red, green), blue)
            is_color = int(np.count_nonzero(high - low > tolerance)) >= dots_min
        bitmap.close()
    except (pdfium.PdfiumError, ValueError):
        return True
    finally:
        page.close()
    return is_color
