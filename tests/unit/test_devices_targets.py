"""Where printers may be, what their addresses look like, and how they prove themselves."""

import ipaddress

import pytest

from daemon.devices.errors import AddressForbidden, BadPrinterUri, PrinterUnreachable
from daemon.devices.ipp_client import PrinterClient
from daemon.devices.printer import NewPrinter, SnmpTarget, new_printer
from daemon.devices.raw_client import RawClient
from daemon.devices.targets import is_allowed, parse_networks, parse_uri, resolve
from daemon.devices.trust import parse_tls
from daemon.kernel.errors import BadInput
from daemon.settings.server import Printers

PIN = "ab" * 32
NEVER = [
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.251", "255.255.255.255", "240.0.0.1", "::", "ff02::fb",
    "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
]  # fmt: skip
SPECIAL = ["127.0.0.1", "127.1.2.3", "169.254.10.1", "::1", "fe80::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
ORDINARY = ["10.0.0.5", "192.168.1.9", "172.16.0.1", "8.8.8.8", "fd12::7", "2001:4860::1", "::ffff:10.0.0.5"]
EVERYTHING = parse_networks(["0.0.0.0/0", "::/0"])


@pytest.mark.parametrize("text", NEVER)
def test_some_addresses_are_never_printers(text):
    """This network, multicast, reserved, metadata services, in whatever spelling: not even when everything is allowed."""
    assert not is_allowed(ipaddress.ip_address(text))
    assert not is_allowed(ipaddress.ip_address(text), EVERYTHING)


@pytest.mark.parametrize("text", SPECIAL)
def test_special_addresses_only_when_meant(text):
    """Loopback and link-local need a network of their own in the list; "everything" does not mean them."""
    address = ipaddress.ip_address(text)
    assert not is_allowed(address)
    assert not is_allowed(address, EVERYTHING)
    assert is_allowed(address, parse_networks(["127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10"]))


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_addresses_unless_a_list_leaves_them_out(text):
    """Without a list any host may be a printer; with one only those in it."""
    address = ipaddress.ip_address(text)
    assert is_allowed(address)
    assert is_allowed(address, EVERYTHING)
    assert not is_allowed(address, parse_networks(["192.0.2.0/24"]))
    assert not is_allowed(address, parse_networks(["192.0.2.0/24", "127.0.0.0/8"]))


@pytest.mark.parametrize("text", ORDINARY)
def test_the_default_list_allows_every_ordinary_address(text):
    """The setting's default names loopback only: it adds loopback and takes no printer of the house away."""
    address = ipaddress.ip_address(text)
    assert is_allowed(address, parse_networks(Printers().allow_networks))
    assert is_allowed(ipaddress.ip_address("127.0.0.1"), parse_networks(Printers().allow_networks))


@pytest.mark.parametrize(
    "uri",
    [
        "http://h/ipp", "file:///etc/passwd", "data:,x", "", "ipp://", "ipp:///print", "ipp://u:p@h/ipp/print", "ipp://h/p?x=1",
        "ipp://h/p#x", "ipp://h:99999/p", "ipp://h:x/p", "ipp://h/p\n", "ipp://h/%0d%0aX", "ipp://h/a b", "ipp://hä/p",
        "ipp://[::1/p", "ipp://h/" + "a" * 1100,
    ],
)  # fmt: skip
def test_only_printer_addresses_are_taken(uri):
    """Other schemes, credentials, queries, control characters and nonsense are refused by name."""
    with pytest.raises(BadPrinterUri) as caught:
        parse_uri(uri)
    assert caught.value.code == "printer-uri-not-supported"


def test_addresses_are_taken_apart():
    """Default ports, IPv6 brackets, and the URI as the printer will see it."""
    assert parse_uri("ipp://prt.example/ipp/print").uri == "ipp://prt.example:631/ipp/print"
    assert (parse_uri("ipps://H:8631").host, parse_uri("ipps://H:8631").path) == ("h", "/")
    assert parse_uri("ipp://[fd12::7]:80/x").authority == "[fd12::7]"
    assert parse_uri("socket://prt").port == 9100


async def test_names_are_resolved_and_every_address_checked():
    """Localhost is loopback whatever its spelling: decimal, short, hex, IPv6."""
    for host in ("localhost", "127.1", "2130706433", "0x7f000001", "[::1]"):
        with pytest.raises(AddressForbidden):
            await resolve(parse_uri(f"ipp://{host}/"), parse_networks(["10.0.0.0/8"]))
    found = await resolve(parse_uri("ipp://localhost/"), parse_networks(["127.0.0.0/8", "::1/128"]))
    assert set(found) <= {"127.0.0.1", "::1"}
    with pytest.raises(PrinterUnreachable) as caught:
        await resolve(parse_uri("ipp://no-such-host.invalid/"))
    assert caught.value.code == "printer-name-unknown" and not caught.value.may_have_sent


def test_trust_is_spelled_out():
    """Verify or a pin of 64 digits, however written; a pin on a plain address would protect nothing."""
    assert parse_tls("verify") == "verify"
    assert parse_tls("pin:" + ":".join([PIN[i : i + 2].upper() for i in range(0, 64, 2)])) == f"pin:{PIN}"
    for bad in ("", "none", "pin:", "pin:abc", "blind", f"pin:{PIN}00"):
        with pytest.raises(BadPrinterUri):
            parse_tls(bad)
    with pytest.raises(BadPrinterUri):
        PrinterClient("ipp://h/", tls=f"pin:{PIN}")
    with pytest.raises(BadPrinterUri):
        RawClient("ipp://h/")


def test_new_printers_are_checked():
    """A name people can type, an address we speak to, a community that fits."""
    made = new_printer(NewPrinter(public_id="p", name=" Floor 2 ", uri="IPP://Prt/ipp/print", created_at_us=1))
    assert (made.name, made.uri) == ("Floor 2", "ipp://prt:631/ipp/print")
    for changes in ({"name": ""}, {"name": "a\nb"}, {"name": "x" * 200}, {"snmp": SnmpTarget("h", community="")}):
        with pytest.raises(BadInput):
            new_printer(NewPrinter(**{"public_id": "p", "name": "n", "uri": "ipp://h/", "created_at_us": 1, **changes}))
