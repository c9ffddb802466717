"""The addresses a queue names itself by: always with the host the client used, on both schemes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from daemon.web.ipp.http import Head

QUEUE_PREFIX = "/ipp/print"
PERSONAL_PREFIX = "/ipp/p/"
PAGES_PREFIX = "/ipp/pages"
IPP_PORT = 631
HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::(\d{1,5}))?")
PATH_CHARS_MAX = 512


@dataclass(frozen=True, slots=True)
class Ports:
    """Where clients reach the two listeners; 0: that one does not exist."""

    ipp: int
    ipps: int


@dataclass(frozen=True, slots=True)
class Base:
    """The addresses for one client: `path` is the queue's, personal ones included."""

    host: str
    ports: Ports
    path: str
    is_tls: bool

    def printer_uri(self, scheme: str) -> str:
        """The queue's address on one scheme; the default port is left out."""
        port = self.ports.ipps if scheme == "ipps" else self.ports.ipp
        return f"{scheme}://{self.host}{'' if port == IPP_PORT else f':{port}'}{self.path}"

    @property
    def own_uri(self) -> str:
        """The queue's address on the scheme of this request."""
        return self.printer_uri("ipps" if self.is_tls else "ipp")

    def job_uri(self, job_id: int) -> str:
        """A job's address on the scheme of this request."""
        return f"{self.own_uri}/{job_id}"

    def page(self, name: str) -> str:
        """The address of one of our web pages on the scheme of this request."""
        scheme, port = ("https", self.ports.ipps) if self.is_tls else ("http", self.ports.ipp)
        return f"{scheme}://{self.host}:{port}{PAGES_PREFIX}/{name}"


def base_of(head: Head, ports: Ports, path: str) -> Base:
    """The addresses as this client must use them: its Host header's name, and its port for the scheme it came by."""
    match = HOST.fullmatch(head.headers.get("host", ""))
    host = match.group(1) if match else "localhost"
    given = int(match.group(2)) if match and match.group(2) else 0
    if not 0 < given <= 65535:
        given = 0
    mine = ports.ipps if head.is_tls else ports.ipp
    is_upgraded = head.is_tls and head.port == ports.ipp
    own = (0 if is_upgraded else given) or mine or head.port
    both = Ports(ipp=ports.ipp, ipps=own) if head.is_tls else Ports(ipp=own, ipps=ports.ipps)
    return Base(host=host, ports=both, path=path, is_tls=head.is_tls)


def path_of(uri: str) -> str | None:
    """The unquoted path of an ipp or ipps URI without trailing slash; None when it is no such URI."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.lower() not in ("ipp", "ipps", "http", "https") or len(uri) > PATH_CHARS_MAX:
        return None
    _, slash, path = rest.partition("/")
    return unquote(f"{slash}{path}".split("?", 1)[0]).rstrip("/")
