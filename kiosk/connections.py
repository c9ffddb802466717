"""One connection to the screen's server, with what uvicorn leaves out: deadlines, and room for the browser. I/O.

The server listens on loopback, where every program of this machine can connect. None of them may make the screen hang:
a request has to be complete within seconds, and of connections that have not said anything yet the oldest makes room
for the newest, so that a crowd of them never keeps the browser out.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import h11
import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

log = structlog.get_logger(__name__)

REQUEST_TIMEOUT_S = 5.0
"""From the connection, or the first byte of a further request, to the end of its body: all of them are small."""
HEAD_BYTES_MAX = 16_384
SILENT_MAX = 64
"""Connections without a complete request; one more, and the oldest is dropped."""


class ScreenProtocol(H11Protocol):
    """uvicorn's h11 protocol, guarded."""

    silent: ClassVar[dict[ScreenProtocol, None]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        while len(self.silent) >= SILENT_MAX:
            oldest = next(iter(self.silent))
            del self.silent[oldest]
            oldest.transport.abort()
        self._begin()

    def data_received(self, data: bytes) -> None:
        # In slices: h11 measures only heads that are incomplete, and a large one may arrive all at once.
        for start in range(0, len(data), HEAD_BYTES_MAX):
            if self.transport.is_closing():
                break
            super().data_received(data[start : start + HEAD_BYTES_MAX])
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """A deadline runs while a request is under way: a head that has begun or a body that has not ended."""
        state = self.conn.their_state
        is_under_way = state is h11.SEND_BODY or (state is h11.IDLE and self.conn.trailing_data[0])
        if self.transport.is_closing() or not is_under_way:
            self._end()
        elif self._deadline is None:
            self._begin()

    def _begin(self) -> None:
        self.silent[self] = None
        self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, self._late)

    def _end(self) -> None:
        self.silent.pop(self, None)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        log.info("screen.too_slow")
        self._end()
        self.transport.abort()


class ScreenServer(uvicorn.Server):
    """uvicorn without its ten looks a second at whether to stop: an idle terminal sleeps. Made inside the loop."""

    def __init__(self, config: uvicorn.Config) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._should_exit = False
        super().__init__(config)

    @property
    def should_exit(self) -> bool:
        """Whether it stops; may be set from a signal's handler too."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._should_exit = value
        if value and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopped.set)

    async def main_loop(self) -> None:
        """Until told to stop."""
        await self.on_tick(0)
        await self._stopped.wait()
