"""One page asked over Chromium's debugging socket (RFC 6455, just enough of it): for browsers that no driver attaches to."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
from typing import Any, Self
from urllib.parse import urlsplit

FIN_TEXT, MASKED, LONG, LONGER = 0x81, 0x80, 126, 127
SHORT_MAX = 0xFFFF
ANSWER_S = 15


class DevTools:
    """A conversation with one page. `await DevTools.open(webSocketDebuggerUrl)`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._number = 0

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect and shake hands."""
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**24)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        writer.write("\r\n".join(lines).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head, head
        return cls(reader, writer)

    async def ask(self, script: str) -> Any:
        """The value of an expression in the page, awaited; an exception's text where it throws."""
        self._number += 1
        params = {"expression": script, "awaitPromise": True, "returnByValue": True, "userGesture": True}
        self._send(json.dumps({"id": self._number, "method": "Runtime.evaluate", "params": params}))
        async with asyncio.timeout(ANSWER_S):
            while (message := await self._receive()).get("id") != self._number:
                continue
        if "error" in message:
            return message["error"]["message"]
        result = message["result"]
        return result["exceptionDetails"]["text"] if "exceptionDetails" in result else result["result"].get("value")

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    def _send(self, text: str) -> None:
        data, mask = text.encode(), os.urandom(4)
        head = bytes([FIN_TEXT]) + (
            bytes([MASKED | len(data)]) if len(data) < LONG else bytes([MASKED | LONG]) + struct.pack("!H", len(data))
        )
        assert len(data) <= SHORT_MAX
        self._writer.write(head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))

    async def _receive(self) -> dict[str, Any]:
        _, size = await self._reader.readexactly(2)
        if size == LONG:
            (size,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif size == LONGER:
            (size,) = struct.unpack("!Q", await self._reader.readexactly(8))
        message: dict[str, Any] = json.loads(await self._reader.readexactly(size) or b"{}")
        return message
