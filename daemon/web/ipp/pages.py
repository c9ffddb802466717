"""The few web pages that printer attributes point to: what this queue is, its icons, its strings file."""

from __future__ import annotations

import functools
import html
import struct
import zlib

from daemon.web.ipp.http import Reply, plain

ICON_SIZES = (48, 128, 512)
STRINGS = (
    '"printer.holdfast" = "Holdfast";\n'
    '"media-source.auto" = "Automatic";\n'
    '"media-source.main" = "Main tray";\n'
    '"media-source.alternate" = "Second tray";\n'
)
SECURITY = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)


def page(name: str, titles: tuple[str, ...]) -> Reply:
    """One of our pages; 404 for any other name."""
    if name in ("", "supplies"):
        return Reply(200, _about(titles), "text/html; charset=utf-8", SECURITY)
    if name == "strings/en.strings":
        return Reply(200, STRINGS.encode("utf-8"), "text/strings; charset=utf-8", SECURITY)
    for size in ICON_SIZES:
        if name == f"icon-{size}.png":
            return Reply(200, icon(size), "image/png", (*SECURITY, ("Cache-Control", "max-age=86400")))
    return plain(404)


def _about(titles: tuple[str, ...]) -> bytes:
    items = "".join(f"<li>{html.escape(title)}</li>" for title in titles)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Holdfast</title>'
        '<meta name="viewport" content="width=device-width">'
        "<style>body{font:1.1em/1.5 system-ui,sans-serif;margin:2em auto;max-width:40em;padding:0 1em}</style>"
        "<h1>Holdfast print queue</h1><p>Jobs sent here wait until you sign in at a terminal beside a printer and "
        f"release them. Nothing is charged before it prints.</p><ul>{items}</ul></html>"
    ).encode()


@functools.cache
def icon(size: int) -> bytes:
    """A PNG of a printer with a sheet held in it, drawn on a 16 x 16 grid."""
    rows = [bytearray(b"\0" + _row(y * 16 // size, size)) for y in range(size)]
    head = struct.pack(">IIBBBBB", size, size, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(b"".join(rows), 9))
        + _chunk(b"IEND", b"")
    )


_CLEAR, _BODY, _PAPER, _LIGHT = b"\0\0\0\0", b"\x1f\x3a\x5f\xff", b"\xf4\xf6\xf8\xff", b"\x2f\xa8\x6b\xff"
_GRID = (
    "................", "....pppppppp....", "....pppppppp....", "....pppppppp....", "....pppppppp....",
    ".bbbbbbbbbbbbbb.", ".bbbbbbbbbbbbbb.", ".bbbbbbbbbbbgbb.", ".bbbbbbbbbbbbbb.", ".bbbbbbbbbbbbbb.",
    ".bbbppppppppbbb.", "...bppppppppb...", "....pppppppp....", "....pppppppp....", "....pppppppp....",
    "................",
)  # fmt: skip
_COLORS = {".": _CLEAR, "b": _BODY, "p": _PAPER, "g": _LIGHT}


def _row(line: int, size: int) -> bytes:
    return b"".join(_COLORS[_GRID[line][x * 16 // size]] for x in range(size))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
