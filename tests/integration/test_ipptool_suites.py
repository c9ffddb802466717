"""The distribution's conformance suites against the real daemon's acceptance queue, in front of a simulated printer."""

from __future__ import annotations

import asyncio

import pytest

from daemon.devices.simulated import Model, SimulatedPrinter
from daemon.ipp import build
from daemon.ipp.registry import JobState, Operation
from daemon.system import SystemClock
from tests.helpers import ipptool
from tests.helpers.ipp_post import ask
from tests.helpers.running import running

ACCEPTANCE = '\n[queues.acceptance]\ntitle = "Acceptance"\nauto_release = "sink"\n\n[queues.held]\ntitle = "Held"\n'
NEVER_ENDS = {
    "Get-Job-Attributes Until Job Complete",
    "RFC 8011 section 4.2.6: Get-Jobs Operation (which-jobs=completed)",
    "RFC 8011 section 4.2.6: Get-Jobs Operation (which-jobs, requested-at",
    "RFC 8011 section 4.3.3: Cancel-Job Operation (completed job)",
}
"""What a queue that holds cannot pass: these wait for a job to complete by itself."""
NEEDS_PROOF = {"Release-Job"}
"""What it refuses as not authenticated: a claimed name never steers a waiting job."""


@pytest.fixture
async def daemon(tmp_path):
    """A daemon whose acceptance queue passes jobs on to a simulated printer."""
    async with running(tmp_path, ACCEPTANCE) as one:
        (tmp_path / "out").mkdir()
        printer = SimulatedPrinter(tmp_path / "out", clock=SystemClock(), page_ms=1)
        await printer.start()
        await one.cli("printer", "add", "sink", "--uri", printer.uri, "--state", str(one.state))
        yield one
        await printer.close()


async def test_ipp_suites_pass_on_the_acceptance_queue(daemon, tmp_path):
    """ipp-1.1, ipp-2.0 and ipp-everywhere: no failure, and at least the passes of cupsd and ippeveprinter.

    Their figures on this machine's packages are 48/0/18, 48/1/18 and 153/2/345; skips are explained in
    docs/conformance.md.
    """
    documents = ipptool.make_documents(tmp_path)
    uri = daemon.ipp("acceptance")
    least = (("ipp-1.1.test", "1.1", 48), ("ipp-2.0.test", "2.0", 49), ("ipp-everywhere.test", "2.0", 158))
    for suite, version, passes in least:
        result = await ipptool.run(uri, suite, cwd=documents, version=version)
        assert result.failures == [], suite
        assert result.passed >= passes, suite
    verified = await daemon.cli("ledger", "verify", "--state", str(daemon.state))
    assert verified["ok"]


async def test_the_same_suite_passes_over_tls_and_by_upgrade(daemon, tmp_path):
    """ipp-1.1 over ipps, and with the plain connection upgraded to TLS, has no failure either."""
    documents = ipptool.make_documents(tmp_path)
    for uri, options in ((daemon.ipps("acceptance"), ()), (daemon.ipp("acceptance"), ("-E",))):
        result = await ipptool.run(uri, "ipp-1.1.test", cwd=documents, version="1.1", options=options)
        assert result.failures == [], uri
        assert result.passed >= 48


@pytest.mark.slow
async def test_a_holding_queue_fails_only_what_waits_for_completion(daemon, tmp_path):
    """On a queue that holds, ipp-1.1 fails the four tests that want a job to end without its owner, and Release-Job by a claim."""
    documents = ipptool.make_documents(tmp_path)
    result = await ipptool.run(daemon.ipp("held"), "ipp-1.1.test", cwd=documents, version="1.1", timeout_s=250)
    assert {failure.splitlines()[0] for failure in result.failures} <= NEVER_ENDS | NEEDS_PROOF
    assert result.passed >= 43


async def test_a_job_for_paper_that_is_not_loaded_says_so(tmp_path):
    """The job stays processing at the printer, the queue shows media-needed, and cancelling it clears both."""
    async with running(tmp_path, ACCEPTANCE) as one:
        (tmp_path / "out").mkdir()
        printer = SimulatedPrinter(tmp_path / "out", clock=SystemClock(), page_ms=1, model=Model(media_wait_s=60.0))
        await printer.start()
        await one.cli("printer", "add", "sink", "--uri", printer.uri, "--state", str(one.state))
        path = "/ipp/print/acceptance"
        job = {"media": build.keyword("iso_a3_297x420mm")}
        sent = await ask(one.base, path, Operation.PRINT_JOB, document=ipptool.pdf(pages=1), job=job)
        job_id = sent.job.integer("job-id")
        async with asyncio.timeout(20):
            while True:
                queue = (await ask(one.base, path, Operation.GET_PRINTER_ATTRIBUTES)).message.printer
                if "media-needed" in queue.all("printer-state-reasons"):
                    break
                await asyncio.sleep(0.2)
        state = (await ask(one.base, path, Operation.GET_JOB_ATTRIBUTES, job_id=job_id)).job.integer("job-state")
        assert state == JobState.PROCESSING
        assert (await ask(one.base, path, Operation.CANCEL_JOB, job_id=job_id)).code == 0
        async with asyncio.timeout(20):
            while (await ask(one.base, path, Operation.GET_JOB_ATTRIBUTES, job_id=job_id)).job.integer(
                "job-state"
            ) < JobState.CANCELED:
                await asyncio.sleep(0.2)
        queue = (await ask(one.base, path, Operation.GET_PRINTER_ATTRIBUTES)).message.printer
        assert queue.all("printer-state-reasons") == ("none",)
        await printer.close()
