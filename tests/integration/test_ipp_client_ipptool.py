"""The codec's octets as `ipptool` reads them: another implementation's opinion of every syntax we write."""

import asyncio
import plistlib
import shutil

import pytest

from daemon.devices.simulated import SimulatedPrinter
from daemon.system import SystemClock
from tests.helpers.printing import pdf

IPPTOOL = shutil.which("ipptool") or "/usr/bin/ipptool"
ASK = """{
    NAME "Everything"
    OPERATION Get-Printer-Attributes
    GROUP operation-attributes-tag
    ATTR charset attributes-charset utf-8
    ATTR naturalLanguage attributes-natural-language en
    ATTR uri printer-uri $uri
    ATTR keyword requested-attributes all
    STATUS successful-ok
}"""
PRINT = """{
    NAME "Print"
    OPERATION Print-Job
    GROUP operation-attributes-tag
    ATTR charset attributes-charset utf-8
    ATTR naturalLanguage attributes-natural-language en
    ATTR uri printer-uri $uri
    ATTR name requesting-user-name "Jürgen"
    ATTR name job-name "Test"
    ATTR mimeMediaType document-format application/pdf
    ATTR keyword compression %s
    COMPRESSION %s
    GROUP job-attributes-tag
    ATTR integer copies 2
    ATTR rangeOfInteger page-ranges 1-2,4-4
    ATTR collection media-col { MEMBER collection media-size { MEMBER integer x-dimension 21000 MEMBER integer y-dimension 29700 } MEMBER keyword media-source main }
    FILE $filename
    STATUS successful-ok
}"""


@pytest.fixture
async def printer(tmp_path):
    simulated = SimulatedPrinter(tmp_path / "out", clock=SystemClock(), page_ms=1)
    await simulated.start()
    yield simulated
    await simulated.close()


async def ipptool(*arguments: str) -> tuple[int, bytes]:
    process = await asyncio.create_subprocess_exec(IPPTOOL, *arguments, stdout=asyncio.subprocess.PIPE)
    out, _err = await process.communicate()
    return process.returncode, out


async def test_every_attribute_reads_as_it_was_meant(printer, tmp_path):
    """Integers, ranges, resolutions, collections, octets, out-of-band values: as ipptool's plist shows them."""
    test = tmp_path / "ask.test"
    test.write_text(ASK)
    code, out = await ipptool("-X", "-V", "2.0", printer.uri, str(test))
    assert code == 0, out
    groups = plistlib.loads(out)["Tests"][0]["ResponseAttributes"]
    seen = {name: value for group in groups for name, value in group.items()}
    assert seen["copies-supported"] == {"lower": 1, "upper": 999}
    assert seen["printer-resolution-default"] == {"xres": 300, "yres": 300, "units": "dpi"}
    assert seen["media-col-default"]["media-size"] == {"x-dimension": 21000, "y-dimension": 29700}
    assert [col["media-source"] for col in seen["media-col-ready"]] == ["main", "alternate"]
    assert seen["color-supported"] is True and seen["printer-state"] == 3
    assert seen["printer-uuid"] == printer.uuid and seen["sides-supported"][1] == "two-sided-long-edge"
    assert "printer-current-time" in seen and "orientation-requested-default" in seen
    assert len(seen) > 90


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
async def test_its_documents_and_attributes_reach_us(printer, tmp_path, compression):
    """What ipptool encodes decodes to what the test file says, whatever the compression."""
    test, file = tmp_path / "print.test", tmp_path / "d.pdf"
    test.write_text(PRINT % (compression, compression))
    file.write_bytes(pdf(5))
    code, out = await ipptool("-t", "-f", str(file), printer.uri, str(test))
    assert code == 0, out
    job = printer.jobs[0]
    assert (job.user, job.name) == ("Jürgen", "Test")
    assert printer.documents()[0].read_bytes() == file.read_bytes()
    assert [tuple(v.value) for v in job.attributes["page-ranges"].values] == [(1, 2), (4, 4)]
    assert job.attributes["media-col"].first["media-size"].first["x-dimension"].first == 21000
    async with asyncio.timeout(10):
        while not job.is_ended:
            await asyncio.sleep(0.01)
    assert job.impressions_completed == 6
