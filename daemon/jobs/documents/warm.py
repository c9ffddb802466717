"""Once through everything in the server, on documents of our own, before the first fork.

Libraries load parts of themselves on first use; a worker could not open those files any more. It is also faster.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pikepdf
from PIL import Image

from daemon.jobs.documents import raster_facts, raster_read, render, source
from daemon.jobs.documents.pdf_edit import edited
from daemon.jobs.documents.pdf_facts import page_color
from daemon.jobs.documents.pdf_write import PicturePdf
from daemon.jobs.documents.raster_pack import Look, pack
from daemon.jobs.documents.raster_rewrite import rewritten

_SIDE = 200
_PAPER_UM = (210_000, 297_000)
_REQUEST: dict[str, Any] = {
    "pages": [[1, 1]], "number_up": 2, "copies": 2, "copies_sent": 1, "is_uncollated": False, "is_grey": True,
    "sides": "two-sided-long-edge", "media_um": None, "raster_type": "srgb_8", "resolution": [72, 72],
    "sheet_back": "rotated", "print_quality": 4, "print_scaling": "auto",
    "pages_max": 10, "color_tolerance": 8, "color_dots_min": 1,
}  # fmt: skip


def warm() -> None:
    """Use every library the way the workers will."""
    colors = np.random.default_rng(0).integers(0, 255, (_SIDE, _SIDE, 3), np.uint8)
    _pictures(colors)
    pdf = io.BytesIO()
    writer = PicturePdf(pdf.write)
    picture = writer.flate_picture(_SIDE, _SIDE, 3, [colors.tobytes()])
    writer.page(_PAPER_UM, picture, writer.full_page_content(_PAPER_UM))
    writer.finish()
    _pdf(pdf)
    _raster(colors)


def _pictures(colors: np.ndarray[Any, Any]) -> None:
    packed = io.BytesIO()
    Image.fromarray(colors).save(packed, "JPEG", quality=90, exif=b"")
    packed.seek(0)
    image = Image.open(packed)
    image.getexif().tobytes()
    image.draft("RGB", (10, 10))
    small = image.convert("RGB").rotate(-90, expand=True)
    small.thumbnail((8, 8))
    small.convert("L").save(io.BytesIO(), "JPEG", quality=90)
    small.save(io.BytesIO(), "PNG")


def _pdf(pdf: io.BytesIO) -> None:
    document = source.open_pdfium(pdf.getvalue())
    page_color(document, 0, tolerance=8, dots_min=1)
    where = render.place(_PAPER_UM, _PAPER_UM, (36, 36), "auto")
    for is_grey in (True, False):
        for band in render.bands(document, 0, where, is_grey=is_grey):
            rows = render.one_bit(band, 3) if is_grey else band[::-1, ::-1].reshape(len(band), -1)
            list(pack(rows, 1 if is_grey else 3))
    document[0].render(scale=0.1, rev_byteorder=True).to_pil().convert("RGB")
    pdf.seek(0)
    edited(source.open_pikepdf(pdf), _REQUEST, with_copies=True)
    for revision in (2, 3, 4, 6):  # each revision's ciphers are loaded on first use
        locked = io.BytesIO()
        with pikepdf.open(pdf) as plain:
            is_aes = revision > 3
            plain.save(locked, encryption=pikepdf.Encryption(owner="warm", R=revision, aes=is_aes, metadata=is_aes))
        with pikepdf.open(locked) as unlocked:
            unlocked.save(io.BytesIO())


def _raster(colors: np.ndarray[Any, Any]) -> None:
    for is_pwg in (True, False):
        look = Look.of_request({**_REQUEST, "resolution": [72, 72]}, is_pwg=is_pwg, total=2)
        page = look.page_header(_SIDE, _SIDE, 0) + b"".join(pack(colors.reshape(_SIDE, -1), 3))
        content = look.file_header() + page + page
        raster_facts.facts(content, _REQUEST)
        for place in raster_read.index(content):
            for band in raster_read.bands(content, place, is_grey=True):
                np.concatenate([band, band])
        rewritten(content, _REQUEST, bytes, to_pwg=not is_pwg)
