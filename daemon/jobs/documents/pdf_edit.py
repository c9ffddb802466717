"""Changing a PDF without drawing it: choosing pages, several pages on one side, copies. Text stays text.

The document is edited in place, so that what belongs to the whole (hidden layers, form fields, output intents) stays.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pikepdf

from daemon.jobs.documents.frames import Refuse
from daemon.jobs.facts import UM_PER_POINT, media_name

if TYPE_CHECKING:
    from collections.abc import Sequence

BLANK = -1
UNCHANGED: dict[str, Any] = {"pages": [], "number_up": 1, "copies": 1}
_NOT_FOR_PAPER = (
    "/Outlines", "/Names", "/Dests", "/StructTreeRoot", "/PageLabels", "/OpenAction", "/AA", "/Threads", "/Collection",
)  # fmt: skip
"""Entries of the catalogue that would keep removed pages alive and mean nothing on paper."""


def edited(document: pikepdf.Pdf, request: dict[str, Any], *, with_copies: bool) -> io.BytesIO:
    """The document with the request's pages, number-up and (unless the caller repeats pages itself) copies.

    Raises:
        Refuse: it cannot be rewritten.
    """
    try:
        for name in _NOT_FOR_PAPER:
            if name in document.Root:
                del document.Root[name]
        keep_pages(document, request["pages"])
        if request["number_up"] > 1:
            _number_up(document, request)
        if with_copies and request["copies"] > 1:
            _copies(document, request)
        out = io.BytesIO()
        document.remove_unreferenced_resources()
        document.save(out, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    except (pikepdf.PdfError, pikepdf.ForeignObjectError, ValueError, TypeError, IndexError) as error:
        raise Refuse("document-format-error", "the document is damaged and cannot be changed for printing") from error
    return out


def keep_pages(document: pikepdf.Pdf, ranges: Sequence[Sequence[int]]) -> None:
    """Remove all pages outside the rising, disjoint (first, last) pairs; no pairs keep everything."""
    if not ranges:
        return
    end = len(document.pages)
    for first, last in reversed([*ranges]):
        del document.pages[min(last, end) : end]
        end = first - 1
    del document.pages[0:end]


def copy_order(sides: int, request: dict[str, Any]) -> list[int]:
    """Indices of the sides to put out for all copies; `BLANK` fills a back so that each copy begins a new sheet."""
    copies, two_sided = request["copies"], request["sides"] != "one-sided"
    per_sheet = 2 if two_sided else 1
    one = list(range(sides))
    if copies == 1:
        return one
    if request["is_uncollated"]:
        sheets = [one[at : at + per_sheet] for at in range(0, sides, per_sheet)]
        filled = [sheet + [BLANK] * (per_sheet - len(sheet)) for sheet in sheets]
        order = [side for sheet in filled for _ in range(copies) for side in sheet]
    else:
        order = (one + [BLANK] * (-sides % per_sheet)) * copies
    while order[-1] == BLANK:
        order.pop()
    return order


def grid(count: int, page: tuple[float, float], sheet: tuple[float, float]) -> tuple[int, int, bool]:
    """(columns, rows, sheet turned) that show `count` pages of a size largest on a sheet of a size."""
    best = (0.0, 1, count, False)
    for is_turned in (False, True):
        width, height = (sheet[1], sheet[0]) if is_turned else sheet
        for columns in range(1, count + 1):
            rows = -(-count // columns)
            scale = min(width / columns / page[0], height / rows / page[1])
            if scale > best[0] + 1e-9:
                best = (scale, columns, rows, is_turned)
    return best[1], best[2], best[3]


def _number_up(document: pikepdf.Pdf, request: dict[str, Any]) -> None:
    """Put groups of pages on new pages, left to right and top to bottom, and remove the old ones."""
    document.generate_appearance_streams()
    document.flatten_annotations("print")
    per_side = request["number_up"]
    old = list(document.pages)
    for group in _groups(old, per_side, is_fixed=request["media_um"] is not None):
        page = _shown_size(group[0])
        sheet = page if request["media_um"] is None else _like(page, request["media_um"])
        columns, rows, is_turned = grid(per_side, page, sheet)
        width, height = (sheet[1], sheet[0]) if is_turned else sheet
        target = document.add_blank_page(page_size=(width, height))
        for at, source in enumerate(group):
            left, top = (at % columns) * width / columns, height - (at // columns) * height / rows
            cell = pikepdf.Rectangle(left, top - height / rows, left + width / columns, top)
            target.add_overlay(source, cell)
    del document.pages[0 : len(old)]


def _groups(pages: list[pikepdf.Page], per_side: int, *, is_fixed: bool) -> list[list[pikepdf.Page]]:
    """Pages that share a side: as in `jobs.counting`, another paper size begins a new side."""
    groups: list[list[pikepdf.Page]] = []
    for page in pages:
        is_new = not groups or len(groups[-1]) == per_side
        if not is_new and not is_fixed and not _is_same_paper(groups[-1][0], page):
            is_new = True
        if is_new:
            groups.append([])
        groups[-1].append(page)
    return groups


def _is_same_paper(one: pikepdf.Page, other: pikepdf.Page) -> bool:
    return _paper(one) == _paper(other)


def _paper(page: pikepdf.Page) -> str:
    width, height = _shown_size(page)
    return media_name(round(width * UM_PER_POINT), round(height * UM_PER_POINT))


def _shown_size(page: pikepdf.Page) -> tuple[float, float]:
    left, bottom, right, top = (float(value) for value in page.cropbox)
    width, height = max(abs(right - left), 1.0), max(abs(top - bottom), 1.0)
    return (height, width) if int(page.obj.get("/Rotate", 0)) % 180 else (width, height)


def _like(page: tuple[float, float], media_um: Sequence[int]) -> tuple[float, float]:
    """The paper in points, in the page's orientation."""
    low, high = sorted(side / UM_PER_POINT for side in media_um)
    return (high, low) if page[0] > page[1] else (low, high)


def _copies(document: pikepdf.Pdf, request: dict[str, Any]) -> None:
    """Every copy's pages behind the originals, then the originals go; the copies share what they show."""
    originals = list(document.pages)
    shown = originals[0]
    for index in copy_order(len(originals), request):
        if index == BLANK:
            document.add_blank_page(page_size=_shown_size(shown))
        else:
            shown = originals[index]
            document.pages.append(shown)
    del document.pages[0 : len(originals)]
