"""The queues' announcement, seen by a second DNS-SD instance on loopback."""

from __future__ import annotations

import asyncio

from zeroconf import IPVersion, ServiceBrowser
from zeroconf.asyncio import AsyncZeroconf

from daemon.web import dns_sd
from daemon.web.ipp.addresses import Ports
from daemon.web.ipp.queues import Queues, QueueView, Rule

LOOPBACK = ["127.0.0.1"]
PORTS = Ports(ipp=8630, ipps=8631)


def view(name, **more):
    return QueueView(name=name, uuid="urn:uuid:00000000-0000-4000-8000-000000000001", info=name.title(), **more)


async def test_queues_are_found_with_their_subtypes():
    """A browser finds base types and both subtypes, and the TXT record names path, formats and URF."""
    queues = Queues.of(view("findme"), view("secret", rule=Rule.PERSONAL))
    announcer = dns_sd.Announcer(queues, host="localhost", ports=PORTS, interfaces=LOOPBACK)
    client = AsyncZeroconf(interfaces=LOOPBACK, ip_version=IPVersion.V4Only)
    base = "_ipp._tcp.local."
    wanted = {base, "_ipps._tcp.local.", f"_universal._sub.{base}", f"_print._sub.{base}"}
    found = {}

    def changed(zeroconf, service_type, name, state_change):
        found.setdefault(service_type, set()).add(name)

    try:
        await announcer.start()
        ServiceBrowser(client.zeroconf, sorted(wanted), handlers=[changed])
        async with asyncio.timeout(15):
            while set(found) != wanted:
                await asyncio.sleep(0.05)
        info = await client.async_get_service_info(base, f"Findme @ localhost.{base}", 5000)
    finally:
        await announcer.close()
        await client.async_close()
    assert info.port == 8630
    txt = {key.decode(): (value or b"").decode() for key, value in info.properties.items()}
    assert txt["rp"] == "ipp/print/findme"
    assert "image/urf" in txt["pdl"]
    assert txt["URF"].startswith("V1.4")
    assert all("Secret" not in name for names in found.values() for name in names)


def test_an_authenticated_queue_is_announced_over_tls_only():
    """No plain service for a queue with passwords; its record says so to AirPrint clients."""
    infos = dns_sd.services(view("auth", rule=Rule.AUTHENTICATED), host="h", ports=PORTS, addresses=LOOPBACK)
    assert {info.port for info in infos} == {8631}
    assert infos[0].properties[b"air"] == b"username,password"
    assert infos[0].properties[b"TLS"] == b"1.2"


def test_names_and_values_fit_their_fields():
    """Instance names are one DNS label cut between characters; TXT values fit one string."""
    assert len(dns_sd.instance_name("Drucker für alle Häuser " * 5, "host").encode()) <= 63
    txt = dns_sd.txt_record(view("q", location="x" * 500), host="h", ports=PORTS, is_tls=True)
    assert all(len(value.encode()) <= 240 for value in txt.values())
