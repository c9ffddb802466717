"""Submission: one-page PDFs by Print-Job, each answered when it is durable; ours against cupsd, same client, same disk.

    python -m benchmarks submission

Ours is a real daemon process: encrypted spool, row and document synced before the answer, documents read by its workers
all the while. cupsd is told to be as careful (`SyncOnClose Yes`, `DirtyCleanInterval 0`), has a raw queue that holds
every job. Both are measured in an empty house (cupsd's jobs are purged before each round, since it writes its list of
all jobs on every change), and again with 3,000 jobs waiting in each (`full`). cupsd syncs its two small files, but
neither the document nor any directory; ours syncs document, directory and row. Rounds are interleaved; one client
alone, and eight at once, over connections kept open. In between one document of 500 MB, while the daemon's memory is
watched.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import sqlite3
import statistics
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self

import pikepdf

from benchmarks import hoard, house, peer_cups
from daemon.ipp import build
from daemon.ipp.codec import decode, encode
from daemon.ipp.registry import GroupTag, Operation
from tests.helpers.daemon_process import DaemonProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ROUNDS = 5
ROUNDS_FULL = 3
WAITING = 3000
"""Held jobs in a house on an ordinary afternoon: cupsd writes its list of all of them for every new one."""
ALONE = 100
CLIENTS = 8
EACH = 25
TIMES_MIN = 2.0
DOCUMENT_BYTES = 20_000
LARGE_BYTES = 500_000_000
LARGE_GROWTH_MB_MAX = 32.0
PIECE_BYTES = 1 << 16
SUCCESSFUL_MAX = 0x00FF
READ_WAIT_S = 90.0
UNREAD = "SELECT count(*) FROM job WHERE facts IS NULL AND state='pending-held'"


def one_page() -> bytes:
    """A page of text with a font's worth of incompressible bytes: 20 kB, as an office sends them."""
    document = pikepdf.new()
    font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
    lines = b"".join(b"(Line %d of the page, with words enough to fill it) Tj T* " % n for n in range(46))
    page = document.add_blank_page(page_size=(595, 842))
    page.obj.Contents = document.make_stream(b"0 g BT /F 11 Tf 60 770 Td 15 TL " + lines + b"ET")
    page.obj.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F=document.make_indirect(font)))
    document.Root.Filler = document.make_stream(random.Random(1).randbytes(DOCUMENT_BYTES - 1500))
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def print_job(uri: str, user: str, document_format: str = "application/pdf") -> bytes:
    """The request before the document."""
    operation = build.group(
        GroupTag.OPERATION,
        {
            "printer-uri": build.uri(uri),
            "requesting-user-name": build.name(user),
            "job-name": build.name("Report"),
            "document-format": build.mime(document_format),
        },
    )
    return encode(build.message(Operation.PRINT_JOB, operation, request_id=1))


class Client:
    """One connection kept open: HTTP/1.1 in as few lines as the two servers need."""

    def __init__(self, port: int, path: str) -> None:
        self._port, self._path = port, path
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._writer.close()

    async def post(self, body: bytes) -> int:
        """Send one request; the IPP status."""
        self._head(f"Content-Length: {len(body)}")
        self._writer.write(body)
        return await self._answer()

    async def post_stream(self, first: bytes, pieces: AsyncIterator[bytes]) -> int:
        """The same with a body nobody ever has in one piece."""
        self._head("Transfer-Encoding: chunked")
        self._writer.write(b"%x\r\n%b\r\n" % (len(first), first))
        async for piece in pieces:
            self._writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await self._writer.drain()
        self._writer.write(b"0\r\n\r\n")
        return await self._answer()

    def _head(self, size: str) -> None:
        self._writer.write(
            f"POST {self._path} HTTP/1.1\r\nHost: localhost:{self._port}\r\n"
            f"Content-Type: application/ipp\r\n{size}\r\n\r\n".encode()
        )

    async def _answer(self) -> int:
        await self._writer.drain()
        while (head := await self._reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100"):
            continue
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise OSError(head.decode("latin-1"))
        size = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        answer, _ = decode(await self._reader.readexactly(size))
        if answer.code > SUCCESSFUL_MAX:
            raise OSError(f"refused with {answer.code:#06x}")
        return answer.code


async def drive(port: int, path: str, document: bytes, *, clients: int, each: int) -> tuple[float, list[float]]:
    """Jobs per second of `clients` at once, and how long each job took in seconds."""
    waits: list[float] = []

    async def one(number: int) -> None:
        body = print_job(f"ipp://localhost:{port}{path}", f"bench{number}") + document
        async with Client(port, path) as client:
            for _ in range(each):
                start = time.perf_counter()
                await client.post(body)
                waits.append(time.perf_counter() - start)

    begin = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(clients)))
    return clients * each / (time.perf_counter() - begin), waits


async def measure(ours: DaemonProcess, cups: peer_cups.Cups | None, *, waiting: int) -> dict[str, list[float]]:
    """Interleaved rounds, with `waiting` held jobs in each beforehand."""
    document = one_page()
    sides = {"ours": (ours.base, "/ipp/print/findme")}
    if cups is not None:
        sides["cupsd"] = (cups.port, f"/printers/{peer_cups.QUEUE}")
        if waiting:
            await drive(*sides["cupsd"], document, clients=CLIENTS, each=waiting // CLIENTS)
    found: dict[str, list[float]] = {}
    for port, path in sides.values():  # people, first files, first statements
        await drive(port, path, document, clients=CLIENTS, each=2)
    for _ in range(ROUNDS if not waiting else ROUNDS_FULL):
        for name, (port, path) in sides.items():
            for shape, clients, each in (("alone", 1, ALONE), ("together", CLIENTS, EACH)):
                if cups is not None and not waiting:
                    await asyncio.to_thread(cups.forget_jobs)
                await until_read(ours)
                rate, waits = await drive(port, path, document, clients=clients, each=each)
                key = f"{name}_{shape}{'_full' if waiting else ''}"
                found.setdefault(f"{key}_per_s", []).append(rate)
                found.setdefault(f"{key}_p50_ms", []).append(statistics.median(waits) * 1e3)
                found.setdefault(f"{key}_p95_ms", []).append(house.quantile(waits, 0.95) * 1e3)
    return found


async def until_read(ours: DaemonProcess) -> None:
    """Let the workers finish with the jobs before, so that no side carries the other's work."""
    with closing(sqlite3.connect(f"file:{ours.state}/holdfast.db?mode=ro", uri=True)) as database:
        until = time.monotonic() + READ_WAIT_S
        while time.monotonic() < until and database.execute(UNREAD).fetchone()[0]:
            await asyncio.sleep(0.2)


async def large(ours: DaemonProcess) -> dict[str, float]:
    """One document of 500 MB: the daemon's memory before and at its highest, until it has also been read."""
    assert ours.process is not None
    pid = ours.process.pid
    before = house.status_bytes(pid, "VmRSS")
    house.reset_peak(pid)
    uri = f"ipp://localhost:{ours.base}/ipp/print/findme"

    async def pieces() -> AsyncIterator[bytes]:
        head = b"%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
        head += b"2 0 obj\n<</Type/Pages/Count 1/Kids[3 0 R]>>\nendobj\n"
        head += b"3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>\nendobj\n"
        offsets = [head.index(b"%d 0 obj" % n) for n in (1, 2, 3)] + [len(head)]
        head += b"4 0 obj\n<</Length %d>>\nstream\n" % LARGE_BYTES
        yield head
        piece = os.urandom(PIECE_BYTES)
        for at in range(0, LARGE_BYTES, PIECE_BYTES):
            yield piece[: LARGE_BYTES - at]
        tail = b"\nendstream\nendobj\n"
        rows = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
        start = len(head) + LARGE_BYTES + len(tail)
        yield tail + b"xref\n0 5\n0000000000 65535 f \n" + rows
        yield b"trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start

    begin = time.perf_counter()
    async with Client(ours.base, "/ipp/print/findme") as client:
        await client.post_stream(print_job(uri, "large"), pieces())
    taken = time.perf_counter() - begin
    accepted = house.status_bytes(pid, "VmHWM")
    await until_read(ours)
    peak = house.status_bytes(pid, "VmHWM")
    found = {
        "large_MB_s": LARGE_BYTES / 1e6 / taken,
        "large_rss_before_MB": before / 1e6,
        "large_rss_peak_MB": accepted / 1e6,
        "large_rss_peak_read_MB": peak / 1e6,
        "large_rss_growth_MB": (peak - before) / 1e6,
    }
    return {name: round(value, 1) for name, value in found.items()}


def _side_by_side(folder: Path, *, waiting: int) -> dict[str, float]:
    cups = peer_cups.Cups(folder / "cups") if peer_cups.is_there() else None
    ours = DaemonProcess(folder / "state", config=house.CONFIG)
    if waiting:
        plan = hoard.Plan(jobs=waiting, residents=0, jobs_each=0)
        asyncio.run(hoard.fill(ours.state, plan, one_page(), []))
    try:
        ours.start()
        if cups is not None:
            cups.start()
        found = asyncio.run(measure(ours, cups, waiting=waiting))
        medians = {name: round(statistics.median(values), 2) for name, values in found.items()}
        return medians if waiting else medians | asyncio.run(large(ours))
    finally:
        ours.stop()
        if cups is not None:
            cups.stop()


def run() -> dict[str, Any]:
    """Medians, ratios and targets of one run."""
    medians: dict[str, float] = {}
    for waiting in (0, WAITING):
        with house.folder() as folder:
            medians |= _side_by_side(folder, waiting=waiting)
    targets: dict[str, Any] = {"large_rss_growth_MB": LARGE_GROWTH_MB_MAX}
    met = {"large_rss_growth_MB": medians["large_rss_growth_MB"] <= LARGE_GROWTH_MB_MAX}
    ratios: dict[str, float] = {}
    for shape in ("alone", "together", "alone_full", "together_full"):
        if f"cupsd_{shape}_per_s" in medians:
            name = f"ours / cupsd, {shape}"
            ratios[name] = round(medians[f"ours_{shape}_per_s"] / medians[f"cupsd_{shape}_per_s"], 2)
            targets[name], met[name] = TIMES_MIN, ratios[name] >= TIMES_MIN
    return {"name": "submission", "unit": "as named", "medians": medians, "ratios": ratios, "targets": targets,
            "met": met}  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
