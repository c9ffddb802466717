"""A real cupsd with a driverless queue to ours: what `lp` asks for is what the held job says."""

from __future__ import annotations

import asyncio

from tests.helpers import cupsd, ipptool
from tests.helpers.running import running

CONFIG = '\n[queues.auth]\ntitle = "With password"\nrule = "authenticated"\n'
WAIT_S = 40


async def held(daemon, cups):
    """The daemon's held jobs that have been read, once there is one; what CUPS says if none comes."""
    until = asyncio.get_running_loop().time() + WAIT_S
    while asyncio.get_running_loop().time() < until:
        listed = await daemon.cli("job", "list", "--state", str(daemon.state))
        jobs = [job for job in listed["items"] if job["state"] == "pending-held" and job["pages"] is not None]
        if jobs:
            return jobs
        await asyncio.sleep(0.3)
    raise AssertionError("\n".join(line for line in cups.log().splitlines() if "[Job 1]" in line)[-6000:])


async def test_lp_through_a_driverless_queue(tmp_path):
    """`lp -n 2 -o sides -o print-color-mode` arrives with its ticket, and CUPS is done with it while it is held."""
    async with running(tmp_path, CONFIG) as daemon, cupsd.running() as cups:
        (tmp_path / "a.pdf").write_bytes(ipptool.pdf(pages=3, size="a4"))
        await cups.run("lpadmin", "-p", "q", "-E", "-v", daemon.ipp("findme"), "-m", "everywhere")
        await cups.run(
            "lp",
            "-d",
            "q",
            "-U",
            "alice",
            "-n",
            "2",
            "-t",
            "Report",
            "-o",
            "sides=two-sided-long-edge",
            "-o",
            "print-color-mode=monochrome",
            str(tmp_path / "a.pdf"),
        )
        [job] = await held(daemon, cups)
        assert (job["copies"], job["sides"], job["print_color_mode"]) == (2, "two-sided-long-edge", "monochrome")
        assert (job["requesting_user_name"], job["name"], job["queue"]) == ("alice", "Report", "findme")
        assert (job["pages"], job["impressions"], job["sheets"]) == (3, 6, 4)
        assert set(job["reasons"]) == {"job-held-for-release", "job-release-wait"}
        async with asyncio.timeout(WAIT_S):
            while "q-1" in await cups.run("lpstat", "-o", "q"):
                await asyncio.sleep(0.3)


async def test_basic_over_tls_overrides_the_local_name(tmp_path):
    """Over ipps with a password in the address the job is its owner's, whoever sent it."""
    async with running(tmp_path, CONFIG) as daemon, cupsd.running() as cups:
        secret = "correct horse battery"
        await daemon.cli("user", "add", "bob", "--password-stdin", "--state", str(daemon.state), stdin=secret + "\n")
        (tmp_path / "a.pdf").write_bytes(ipptool.pdf(pages=1, size="a4"))
        address = daemon.ipps("auth").replace("ipps://", f"ipps://bob:{secret.replace(' ', '%20')}@")
        await cups.run("lpadmin", "-p", "q", "-E", "-v", address, "-m", "everywhere")
        await cups.run("lp", "-d", "q", "-U", "mallory", "-t", "Mine", str(tmp_path / "a.pdf"))
        [job] = await held(daemon, cups)
        assert (job["user"], job["queue"]) == ("bob", "auth")
