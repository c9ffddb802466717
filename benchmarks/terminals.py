"""Fifty terminals on one daemon: what is pushed to them, their return after its death, and what their rest costs.

Real agents of the kiosk program (no screen, no reader) over real TLS. Told: from an operator's request to the event at
its terminal, with fifty streams open; from a changed policy to the terminal knowing the new one; from the daemon being
ready after `kill -9` to the last terminal being linked again, and how long the daemon's loop was held up by that; the
daemon's processor time while all of them do nothing.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from benchmarks import hoard, house
from benchmarks.release import lag_counts, lag_ms, link
from daemon.system import SystemClock, SystemDice
from kiosk.agent import Agent
from kiosk.hub import Hub
from kiosk.state import Terminal
from tests.helpers.daemon_process import DaemonProcess

if TYPE_CHECKING:
    import httpx

    from kiosk.state import Event

TERMINALS = 50
COMMANDS = 100
REST_S = 20.0
PUSH_MS_MAX = 100.0
BACK_S_MAX = 5.0


class Station(Agent):
    """An agent that notes when a command reaches it."""

    commanded_ns = 0
    policy_ns: dict[str, int]

    def dispatch(self, event: Event) -> None:
        if type(event).__name__ == "Identify":
            self.commanded_ns = time.perf_counter_ns()
        super().dispatch(event)
        self.__dict__.setdefault("policy_ns", {}).setdefault(self.state.terminal.policy, time.perf_counter_ns())


async def _wait(condition: Any, limit_s: float = 20.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.002)


async def pushes(api: httpx.AsyncClient, stations: list[Station], ids: list[str]) -> dict[str, float]:
    """Commands to terminals in turn, one after the other: request to event."""
    waits, known = [], []
    for n in range(COMMANDS):
        station, ident = stations[n % TERMINALS], ids[n % TERMINALS]
        station.commanded_ns, began = 0, time.perf_counter_ns()
        asked = await api.post(f"/terminals/{ident}/commands", json={"kind": "identify"})
        assert asked.status_code == 202, asked.text
        answered = time.perf_counter_ns()
        await _wait(lambda one=station: one.commanded_ns)
        waits.append((station.commanded_ns - began) / 1e6)
        known.append(max(0, station.commanded_ns - answered) / 1e6)
        await asyncio.sleep(0.02)
    return {
        "push_p50_ms": statistics.median(waits),
        "push_p95_ms": house.quantile(waits, 0.95),
        "push_after_answer_p95_ms": house.quantile(known, 0.95),
    }


async def changes(api: httpx.AsyncClient, stations: list[Station], ids: list[str]) -> dict[str, float]:
    """A terminal's policy: from the request to its screen knowing."""
    waits = []
    for station, ident in zip(stations[:20], ids[:20], strict=True):
        station.policy_ns = {}
        began = time.perf_counter_ns()
        await api.patch(f"/terminals/{ident}", json={"policy": "none"})
        await _wait(lambda one=station: "none" in one.policy_ns)
        waits.append((station.policy_ns["none"] - began) / 1e6)
    return {"policy_p50_ms": statistics.median(waits), "policy_p95_ms": house.quantile(waits, 0.95)}


async def returns(daemon: DaemonProcess, stations: list[Station]) -> dict[str, float]:
    """The daemon dies and is started again: ready to all back."""
    await asyncio.to_thread(daemon.kill)
    await _wait(lambda: not any(one.state.is_linked for one in stations))
    await asyncio.sleep(3.0)
    await asyncio.to_thread(daemon.start)
    began = time.monotonic()
    zero = {float("inf"): 0.0}
    back: dict[int, float] = {}
    while len(back) < len(stations) and time.monotonic() - began < 30:
        for number, one in enumerate(stations):
            if one.state.is_linked:
                back.setdefault(number, time.monotonic() - began)
        await asyncio.sleep(0.005)
    await asyncio.sleep(1.0)
    after = await lag_counts(daemon)
    zero |= dict.fromkeys(after, 0.0)
    times = sorted(back.values())
    return {
        "back_first_s": times[0],
        "back_median_s": statistics.median(times),
        "back_all_s": times[-1] if len(times) == len(stations) else 99.0,
        "back_lag_max_ms": lag_ms(zero, after, 1.0),
    }


async def rest(daemon: DaemonProcess) -> dict[str, float]:
    """The daemon's share of a core while fifty terminals wait for somebody."""
    assert daemon.process is not None
    before, began = house.cpu_s(daemon.process.pid), time.monotonic()
    await asyncio.sleep(REST_S)
    return {"rest_cpu_percent": (house.cpu_s(daemon.process.pid) - before) / (time.monotonic() - began) * 100}


async def crowd(folder: Path) -> dict[str, float]:
    """All of it with one daemon."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    daemon = DaemonProcess(folder / "crowd", config=house.CONFIG)
    plan = hoard.Plan(jobs=0, residents=TERMINALS, jobs_each=0)
    enrolled = await hoard.fill(daemon.state, plan, _one_page(), ["ipp://127.0.0.1:9/ipp/print"])
    await asyncio.to_thread(daemon.start)
    found: dict[str, float] = {}
    dice, clock = SystemDice(), SystemClock()

    def jitter() -> float:
        return int.from_bytes(dice.token(4), "big") / 2**32

    try:
        async with AsyncExitStack() as stack:
            stations = []
            for one in enrolled:
                line = await stack.enter_async_context(link(daemon, one))
                hub = Hub([], clock=clock)
                terminal = Terminal(name="bench", languages=("en",), home_language="en")
                stations.append(Station(link=line, clock=clock, dice=dice, terminal=terminal, hub=hub, jitter=jitter))
            running = [asyncio.create_task(one.run()) for one in stations]
            try:
                await _wait(lambda: all(one.state.is_linked for one in stations))
                await asyncio.sleep(2.0)
                ids = [one.terminal_id for one in enrolled]
                async with daemon.api() as api:
                    found |= await pushes(api, stations, ids)
                    found |= await changes(api, stations, ids)
                found |= await returns(daemon, stations)
                await asyncio.sleep(5.0)
                found |= await rest(daemon)
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
    finally:
        await asyncio.to_thread(daemon.stop)
    return found


def _one_page() -> bytes:
    from tests.helpers.documents import numbered

    return numbered(1)


def run() -> dict[str, Any]:
    """Medians, ratios and targets of one run."""
    with house.folder() as folder:
        found = asyncio.run(crowd(folder))
    medians = {name: round(value, 2) for name, value in found.items()}
    targets = {"push_p95_ms": PUSH_MS_MAX, "back_all_s": BACK_S_MAX}
    return {
        "name": "terminals",
        "unit": f"{TERMINALS} terminals",
        "medians": medians,
        "ratios": {},
        "targets": targets,
        "met": {name: medians[name] <= limit for name, limit in targets.items()},
    }
