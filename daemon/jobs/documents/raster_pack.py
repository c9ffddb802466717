"""Writing PWG raster (PWG 5102.4) and Apple raster: headers, and packing lines with numpy instead of a loop per pixel.

Lines are packed in blocks of 64 pixels: a block of one colour becomes a run, any other is stored as it is. Equal
neighbouring lines become one. That is a little larger than the best packing, and some fifty times faster in Python.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daemon.jobs.documents.raster_format import PWG_HEADER_BYTES, PWG_SYNC, URF_HEADER_BYTES, URF_SYNC
from daemon.jobs.facts import media_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BLOCK_PIXELS = 64
LINES_AT_ONCE = 256
"""Lines packed together; also the most one repeat count can say."""
UM_PER_POINT = 25_400 / 72
WHITE_ALTERNATE = 0xFFFFFF

PWG_KINDS = {"black_1": (3, 1, 1, 1), "sgray_8": (18, 8, 8, 1), "srgb_8": (19, 8, 24, 3)}
"""Kind: PWG colour space, bits per colour, bits per pixel, number of colours."""
_URF_KINDS = {"sgray_8": (8, 0), "srgb_8": (24, 1)}
URF_SIDES = {"one-sided": 1, "two-sided-short-edge": 2, "two-sided-long-edge": 3}
_BACKS = {
    ("flipped", "two-sided-long-edge"): (1, -1),
    ("flipped", "two-sided-short-edge"): (-1, 1),
    ("rotated", "two-sided-long-edge"): (-1, -1),
    ("manual-tumble", "two-sided-short-edge"): (-1, -1),
}
"""(sheet-back, sides): cross-feed and feed transform of a back side (PWG 5102.4 table 4); all others are (1, 1)."""


@dataclass(frozen=True, slots=True)
class Look:
    """What all pages of an output raster have in common."""

    is_pwg: bool
    kind: str
    dpi: tuple[int, int]
    sides: str
    copies: int
    quality: int
    total: int
    sheet_back: str = "normal"

    @classmethod
    def of_request(cls, request: dict[str, Any], *, is_pwg: bool, total: int) -> Look:
        """From a delivery request."""
        across, along = request["resolution"]
        return cls(
            is_pwg=is_pwg,
            kind=request["raster_type"],
            dpi=(across, along),
            sides=request["sides"],
            copies=request["copies_sent"],
            quality=request["print_quality"],
            total=total,
            sheet_back=request["sheet_back"],
        )

    @property
    def is_two_sided(self) -> bool:
        """True when pages are the sides of sheets in turn."""
        return self.sides != "one-sided"

    @property
    def pixel_bytes(self) -> int:
        """Bytes a run repeats."""
        return 3 if self.kind == "srgb_8" else 1

    def back(self, position: int) -> tuple[int, int]:
        """Cross-feed and feed transform of the page at a position counted from 0."""
        if not self.is_two_sided or position % 2 == 0:
            return (1, 1)
        return _BACKS.get((self.sheet_back, self.sides), (1, 1))

    def file_header(self) -> bytes:
        """What stands before the first page."""
        return PWG_SYNC if self.is_pwg else URF_SYNC + self.total.to_bytes(4, "big")

    def page_header(self, width: int, height: int, position: int) -> bytes:
        """The header of a page of `width` x `height` pixels."""
        return self._pwg_page(width, height, position) if self.is_pwg else self._urf_page(width, height)

    def _pwg_page(self, width: int, height: int, position: int) -> bytes:
        space, bits, pixel_bits, colors = PWG_KINDS[self.kind]
        width_um, height_um = width * 25_400 / self.dpi[0], height * 25_400 / self.dpi[1]
        cross, feed = self.back(position)
        raw = bytearray(PWG_HEADER_BYTES)
        raw[0:9] = b"PwgRaster"
        name = media_name(round(width_um), round(height_um)).encode()[:63]
        raw[1732 : 1732 + len(name)] = name
        put = struct.Struct(">I").pack_into
        for at, value in (
            (272, int(self.is_two_sided)), (276, self.dpi[0]), (280, self.dpi[1]), (340, self.copies),
            (352, round(width_um / UM_PER_POINT)), (356, round(height_um / UM_PER_POINT)),
            (368, int(self.sides == "two-sided-short-edge")), (372, width), (376, height),
            (384, bits), (388, pixel_bits), (392, (width * pixel_bits + 7) // 8), (400, space), (420, colors),
            (452, self.total), (472, width), (476, height), (480, WHITE_ALTERNATE), (484, self.quality),
        ):  # fmt: skip
            put(raw, at, value)
        struct.pack_into(">ii", raw, 456, cross, feed)
        return bytes(raw)

    def _urf_page(self, width: int, height: int) -> bytes:
        bits, space = _URF_KINDS[self.kind]
        raw = bytearray(URF_HEADER_BYTES)
        raw[0:4] = bytes((bits, space, URF_SIDES[self.sides], self.quality))
        struct.pack_into(">III", raw, 12, width, height, self.dpi[0])
        return bytes(raw)


def pack(lines: NDArray[np.uint8], pixel_bytes: int) -> Iterator[bytes]:
    """Pack lines (one row of bytes each); yields a piece per `LINES_AT_ONCE` lines."""
    for at in range(0, len(lines), LINES_AT_ONCE):
        yield _pack(np.ascontiguousarray(lines[at : at + LINES_AT_ONCE]), pixel_bytes)


def blank(width_bytes: int, height: int, pixel: bytes) -> bytes:
    """A page of one colour."""
    pixels = width_bytes // len(pixel)
    runs, rest = divmod(pixels, 128)
    line = (b"\x7f" + pixel) * runs + (bytes((rest - 1,)) + pixel if rest else b"")
    whole, part = divmod(height, LINES_AT_ONCE)
    return (b"\xff" + line) * whole + (bytes((part - 1,)) + line if part else b"")


def _pack(lines: NDArray[np.uint8], pixel_bytes: int) -> bytes:
    is_new = np.ones(len(lines), bool)
    is_new[1:] = (lines[1:] != lines[:-1]).any(axis=1)
    starts = np.flatnonzero(is_new)
    repeats = np.diff(np.append(starts, len(lines)))
    distinct = lines[starts]
    count, width = len(distinct), lines.shape[1] // pixel_bytes
    blocks = width // BLOCK_PIXELS
    body, body_kept = _blocks(distinct[:, : blocks * BLOCK_PIXELS * pixel_bytes], blocks, BLOCK_PIXELS, pixel_bytes)
    parts = [(repeats - 1).astype(np.uint8).reshape(count, 1), body]
    kept = [np.ones((count, 1), bool), body_kept]
    tail = width - blocks * BLOCK_PIXELS
    if tail:
        rest, rest_kept = _blocks(distinct[:, blocks * BLOCK_PIXELS * pixel_bytes :], 1, tail, pixel_bytes)
        parts.append(rest)
        kept.append(rest_kept)
    packed: bytes = np.concatenate(parts, axis=1)[np.concatenate(kept, axis=1)].tobytes()
    return packed


def _blocks(
    data: NDArray[np.uint8],
    blocks: int,
    pixels: int,
    pixel_bytes: int,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Each block as code + pixels, and which of these bytes to keep: the first pixel only, where it is a run."""
    count, size = len(data), pixels * pixel_bytes
    shaped = data.reshape(count, blocks, pixels, pixel_bytes)
    is_run = (shaped == shaped[:, :, :1, :]).all(axis=(2, 3))
    out = np.empty((count, blocks, 1 + size), np.uint8)
    out[..., 0] = np.where(is_run, pixels - 1, (257 - pixels) & 0xFF)
    out[..., 1:] = shaped.reshape(count, blocks, size)
    kept = np.ones((count, blocks, 1 + size), bool)
    kept[..., 1 + pixel_bytes :] = ~is_run[..., None]
    return out.reshape(count, -1), kept.reshape(count, -1)
