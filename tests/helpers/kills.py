"""kill -9 under load, over and over, against a real printer; afterwards every promise is checked. Scales by its count.

Clients submit over IPP and release through the API with keys of their own; the daemon is killed at a random moment and
started again; clients repeat what got no answer, with the same key. In the end: every acknowledged job exists, no
document came out of the printer twice, every reservation is resolved, what was charged is what was printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from daemon.devices.errors import PrinterRefused, PrinterUnreachable
from daemon.devices.ipp_client import PrinterClient
from daemon.devices.targets import parse_networks
from tests.helpers.daemon_process import DaemonProcess
from tests.helpers.documents import numbered
from tests.helpers.ippeveprinter import running

PAGES = 3
SETTLE_S = 120.0
UNDER_WAY_MAX = 5
CONFIG = """
[release]
uncertain_after_s = 20
[profiles.standard]
pots = [{ unit = "pages", amount = 1000000, period = "none" }]
"""


@dataclass
class Tale:
    """What clients were told."""

    acknowledged: dict[int, str] = field(default_factory=dict)
    """IPP job-id -> title."""
    released: set[str] = field(default_factory=set)
    """Titles whose release was answered with yes."""
    kills: int = 0
    titles: int = 0


async def _body(content: bytes):
    yield content


async def _submit(daemon: DaemonProcess, tale: Tale, dice: random.Random) -> None:
    tale.titles += 1
    title = f"job-{tale.titles}-{dice.randrange(10**9)}"
    client = PrinterClient(daemon.ipp, allow_networks=parse_networks(("127.0.0.0/8", "::1/128")))

    async def nothing() -> None:
        return None

    with contextlib.suppress(PrinterUnreachable, PrinterRefused):
        sent = await client.print_document(
            format="application/pdf", attributes={}, job_name=title, user_name="anna",
            body=_body(numbered(PAGES)), on_sending=nothing,
        )  # fmt: skip
        tale.acknowledged[sent.job_id] = title


async def _release_one(daemon: DaemonProcess, tale: Tale) -> None:
    """Release a waiting job under the key made from its title: repeated after a crash it is the same request."""
    async with daemon.api() as api:
        under_way = (await api.get("/jobs", params={"state": "processing", "limit": UNDER_WAY_MAX})).json()["items"]
        if len(under_way) == UNDER_WAY_MAX:
            return  # the witness prints one job at a time: a longer line only makes the end wait
        listed = (await api.get("/jobs", params={"state": "pending-held"})).json()["items"]
        for job in listed:
            if job["name"] in tale.released or not job["pages"]:
                continue
            answer = await api.post(
                f"/jobs/{job['job_id']}/release", json={"printer": "witness"}, headers={"Idempotency-Key": job["name"]}
            )
            if answer.status_code == 202:
                tale.released.add(job["name"])
            return


async def _load(daemon: DaemonProcess, tale: Tale, dice: random.Random) -> None:
    while True:
        await _submit(daemon, tale, dice)
        for _ in range(2):
            with contextlib.suppress(httpx.HTTPError, KeyError, ValueError):
                await _release_one(daemon, tale)
        await asyncio.sleep(dice.uniform(0, 0.2))


async def _settled(daemon: DaemonProcess) -> dict[str, dict]:
    """Every job by title, once nothing is under way any more."""
    async with daemon.api() as api, asyncio.timeout(SETTLE_S):
        while True:
            jobs: list[dict] = []
            after = ""
            while True:
                page = (await api.get("/jobs", params={"state": "all", "limit": 100, "after": after})).json()
                jobs += page["items"]
                after = page["next"]
                if not after:
                    break
            if not any(j["state"] in ("pending", "processing", "processing-stopped") for j in jobs):
                return {j["name"]: j for j in jobs}
            await asyncio.sleep(0.5)


async def run(folder: Path, *, kills: int, seed: int) -> Tale:
    """`kills` times kill -9, then the checks; an AssertionError names the first broken promise."""
    dice, tale = random.Random(seed), Tale()
    daemon = await asyncio.to_thread(DaemonProcess, folder / "state", config=CONFIG)
    async with running() as printer:
        printer.behave("ok", pages=PAGES, page_s=0.02)
        try:
            await asyncio.to_thread(daemon.start)
            daemon.cli("user", "add", "anna")
            daemon.cli("printer", "add", "witness", "--uri", printer.uri)
            for _ in range(kills):
                load = [asyncio.create_task(_load(daemon, tale, dice)) for _ in range(2)]
                await asyncio.sleep(dice.uniform(0.1, 1.6))
                daemon.kill()
                tale.kills += 1
                for task in load:
                    task.cancel()
                await asyncio.gather(*load, return_exceptions=True)
                await asyncio.to_thread(daemon.start)
            jobs = await _settled(daemon)
            _check(daemon, tale, jobs, _printed(printer))
        finally:
            daemon.kill()
    return tale


def _printed(printer) -> Counter:
    """How often each of our deliveries came out, by the job-name the printer saw."""
    return Counter(printer.environment(d).get("IPP_JOB_NAME", "") for d in printer.documents())


def _check(daemon: DaemonProcess, tale: Tale, jobs: dict[str, dict], printed: Counter) -> None:
    lost = [t for t in tale.acknowledged.values() if t not in jobs]
    assert not lost, f"acknowledged and gone: {lost}"
    twice = {name: n for name, n in printed.items() if n > 1}
    assert not twice, f"came out twice: {twice}"
    completed = [j for j in jobs.values() if j["state"] == "completed"]
    assert len(completed) == sum(printed.values()), (len(completed), sum(printed.values()))
    account = daemon.cli("account", "show", "anna")["accounts"][0]
    assert account["reserved"]["amount"] == 0
    charged = 1_000_000 - account["balance"]["amount"]
    assert charged == sum(j["printed"]["impressions"] for j in completed) == PAGES * sum(printed.values())
    unkept = [t for t in tale.released if t in jobs and jobs[t]["state"] not in ("completed", "pending-held")]
    assert not unkept, f"released and neither printed nor waiting again: {unkept}"
    assert daemon.cli("ledger", "verify")["ok"]
