"""The distribution's ipptool and its conformance suites: documents made here, results counted line by line.

The exit code and the `Summary:` line of ipptool are not used: both overlook failures in included files.
"""

from __future__ import annotations

import asyncio
import io
import re
import shutil
import struct
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw

SUITES = Path("/usr/share/cups/ipptool")
TOOL = shutil.which("ipptool")
LINE = re.compile(r"^ {4}(.*?)\s+\[(PASS|FAIL|SKIP)\]$")

SIZES_IN = {"a4": (8.2677, 11.6929), "letter": (8.5, 11.0), "4x6": (4.0, 6.0)}
SPACES = {
    "black-1": (3, 1, 1, 1),
    "sgray-8": (18, 8, 8, 1),
    "srgb-8": (19, 8, 24, 3),
    "cmyk-8": (6, 8, 32, 4),
    "srgb-16": (19, 16, 48, 3),
}
RESOLUTIONS = (150, 180, 300, 360, 600, 720)


@dataclass
class Score:
    """What one run came to; `failures` are the names of failed tests with the lines that say why."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)
    skips: list[str] = field(default_factory=list)
    text: str = ""

    @property
    def counts(self):
        return (self.passed, self.failed, self.skipped)


def score(text: str) -> Score:
    """Counts [PASS], [FAIL] and [SKIP] lines."""
    result = Score(text=text)
    lines = text.splitlines()
    for number, line in enumerate(lines):
        found = LINE.match(line)
        if not found:
            continue
        name, word = found.groups()
        if word == "PASS":
            result.passed += 1
        elif word == "SKIP":
            result.skipped += 1
            result.skips.append(name)
        else:
            result.failed += 1
            why = [other for other in lines[number + 1 : number + 8] if other.startswith("        ")]
            result.failures.append("\n".join([name, *why]))
    return result


async def run(
    uri: str,
    suite: str,
    *,
    cwd: Path,
    version: str = "2.0",
    file: str = "document-letter.pdf",
    timeout_s: float = 200,
    options: tuple[str, ...] = (),
) -> Score:
    """One suite against one address. `suite` is a file of the distribution, or a path."""
    assert TOOL, "cups-ipp-utils is not installed"
    path = suite if "/" in suite else str(SUITES / suite)
    process = await asyncio.create_subprocess_exec(
        TOOL,
        "-tI",
        "-T",
        "30",
        "-V",
        version,
        *options,
        "-f",
        file,
        uri,
        path,
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return score(out.decode(errors="replace"))


def picture(*, is_color: bool, size=(400, 600)) -> Image.Image:
    """A page with some marks, coloured ones if asked."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((40, 40, size[0] - 40, 120), fill="red" if is_color else "#444444")
    draw.ellipse((60, 200, 260, 400), outline="blue" if is_color else "black", width=8)
    return image if is_color else image.convert("L")


def jpeg(*, is_color: bool) -> bytes:
    out = io.BytesIO()
    picture(is_color=is_color).save(out, "JPEG", quality=70)
    return out.getvalue()


def pdf(*, pages: int = 4, size: str = "letter", is_color: bool = True) -> bytes:
    """A small PDF of pictures on a paper size."""
    width, height = SIZES_IN[size]
    sheets = [picture(is_color=is_color, size=(int(width * 50), int(height * 50))) for _ in range(pages)]
    out = io.BytesIO()
    sheets[0].save(out, "PDF", save_all=True, append_images=sheets[1:], resolution=50)
    return out.getvalue()


def pwg(*, pages: int, size: str, space: str, dpi: int) -> bytes:
    """PWG raster (PWG 5102.4) of pages that are white but for a band, run-length coded."""
    color_space, bits_color, bits_pixel, colors = SPACES[space]
    width, height = (round(inch * dpi) for inch in SIZES_IN[size])
    points = tuple(round(inch * 72) for inch in SIZES_IN[size])
    line_bytes = (width * bits_pixel + 7) // 8
    header = bytearray(1796)
    header[0:64] = b"PwgRaster".ljust(64, b"\0")
    struct.pack_into(">II", header, 276, dpi, dpi)
    struct.pack_into(">I", header, 340, 1)
    struct.pack_into(">II", header, 352, *points)
    struct.pack_into(">II", header, 372, width, height)
    struct.pack_into(">IIIII", header, 384, bits_color, bits_pixel, line_bytes, 0, color_space)
    struct.pack_into(">I", header, 420, colors)
    struct.pack_into(">I", header, 452, pages)
    struct.pack_into(">ii", header, 456, 1, 1)
    unit = max(1, bits_pixel // 8)
    is_additive = space.startswith("s")
    white, ink = (b"\xff", b"\x00") if is_additive else (b"\x00", b"\xff")
    band = dpi // 2
    body = _lines(height - band, _run(white * unit, line_bytes // unit)) + _lines(
        band, _run(ink * unit, line_bytes // unit)
    )
    return b"RaS2" + (bytes(header) + body) * pages


def _run(unit: bytes, count: int) -> bytes:
    whole, rest = divmod(count, 128)
    return (b"\x7f" + unit) * whole + (bytes([rest - 1]) + unit if rest else b"")


def _lines(count: int, line: bytes) -> bytes:
    whole, rest = divmod(count, 256)
    return (b"\xff" + line) * whole + (bytes([rest - 1]) + line if rest else b"")


def make_documents(folder: Path) -> Path:
    """Everything the suites of the distribution name, in the places they name it."""
    for size in ("a4", "letter"):
        (folder / f"document-{size}.pdf").write_bytes(pdf(size=size))
        (folder / f"document-{size}.ps").write_bytes(b"%!PS\nshowpage\n")
    (folder / "color.jpg").write_bytes(jpeg(is_color=True))
    (folder / "gray.jpg").write_bytes(jpeg(is_color=False))
    for dpi in RESOLUTIONS:
        for space in SPACES:
            place = folder / f"pwg-raster-samples-{dpi}dpi" / space
            place.mkdir(parents=True)
            for name in (
                "color.jpg-4x6",
                "gray.jpg-4x6",
                "document-a4",
                "document-letter",
                "onepage-a4",
                "onepage-letter",
            ):
                size = name.rsplit("-", 1)[1]
                pages = 4 if name.startswith("document") else 1
                (place / f"{name}-{space}-{dpi}dpi.pwg").write_bytes(pwg(pages=pages, size=size, space=space, dpi=dpi))
    return folder
