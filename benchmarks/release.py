"""Release: 10,000 held jobs and 50 terminals over the signed terminal API; then 100,000 held jobs against 100.

    python -m benchmarks release

Each terminal stands at a printer of its own, keeps its event stream open and goes through a whole visit every 20 s:
sign in with PIN and password, list, release one job, list again, log out. That is 150 visits a minute. The terminals
are the kiosk program's own client (TLS, Ed25519), all in this process; the printers are in another; daemon and workers
run as always. Times are taken here, so they include the client's own work. The loop's lag is the daemon's own metric.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from benchmarks import hoard, house
from benchmarks.submission import one_page
from daemon.system import SystemClock
from kiosk.identity import Counter
from kiosk.link import DaemonLink
from tests.helpers.daemon_process import DaemonProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TERMINALS = 50
JOBS = 10_000
JOBS_EACH = 20
CYCLE_S = 20.0
SECONDS = 90.0
THINK_S = 2.0
PRINT_S = 4.0
FEW, MANY = 100, 100_000
LISTS = 200
FIRST_BYTE_S = 10.0
LIST_MS_MAX = 50.0
FIRST_BYTE_MS_MAX = 100.0
LAG_MS_MAX = 20.0
START_S_MAX = 3.0
SLOWER_MAX = 1.10
"""How much a hundred thousand jobs may differ from a hundred: what two runs of the same thing differ by."""


class Printers:
    """The printers' process; `arrived` holds, per printer, when documents began to arrive."""

    def __init__(self, folder: Path, count: int) -> None:
        self._command = [sys.executable, "-m", "benchmarks.printers", str(count), str(folder)]
        self.uris: list[str] = []
        self.arrived: list[asyncio.Queue[int]] = [asyncio.Queue() for _ in range(count)]
        self._process: asyncio.subprocess.Process
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(*self._command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.uris = json.loads(await self._process.stdout.readline())
        self._task = asyncio.create_task(self._listen(self._process.stdout))
        return self

    async def __aexit__(self, *_exc: object) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._task

    async def _listen(self, lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            number, at_ns = json.loads(line)
            self.arrived[number].put_nowait(at_ns)


@asynccontextmanager
async def link(daemon: DaemonProcess, station: hoard.Station) -> AsyncIterator[DaemonLink]:
    """A terminal's line to the daemon."""
    made = DaemonLink(
        url=f"https://localhost:{daemon.base + 2}",
        ca_pem=Path(daemon.made["ca_file"]).read_text(),
        terminal_id=station.terminal_id,
        key=station.key,
        counter=Counter(station.home / "counter"),
        clock=SystemClock(),
    )
    async with made:
        yield made


class Watch:
    """What one run found, in milliseconds."""

    def __init__(self) -> None:
        self.lists: list[float] = []
        self.sign_ins: list[float] = []
        self.releases: list[float] = []
        self.first_bytes: list[float] = []
        self.own_lags: list[float] = []
        self.errors: list[str] = []

    async def timed(self, into: list[float], call: Any) -> Any:
        """Await `call` and note how long it took."""
        begin = time.perf_counter()
        answer = await call
        into.append((time.perf_counter() - begin) * 1e3)
        return answer

    async def watch_self(self) -> None:
        """How late this process itself is: what it adds to every figure."""
        while True:
            due = time.perf_counter() + 0.05
            await asyncio.sleep(0.05)
            self.own_lags.append((time.perf_counter() - due) * 1e3)


async def visit(line: DaemonLink, station: hoard.Station, arrived: asyncio.Queue[int], watch: Watch) -> None:
    """One person at one terminal."""
    secret = {"pin": station.pin, "password": hoard.PASSWORD}
    session = (await watch.timed(watch.sign_ins, line.post("/session", secret)))["session"]
    stream = asyncio.create_task(_listen(line, session))
    try:
        listed = await watch.timed(watch.lists, line.get("/jobs", session=session))
        await asyncio.sleep(THINK_S)
        job = listed["items"][0]["job_id"]
        begin_ns = time.monotonic_ns()
        body = {"job_ids": [job], "key": f"tap-{job}"}
        await watch.timed(watch.releases, line.post("/release", body, session=session))
        at_ns = await asyncio.wait_for(arrived.get(), FIRST_BYTE_S)
        watch.first_bytes.append((at_ns - begin_ns) / 1e6)
        await asyncio.sleep(PRINT_S)
        await watch.timed(watch.lists, line.get("/jobs", session=session))
    finally:
        stream.cancel()
        with suppress(asyncio.CancelledError):
            await stream
        await line.post("/logout", {}, session=session)


async def _listen(line: DaemonLink, session: str) -> None:
    async for _event in line.events(session=session):
        continue


async def crowd(daemon: DaemonProcess, stations: list[hoard.Station], printers: Printers) -> Watch:
    """All terminals for `SECONDS`, each beginning at its own moment of the cycle."""
    watch = Watch()
    own = asyncio.create_task(watch.watch_self())
    until = time.monotonic() + SECONDS

    async def terminal(number: int, station: hoard.Station) -> None:
        async with link(daemon, station) as line:
            await line.post("/heartbeat", {"version": "bench", "readers": []})
            due = time.monotonic() + CYCLE_S * number / len(stations)
            while due < until:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                try:
                    await visit(line, station, printers.arrived[number], watch)
                except Exception as error:
                    watch.errors.append(f"{type(error).__name__}: {error}")
                due += CYCLE_S

    await asyncio.gather(*(terminal(number, station) for number, station in enumerate(stations)))
    own.cancel()
    return watch


async def lag_counts(daemon: DaemonProcess) -> dict[float, float]:
    """The daemon's histogram of its loop's lag: observations up to each bound in seconds."""
    async with daemon.api() as api:
        answer = await api.get("http://holdfast.local/metrics")
    found = re.findall(r'holdfast_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)', answer.text)
    return {float(bound): float(count) for bound, count in found}


def lag_ms(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """The upper bound of the bucket in which that share of the lags between two looks lies."""
    total = after[float("inf")] - before[float("inf")]
    return next(bound for bound in sorted(after) if after[bound] - before[bound] >= share * total) * 1e3


async def rush(folder: Path) -> tuple[dict[str, float], list[str]]:
    """10,000 held jobs, 50 terminals."""
    daemon = DaemonProcess(folder / "rush", config=house.CONFIG)
    async with Printers(folder / "paper", TERMINALS) as printers:
        plan = hoard.Plan(jobs=JOBS, residents=TERMINALS, jobs_each=JOBS_EACH)
        stations = await hoard.fill(daemon.state, plan, one_page(), printers.uris)
        try:
            await asyncio.to_thread(daemon.start)
            assert daemon.process is not None
            await asyncio.sleep(8)  # the printers are looked at
            before, cpu, begin = await lag_counts(daemon), house.cpu_s(daemon.process.pid), time.monotonic()
            watch = await crowd(daemon, stations, printers)
            used = (house.cpu_s(daemon.process.pid) - cpu) / (time.monotonic() - begin)
            after = await lag_counts(daemon)
        finally:
            await asyncio.to_thread(daemon.stop)
    found: dict[str, float] = {"start_s": daemon.starts_s[-1], "visits": len(watch.first_bytes), "cpu_share": used}
    for name, values in (
        ("list", watch.lists), ("first_byte", watch.first_bytes), ("release", watch.releases),
        ("sign_in", watch.sign_ins), ("own_lag", watch.own_lags),
    ):  # fmt: skip
        found[f"{name}_p50_ms"] = statistics.median(values)
        found[f"{name}_p95_ms"] = house.quantile(values, 0.95)
    found["lag_p99_ms_max"] = lag_ms(before, after, 0.99)
    found["lag_samples"] = after[float("inf")] - before[float("inf")]
    return found, watch.errors


async def lists(folder: Path, jobs: int) -> tuple[dict[str, float], DaemonProcess, list[hoard.Station]]:
    """Make a house of `jobs` in which one person with ten of them signs in; start it."""
    daemon = DaemonProcess(folder / f"house{jobs}", config=house.CONFIG)
    # The printer never answers: the list shows it as it was last seen, and nothing is released here.
    plan = hoard.Plan(jobs=jobs, residents=1, jobs_each=10, jobs_of_others=100)
    stations = await hoard.fill(daemon.state, plan, one_page(), ["ipp://127.0.0.1:9/ipp/print"])
    (folder / "terminal0").rename(folder / f"terminal-{jobs}")
    moved = [hoard.Station(s.terminal_id, s.key, s.pin, folder / f"terminal-{jobs}") for s in stations]
    await asyncio.to_thread(daemon.start)
    return {"start_s": daemon.starts_s[-1]}, daemon, moved


async def few_against_many(folder: Path) -> dict[str, float]:
    """The same person's list in a house of 100 and in one of 100,000, in turn."""
    houses = {jobs: await lists(folder, jobs) for jobs in (FEW, MANY)}
    waits: dict[int, list[float]] = {jobs: [] for jobs in houses}
    try:
        for _ in range(5):
            for jobs, (_, daemon, (station,)) in houses.items():
                async with link(daemon, station) as line:
                    answer = await line.post("/session", {"pin": station.pin, "password": hoard.PASSWORD})
                    session = answer["session"]
                    await line.get("/jobs", session=session)
                    for _ in range(LISTS // 5):
                        begin = time.perf_counter()
                        await line.get("/jobs", session=session)
                        waits[jobs].append((time.perf_counter() - begin) * 1e3)
    finally:
        for _, daemon, _ in houses.values():
            await asyncio.to_thread(daemon.stop)
    found = {f"list_{jobs}_p50_ms": statistics.median(values) for jobs, values in waits.items()}
    found |= {f"list_{jobs}_p95_ms": house.quantile(values, 0.95) for jobs, values in waits.items()}
    return found | {f"start_{jobs}_s": started["start_s"] for jobs, (started, _, _) in houses.items()}


def run() -> dict[str, Any]:
    """Medians, ratios and targets of one run."""
    with house.folder() as folder:
        found, errors = asyncio.run(rush(folder))
    with house.folder() as folder:
        found |= asyncio.run(few_against_many(folder))
    medians = {name: round(value, 2) for name, value in found.items()}
    ratios = {"list with 100,000 / 100": round(medians["list_100000_p50_ms"] / medians["list_100_p50_ms"], 2)}
    targets = {
        "list_p95_ms": LIST_MS_MAX,
        "first_byte_p95_ms": FIRST_BYTE_MS_MAX,
        "lag_p99_ms_max": LAG_MS_MAX,
        "start_s": START_S_MAX,
        "start_100000_s": START_S_MAX,
        "list with 100,000 / 100": SLOWER_MAX,
    }
    met = {name: {**medians, **ratios}[name] <= most for name, most in targets.items()}
    return {"name": "release", "unit": "as named", "medians": medians, "ratios": ratios, "targets": targets,
            "met": met, "errors": errors[:5], "errors_total": len(errors)}  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
