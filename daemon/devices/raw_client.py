"""Raw 9100 (AppSocket) for old printers: octets out, not a word back. Every charge for it is an estimate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from daemon.devices.errors import BadPrinterUri, DocumentInterrupted, PrinterUnreachable
from daemon.devices.http_exchange import Sending
from daemon.devices.targets import Network, parse_uri, resolve

READ_BYTES: Final = 4096
DISCARD_BYTES_MAX: Final = 1 << 20
"""What a printer may talk back before we stop listening; nothing of it is used."""


@dataclass(frozen=True, slots=True)
class RawTimeouts:
    """Seconds. `close_s`: how long a printer may take to close after the last octet; many never do."""

    connect_s: float = 5.0
    stall_s: float = 900.0
    close_s: float = 10.0


class RawClient:
    """One raw printer, by its `socket://` URI."""

    def __init__(
        self, uri: str, *, allow_networks: Sequence[Network] = (), timeouts: RawTimeouts | None = None
    ) -> None:
        """A client for `uri`.

        Raises:
            BadPrinterUri: not a socket:// address.
        """
        self.target = parse_uri(uri)
        if self.target.scheme != "socket":
            raise BadPrinterUri("raw printing needs a socket:// address", uri=uri)
        self._allow_networks = allow_networks
        self._timeouts = timeouts or RawTimeouts()

    async def is_reachable(self) -> bool:
        """True if the port takes a connection: all there is to know of such a printer.

        Raises:
            AddressForbidden.
        """
        try:
            _reader, writer = await self._connect()
        except PrinterUnreachable:
            return False
        writer.transport.abort()
        return True

    async def print_document(self, *, body: AsyncIterator[bytes], on_sending: Callable[[], Awaitable[None]]) -> int:
        """Send the octets and close; returns how many. `on_sending` is awaited once, before the first.

        Raises:
            PrinterUnreachable: `may_have_sent` as for IPP; after the last octet the outcome is simply unknown.
            AddressForbidden.
        """
        reader, writer = await self._connect()
        sending = Sending(is_job_creating=True)
        discard = asyncio.create_task(_discard(reader), name="raw-discard")
        try:
            await on_sending()
            sent = await self._send(writer, body, sending)
            writer.write_eof()
            await asyncio.wait({discard}, timeout=self._timeouts.close_s)
            return sent
        except OSError as error:
            raise sending.failure("the printer cut the connection") from error
        finally:
            discard.cancel()
            await asyncio.gather(discard, return_exceptions=True)
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, body: AsyncIterator[bytes], sending: Sending) -> int:
        sent = 0
        while True:
            try:
                chunk = await anext(body)
            except StopAsyncIteration:
                return sent
            except Exception as error:
                raise sending.failure("the document could not be read", DocumentInterrupted) from error
            sending.has_request = sending.has_document = sending.has_document or bool(chunk)
            writer.write(chunk)
            sent += len(chunk)
            try:
                async with asyncio.timeout(self._timeouts.stall_s):
                    await writer.drain()
            except TimeoutError as error:
                raise sending.failure("the printer takes no more data", code="printer-stalled") from error

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        last: Exception | None = None
        for address in await resolve(self.target, self._allow_networks):
            try:
                async with asyncio.timeout(self._timeouts.connect_s):
                    return await asyncio.open_connection(address, self.target.port)
            except (OSError, TimeoutError) as error:
                last = error
        raise PrinterUnreachable("the printer does not answer") from last


async def _discard(reader: asyncio.StreamReader) -> None:
    total = 0
    while total < DISCARD_BYTES_MAX and (data := await reader.read(READ_BYTES)):
        total += len(data)
