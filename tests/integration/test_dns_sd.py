"""DNS-SD on loopback: what another machine would find, and what it must not."""

import asyncio
import time

from zeroconf import IPVersion, ServiceBrowser, Zeroconf

from daemon.web.dns_sd import IPP, IPPS, Announcement, Announcer, services, txt
from daemon.web.ipp.queues import QueueView, Rule

HOUSE = Announcement("print.example.org", ("127.0.0.1",), 8630, 8631, "/ipp/pages/")
FIND_ME = QueueView("findme", "urn:uuid:6f2d2f0e-8f0a-5b1e-9b83-6b1a5f0f6d11", info="Find me", location="Everywhere")


def test_the_record_says_what_airprint_mopria_and_everywhere_ask_for():
    """Resource path, formats with PWG raster and JPEG, UUID without its prefix, and no record over its limits."""
    record = txt(FIND_ME, HOUSE)
    assert next(iter(record)) == "txtvers"
    assert record["rp"] == "ipp/print/findme"
    assert record["UUID"] == "6f2d2f0e-8f0a-5b1e-9b83-6b1a5f0f6d11"
    assert {"image/pwg-raster", "image/jpeg", "image/urf", "application/pdf"} <= set(record["pdl"].split(","))
    assert record["adminurl"] == "https://print.local:8631/ipp/pages/"
    assert txt(FIND_ME, HOUSE, IPP)["adminurl"] == "http://print.local:8630/ipp/pages/"
    assert (record["TLS"], record["air"]) == ("1.2", "none")
    assert sum(len(key) + len(value) + 2 for key, value in record.items()) < 1300


def test_a_personal_queue_is_never_announced_and_a_guarded_one_only_over_tls():
    """What is secret stays unsaid; a queue that asks for a password is not offered in the clear."""
    assert services(QueueView("own", "urn:uuid:1", rule=Rule.PERSONAL), HOUSE) == []
    guarded = services(QueueView("staff", "urn:uuid:2", rule=Rule.AUTHENTICATED), HOUSE)
    assert all(service.type.endswith(IPPS) for service in guarded)
    assert guarded[0].decoded_properties["air"] == "username,password"


async def test_a_queue_is_found_by_both_types_and_subtypes():
    """A second responder on loopback finds ipp, ipps and the AirPrint and Everywhere subtypes, with the same port."""
    announcer = Announcer([FIND_ME], HOUSE, interfaces=["127.0.0.1"])
    await announcer.start()
    found: set[str] = set()
    wanted = {IPP, IPPS, f"_universal._sub.{IPP}", f"_print._sub.{IPPS}"}
    client = await asyncio.to_thread(Zeroconf, interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only)
    try:

        def note(zeroconf, service_type, name, state_change):
            found.add(service_type)

        browser = ServiceBrowser(client, sorted(wanted), handlers=[note])
        until = time.monotonic() + 10
        while not wanted <= found and time.monotonic() < until:
            await asyncio.sleep(0.1)
        info = await asyncio.to_thread(client.get_service_info, IPP, f"Find me.{IPP}", 3000)
        await asyncio.to_thread(browser.cancel)
    finally:
        await asyncio.to_thread(client.close)
        await announcer.close()
    assert wanted <= found
    assert info is not None
    assert info.port == HOUSE.ipp_port
