"""A card on vpcd's socket, well behaved or not.

The protocol: 16 bits of length, big-endian, then that many bytes, both ways. One byte from pcscd is an order (0 power
off, 1 power on, 2 reset, 4 "your ATR?", asked every 0.4 s to see whether a card is there); more bytes are an APDU. To
connect is to lay the card on, to close is to take it away.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

ATR_CLASSIC = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")
ATR_CONTACT = bytes.fromhex("3B9F95801FC78031E073FE211B63D0018E830F900079")  # a USIM's, as its maker publishes it
ACKNOWLEDGE_S = 0.002
GET_ATR = 4


class Card:
    """`answer(apdu)` gives the reply; None pulls the card away instead of answering."""

    def __init__(
        self,
        uid: str,
        *,
        port: int,
        atr: bytes = ATR_CLASSIC,
        answer: Callable[[bytes], bytes | None] | None = None,
        delay_s: float = 0.0,
    ) -> None:
        self.uid, self.port, self.atr, self.delay_s = bytes.fromhex(uid), port, atr, delay_s
        self._answer = answer or self._tell_uid
        self.apdus: list[bytes] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._writer: asyncio.StreamWriter | None = None

    async def insert(self) -> None:
        async with asyncio.timeout(5):
            while True:
                try:
                    reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.02)
        self._tasks = [asyncio.create_task(self._serve(reader)), asyncio.create_task(self._acknowledge())]

    async def remove(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _tell_uid(self, apdu: bytes) -> bytes:
        return self.uid + b"\x90\x00" if apdu == bytes.fromhex("FFCA000000") else b"\x6d\x00"

    async def _acknowledge(self) -> None:
        """Length and payload come apart, with Nagle on: unless acknowledged at once, each APDU costs 43 ms."""
        assert self._writer is not None
        sock = self._writer.get_extra_info("socket")
        while not self._writer.is_closing():
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            await asyncio.sleep(ACKNOWLEDGE_S)

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        assert self._writer is not None
        while True:
            try:
                (length,) = struct.unpack(">H", await reader.readexactly(2))
                asked = await reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            if length == 1:
                if asked[0] == GET_ATR:
                    self._send(self.atr)
                continue
            self.apdus.append(asked)
            await asyncio.sleep(self.delay_s)
            reply = self._answer(asked)
            if reply is None:
                self._writer.close()
                return
            self._send(reply)

    def _send(self, reply: bytes) -> None:
        assert self._writer is not None
        if not self._writer.is_closing():
            self._writer.write(struct.pack(">H", len(reply)) + reply)
