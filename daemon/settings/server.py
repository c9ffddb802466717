"""Options of the outside: addresses, names, doors, mail, metrics, announcements, printers' networks, logging."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.settings.options import option

HOST_PATTERN = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
IPP_OFFSET, IPPS_OFFSET, API_OFFSET, KIOSK_OFFSET, SIMULATED_OFFSET = 0, 1, 2, 3, 10
"""Distance of each door from the base port."""


def bad_networks(key: str, networks: Iterable[str]) -> Iterator[tuple[str, str]]:
    """A problem for every text that is not an IP network."""
    for text in networks:
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            yield key, f"not a network such as 10.1.0.0/16: {error}"


@dataclass(frozen=True, slots=True)
class Server:
    """Where the daemon lives and listens."""

    state_dir: Path = option(
        Path(),
        "Directory with the database, keys, spool and sockets; relative to this file; empty means beside it.",
    )
    base_port: int = option(
        8630,
        "Base port N: ipp on N, ipps on N+1, https (API and console) on N+2, the kiosk screen on N+3.",
        low=1,
        high=65_000,
    )
    bind: tuple[str, ...] = option(
        ("127.0.0.1",), "IP addresses to listen on. Nothing leaves loopback unless an address is added here."
    )
    ipp_port: int = option(0, "Port of the plain IPP listener; 0 means N, -1 closes it.", low=-1, high=65_535)
    ipps_port: int = option(0, "Port of the IPP listener with TLS; 0 means N+1.", low=0, high=65_535)
    api_port: int = option(0, "Port of the https API and console; 0 means N+2.", low=0, high=65_535)
    name: str = option("localhost", "Host name in printer addresses, links and the certificate.", pattern=HOST_PATTERN)
    names: tuple[str, ...] = option((), "Further names and IP addresses for the certificate.", pattern=HOST_PATTERN)
    base_url: str = option(
        "",
        "Address people reach the console at, used in mailed links; empty means https://NAME:PORT.",
        pattern=r"(https://[^\s/?#]+(/[^\s?#]*)?)?",
    )
    connections_max: int = option(512, "Connections open at once on each listener.", low=8, high=10_000)

    def check(self) -> Iterator[tuple[str, str]]:
        if not self.bind:
            yield "bind", "needs at least one address"
        for address in self.bind:
            try:
                ipaddress.ip_address(address)
            except ValueError:
                yield "bind", f"{address!r} is not an IP address"
        taken: dict[int, str] = {}
        ports = {"ipp_port": self.ipp, "ipps_port": self.ipps, "api_port": self.api}
        for key, port in ports.items():
            if port is None:
                continue
            if port > 65_535:
                yield key, f"{port} is not a port"
            elif port in taken:
                yield key, f"is {port}, the same as {taken[port]}"
            taken[port] = key

    @property
    def ipp(self) -> int | None:
        """Port of the plain IPP listener, None when closed."""
        if self.ipp_port < 0:
            return None
        return self.ipp_port or self.base_port + IPP_OFFSET

    @property
    def ipps(self) -> int:
        """Port of the IPP listener with TLS."""
        return self.ipps_port or self.base_port + IPPS_OFFSET

    @property
    def api(self) -> int:
        """Port of the https API, console and terminal channel."""
        return self.api_port or self.base_port + API_OFFSET

    @property
    def kiosk(self) -> int:
        """Port a kiosk on this machine serves its screen at, on loopback."""
        return self.base_port + KIOSK_OFFSET

    def urls(self, queue: str = "") -> dict[str, str]:
        """The addresses as `init` and the ready line print them; with `queue`, printer addresses of that queue."""
        path = f"/ipp/print/{queue}" if queue else ""
        found = {
            "ipp": f"ipp://{self.name}:{self.ipp}{path}",
            "ipps": f"ipps://{self.name}:{self.ipps}{path}",
            "api": f"https://{self.name}:{self.api}",
            "kiosk": f"http://127.0.0.1:{self.kiosk}/",
        }
        if self.ipp is None:
            found["ipp"] = ""
        return found

    def personal_urls(self, secret: str) -> dict[str, str]:
        """The printer addresses of a secret personal path; `ipp` is empty where the plain listener is closed."""
        path = f"/ipp/p/{secret}"
        plain = "" if self.ipp is None else f"ipp://{self.name}:{self.ipp}{path}"
        return {"ipp": plain, "ipps": f"ipps://{self.name}:{self.ipps}{path}"}


@dataclass(frozen=True, slots=True)
class Mail:
    """How notices leave. Without a host nothing is mailed and the outbox only fills."""

    host: str = option("", "SMTP server; empty sends nothing.", pattern=f"({HOST_PATTERN})?")
    port: int = option(587, "SMTP port.", low=1, high=65_535)
    security: str = option(
        "starttls",
        "starttls and tls verify the server's certificate; none is for a relay on this machine only.",
        choices=("starttls", "tls", "none"),
    )
    sender: str = option(
        "holdfast@localhost", "From address of every mail.", pattern=r"[^@\s<>\"]{1,64}@[^@\s<>\"]{1,190}"
    )
    user: str = option("", "Name to sign in with; empty does not sign in.")
    password_file: Path = option(Path(), "File with the password, or the systemd credential mail-password.")
    retry_max: int = option(12, "Tries before a mail is given up (waits grow from one minute).", low=1, high=50)

    def check(self) -> Iterator[tuple[str, str]]:
        if self.host and self.security == "none" and self.host not in ("localhost", "127.0.0.1", "::1"):
            yield "security", "unprotected mail is allowed to this machine only; use starttls or tls"


@dataclass(frozen=True, slots=True)
class Metrics:
    """Prometheus figures at /metrics on the https port."""

    enabled: bool = option(True, "Serve /metrics. It always asks for an API token.")


@dataclass(frozen=True, slots=True)
class DnsSd:
    """Announcement of the queues on the local network (AirPrint, Mopria)."""

    enabled: bool = option(False, "Announce the queues by DNS-SD. Needs an address beyond loopback in server.bind.")
    interfaces: tuple[str, ...] = option((), "IP addresses of the interfaces to announce on; empty means all of bind.")

    def check(self) -> Iterator[tuple[str, str]]:
        for address in self.interfaces:
            try:
                ipaddress.ip_address(address)
            except ValueError:
                yield "interfaces", f"{address!r} is not an IP address"


@dataclass(frozen=True, slots=True)
class Printers:
    """What printer addresses may point at, and how often they are asked."""

    allow_networks: tuple[str, ...] = option(
        ("127.0.0.0/8", "::1/128"),
        "Loopback and link-local networks printers may stand in. Ordinary addresses need no entry; naming an ordinary "
        "network too limits printers to it.",
    )
    check_interval_s: int = option(60, "Seconds between looks at an idle printer's state.", low=5, high=3600)
    connect_timeout_s: int = option(5, "Seconds a connection to a printer may take.", low=1, high=60)

    def check(self) -> Iterator[tuple[str, str]]:
        yield from bad_networks("allow_networks", self.allow_networks)


@dataclass(frozen=True, slots=True)
class Log:
    """What goes to standard error."""

    level: str = option("info", "Least severe line that is written.", choices=("debug", "info", "warning", "error"))
    format: str = option("json", "json for the journal, text for a person.", choices=("json", "text"))
