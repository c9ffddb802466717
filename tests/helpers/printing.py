"""Small things every test that talks to a printer needs: a document, a certificate, a conversation, a wait."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import io
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pikepdf
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from daemon.devices.ipp_client import PrinterClient
from daemon.devices.printer_job import PrinterJob, PrinterJobStatus
from daemon.devices.targets import parse_networks

LOOPBACK = parse_networks(["127.0.0.0/8", "::1/128"])
WAIT_S = 20.0


def pdf(pages: int, *, color: bool = False) -> bytes:
    """A PDF of A4 pages, each with a square: black, or red."""
    document = pikepdf.new()
    for _ in range(pages):
        page = document.add_blank_page(page_size=(595, 842))
        paint = b"1 0 0 rg" if color else b"0 g"
        page.obj.Contents = document.make_stream(paint + b" 100 100 200 200 re f")
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def pwg(pages: int, *, color: bool = False, width: int = 16, height: int = 8) -> bytes:
    """A tiny PWG raster file."""
    out = b"RaS2"
    for _ in range(pages):
        header = bytearray(1796)
        header[0:9] = b"PwgRaster"
        header[372:380] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
        header[384:400] = b"".join(n.to_bytes(4, "big") for n in (8, 24, width * 3, 0))
        pixel = b"\xff\x00\x00" if color else b"\x20\x20\x20"
        out += bytes(header) + bytes([height - 1, width - 1]) + pixel
    return out


def certificate(folder: Path, *, host: str = "localhost") -> tuple[ssl.SSLContext, Path, str]:
    """A self-made certificate: the server's context, the PEM to trust it by, and the SHA-256 to pin it by."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    alternatives = x509.SubjectAlternativeName([x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "printer.pem", folder / "printer.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return context, pem, hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest()


async def chunks(data: bytes, size: int = 4096) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


class Sent:
    """Counts how often a client said that it is about to send."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self) -> None:
        self.times += 1


async def send(
    client: PrinterClient,
    data: bytes,
    *,
    document_format: str = "application/pdf",
    name: str = "job",
    sent: Sent | None = None,
    **attributes,
) -> PrinterJob:
    """Print `data`."""
    plain = {key.replace("_", "-"): value for key, value in attributes.items()}
    return await client.print_document(
        format=document_format,
        attributes=plain,
        job_name=name,
        user_name="ann",
        body=chunks(data),
        on_sending=sent or Sent(),
    )


async def until(
    client: PrinterClient, job: PrinterJob, is_reached: Callable[[PrinterJobStatus], bool] = lambda s: s.is_ended
) -> PrinterJobStatus:
    """Poll a job on its printer until it is where the test wants it, by default at its end."""
    async with asyncio.timeout(WAIT_S):
        while True:
            status = await client.job_status(job.job_id)
            if is_reached(status):
                return status
            await asyncio.sleep(0.02)
