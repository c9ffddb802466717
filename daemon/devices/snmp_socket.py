"""One UDP socket for all printers that speak SNMP v1 or v2c. I/O.

Read until empty at every wake-up, answers matched by request id, source address and community; one sweep looks for
deadlines. A printer answers from the port it was asked at, or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from daemon.devices.snmp_codec import (
    GET,
    GET_BULK,
    GET_NEXT,
    REQUEST_ID_MAX,
    REQUEST_ID_MIN,
    V1,
    Answer,
    Binding,
    NotSnmp,
    Question,
    decode,
    question,
)
from daemon.devices.snmp_collect import AgentError, NoAnswer

if TYPE_CHECKING:
    from daemon.devices.mib.tables import ObjectId

TRY_S: Final = 2.0
TRIES: Final = 3
SWEEP_S: Final = 0.1
WAITING_MAX: Final = 512
DRAIN_MAX: Final = 256
"""Datagrams read at one wake-up; the rest waits for the next turn of the loop."""
RECEIVE_BYTES: Final = 65536
BUFFER_BYTES: Final = 1 << 20


@dataclass(slots=True)
class _Waiting:
    future: asyncio.Future[Answer]
    community: bytes
    deadline_s: float


class SnmpSocket:
    """Owns the sockets (one per address family) and everything that waits for an answer."""

    def __init__(self, *, first_id: int) -> None:
        """`first_id` comes from dice, so that nobody guesses the ids of this process."""
        self._next_id = REQUEST_ID_MIN + first_id % (REQUEST_ID_MAX - REQUEST_ID_MIN)
        self._sockets: dict[int, socket.socket] = {}
        self._waiting: dict[tuple[str, int, int], _Waiting] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self.foreign_total = 0

    async def ask(self, address: tuple[str, int], what: Question, *, community: bytes, try_s: float) -> Answer | None:
        """Send once and wait; None when no answer came in time."""
        if len(self._waiting) >= WAITING_MAX:
            raise NoAnswer("too many printers are being asked at once")
        loop = asyncio.get_running_loop()
        self._next_id = self._next_id + 1 if self._next_id < REQUEST_ID_MAX else REQUEST_ID_MIN
        key = (address[0], address[1], self._next_id)
        waiting = _Waiting(loop.create_future(), community, loop.time() + try_s)
        self._waiting[key] = waiting
        try:
            self._socket(loop, address[0]).sendto(what.datagram(self._next_id), address)
            if self._sweeper is None:
                self._sweeper = loop.call_later(SWEEP_S, self._sweep, loop)
            return await waiting.future
        except TimeoutError:
            return None
        except OSError as error:
            raise NoAnswer("the printer cannot be reached", why=error.strerror or str(error)) from error
        finally:
            self._waiting.pop(key, None)

    def close(self) -> None:
        """Nobody waits any longer."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for waiting in self._waiting.values():
            waiting.future.cancel()
        for opened in self._sockets.values():
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(opened)
            opened.close()
        self._sockets.clear()

    def _socket(self, loop: asyncio.AbstractEventLoop, host: str) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        opened = self._sockets.get(family)
        if opened is None:
            opened = socket.socket(family, socket.SOCK_DGRAM)
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            loop.add_reader(opened, self._drain, opened)
            self._sockets[family] = opened
        return opened

    def _drain(self, opened: socket.socket) -> None:
        for _ in range(DRAIN_MAX):
            try:
                data, source = opened.recvfrom(RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error of somebody's datagram; the sweep ends that wait
            self._received(data, source)

    def _received(self, data: bytes, source: tuple[str, int]) -> None:
        try:
            answer = decode(data)
        except (NotSnmp, ValueError):
            self.foreign_total += 1
            return
        waiting = self._waiting.get((source[0], source[1], answer.request_id))
        if waiting is None or waiting.future.done() or answer.community != waiting.community:
            self.foreign_total += 1
            return
        waiting.future.set_result(answer)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        for waiting in self._waiting.values():
            if waiting.deadline_s <= now_s and not waiting.future.done():
                waiting.future.set_exception(TimeoutError())
        self._sweeper = loop.call_later(SWEEP_S, self._sweep, loop) if self._waiting else None


class LeanAsk:
    """One printer through the socket, one request at a time: implements `snmp_collect.Ask`."""

    def __init__(
        self,
        through: SnmpSocket,
        address: tuple[str, int],
        *,
        version: int,
        community: bytes,
        try_s: float = TRY_S,
        tries: int = TRIES,
    ) -> None:
        self._through = through
        self._address = address
        self._version = version
        self._community = community
        self._try_s = try_s
        self._tries = tries
        self.has_bulk = version != V1
        self.requests = 0
        self.broken = 0

    async def get(self, oids: Sequence[ObjectId]) -> list[Binding]:
        """GetRequest."""
        return await self._ask(question(GET, oids, version=self._version, community=self._community))

    async def after(self, oids: Sequence[ObjectId], repetitions: int) -> list[Binding]:
        """GetBulkRequest, or GetNextRequest for 0 repetitions."""
        pdu = GET_BULK if repetitions else GET_NEXT
        made = question(pdu, oids, version=self._version, community=self._community, repetitions=repetitions)
        return await self._ask(made)

    async def _ask(self, what: Question) -> list[Binding]:
        for _ in range(self._tries):
            self.requests += 1
            answer = await self._through.ask(self._address, what, community=self._community, try_s=self._try_s)
            if answer is not None:
                break
        else:
            raise NoAnswer("the printer does not answer SNMP")
        self.broken += answer.broken
        if answer.status:
            raise AgentError(answer.status, answer.index)
        return answer.bindings
