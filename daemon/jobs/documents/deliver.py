"""A document made ready for a printer, inside the worker, streamed out page by page.

Every way through: raster stays raster (`raster_rewrite`) where nothing has to be drawn. All else becomes a PDF in
memory first (a JPEG or a raster page is a picture on a page), is edited as a PDF (`pdf_edit`), and then leaves as that
PDF, as a PDF of grey pictures, or as raster pages drawn at the printer's resolution.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pypdfium2 as pdfium

from daemon.jobs.documents import pictures, raster_read, render, source
from daemon.jobs.documents.frames import FrameWriter, Refuse
from daemon.jobs.documents.pdf_edit import BLANK, copy_order, edited
from daemon.jobs.documents.pdf_write import PicturePdf
from daemon.jobs.documents.raster_pack import Look, blank, pack
from daemon.jobs.documents.raster_rewrite import rewritten
from daemon.jobs.facts import HEAD_BYTES, JPEG, PDF, PWG, RASTER_FORMATS, sniff

if TYPE_CHECKING:
    from mmap import mmap

PIECE_BYTES = 1 << 20
_WHITE = {"black_1": b"\x00", "sgray_8": b"\xff", "srgb_8": b"\xff\xff\xff"}


def deliver(request: dict[str, Any], out: FrameWriter) -> dict[str, Any]:
    """Write the printable bytes; the result is {"pages": sides written}.

    Raises:
        Refuse: the document cannot be made what the request asks.
    """
    content = source.mapped()
    kind, target = sniff(content[:HEAD_BYTES]), request["format"]
    if kind in RASTER_FORMATS and target in RASTER_FORMATS and _is_packed_enough(content, request, target):
        return {"pages": rewritten(content, request, out.data, to_pwg=target == PWG)}
    if kind == JPEG and target == JPEG:
        return {"pages": pictures.grey_jpeg(out.data)}
    if target not in (PDF, *RASTER_FORMATS):
        raise Refuse("document-format-not-supported", "this document cannot be turned into what the printer takes")
    is_drawn = target in RASTER_FORMATS or request["is_grey"]
    document = _as_pdf(kind, content, request, with_copies=not is_drawn)
    if not is_drawn:
        if isinstance(document, io.BytesIO):
            view = document.getbuffer()
            out.data(view)
        else:
            out.data(memoryview(document))
        return {"pages": 0}
    return {"pages": _drawn(document, request, target, out)}


def preview(request: dict[str, Any], out: FrameWriter) -> dict[str, Any]:
    """Write a PNG of one page.

    Raises:
        Refuse: it cannot be drawn.
    """
    content = source.mapped()
    kind, longest = sniff(content[:HEAD_BYTES]), request["pixels_max"]
    if kind == JPEG:
        image = pictures.small_jpeg(longest)
    elif kind in RASTER_FORMATS:
        image = pictures.small_raster(content, request["page"], longest)
    else:
        document = source.open_pdfium(content)
        number = min(max(request["page"], 1), len(document)) - 1
        page = document[number]
        scale = longest / max(*page.get_size(), 1.0)
        image = page.render(scale=scale, rev_byteorder=True).to_pil().convert("RGB")
    image.thumbnail((longest, longest))
    png = io.BytesIO()
    image.save(png, "PNG")
    out.data(png.getbuffer())
    return {"width": image.width, "height": image.height}


def _is_packed_enough(content: mmap, request: dict[str, Any], target: str) -> bool:
    """True when the pages can stay packed: all are kept as they are, or have the kind and resolution asked for.

    An empty raster_type means the plan has found that the printer takes every page's kind and resolution.
    """
    if request["number_up"] > 1:
        return False
    if not request["raster_type"]:
        return True
    for page in raster_read.index(content):
        header = page.header
        kind = "sgray_8" if request["is_grey"] and header.kind not in ("black_1", "sgray_8") else header.kind
        if kind != request["raster_type"] or list(header.dpi) != request["resolution"]:
            return False
        if kind == "black_1" and target != PWG:
            return False
    return True


def _as_pdf(kind: str, content: mmap, request: dict[str, Any], *, with_copies: bool) -> mmap | io.BytesIO:
    """The document as PDF, with pages, number-up and perhaps copies applied."""
    is_changed = bool(request["pages"]) or request["number_up"] > 1 or (with_copies and request["copies"] > 1)
    is_changed = is_changed or (kind == PDF and request["is_rewritten"])
    if kind == PDF:
        if not is_changed:
            return content
        return edited(source.open_pikepdf(source.open_file()), request, with_copies=with_copies)
    pdf = io.BytesIO()
    if kind == JPEG:
        pictures.jpeg_pdf(request, pdf.write)
    else:
        pictures.raster_pdf(content, request, pdf.write)
    if not is_changed:
        return pdf
    pdf.seek(0)
    return edited(source.open_pikepdf(pdf), request, with_copies=with_copies)


def _drawn(document: mmap | io.BytesIO, request: dict[str, Any], target: str, out: FrameWriter) -> int:
    opened = source.open_pdfium(document.getvalue() if isinstance(document, io.BytesIO) else document)
    order = copy_order(len(opened), request)
    if target == PDF:
        _grey_pdf(opened, order, request, out)
    else:
        look = Look.of_request(request, is_pwg=target == PWG, total=len(order))
        out.data(look.file_header())
        shown = 0
        for position, index in enumerate(order):
            shown = shown if index == BLANK else index
            _raster_page(opened, shown, look, request, position, out, is_blank=index == BLANK)
    return len(order)


def _place(document: pdfium.PdfDocument, index: int, request: dict[str, Any], *, is_portrait: bool) -> render.Place:
    page = document[index]
    size = render.page_size_um(page)
    page.close()
    media = tuple(request["media_um"]) if request["media_um"] else None
    sheet = render.sheet_for(size, media, is_portrait=is_portrait)
    return render.place(size, sheet, tuple(request["resolution"]), request["print_scaling"])


def _raster_page(  # noqa: PLR0917 -- one page of one stream: document, place in it, look, destination
    document: pdfium.PdfDocument,
    index: int,
    look: Look,
    request: dict[str, Any],
    position: int,
    out: FrameWriter,
    *,
    is_blank: bool,
) -> None:
    where = _place(document, index, request, is_portrait=True)
    width, height = where.sheet
    out.data(look.page_header(width, height, position))
    if is_blank:
        line_bytes = (width + 7) // 8 if look.kind == "black_1" else width * look.pixel_bytes
        out.data(blank(line_bytes, height, _WHITE[look.kind]))
        return
    cross, feed = look.back(position)
    top = 0
    for band in render.bands(document, index, where, is_grey=look.kind != "srgb_8", is_upward=feed < 0):
        rows = band[::feed, ::cross]
        lines = render.one_bit(rows, top) if look.kind == "black_1" else rows.reshape(len(rows), -1)
        top += len(rows)
        for piece in pack(lines, look.pixel_bytes):
            out.data(piece)


def _grey_pdf(document: pdfium.PdfDocument, order: list[int], request: dict[str, Any], out: FrameWriter) -> None:
    """One grey picture per page, drawn once and shown as often as there are copies."""
    writer = PicturePdf(out.data)
    made: dict[int, tuple[tuple[int, int], int, int]] = {}
    shown = 0
    for index in order:
        shown = shown if index == BLANK else index
        if shown not in made:
            where = _place(document, shown, request, is_portrait=False)
            across, along = request["resolution"]
            size = (where.sheet[0] * 25_400 // across, where.sheet[1] * 25_400 // along)
            rows = (band.tobytes() for band in render.bands(document, shown, where, is_grey=True))
            picture = writer.flate_picture(where.sheet[0], where.sheet[1], 1, rows)
            made[shown] = (size, picture, writer.full_page_content(size))
        size, picture, drawing = made[shown]
        if index == BLANK:
            writer.page(size, None, None)
        else:
            writer.page(size, picture, drawing)
    writer.finish()
