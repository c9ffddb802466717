"""An idle daemon: resident memory without its document workers, and processor time over a minute.

    python -m benchmarks idle

A new installation with two printers and one enrolled terminal, looked at after it has settled. The daemon's own process
is measured by itself; the fork server that holds the document libraries, and its workers, are listed beside it.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from benchmarks import hoard, house
from benchmarks.release import Printers
from benchmarks.submission import one_page
from tests.helpers.daemon_process import DaemonProcess

SETTLE_S = 10.0
SECONDS = 60.0
RSS_MB_MAX = 100.0
CPU_PERCENT_MAX = 0.5


async def measure(state: Any) -> dict[str, float]:
    """The figures."""
    daemon = DaemonProcess(state, config=house.CONFIG)
    async with Printers(state.parent / "paper", 2) as printers:
        await hoard.fill(state, hoard.Plan(jobs=100, residents=1, jobs_each=10), one_page(), printers.uris)
        await asyncio.to_thread(daemon.start)
        try:
            assert daemon.process is not None
            pid = daemon.process.pid
            await asyncio.sleep(SETTLE_S)
            cpu, begin = house.cpu_s(pid), time.monotonic()
            await asyncio.sleep(SECONDS)
            share = (house.cpu_s(pid) - cpu) / (time.monotonic() - begin)
            workers = sum(house.status_bytes(child, "VmRSS") for child in house.children(pid))
            return {
                "rss_MB": house.status_bytes(pid, "VmRSS") / 1e6,
                "document_server_rss_MB": workers / 1e6,
                "cpu_percent": share * 100,
                "start_s": daemon.starts_s[-1],
            }
        finally:
            await asyncio.to_thread(daemon.stop)


def run() -> dict[str, Any]:
    """Figures and limits of one run."""
    with house.folder() as folder:
        medians = {name: round(value, 2) for name, value in asyncio.run(measure(folder / "state")).items()}
    targets = {"rss_MB": RSS_MB_MAX, "cpu_percent": CPU_PERCENT_MAX}
    met = {name: medians[name] <= most for name, most in targets.items()}
    return {"name": "idle", "unit": "as named", "medians": medians, "ratios": {}, "targets": targets, "met": met}


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
