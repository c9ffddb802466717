"""Facts of PDF documents: pages counted by two readers, colour seen by rendering small.

The page count is the larger of pdfium's and a walk of the page tree that believes no /Count: a lying count is an old
trick to pay for one page and print three. Colour: each page is rendered at 36 dpi and has colour when its channels lie
further apart than a tolerance somewhere; that finds RGB, spot and CMYK colour, hidden layers stay hidden, and black
made of RGB stays black. Pages whose content can hold no colour (`pdf_plain`) are not even rendered.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from mmap import mmap
from typing import Any

import numpy as np
import pikepdf
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from daemon.jobs.documents.frames import Refuse
from daemon.jobs.documents.pdf_edit import UNCHANGED, edited
from daemon.jobs.documents.pdf_plain import PlainPages, may_be_trusted
from daemon.jobs.documents.source import open_file, open_pdfium, open_pikepdf, too_many_pages, tree_leaves
from daemon.jobs.facts import COLOUR_ASSUMED, PAGE_COUNT_DIFFERS, PDF, UM_PER_POINT, DocumentFacts, PageFact, media_name

SCALE = 0.5
"""36 dpi."""
SIDE_PIXELS_MAX = 1200
"""A page larger than 33 inches is rendered at a smaller scale, so a giant page costs no more than a large one."""
USER_UNIT_MAX = 1000.0
_TWO_BYTES = 0xFFFF


@dataclass(slots=True)
class _Tree:
    """What the page tree itself says: /UserUnit per page, whether a page is plain, and the root's /Count."""

    units: list[float]
    plain: list[bool]
    said: int


def facts(content: mmap, request: dict[str, Any]) -> DocumentFacts:
    """Pages, sizes and colour.

    Raises:
        Refuse: damaged, locked with a password, or too many pages.
    """
    document = open_pdfium(content)
    if len(document) > request["pages_max"]:
        raise too_many_pages(request["pages_max"])
    flags: list[str] = []
    tree = _tree(request["pages_max"], is_judged=may_be_trusted(content))
    if not len(tree.units) == len(document) == tree.said:
        flags.append(PAGE_COUNT_DIFFERS)
        document = _rebuilt(document, pages_min=len(tree.units))
        tree.plain = []
    seen = len(document)
    colors = _colors(document, tree.plain, request)
    if len(colors) < seen:
        flags.append(COLOUR_ASSUMED)
    units = tree.units
    pages = [
        _page(document, index, unit=units[index] if index < len(units) else 1.0, is_color=_at(colors, index))
        for index in range(seen)
    ]
    if len(units) > seen:
        last = pages[-1]
        beyond = PageFact(last.media, is_color=True, width_um=last.width_um, height_um=last.height_um)
        pages += [beyond] * (len(units) - seen)
    return DocumentFacts.of_pages(PDF, pages, flags=tuple(flags))


def _rebuilt(document: pdfium.PdfDocument, *, pages_min: int) -> pdfium.PdfDocument:
    """The document written anew with every page of the tree in it, as delivery will write it; the longer one wins."""
    with open_file() as file:
        anew = open_pdfium(edited(open_pikepdf(file), UNCHANGED, with_copies=False).getvalue())
    return anew if len(anew) >= max(pages_min, len(document)) else document


def _at(colors: list[bool], index: int) -> bool:
    """A page that was not looked at counts as colour."""
    return colors[index] if index < len(colors) else True


def _tree(pages_max: int, *, is_judged: bool) -> _Tree:
    """Walk the page tree; with `is_judged` look at every page's content too."""
    with open_file() as file:
        document = open_pikepdf(file)
        judge = PlainPages()
        found = _Tree([], [], -1)
        for leaf in tree_leaves(document, pages_max=pages_max):
            found.units.append(_user_unit(leaf))
            found.plain.append(is_judged and judge.is_plain(leaf))
        if not found.units:
            raise Refuse("document-format-error", "the document has no pages")
        said = document.Root.Pages.get("/Count")
        found.said = said if isinstance(said, int) else -1
        return found


def _user_unit(leaf: pikepdf.Object) -> float:
    if "/UserUnit" not in leaf:
        return 1.0
    try:
        return min(max(float(leaf["/UserUnit"]), 1.0), USER_UNIT_MAX)
    except (TypeError, ValueError):
        return 1.0


def _page(document: pdfium.PdfDocument, index: int, *, unit: float, is_color: bool) -> PageFact:
    size = pdfium_c.FS_SIZEF()
    pdfium_c.FPDF_GetPageSizeByIndexF(document, index, ctypes.byref(size))
    width, height = (round(side * unit * UM_PER_POINT) for side in (size.width, size.height))
    return PageFact(media_name(width, height), is_color, width, height)


def _colors(document: pdfium.PdfDocument, plain: list[bool], request: dict[str, Any]) -> list[bool]:
    """Whether each page holds colour, for as many pages as the limits on drawing and time allow."""
    until = time.monotonic() + request["color_s_max"]
    out: list[bool] = []
    drawn = 0
    for index in range(len(document)):
        if index < len(plain) and plain[index]:
            out.append(False)
            continue
        if drawn >= request["color_pages_max"] or time.monotonic() > until:
            break
        drawn += 1
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
        dots = pixels.view(np.uint32)  # B, G, R, unused: a dot is grey when each byte equals the next
        is_color = False
        if np.any((dots ^ (dots >> np.uint32(8))) & np.uint32(_TWO_BYTES)):
            blue, green, red = pixels[..., 0], pixels[..., 1], pixels[..., 2]
            high = np.maximum(np.maximum(red, green), blue)
            low = np.minimum(np.minimum(red, green), blue)
            is_color = int(np.count_nonzero(high - low > tolerance)) >= dots_min
        bitmap.close()
    except (pdfium.PdfiumError, ValueError):
        return True
    finally:
        page.close()
    return is_color
