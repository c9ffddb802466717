"""The PWG's IPP Everywhere self-certification, run where its files are (they are not part of this project).

Set HOLDFAST_SELFCERT to a folder with `ipp-tests.test` and `document-tests.test` (istopwg/ippeveselfcert, `tests/`);
the documents they name are made here, under the same names. Without it the tests of those files are left out; what
they are about is tested all the same.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from daemon.cli.demo_house import SINK
from daemon.devices.simulated import Model, SimulatedPrinter
from daemon.ipp import build
from daemon.ipp.registry import JobState, Operation
from daemon.system import SystemClock
from tests.helpers import ipptool
from tests.helpers.ipp_post import ask
from tests.helpers.running import running

FILES = os.environ.get("HOLDFAST_SELFCERT", "")
ACCEPTANCE = '\n[queues.acceptance]\ntitle = "Acceptance"\nauto_release = "sink"\n'
PATH = "/ipp/print/acceptance"
RUN_S = 280
A4, LETTER = "iso_a4_210x297mm", "na_letter_8.5x11in"

needs_files = pytest.mark.skipif(not FILES, reason="HOLDFAST_SELFCERT does not name the PWG's files")


async def _with_sink(one, folder, model):
    folder.mkdir()
    printer = SimulatedPrinter(folder, clock=SystemClock(), page_ms=1, model=model)
    await printer.start()
    await one.cli("printer", "add", "sink", "--uri", printer.uri, "--state", str(one.state))
    return printer


@pytest.fixture
async def house(tmp_path):
    """A daemon whose acceptance queue passes jobs on to the demo's sink: (daemon, printer)."""
    async with running(tmp_path, ACCEPTANCE) as one:
        printer = await _with_sink(one, tmp_path / "out", SINK[1])
        yield one, printer
        await printer.close()


async def _queue(one):
    return (await ask(one.base, PATH, Operation.GET_PRINTER_ATTRIBUTES)).message.printer


async def _until(one, holds, seconds=20):
    async with asyncio.timeout(seconds):
        while not holds(queue := await _queue(one)):
            await asyncio.sleep(0.1)
    return queue


def _suite(name: str, folder: Path) -> Path:
    """The PWG's file beside our documents, under both ways its versions spell their names."""
    shutil.copy(Path(FILES) / name, folder / name)
    ipptool.make_documents(folder)
    for place in folder.glob("pwg-raster-samples-*dpi/*"):
        for file in place.glob("*.jpg-4x6-*"):
            (place / file.name.replace(".jpg-4x6", "-4x6")).symlink_to(file)
    return folder / name


@needs_files
@pytest.mark.parametrize("name", ["ipp-tests.test", "document-tests.test"])
async def test_the_self_certification_has_no_failure(house, tmp_path, name):
    """Every IPP test passes, and of the document tests all but those of CMYK, which the queue does not offer."""
    suite = _suite(name, tmp_path)
    result = await ipptool.run(house[0].ipp("acceptance"), str(suite), cwd=tmp_path, timeout_s=RUN_S)
    assert result.failures == []
    assert result.passed >= 41
    assert name != "ipp-tests.test" or result.skipped == 0
    assert all("cmyk" in skip or "Wait for job" in skip for skip in result.skips)


async def test_a_queue_shows_the_paper_of_its_printer(house):
    """`media-ready` and `media-col-ready` are what the printer behind has loaded, tray by tray."""
    one, _printer = house
    ready = ("na_letter_8.5x11in", "iso_a3_297x420mm")
    await ask(one.base, PATH, Operation.PRINT_JOB, document=ipptool.pdf(pages=1))
    queue = await _until(one, lambda queue: queue.all("media-ready") == ready)
    cols = queue.all("media-col-ready")
    assert [col["media-size-name"].first for col in cols] == list(ready)
    assert [col["media-source"].first for col in cols] == ["main", "alternate"]
    assert [col["media-size"].first["x-dimension"].first for col in cols] == [21590, 29700]


async def test_a_printer_that_runs_out_of_paper_needs_media_while_jobs_wait(tmp_path):
    """Empty in the middle of a job: the queue stops with `media-needed`; loaded again, the job goes on to its end."""
    async with running(tmp_path, ACCEPTANCE) as one:
        printer = await _with_sink(one, tmp_path / "out", Model())
        assert (await _queue(one)).all("printer-state-reasons") == ("none",)
        printer.behave(empty_after=1)
        job = {"media": build.keyword(A4)}
        sent = await ask(one.base, PATH, Operation.PRINT_JOB, document=ipptool.pdf(pages=3), job=job)
        job_id = sent.job.integer("job-id")
        await _until(one, lambda queue: "media-needed" in queue.all("printer-state-reasons"))
        printer.behave()
        await _until(one, lambda queue: queue.all("printer-state-reasons") == ("none",), seconds=30)
        async with asyncio.timeout(20):
            while True:
                found = await ask(one.base, PATH, Operation.GET_JOB_ATTRIBUTES, job_id=job_id)
                if found.job.integer("job-state") == JobState.COMPLETED:
                    break
                await asyncio.sleep(0.1)
        assert found.job.integer("job-impressions-completed") == 3
        await printer.close()
