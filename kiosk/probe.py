"""Is the daemon there? One line over one kept connection, cheap enough to be asked every second on a small board. I/O.

Any HTTP answer says yes. The full client costs ten times as much, and the terminal does nothing else most of its life.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

HTTPS_PORT = 443
HEAD_BYTES_MAX = 8 * 1024
BODY_BYTES_MAX = 64 * 1024


class Probe:
    """Asks `url`'s /healthz; `context` verifies who answers."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or HTTPS_PORT
        self._context = context
        self._line = f"GET /healthz HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: */*\r\n\r\n".encode("ascii")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, timeout_s: float) -> None:
        """Return when somebody answered.

        Raises:
            OSError, TimeoutError: nobody did, or not the daemon whose CA is pinned.
        """
        try:
            async with asyncio.timeout(timeout_s):
                if self._streams is not None and await self._is_answered(*self._streams):
                    return
                await self.close()  # the kept connection was closed meanwhile: once more on a new one
                self._streams = await asyncio.open_connection(
                    self._host, self._port, ssl=self._context, limit=HEAD_BYTES_MAX
                )
                if not await self._is_answered(*self._streams):
                    raise ConnectionError("no answer")
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let the connection go."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()

    async def _is_answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One question and its whole answer; False when the connection is of no use."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            writer.write(self._line)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if not head.startswith(b"http/1.1 "):
                return False
            _, named, rest = head.partition(b"\r\ncontent-length:")
            size = int(rest.split(b"\r\n", 1)[0]) if named else -1
            if 0 <= size <= BODY_BYTES_MAX:
                await reader.readexactly(size)
            if size != min(max(size, 0), BODY_BYTES_MAX) or b"\r\nconnection: close" in head:
                await self.close()
            return True
        return False
