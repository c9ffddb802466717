"""Facts of a document of any format we take."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, JpegImagePlugin

from daemon.jobs.documents import pdf_facts, raster_facts, source
from daemon.jobs.documents.frames import Refuse
from daemon.jobs.facts import HEAD_BYTES, JPEG, PDF, PWG, URF, DocumentFacts, PageFact, media_name, media_size_um, sniff

IMAGE_PIXELS_MAX = 400_000_000
Image.MAX_IMAGE_PIXELS = IMAGE_PIXELS_MAX
DRAFT_SIDE_PIXELS = 1024
_DEFAULT_SIZE_UM = (210_000, 297_000)


def facts(request: dict[str, Any]) -> dict[str, Any]:
    """Facts in JSON form. What the bytes are decides, not what the client called them.

    Raises:
        Refuse: damaged, locked, too complex, or no format we take.
    """
    content = source.mapped()
    kind = sniff(content[:HEAD_BYTES])
    if kind == PDF:
        found = pdf_facts.facts(content, request)
    elif kind in (PWG, URF):
        found = raster_facts.facts(content, request)
    elif kind == JPEG:
        found = _jpeg_facts(request)
    else:
        raise Refuse("document-format-not-supported", "this is not a PDF, PWG raster, Apple raster or JPEG document")
    return found.to_json()


def open_jpeg() -> JpegImagePlugin.JpegImageFile:
    """The JPEG, not yet decoded.

    Raises:
        Refuse: damaged or too large.
    """
    try:
        return JpegImagePlugin.JpegImageFile(source.open_file())
    except Image.DecompressionBombError as error:
        raise Refuse("document-too-complex", "the picture is too large") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise Refuse("document-format-error", "the picture is damaged and cannot be read") from error


def _jpeg_facts(request: dict[str, Any]) -> DocumentFacts:
    image = open_jpeg()
    width, height = image.size
    if width * height > IMAGE_PIXELS_MAX:
        raise Refuse("document-too-complex", "the picture is too large")
    try:
        is_color = image.mode != "L" and _is_color(image, request["color_tolerance"], request["color_dots_min"])
    except (OSError, SyntaxError, ValueError) as error:
        raise Refuse("document-format-error", "the picture is damaged and cannot be read") from error
    paper = media_size_um(request["default_media"]) or _DEFAULT_SIZE_UM
    low, high = sorted(paper)
    shown = (high, low) if width > height else (low, high)
    page = PageFact(media_name(*shown), is_color, *shown)
    return DocumentFacts.of_pages(JPEG, [page])


def _is_color(image: Image.Image, tolerance: int, dots_min: int) -> bool:
    image.draft("RGB", (DRAFT_SIDE_PIXELS, DRAFT_SIDE_PIXELS))
    pixels = np.asarray(image.convert("RGB"))
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    high = np.maximum(np.maximum(red, green), blue)
    low = np.minimum(np.minimum(red, green), blue)
    return int(np.count_nonzero(high - low > tolerance)) >= dots_min
