"""Pages that cannot hold colour, told from their content without drawing them: most pages of text.

A page is plain when its content names no colour but greys: no pattern, shading, form, annotation or drawn glyph (Type
3 font), pictures of one grey channel only, and every colour operator is `rg`/`RG` with three equal numbers or `k`/`K`
with black ink only.
The default colour is black (ISO 32000-2 section 8.6.4). Anything doubtful is not plain and gets drawn.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pikepdf

if TYPE_CHECKING:
    from mmap import mmap

CONTENT_BYTES_MAX = 1 << 20
"""Packed content larger than this is drawn at once."""
_TEXT = re.compile(
    rb"%[^\r\n]*+|\((?:[^()\\]++|\\.|\((?:[^()\\]++|\\.)*+\))*+\)|<[0-9A-Fa-f\x00\t\n\f\r ]*+>",
    re.DOTALL,
)
"""Comments and strings, in the order a reader meets them; a string may hold one pair of bare parentheses."""
_EDGE = rb"\x00\t\n\f\r \[\]<>()/{}%"
_BEFORE = rb"\x00\t\n\f\r \[\]<>()}{%"  # behind a slash stands a name, not an operator
_ANY = re.compile(rb"(?<![^" + _BEFORE + rb"])(?:rg|RG|k|K|cs|CS|sc|SC|scn|SCN|sh|Do|BI|d0|d1)(?![^" + _EDGE + rb"])")
_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)")
_ZERO = re.compile(rb"0(?:\.0*)?")
_SPACE = (b"\t", b"\n", b"\f", b"\r", b" ")
_FILTERS = frozenset(
    pikepdf.Name(name)
    for name in (
        "/FlateDecode", "/LZWDecode", "/RunLengthDecode", "/ASCII85Decode", "/ASCIIHexDecode", "/CCITTFaxDecode",
        "/JBIG2Decode", "/DCTDecode",
    )
)  # fmt: skip
_MARKER = 0xFF
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
OPERANDS_BYTES = 96
"""How far before an operator its operands are looked for."""


def may_be_trusted(content: mmap) -> bool:
    """False for files with several generations of objects: two readers might not see the same page in them."""
    first = content.find(b"startxref")
    return first >= 0 and content.find(b"startxref", first + 9) < 0 and content.find(b"/XRefStm") < 0


class PlainPages:
    """Judges pages of one document; what it has learnt of shared fonts is kept."""

    def __init__(self) -> None:
        self._fonts: dict[tuple[int, int], bool] = {}
        self._pictures: dict[tuple[int, int], bool] = {}

    def is_plain(self, page: pikepdf.Object) -> bool:
        """True when the page surely holds no colour."""
        try:
            resources = page.get("/Resources")
            if not isinstance(resources, pikepdf.Dictionary) or not _has_plain_annotations(page):
                return False
            draws_greys = self._draws_greys(resources)
            return self._has_plain_fonts(resources) and _has_plain_content(
                page.get("/Contents"), draws_greys=draws_greys
            )
        except (pikepdf.PdfError, ValueError, TypeError, RuntimeError):
            return False

    def _has_plain_fonts(self, resources: Any) -> bool:
        fonts = resources.get("/Font")
        if fonts is None:
            return True
        if not isinstance(fonts, pikepdf.Dictionary):
            return False
        return all(self._is_plain_font(fonts[name]) for name in fonts.keys())  # noqa: SIM118 -- iterating gives pairs

    def _is_plain_font(self, font: Any) -> bool:
        identity = font.objgen
        known = self._fonts.get(identity) if identity != (0, 0) else None
        if known is None:
            known = isinstance(font, pikepdf.Dictionary) and font.get("/Subtype") != pikepdf.Name.Type3
            self._fonts[identity] = known
        return known

    def _draws_greys(self, resources: Any) -> bool:
        """True when whatever `Do` could draw here is a picture of one grey channel."""
        drawn = resources.get("/XObject")
        if not isinstance(drawn, pikepdf.Dictionary):
            return False
        for name in drawn.keys():  # noqa: SIM118 -- iterating gives pairs
            one = drawn[name]
            known = self._pictures.get(one.objgen)
            if known is None:
                known = self._pictures[one.objgen] = _is_grey_picture(one)
            if not known:
                return False
        return True


def _is_grey_picture(one: Any) -> bool:
    """A stencil, or samples of DeviceGray: and for JPEG, what the file itself says, which is what is drawn."""
    if not isinstance(one, pikepdf.Stream) or one.get("/Subtype") != pikepdf.Name.Image:
        return False
    filters = one.get("/Filter")
    names = list(filters) if isinstance(filters, pikepdf.Array) else [] if filters is None else [filters]
    if any(name not in _FILTERS for name in names):
        return False
    if bool(one.get("/ImageMask", False)):
        return names[-1:] != [pikepdf.Name.DCTDecode]
    if one.get("/ColorSpace") != pikepdf.Name.DeviceGray:
        return False
    if pikepdf.Name.DCTDecode not in names:
        return True
    return len(names) == 1 and jpeg_channels(one.read_raw_bytes()) == 1


def jpeg_channels(data: bytes) -> int:
    """Components in a JPEG file's frame header; 0 when there is none to be found."""
    at = 2
    while at + 9 < len(data) and data[at] == _MARKER:
        kind = data[at + 1]
        if kind in _FRAMES:
            return data[at + 9]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0


def _has_plain_annotations(page: Any) -> bool:
    """True when there is nothing but links, which leave no mark on paper."""
    annotations = page.get("/Annots")
    if annotations is None:
        return True
    return isinstance(annotations, pikepdf.Array) and all(
        isinstance(one, pikepdf.Dictionary) and one.get("/Subtype") == pikepdf.Name.Link and "/AP" not in one
        for one in annotations
    )


def _has_plain_content(contents: Any, *, draws_greys: bool) -> bool:
    if contents is None:
        return True
    streams = list(contents) if isinstance(contents, pikepdf.Array) else [contents]
    for stream in streams:
        if not isinstance(stream, pikepdf.Stream) or int(stream.get("/Length", 0)) > CONTENT_BYTES_MAX:
            return False
    data = b"\n".join(stream.read_bytes() for stream in streams)
    return names_only_greys(data, draws_greys=draws_greys)


def names_only_greys(content: bytes, *, draws_greys: bool = False) -> bool:
    """True when every colour operator in a content stream is one of a grey, with `draws_greys` counting `Do` as one."""
    content = _TEXT.sub(b" ! ", content)
    if b"(" in content or b")" in content:
        return False  # a string this reader does not understand could hide anything
    return all((draws_greys and found[0] == b"Do") or _is_grey(content, found) for found in _ANY.finditer(content))


def _is_grey(content: bytes, found: re.Match[bytes]) -> bool:
    """True for rg or RG after three equal numbers, k or K after three zeros and a number, with white space between."""
    begin = max(0, found.start() - OPERANDS_BYTES)
    before = content[begin : found.start()]
    if before[-1:] not in _SPACE or b"\x0b" in before:  # Python splits at a vertical tab, PDF does not
        return False
    words = before.split()
    if begin > 0:
        del words[:1]  # may be cut
    if found[0] in (b"rg", b"RG"):
        return len(words) >= 3 and words[-1] == words[-2] == words[-3] and _NUMBER.fullmatch(words[-1]) is not None
    if found[0] in (b"k", b"K"):
        inks = words[-4:-1]
        return len(inks) == 3 and all(map(_ZERO.fullmatch, inks)) and _NUMBER.fullmatch(words[-1]) is not None
    return False
