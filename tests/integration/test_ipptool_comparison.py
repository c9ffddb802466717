"""The same suites, same documents, same run: our acceptance queue, a real cupsd and a real ippeveprinter."""

from __future__ import annotations

import pytest

from daemon.devices.simulated import SimulatedPrinter
from daemon.system import SystemClock
from tests.helpers import cupsd, ippeveprinter, ipptool
from tests.helpers.running import running

ACCEPTANCE = '\n[queues.acceptance]\ntitle = "Acceptance"\nauto_release = "sink"\n'
SUITES = (("ipp-1.1.test", "1.1"), ("ipp-2.0.test", "2.0"), ("ipp-everywhere.test", "2.0"))


async def scores(uri, documents):
    """Suite -> score."""
    return {
        suite: await ipptool.run(uri, suite, cwd=documents, version=version, timeout_s=900) for suite, version in SUITES
    }


@pytest.mark.slow
@pytest.mark.timeout(3000)
async def test_no_failure_and_at_least_the_passes_of_the_better_one(tmp_path, record_property):
    """We fail nothing, and pass at least as many tests of each suite as the better of cupsd and ippeveprinter."""
    documents = ipptool.make_documents(tmp_path)
    async with cupsd.running() as cups:
        await cups.run("lpadmin", "-p", "null", "-E", "-v", "file:///dev/null", "-m", "drv:///sample.drv/generic.ppd")
        of_cups = await scores(f"{cups.uri}/null", documents)
    async with ippeveprinter.running() as witness:
        witness.behave("ok", pages=1, page_s=0.0)  # the suites wait five seconds whenever it is busy
        of_witness = await scores(witness.uri, documents)
    async with running(tmp_path, ACCEPTANCE) as daemon:
        (tmp_path / "out").mkdir()
        printer = SimulatedPrinter(tmp_path / "out", clock=SystemClock(), page_ms=1)
        await printer.start()
        await daemon.cli("printer", "add", "sink", "--uri", printer.uri, "--state", str(daemon.state))
        ours = await scores(daemon.ipp("acceptance"), documents)
        await printer.close()
    for suite, _ in SUITES:
        row = {"ours": ours[suite].counts, "cupsd": of_cups[suite].counts, "ippeveprinter": of_witness[suite].counts}
        print(suite, row)
        record_property(suite, str(row))
        assert ours[suite].failures == [], suite
        assert ours[suite].passed >= max(of_cups[suite].passed, of_witness[suite].passed), suite
