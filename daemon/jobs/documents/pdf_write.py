"""A streaming writer of PDF files made of one picture per page: what a document becomes when it is drawn.

Objects are written as they come; only their offsets are kept.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import Any

ZLIB_LEVEL = 3
UM_PER_POINT = 25_400 / 72
_SPACES = {1: b"/DeviceGray", 3: b"/DeviceRGB", 4: b"/DeviceCMYK"}
Sink = Callable[[bytes], Any]


class PicturePdf:
    """Write pictures, then put them on pages, then `finish`."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._at = 0
        self._offsets: dict[int, int] = {}
        self._next = 3  # 1 is the catalogue, 2 the page tree
        self._pages: list[int] = []
        self._put(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")

    def flate_picture(self, width: int, height: int, channels: int, rows: Iterable[bytes]) -> int:
        """A picture from rows of 8-bit samples, packed as they come; returns its object number."""
        number, length = self._new(), self._new()
        self._open(number)
        self._put(
            b"<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace%s/BitsPerComponent 8/Filter/FlateDecode"
            b"/Length %d 0 R>>stream\n" % (width, height, _SPACES[channels], length),
        )
        packer, start = zlib.compressobj(ZLIB_LEVEL), self._at
        for piece in rows:
            self._put(packer.compress(piece))
        self._put(packer.flush())
        size = self._at - start
        self._put(b"\nendstream\nendobj\n")
        self._object(length, b"%d" % size)
        return number

    def jpeg_picture(self, width: int, height: int, channels: int, data: memoryview, *, is_inverted: bool) -> int:
        """A JPEG file as it is; returns its object number. `is_inverted` for CMYK as Adobe writes it."""
        number = self._new()
        self._open(number)
        decode = b"/Decode[1 0 1 0 1 0 1 0]" if is_inverted else b""
        self._put(
            b"<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace%s/BitsPerComponent 8/Filter/DCTDecode%s"
            b"/Length %d>>stream\n" % (width, height, _SPACES[channels], decode, len(data)),
        )
        for at in range(0, len(data), 1 << 20):
            self._put(bytes(data[at : at + (1 << 20)]))
        self._put(b"\nendstream\nendobj\n")
        return number

    def content(self, matrix: tuple[float, float, float, float, float, float]) -> int:
        """A content stream that draws /I by a matrix from the unit square to points; returns its object number."""
        number = self._new()
        numbers = b" ".join(b"%.4f" % value for value in matrix)
        body = b"q " + numbers + b" cm /I Do Q"
        self._object(number, b"<</Length %d>>stream\n" % len(body) + body + b"\nendstream")
        return number

    def page(self, size_um: tuple[int, int], picture: int | None, content: int | None) -> None:
        """A page with a picture, or a blank one. The same picture may be on many pages."""
        number = self._new()
        width, height = (side / UM_PER_POINT for side in size_um)
        body = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %.3f %.3f]/Resources<<" % (width, height)
        if picture is not None:
            body += b"/XObject<</I %d 0 R>>" % picture
        body += b">>"
        if content is not None:
            body += b"/Contents %d 0 R" % content
        self._object(number, body + b">>")
        self._pages.append(number)

    def full_page_content(self, size_um: tuple[int, int]) -> int:
        """A content stream that fills a page of this size with its picture."""
        return self.content((size_um[0] / UM_PER_POINT, 0, 0, size_um[1] / UM_PER_POINT, 0, 0))

    def finish(self) -> None:
        """Page tree, catalogue and cross-reference table."""
        self._object(1, b"<</Type/Catalog/Pages 2 0 R>>")
        kids = b" ".join(b"%d 0 R" % number for number in self._pages)
        self._object(2, b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(self._pages), kids))
        start, count = self._at, self._next
        self._put(b"xref\n0 %d\n0000000000 65535 f \n" % count)
        self._put(b"".join(b"%010d 00000 n \n" % self._offsets[number] for number in range(1, count)))
        self._put(b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (count, start))

    def _new(self) -> int:
        number, self._next = self._next, self._next + 1
        return number

    def _open(self, number: int) -> None:
        self._offsets[number] = self._at
        self._put(b"%d 0 obj\n" % number)

    def _object(self, number: int, body: bytes) -> None:
        self._open(number)
        self._put(body + b"\nendobj\n")

    def _put(self, data: bytes) -> None:
        if data:
            self._at += len(data)
            self._sink(data)
