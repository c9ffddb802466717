"""Documents made for the tests: small PDF, raster and JPEG files with known pages, and hostile ones."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pikepdf
from PIL import Image, ImageDraw

A4 = (595, 842)
A3 = (842, 1191)
LETTER = (612, 792)
BLACK, GREY, RED = b"0 g", b"0.5 g", b"1 0 0 rg"


def pdf(*pages: dict | bytes, encrypt: pikepdf.Encryption | bool = False) -> bytes:
    """A PDF; each page a dict {size, content, rotate} or just its content."""
    document = pikepdf.new()
    font = document.make_indirect(
        pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
    )
    for spec in pages:
        given = spec if isinstance(spec, dict) else {"content": spec}
        page = document.add_blank_page(page_size=given.get("size", A4))
        page.obj.Contents = document.make_stream(given.get("content", b""))
        page.obj.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F=font))
        if "rotate" in given:
            page.obj.Rotate = given["rotate"]
    out = io.BytesIO()
    document.save(out, encryption=encrypt)
    return out.getvalue()


def text(words: str, color: bytes = BLACK) -> bytes:
    """Page content: forty lines of words and a filled box."""
    lines = b"".join(b"(%d %s) Tj T* " % (k, words.encode()) for k in range(40))
    return b"q " + color + b" 100 100 200 60 re f BT /F 11 Tf 60 760 Td 14 TL " + lines + b"ET Q"


def numbered(count: int, *, color_pages: tuple[int, ...] = (), size: tuple[int, int] = A4) -> bytes:
    """A PDF whose page n has n marks down its left edge; pages in `color_pages` (from 1) have red ones."""
    pages = []
    for number in range(1, count + 1):
        color = RED if number in color_pages else BLACK
        marks = b" ".join(b"40 %d 60 12 re f" % (size[1] - 60 - 20 * k) for k in range(number))
        pages.append({"size": size, "content": color + b" " + marks})
    return pdf(*pages)


def jpeg(width: int = 600, height: int = 400, *, is_color: bool = True, mode: str = "RGB") -> bytes:
    """A JPEG with a coloured or grey half."""
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).rectangle((0, 0, width // 2, height // 2), fill=(220, 30, 30) if is_color else (90, 90, 90))
    out = io.BytesIO()
    image.convert(mode).save(out, "JPEG", quality=90)
    return out.getvalue()


def _packed(rows: np.ndarray, pixel: int) -> bytes:
    """The plainest packing: every line stored as runs of one pixel."""
    out = bytearray()
    for row in rows.reshape(len(rows), -1, pixel):
        out.append(0)
        for value in row:
            out += b"\x00" + value.tobytes()
    return bytes(out)


def rows(width: int, height: int, pixel: int, *, is_color: bool) -> np.ndarray:
    """White, with a box in the corner: red, or dark grey."""
    made = np.full((height, width, pixel), 255, np.uint8)
    made[2:10, 2:10] = (200, 20, 20)[:pixel] if is_color else 40
    return made


def pwg(
    *colors: bool,
    width: int = 248,
    height: int = 351,
    dpi: int = 30,
    pixel: int = 3,
    duplex: bool = False,
    tumble: bool = False,
    copies: int = 0,
    total: int = 0,
) -> bytes:
    """PWG raster, one page per flag (True: a coloured page); A4 at 30 dpi unless told otherwise."""
    out = bytearray(b"RaS2")
    for is_color in colors:
        raw = bytearray(1796)
        raw[0:9] = b"PwgRaster"
        for at, value in (
            (272, duplex), (276, dpi), (280, dpi), (340, copies), (352, 595), (356, 842), (368, tumble), (372, width),
            (376, height), (384, 8), (388, 8 * pixel), (392, width * pixel), (400, 19 if pixel == 3 else 18),
            (420, pixel), (452, total),
        ):  # fmt: skip
            struct.pack_into(">I", raw, at, int(value))
        out += raw + _packed(rows(width, height, pixel, is_color=is_color), pixel)
    return bytes(out)


def urf(*colors: bool, width: int = 248, height: int = 351, dpi: int = 30, duplex: int = 1) -> bytes:
    """Apple raster, one page per flag; its page count field says 0, as clients write it."""
    out = bytearray(b"UNIRAST\0" + bytes(4))
    for is_color in colors:
        out += bytes((24, 1, duplex, 4)) + bytes(8) + struct.pack(">III", width, height, dpi) + bytes(8)
        out += _packed(rows(width, height, 3, is_color=is_color), 3)
    return bytes(out)


# ----- hostile -----


def _raw_pdf(objects: dict[int, bytes]) -> bytes:
    """A PDF file from raw objects; object 1 is the catalogue."""
    out = bytearray(b"%PDF-1.7\n")
    offsets = {}
    for number, body in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start, count = len(out), max(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % count
    for number in range(1, count):
        out += b"%010d 00000 n \n" % offsets[number] if number in offsets else b"0000000000 00000 f \n"
    out += b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (count, start)
    return bytes(out)


def _stream(data: bytes, extra: bytes = b"") -> bytes:
    return b"<</Length %d%s>>stream\n" % (len(data), extra) + data + b"\nendstream"


_PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 9 0 R/Resources<<>>>>"


def lying_count(said: int = 1) -> bytes:
    """Three pages under a /Count that says something else: the pay-for-one trick."""
    return _raw_pdf(
        {
            1: b"<</Type/Catalog/Pages 2 0 R>>",
            2: b"<</Type/Pages/Count %d/Kids[3 0 R 4 0 R 5 0 R]>>" % said,
            3: _PAGE,
            4: _PAGE,
            5: _PAGE,
            9: _stream(b"0 g 50 50 100 100 re f"),
        }
    )


def page_loop() -> bytes:
    """A page tree that contains itself."""
    return _raw_pdf(
        {
            1: b"<</Type/Catalog/Pages 2 0 R>>",
            2: b"<</Type/Pages/Count 2/Kids[3 0 R 6 0 R]>>",
            3: _PAGE,
            6: b"<</Type/Pages/Parent 2 0 R/Count 1/Kids[2 0 R]>>",
            9: _stream(b"0 g 50 50 100 100 re f"),
        }
    )


def flate_bomb(octets: int = 1 << 30) -> bytes:
    """A page content that unpacks to `octets` bytes, packed twice: a few kilobytes."""
    packer = zlib.compressobj(9)
    once = b"".join(packer.compress(b"0 " * (1 << 19)) for _ in range(octets >> 20)) + packer.flush()
    twice = zlib.compress(once, 9)
    return _one_page(_stream(twice, b"/Filter[/FlateDecode/FlateDecode]"))


def _one_page(content: bytes, resources: bytes = b"<<>>", **more: bytes) -> bytes:
    return _raw_pdf(
        {
            1: b"<</Type/Catalog/Pages 2 0 R>>",
            2: b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
            3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 9 0 R/Resources%s>>" % resources,
            9: content,
            **{int(key[1:]): body for key, body in more.items()},
        }
    )


def recursive_form() -> bytes:
    """A form that draws itself twice, and again, and again."""
    form = b"/X Do " * 40
    resources = b"<</XObject<</X 10 0 R>>>>"
    head = b"/Type/XObject/Subtype/Form/BBox[0 0 595 842]/Resources<</XObject<</X %d 0 R>>>>"
    forms = {f"o{n}": _stream(form, head % (n + 1)) for n in range(10, 18)}
    forms["o18"] = _stream(b"1 0 0 rg 0 0 10 10 re f " * 50 + form, head % 10)
    return _one_page(_stream(form), resources, **forms)


def endless_operators(count: int = 30_000_000) -> bytes:
    """Path operators without end, packed small."""
    packer = zlib.compressobj(9)
    line = b"1 1 m 590 840 l 3 w S " * 1000
    data = b"".join(packer.compress(line) for _ in range(count // 1000)) + packer.flush()
    return _one_page(_stream(data, b"/Filter/FlateDecode"))


def giant_page() -> bytes:
    """A page of ten thousand kilometres."""
    return _raw_pdf(
        {
            1: b"<</Type/Catalog/Pages 2 0 R>>",
            2: b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
            3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 3e9 3e9]/Contents 9 0 R/Resources<<>>>>",
            9: _stream(b"1 0 0 rg 0 0 100 100 re f"),
        }
    )
