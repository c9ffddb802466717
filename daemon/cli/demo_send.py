"""Sends the demo's documents as any client does: IPP, without a driver, with a claimed name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from daemon.cli.demo_pdf import BLACK, BLUE, document
from daemon.devices.ipp_client import PrinterClient
from daemon.devices.targets import parse_networks

LOOPBACK = ("127.0.0.0/8", "::1/128")
# (who, title, colours of the pages, what the client asks for): each has something to save, and the sum is affordable.
SAMPLES: tuple[tuple[str, str, tuple[str, ...], Mapping[str, object]], ...] = (
    ("anna", "Reader: birds of the coast", (BLACK,) * 12, {"sides": "two-sided-long-edge"}),
    ("anna", "Talk on Thursday, slides", (BLUE,) * 8, {"sides": "one-sided"}),
    ("anna", "Invitation to the summer party", (BLUE,), {"copies": 4}),
    ("ben", "Rental contract", (BLACK,) * 3, {"sides": "two-sided-long-edge"}),
)


async def send(uri: str, *, user: str, title: str, data: bytes, attributes: Mapping[str, object]) -> None:
    """Print-Job of one PDF; returns when the queue has it on its disk."""

    async def body() -> AsyncIterator[bytes]:
        yield data

    async def on_sending() -> None:
        return None

    client = PrinterClient(uri, tls="verify", allow_networks=parse_networks(LOOPBACK))
    await client.print_document(
        format="application/pdf",
        attributes=attributes,
        job_name=title,
        user_name=user,
        body=body(),
        on_sending=on_sending,
    )


async def send_samples(uri: str) -> None:
    """Give the demo's people jobs to try."""
    for user, title, colors, attributes in SAMPLES:
        pages = [(title if index == 0 else f"{title}, {index + 1}", color) for index, color in enumerate(colors)]
        await send(uri, user=user, title=title, data=document(pages), attributes=attributes)
