"""The sandbox proved: a worker that tries what hostile code would try gets nowhere, and its end disturbs nobody."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from daemon.jobs.analysis import Analyser, DocumentRefused, Workshop, WorkshopLimits
from daemon.jobs.documents import landlock, seccomp
from daemon.kernel.errors import Busy, Unavailable
from tests.helpers import documents

MIB = 1 << 20
LAG_MS_MAX = 100.0


async def nothing():
    yield b"x"


def reading(data: bytes):
    async def read():
        for at in range(0, len(data), 1 << 18):
            yield data[at : at + (1 << 18)]

    return read


@pytest.fixture
async def workshop():
    made = Workshop(WorkshopLimits(cpu_s=2, wall_s=3.0, memory_bytes=512 * MIB))
    yield made
    await made.close()


async def probe(workshop: Workshop, **request) -> dict:
    async with workshop.job("probe", nothing, request) as job:
        return await job.result()


async def test_every_attempt_is_refused(workshop):
    """No file, socket, process, executable memory, signal, tracing, new limit; and only its two descriptors are open."""
    said = await probe(workshop)
    assert len(said["attempts"]) >= 15
    assert set(said["attempts"].values()) == {"refused"}, said
    assert said["open"] == []


async def test_both_locks_are_in_force(workshop):
    """The workshop says what confines its workers, as this kernel offers it."""
    await workshop.start()
    assert workshop.is_confined
    assert workshop.sandbox == {"seccomp": 1, "landlock": landlock.abi()}


@pytest.mark.parametrize("burn", ["cpu", "memory", "wall"])
async def test_using_everything_up_ends_the_worker_only(workshop, burn):
    """Endless computing, memory and waiting each end in a refusal, and the next document is read."""
    await workshop.start()
    with pytest.raises(DocumentRefused) as caught:
        await probe(workshop, burn=burn)
    assert caught.value.code == "document-too-complex"
    assert set((await probe(workshop))["attempts"].values()) == {"refused"}


async def test_cancelling_ends_the_worker(workshop):
    """Whoever stops waiting stops the worker: its place is free at once."""
    await workshop.start()
    tasks = [asyncio.create_task(probe(workshop, burn="cpu")) for _ in range(workshop.limits.workers)]
    await asyncio.sleep(0.3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    began = time.monotonic()
    await probe(workshop)
    assert time.monotonic() - began < 2.0
    assert not workshop._exits


async def test_no_sandbox_no_reading(monkeypatch):
    """Where a lock cannot be had the document is not touched, unless the setting says so."""
    document = documents.numbered(2)
    monkeypatch.setattr("daemon.jobs.worker_pool._COMMAND", _WITHOUT_LANDLOCK)
    for allow, code in ((False, "sandbox-unavailable"), (True, None)):
        analyser = Analyser(Workshop(WorkshopLimits(allow_unconfined=allow)))
        try:
            await analyser.start()
            assert not analyser.workshop.is_confined
            if code is None:
                assert (await analyser.analyse(reading(document))).page_count == 2
            else:
                with pytest.raises(DocumentRefused) as caught:
                    await analyser.analyse(reading(document))
                assert caught.value.code == code
        finally:
            await analyser.close()


_WITHOUT_LANDLOCK = """
import sys
sys.path.insert(0, sys.argv[2])
from daemon.jobs.documents import landlock
landlock._CREATE_RULESET = 9999
from daemon.jobs.documents.server import main
main(int(sys.argv[1]))
"""


async def test_a_dead_server_is_replaced(workshop):
    """When the fork server is killed, its jobs end with a refusal and the next job starts a new one."""
    await workshop.start()
    running = asyncio.create_task(probe(workshop, burn="cpu"))
    await asyncio.sleep(0.3)
    os.kill(workshop._process.pid, 9)
    with pytest.raises((DocumentRefused, Unavailable)):
        await running
    assert set((await probe(workshop))["attempts"].values()) == {"refused"}


async def test_workers_and_waiting_are_limited(workshop, monkeypatch):
    """Beyond the limit of waiting documents the answer is: busy, come again."""
    monkeypatch.setattr("daemon.jobs.worker_pool.WAITING_MAX", 1)
    await workshop.start()
    running = [asyncio.create_task(probe(workshop, burn="wall")) for _ in range(workshop.limits.workers + 1)]
    await asyncio.sleep(0.3)
    with pytest.raises(Busy):
        await probe(workshop)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def test_a_document_larger_than_the_limit_is_refused():
    """More bytes than a reader may be given are refused before anything is parsed."""
    analyser = Analyser(Workshop(WorkshopLimits(document_bytes_max=MIB)))
    with pytest.raises(DocumentRefused) as caught:
        await analyser.analyse(reading(bytes(MIB + 1)))
    assert caught.value.code == "document-too-large"
    await analyser.close()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_sound(machine):
    """Every jump of the filter stays inside it, and it never falls off its end."""
    code = seccomp.program(machine)
    count = len(code) // 8
    for at in range(count):
        operation, jump_true, jump_false, _ = (
            int.from_bytes(code[at * 8 : at * 8 + 2], "little"), code[at * 8 + 2], code[at * 8 + 3], 0,
        )  # fmt: skip
        if operation in (0x15, 0x35, 0x45):
            assert at + 1 + max(jump_true, jump_false) < count
    assert int.from_bytes(code[-8:-6], "little") == 0x06


HOSTILE = {
    "flate bomb": (lambda: documents.flate_bomb(512 * MIB), "document-too-complex"),
    "recursive form": (documents.recursive_form, "document-too-complex"),
    "page loop": (documents.page_loop, "document-format-error"),
    "endless operators": (lambda: documents.endless_operators(12_000_000), "document-too-complex"),
}


async def test_hostile_documents_do_not_disturb_the_daemon():
    """Bombs, loops and endless programs are refused in plain words while the event loop stays responsive."""
    analyser = Analyser(Workshop(WorkshopLimits(cpu_s=4, wall_s=30.0, memory_bytes=512 * MIB)))
    await analyser.start()
    made = {name: build() for name, (build, _) in HOSTILE.items()}
    lags: list[float] = []

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.01)
            lags.append((time.perf_counter() - began - 0.01) * 1000)

    watcher = asyncio.create_task(watch())
    results = await asyncio.gather(*(analyser.analyse(reading(data)) for data in made.values()), return_exceptions=True)
    watcher.cancel()
    codes = {name: getattr(result, "code", result) for name, result in zip(made, results, strict=True)}
    assert codes == {name: code for name, (_, code) in HOSTILE.items()}
    assert sorted(lags)[len(lags) * 99 // 100] < LAG_MS_MAX
    good = await analyser.analyse(reading(documents.numbered(3)))
    assert good.page_count == 3
    await analyser.close()
