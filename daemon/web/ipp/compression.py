"""Documents compressed by IPP's `compression` attribute, unpacked as they stream, with caps against bombs."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from daemon.kernel.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SUPPORTED = ("none", "gzip", "deflate")
STEP_BYTES = 64 * 1024
RATIO_MAX = 200
"""Real documents stay far below; a run of zero bytes reaches 1030."""
RATIO_FREE_BYTES = 16 * 1024 * 1024
"""Below this size the ratio does not matter."""

_GZIP_WINDOW = 31
_RAW_WINDOW = -15
_ZLIB_WINDOW = 15


class CompressionError(Refusal):
    """The compressed document is damaged, cut off, or a bomb."""

    code = "compression-error"


class CompressionNotSupported(Refusal):
    """None of `SUPPORTED`."""

    code = "compression-not-supported"


class DocumentTooLarge(Refusal):
    """The unpacked document is larger than the queue takes."""

    code = "request-entity-too-large"


async def unpack(chunks: AsyncIterator[bytes], method: str, *, bytes_max: int) -> AsyncIterator[bytes]:
    """The document's plain bytes in steps of at most STEP_BYTES for compressed ones.

    Raises:
        CompressionNotSupported, CompressionError, DocumentTooLarge.
    """
    if method not in SUPPORTED:
        raise CompressionNotSupported(f"compression {method!r} is not supported")
    if method == "none":
        total = 0
        async for chunk in chunks:
            total += len(chunk)
            if total > bytes_max:
                raise DocumentTooLarge(f"the document is larger than {bytes_max} bytes")
            yield chunk
        return
    inflater = _Inflater(method, bytes_max)
    async for chunk in chunks:
        for piece in inflater.feed(chunk):
            yield piece
    inflater.finish()


class _Inflater:
    """gzip (RFC 1952, several members allowed) or deflate (RFC 1951, as CUPS sends it, or RFC 1950 around it)."""

    def __init__(self, method: str, bytes_max: int) -> None:
        self._is_gzip = method == "gzip"
        self._bytes_max = bytes_max
        self._engine = zlib.decompressobj(_GZIP_WINDOW) if self._is_gzip else None
        self._head = b""
        self._taken = 0
        self._given = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._taken += len(data)
        if self._engine is None:
            self._head += data
            if len(self._head) < 2:
                return
            data, self._head = self._head, b""
            self._engine = zlib.decompressobj(_ZLIB_WINDOW if _has_zlib_head(data) else _RAW_WINDOW)
        while data:
            if self._engine.eof:
                if not self._is_gzip:
                    raise CompressionError("there is more after the end of the compressed document")
                self._engine = zlib.decompressobj(_GZIP_WINDOW)
            try:
                piece = self._engine.decompress(data, STEP_BYTES)
            except zlib.error as error:
                raise CompressionError("the compressed document is damaged") from error
            self._count(len(piece))
            data = self._engine.unused_data if self._engine.eof else self._engine.unconsumed_tail
            if piece:
                yield piece
            elif not self._engine.eof:
                break

    def _count(self, size: int) -> None:
        self._given += size
        if self._given > self._bytes_max:
            raise DocumentTooLarge(f"the unpacked document is larger than {self._bytes_max} bytes")
        if self._given > RATIO_FREE_BYTES and self._given > self._taken * RATIO_MAX:
            raise CompressionError("the document unpacks to far more than it is")

    def finish(self) -> None:
        """The stream is over.

        Raises:
            CompressionError: in the middle of the document.
        """
        if self._engine is None or not self._engine.eof:
            raise CompressionError("the compressed document is cut off")


def _has_zlib_head(data: bytes) -> bool:
    """RFC 1950 section 2.2: method 8 and a check that divides by 31."""
    return data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
