"""A tap: from the reader's event to the job list painted in Chromium; 10,000 held jobs, 50 terminals.

    python -m benchmarks tap

One terminal is the whole kiosk program in its own process with its screen in headless Chromium (800x480, no GPU); the
card is held to its simulated reader by the page itself, so that one clock measures all: from the request that makes
the reader speak to the second frame after the list is in the document, when it is on the glass. The same card again
ends each visit. The other 49 terminals go through the visits of the benchmark `release` meanwhile: sign in, list,
release, print. Then the terminal rests, with a reader of every kind configured, and its memory and processor are read.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import hoard, house, release
from benchmarks.submission import one_page
from kiosk import identity
from tests.helpers.browser import chromium, screen
from tests.helpers.daemon_process import DaemonProcess
from tests.helpers.terminal import Terminal

if TYPE_CHECKING:
    from playwright.async_api import Page

TERMINALS = 50
JOBS, JOBS_EACH = 10_000, 20
TAPS = 60
CARD = "04A224B1C2D380"
CYCLE_S = 20.0
SETTLE_S = 8.0
BETWEEN_S = 0.35
REST_S = 40.0
LIST_MS_MAX = 250.0
RSS_MB_MAX = 70.0
CPU_PERCENT_MAX = 0.5
READERS = """
[[readers]]
name = "desk"
kind = "simulated"
quiet_ms = 100
[[readers]]
name = "contactless"
kind = "pcsc"
[[readers]]
name = "wedge"
kind = "evdev"
match = "No such reader*"
[[readers]]
name = "gate"
kind = "network"
listen = "127.0.0.1:0"
key_file = "gate.keys"
"""
HOLD = """raw => fetch("/ui/tap", {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ raw, reader: "desk" }),
})"""
TAP = f"""async raw => {{
  const begin = performance.now();
  const seen = new Promise(done => {{
    const look = () => document.querySelector(".jobs .job") && done();
    new MutationObserver(look).observe(document.body, {{ childList: true, subtree: true }});
  }});
  await ({HOLD})(raw);
  await seen;
  const listed = performance.now();
  await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return [listed - begin, performance.now() - begin];
}}"""


def at_home(folder: Path, daemon: DaemonProcess, station: hoard.Station) -> Terminal:
    """The enrolled station as a terminal's directory."""
    home = folder / "home"
    identity.save(
        home, daemon_url=f"https://localhost:{daemon.base + 2}", ca_pem=Path(daemon.made["ca_file"]).read_text(),
        terminal_id=station.terminal_id, name="tap", key=station.key, reader="none",
    )  # fmt: skip
    config = home / identity.CONFIG_NAME
    config.write_text(config.read_text() + READERS)
    (home / "gate.keys").write_text(f'[gate]\nkey = "{"5a" * 32}"\n')
    (home / "gate.keys").chmod(0o600)
    return Terminal(home)


async def neighbour(
    daemon: DaemonProcess, number: int, station: hoard.Station, printers: release.Printers, watch: release.Watch
) -> None:
    """Another terminal: one visit every `CYCLE_S`, its event stream open, until cancelled."""
    async with release.link(daemon, station) as line:
        await line.post("/heartbeat", {"version": "bench", "readers": []})
        await asyncio.sleep(CYCLE_S * number / TERMINALS)
        while True:
            try:
                async with asyncio.timeout(CYCLE_S):
                    await release.visit(line, station, printers.arrived[number], watch)
                    await asyncio.sleep(CYCLE_S)
            except TimeoutError:
                continue
            except Exception as error:
                watch.errors.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(1)


async def taps(page: Page) -> dict[str, list[float]]:
    """Tap, read, tap again to leave, wait for the idle screen; `TAPS` times."""
    listed, painted = [], []
    await page.wait_for_selector(".idle")
    for _ in range(TAPS):
        await asyncio.sleep(BETWEEN_S)
        to_list, to_paint = await page.evaluate(TAP, CARD)
        listed.append(to_list)
        painted.append(to_paint)
        await asyncio.sleep(BETWEEN_S)
        await page.evaluate(HOLD, CARD)
        await page.wait_for_selector(".idle")
    return {"listed": listed, "painted": painted}


async def measure(folder: Path) -> tuple[dict[str, float], list[str]]:
    """The figures, and what went wrong at the neighbours."""
    daemon = DaemonProcess(folder / "house", config=house.CONFIG)
    watch = release.Watch()
    found: dict[str, float] = {}
    async with release.Printers(folder / "paper", TERMINALS) as printers, AsyncExitStack() as stack:
        plan = hoard.Plan(jobs=JOBS, residents=TERMINALS, jobs_each=JOBS_EACH)
        first, *others = await hoard.fill(daemon.state, plan, one_page(), printers.uris)
        await asyncio.to_thread(daemon.start)
        stack.callback(daemon.stop)
        await asyncio.to_thread(daemon.cli, "card", "add", "resident0", stdin=CARD + "\n")
        async with daemon.api() as api:
            answer = await api.patch(f"/terminals/{first.terminal_id}", json={"policy": "card"})
            assert answer.is_success, answer.text
        terminal = at_home(folder, daemon, first)
        await terminal.start()
        stack.push_async_callback(terminal.stop)
        crowd = [
            asyncio.create_task(neighbour(daemon, number, station, printers, watch))
            for number, station in zip(itertools.count(1), others)
        ]
        browser = await stack.enter_async_context(chromium())
        shown = await stack.enter_async_context(screen(browser, terminal.url, reduced=True))
        await asyncio.sleep(SETTLE_S)
        found |= _figures(await taps(shown.page))
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        found |= await at_rest(terminal)
    found["visits_beside"] = float(len(watch.first_bytes))
    return found, [*watch.errors, *shown.errors]


def _figures(times: dict[str, list[float]]) -> dict[str, float]:
    found = {}
    for name, values in times.items():
        found[f"{name}_p50_ms"] = statistics.median(values)
        found[f"{name}_p95_ms"] = house.quantile(values, 0.95)
        found[f"{name}_max_ms"] = max(values)
    return found


async def at_rest(terminal: Terminal) -> dict[str, float]:
    """The terminal program with its browser, nobody there: memory, and processor time over `REST_S`."""
    assert terminal.process is not None
    pid = terminal.process.pid
    await asyncio.sleep(SETTLE_S)
    before = house.cpu_s(pid)
    await asyncio.sleep(REST_S)
    return {
        "kiosk_rss_MB": house.status_bytes(pid, "VmRSS") / 1e6,
        "kiosk_cpu_percent": (house.cpu_s(pid) - before) / REST_S * 100,
    }


def run() -> dict[str, Any]:
    """Medians and targets of one run."""
    with house.folder() as folder:
        found, errors = asyncio.run(measure(folder))
    medians = {name: round(value, 2) for name, value in found.items()}
    targets = {"painted_p95_ms": LIST_MS_MAX, "kiosk_rss_MB": RSS_MB_MAX, "kiosk_cpu_percent": CPU_PERCENT_MAX}
    met = {name: medians[name] <= most for name, most in targets.items()}
    return {"name": "tap", "unit": "as named", "medians": medians, "ratios": {}, "targets": targets, "met": met,
            "errors": errors[:5], "errors_total": len(errors)}  # fmt: skip
