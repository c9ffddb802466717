"""Pictures: JPEG files and raster pages on PDF pages, as grey JPEG, and small for a preview."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from daemon.jobs.documents import raster_format as rf
from daemon.jobs.documents import raster_read, source
from daemon.jobs.documents.analyse import open_jpeg
from daemon.jobs.documents.frames import Refuse
from daemon.jobs.documents.pdf_write import UM_PER_POINT, PicturePdf

if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap

    from PIL.JpegImagePlugin import JpegImageFile

JPEG_QUALITY = 92
_EXIF_ORIENTATION = 274
_CHANNELS = {"L": 1, "RGB": 3, "CMYK": 4}
_A4_UM = (210_000, 297_000)
_TURNS = {3: 2, 6: 1, 8: 3}
"""EXIF orientation to quarter turns clockwise; mirrored ones do not come out of cameras."""
_MATRICES = {
    0: (1, 0, 0, 1, 0, 0),
    1: (0, -1, 1, 0, 0, 1),
    2: (-1, 0, 0, -1, 1, 1),
    3: (0, 1, -1, 0, 1, 0),
}
"""The unit square turned clockwise onto itself."""


def jpeg_pdf(request: dict[str, Any], sink: Callable[[bytes], Any]) -> None:
    """The JPEG, byte for byte, fitted to one page of the paper asked for.

    Raises:
        Refuse: damaged, or a kind of JPEG that PDF cannot carry.
    """
    image = open_jpeg()
    channels = _CHANNELS.get(image.mode)
    if channels is None:
        raise Refuse("document-format-not-supported", "this kind of picture cannot be printed here")
    turns = _turns(image)
    width, height = image.size if turns % 2 == 0 else image.size[::-1]
    low, high = sorted(request["media_um"] or _A4_UM)
    paper = (high, low) if width > height else (low, high)
    x, y, shown_width, shown_height = _fitted((width, height), paper, request["print_scaling"])
    writer = PicturePdf(sink)
    is_inverted = channels == 4 and "adobe" in image.info
    data = memoryview(source.mapped())
    picture = writer.jpeg_picture(*image.size, channels, data, is_inverted=is_inverted)
    a, b, c, d, e, f = _MATRICES[turns]
    matrix = (
        a * shown_width, b * shown_height, c * shown_width, d * shown_height,
        x + e * shown_width, y + f * shown_height,
    )  # fmt: skip
    writer.page(paper, picture, writer.content(matrix))
    writer.finish()


def grey_jpeg(sink: Callable[[bytes], None]) -> int:
    """The JPEG in grey; returns 1, the number of pages.

    Raises:
        Refuse: damaged.
    """
    image = open_jpeg()
    exif = image.getexif().tobytes() if _turns(image) else b""
    packed = io.BytesIO()
    try:
        image.convert("L").save(packed, "JPEG", quality=JPEG_QUALITY, exif=exif)
    except (OSError, SyntaxError, ValueError) as error:
        raise Refuse("document-format-error", "the picture is damaged and cannot be printed") from error
    sink(packed.getvalue())
    return 1


def raster_pdf(content: mmap, request: dict[str, Any], sink: Callable[[bytes], Any]) -> None:
    """Every raster page as a picture on a page of its own size.

    Raises:
        Refuse: damaged, or a kind of raster that cannot be converted.
    """
    writer = PicturePdf(sink)
    for page in raster_read.index(content):
        header = page.header
        is_grey = request["is_grey"] or header.space in rf.GRAY_SPACES
        rows = (band.tobytes() for band in raster_read.bands(content, page, is_grey=is_grey))
        picture = writer.flate_picture(header.width, header.height, 1 if is_grey else 3, rows)
        writer.page(header.size_um, picture, writer.full_page_content(header.size_um))
    writer.finish()


def small_jpeg(longest: int) -> Image.Image:
    """The JPEG decoded small.

    Raises:
        Refuse: damaged.
    """
    image = open_jpeg()
    try:
        image.draft("RGB", (longest, longest))
        small = image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise Refuse("document-format-error", "the picture is damaged and cannot be drawn") from error
    return small.rotate(-90 * _turns(image), expand=True)


def small_raster(content: mmap, number: int, longest: int) -> Image.Image:
    """A raster page by every n-th dot.

    Raises:
        Refuse: damaged.
    """
    pages = raster_read.index(content)
    page = pages[min(max(number, 1), len(pages)) - 1]
    step = max(1, max(page.header.width, page.header.height) // (2 * longest))
    kept: list[Any] = []
    top = 0
    for band in raster_read.bands(content, page, is_grey=False):
        kept.append(band[-top % step :: step, ::step].copy())
        top += len(band)
    return Image.fromarray(np.concatenate(kept))


def _turns(image: JpegImageFile) -> int:
    try:
        return _TURNS.get(int(image.getexif().get(_EXIF_ORIENTATION, 1)), 0)
    except (ValueError, TypeError, SyntaxError, OSError):
        return 0


def _fitted(size: tuple[int, int], paper_um: tuple[int, int], scaling: str) -> tuple[float, float, float, float]:
    """(x, y, width, height) in points of a picture centred on its paper; a picture has no size, so it always scales."""
    width, height = (side / UM_PER_POINT for side in paper_um)
    across, along = width / size[0], height / size[1]
    scale = max(across, along) if scaling == "fill" else min(across, along)
    shown = (size[0] * scale, size[1] * scale)
    return (width - shown[0]) / 2, (height - shown[1]) / 2, shown[0], shown[1]
