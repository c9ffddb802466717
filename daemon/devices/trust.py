"""How an ipps printer proves itself: by a known authority, or by the one certificate we know it by. Never blindly."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import ssl
from functools import lru_cache
from typing import Final

from daemon.devices.errors import BadPrinterUri, PrinterUntrusted
from daemon.devices.targets import Target

VERIFY: Final = "verify"
PIN: Final = re.compile(r"pin:([0-9a-f]{64})")


def parse_tls(tls: str) -> str:
    """`verify`, or `pin:` and the SHA-256 of the certificate in DER as 64 hex digits (colons and capitals allowed).

    Raises:
        BadPrinterUri: neither.
    """
    if tls == VERIFY:
        return tls
    kind, _, digits = tls.partition(":")
    plain = f"{kind}:{digits.replace(':', '').lower()}"
    if not PIN.fullmatch(plain):
        raise BadPrinterUri("tls is verify, or pin: and 64 hex digits (SHA-256 of the certificate)", tls=tls[:100])
    return plain


def check_scheme(target: Target, tls: str) -> None:
    """A pin on a plain address would protect nothing.

    Raises:
        BadPrinterUri: a pin for ipp:// or socket://.
    """
    if tls != VERIFY and target.scheme != "ipps":
        raise BadPrinterUri("a pinned certificate needs an ipps:// address", uri=target.uri)


async def context_for(target: Target, tls: str, ca_file: str) -> ssl.SSLContext | None:
    """The TLS context for a target, None for plain schemes. Loading authorities takes a while: once, off the loop."""
    if target.scheme != "ipps":
        return None
    return await asyncio.to_thread(_pinned) if tls.startswith("pin:") else await asyncio.to_thread(_verified, ca_file)


@lru_cache(maxsize=8)
def _verified(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file or None)


@lru_cache(maxsize=1)
def _pinned() -> ssl.SSLContext:
    """No authority and no name are asked: `check_pin` compares the certificate itself before anything is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def check_pin(tls: str, writer: asyncio.StreamWriter) -> None:
    """Compare the certificate of a pinned printer.

    Raises:
        PrinterUntrusted: another certificate than the pinned one.
    """
    if not tls.startswith("pin:"):
        return
    tls_object = writer.get_extra_info("ssl_object")
    certificate = tls_object.getpeercert(binary_form=True) if tls_object else None
    seen = hashlib.sha256(certificate or b"").hexdigest()
    if not certificate or not hmac.compare_digest(seen, tls.removeprefix("pin:")):
        raise PrinterUntrusted("the printer shows another certificate than the pinned one", seen_sha256=seen)
