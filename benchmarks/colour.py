"""Finding colour and counting pages: our confined reader against Ghostscript's inkcov on the same PDFs.

    python benchmarks/colour.py [FOLDER]

Ours is the whole way of a document: bytes through the daemon's pipe into a fresh sandboxed process, two page counts,
colour of every page, facts back; one document after the other. Ghostscript gets the file and starts once per document
too. The documents are made here (office text, text in RGB black, coloured text, scans, photographs, charts), or are the
PDFs of a folder. Rounds are interleaved; medians and ratios are of one run. Counting is timed inside one process, as it
runs in the worker: pdfium's count and the walk of the page tree.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pikepdf
import structlog
from PIL import Image

from daemon.jobs.analysis import Analyser, Workshop, WorkshopLimits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROUNDS = 5
TIMES_MIN = 6.0
COUNT_PAGES_S_MIN = 10_000
COUNT_PAGES = 2000
PIECE_BYTES = 1 << 18


def _text(number: int, color: bytes) -> bytes:
    lines = b"".join(
        b"(Line %d of page %d, with words enough to fill it to its end) Tj T* " % (n, number) for n in range(46)
    )
    return color + b" BT /F 11 Tf 60 770 Td 15 TL " + lines + b"ET"


def _chart(number: int) -> bytes:
    bars = b"".join(
        b"%.2f 0.4 0.7 rg %d 100 8 %d re f " % (n % 10 / 10, 60 + 9 * n, 20 + (n * number) % 300) for n in range(50)
    )
    grid = b"".join(b"60 %d m 540 %d l S " % (100 + 6 * n, 100 + 6 * n) for n in range(60))
    return _text(number, b"0 g") + b" 0.8 G " + grid + bars


def _picture(*, is_color: bool) -> bytes:
    noise = np.random.default_rng(1).normal(0, 12, (1170, 827, 3 if is_color else 1))
    ramp = np.linspace(60, 220, 1170)[:, None, None]
    shape = np.clip(ramp + noise + (np.array([30, 0, -30]) if is_color else 0), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(shape if is_color else shape[..., 0]).save(out, "JPEG", quality=80)
    return out.getvalue()


def _pdf(pages: list[bytes], picture: bytes | None = None, *, is_color: bool = False) -> bytes:
    document = pikepdf.new()
    font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
    resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F=document.make_indirect(font)))
    if picture is not None:
        space = pikepdf.Name.DeviceRGB if is_color else pikepdf.Name.DeviceGray
        image = document.make_stream(
            picture, Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Image, Width=827, Height=1170, ColorSpace=space,
            BitsPerComponent=8, Filter=pikepdf.Name.DCTDecode,
        )  # fmt: skip
        resources.XObject = pikepdf.Dictionary(I=image)
    for content in pages:
        page = document.add_blank_page(page_size=(595, 842))
        page.obj.Contents = document.make_stream(content)
        page.obj.Resources = resources
    out = io.BytesIO()
    document.save(out, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return out.getvalue()


def corpus() -> dict[str, bytes]:
    """Documents as an office prints them."""
    full = b"q 595 0 0 842 0 0 cm /I Do Q"
    return {
        "text": _pdf([_text(n, b"0 g") for n in range(40)]),
        "text in RGB black": _pdf([_text(n, b"0 0 0 rg") for n in range(40)]),
        "coloured text": _pdf([_text(n, b"0.1 0.2 0.6 rg" if n % 3 == 0 else b"0 g") for n in range(20)]),
        "charts": _pdf([_chart(n) for n in range(20)]),
        "scans": _pdf([full] * 10, _picture(is_color=False)),
        "photographs": _pdf([full] * 10, _picture(is_color=True), is_color=True),
    }


async def ours(analyser: Analyser, data: bytes) -> tuple[int, int]:
    """(pages, colour pages) by our reader."""

    async def read() -> AsyncIterator[bytes]:
        for at in range(0, len(data), PIECE_BYTES):
            yield data[at : at + PIECE_BYTES]

    facts = await analyser.analyse(read)
    return facts.page_count, facts.color_page_count


def theirs(path: Path) -> tuple[int, int]:
    """(pages, colour pages) by Ghostscript."""
    command = ["gs", "-q", "-dSAFER", "-dBATCH", "-dNOPAUSE", "-sDEVICE=inkcov", "-o", "-", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pages = [line.split() for line in said.splitlines() if "CMYK" in line]
    return len(pages), sum(any(float(ink) > 0 for ink in page[:3]) for page in pages)


def count_rate() -> float:
    """Pages per second of counting one long document, in a process of its own."""
    data = _pdf([_text(n, b"0 g") for n in range(COUNT_PAGES)])
    ready, told = os.pipe()
    if os.fork() == 0:
        from daemon.jobs.documents import sandbox, source
        from daemon.jobs.documents.source import open_pdfium, open_pikepdf, tree_leaves

        memory = os.memfd_create("document")
        os.write(memory, data)
        spare = os.dup(told)
        os.dup2(memory, sandbox.DOCUMENT_FD)
        source.map_document(len(data))
        timings = []
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            seen = len(open_pdfium(source.mapped()))
            with source.open_file() as file:
                walked = sum(1 for _ in tree_leaves(open_pikepdf(file), pages_max=COUNT_PAGES))
            timings.append(time.perf_counter() - begin)
            assert seen == walked == COUNT_PAGES
        os.write(spare, json.dumps(statistics.median(timings)).encode())
        os._exit(0)
    os.close(told)
    taken = json.loads(os.read(ready, 100))
    os.close(ready)
    os.wait()
    return COUNT_PAGES / taken


async def measure(documents: dict[str, bytes], folder: Path) -> dict[str, Any]:
    """Pages per second by document and side."""
    analyser = Analyser(Workshop(WorkshopLimits(workers=1)))
    await analyser.start()
    has_gs = shutil.which("gs") is not None
    found: dict[str, Any] = {}
    rates: dict[str, list[float]] = {"ours": [], "inkcov": []}
    paths = {name: folder / f"{number}.pdf" for number, name in enumerate(documents)}
    for name, data in documents.items():
        paths[name].write_bytes(data)
    for _ in range(ROUNDS):
        spent = {"ours": 0.0, "inkcov": 0.0}
        pages = 0
        for name, data in documents.items():
            begin = time.perf_counter()
            seen = await ours(analyser, data)
            spent["ours"] += time.perf_counter() - begin
            pages += seen[0]
            row = found.setdefault(name, {"pages": seen[0], "colour_ours": seen[1], "ours_s": [], "inkcov_s": []})
            row["ours_s"].append(time.perf_counter() - begin)
            if has_gs:
                begin = time.perf_counter()
                row["colour_inkcov"] = theirs(paths[name])[1]
                row["inkcov_s"].append(time.perf_counter() - begin)
                spent["inkcov"] += row["inkcov_s"][-1]
        for side, seconds in spent.items():
            if seconds:
                rates[side].append(pages / seconds)
    await analyser.close()
    for row in found.values():
        for side in ("ours_s", "inkcov_s"):
            row[side] = round(statistics.median(row[side]), 4) if row[side] else None
    return {"documents": found, **{side: statistics.median(r) for side, r in rates.items() if r}}


def run(source: Path | None = None) -> dict[str, object]:
    """Medians, ratios and targets of one run."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    documents = {path.name: path.read_bytes() for path in sorted(source.glob("*.pdf"))} if source else corpus()
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        found = asyncio.run(measure(documents, Path(folder)))
    medians = {"ours": round(found["ours"], 1), "counting": round(count_rate())}
    ratios: dict[str, float] = {}
    targets: dict[str, float] = {"counting": COUNT_PAGES_S_MIN}
    if "inkcov" in found:
        medians["inkcov"] = round(found["inkcov"], 1)
        ratios["ours / inkcov"] = round(found["ours"] / found["inkcov"], 2)
        targets["ours / inkcov"] = TIMES_MIN
    met = {name: {**medians, **ratios}[name] >= least for name, least in targets.items()}
    return {
        "name": "colour", "unit": "pages/s", "medians": medians, "ratios": ratios, "targets": targets, "met": met,
        "documents": found["documents"],
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]) if len(sys.argv) > 1 else None), indent=2))
