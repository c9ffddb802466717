"""A reader behind the network: a box with its own reader, or a script, that sends proved lines. I/O.

The kiosk listens (on loopback unless told otherwise); `network_protocol` says what is spoken. Everything a stranger can
make us do is bounded: connections, the time until they have proved themselves, the length of lines, what is logged.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from daemon.devices.readers.network_line import HELLO_S, Connection
from daemon.devices.readers.network_protocol import LINE_BYTES_MAX, NONCE_BYTES, Fault, parse_keys
from daemon.devices.readers.reading import Read, ReaderState, ReaderStatus, is_plausible

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from daemon.devices.readers.reading import ReaderEvent
    from daemon.kernel.clock import Clock

log = structlog.get_logger(__name__)

CLIENTS_MAX = 16
"""Connections that have proved themselves."""
STRANGERS_MAX = 8
"""Connections that have not yet; one more and the oldest goes."""
READS_WAITING_MAX = 8
"""Taps nobody has looked at yet; more are refused as busy."""
STATUSES_WAITING_MAX = 8
LOOK_EVERY_S = 2.0
"""How often the key file is looked at: a new client, or one taken out, counts from then on."""
KEY_FILE_BYTES_MAX = 64 * 1024
CHALLENGES_REMEMBERED = 256
"""To tell a replayed session from a wrong key."""
ALARM_S = 600.0
"""How long forged or replayed lines stay in the status."""
LOG_EVERY_S = 10.0
SIGNAL_S = 0.9
DEFAULT_LISTEN = "127.0.0.1:8634"


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """`[[readers]] kind = "network"`: `listen` is HOST:PORT, `key_file` holds a name and a key for each client."""

    name: str
    key_file: Path
    listen: str = DEFAULT_LISTEN


def open_network(options: NetworkOptions, clock: Clock, *, token: Callable[[int], bytes] = os.urandom) -> NetworkReader:
    """The reader; it listens once `events` is asked. `token` gives random bytes."""
    return NetworkReader(options, clock, token)


class NetworkReader:
    """All clients of one key file behind one name."""

    kind = "network"

    def __init__(self, options: NetworkOptions, clock: Clock, token: Callable[[int], bytes]) -> None:
        self.name = options.name
        self.counts: Counter[str] = Counter()
        """Reads accepted (`read`) and lines refused, by `Fault`."""
        self._options, self._clock, self._token = options, clock, token
        self._keys: dict[str, bytes] = {}
        self._keys_seen: tuple[int, ...] = ()
        self._server: asyncio.Server | None = None
        self._strangers: list[Connection] = []
        self._clients: dict[str, Connection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._challenges: deque[str] = deque(maxlen=CHALLENGES_REMEMBERED)
        self._events: asyncio.Queue[ReaderEvent | BaseException] = asyncio.Queue(
            READS_WAITING_MAX + STATUSES_WAITING_MAX
        )
        self._status: ReaderStatus | None = None
        self._alarm, self._alarm_until_s = "", 0.0
        self._logged_s: dict[str, float] = {}
        self._last: Connection | None = None

    @property
    def port(self) -> int:
        """The port listened on, or 0: the configured one, or what the system gave for port 0."""
        sockets = self._server.sockets if self._server is not None else ()
        return int(sockets[0].getsockname()[1]) if sockets else 0

    async def events(self) -> AsyncIterator[ReaderEvent]:
        """Everything, until cancelled; the first is the status."""
        self._events, self._status = asyncio.Queue(READS_WAITING_MAX + STATUSES_WAITING_MAX), None
        looking = asyncio.create_task(self._look(), name="network-reader")
        looking.add_done_callback(self._looked)
        try:
            while True:
                event = await self._events.get()
                if isinstance(event, BaseException):
                    raise event  # whoever listens starts the reader again
                yield event
        finally:
            looking.cancel()
            await self._close()

    def _looked(self, looking: asyncio.Task[None]) -> None:
        """The listening has ended, which only a mistake of ours can bring about."""
        error = None if looking.cancelled() else looking.exception()
        if error is not None:
            self._put(error)

    async def signal(self, *, is_good: bool) -> None:
        """Tell the client that sent the last read; it may beep or light."""
        if self._last is not None:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(SIGNAL_S):
                    await self._last.signal(is_good=is_good)

    async def _look(self) -> None:
        """Listen, keep listening, and follow the key file."""
        while True:
            found = await asyncio.to_thread(_read_keys, self._options.key_file, self._keys_seen)
            if isinstance(found, str):
                await self._close()
                self._keys, self._keys_seen = {}, ()
                self._tell_status(ReaderState.REFUSED, found)
            else:
                self._follow(found)
                await self._listen()
            await asyncio.sleep(LOOK_EVERY_S)

    def _follow(self, found: _KeyFile) -> None:
        """Take over a key file; whoever has no key in it any more, or another, goes."""
        if found.keys is not None:
            for client, connection in list(self._clients.items()):
                if found.keys.get(client) != self._keys.get(client):
                    connection.end(Fault.UNKNOWN_CLIENT)
            self._keys = found.keys
        self._keys_seen = found.seen

    async def _listen(self) -> None:
        if self._server is None:
            host, _, port = self._options.listen.rpartition(":")
            try:
                self._server = await asyncio.start_server(
                    self._welcome, host.strip("[]") or "127.0.0.1", int(port), limit=LINE_BYTES_MAX
                )
            except (OSError, ValueError, OverflowError) as error:
                log.info("reader.not_listening", reader=self.name, error=type(error).__name__)
                self._tell_status(ReaderState.REFUSED, "bad-address")
                return
        self.refresh()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its greeting to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        challenge = self._token(NONCE_BYTES).hex()
        connection = Connection(self, reader, writer, challenge=challenge, clock=self._clock)
        if len(self._strangers) >= STRANGERS_MAX:
            self.count(Fault.TOO_MANY, "")
            self._strangers[0].end(Fault.TOO_MANY)
        self._strangers.append(connection)
        try:
            await connection.serve()
        finally:
            self._tasks.discard(task)
            if connection in self._strangers:
                self._strangers.remove(connection)
            if self._clients.get(connection.client) is connection:
                del self._clients[connection.client]
                self.refresh()

    def key_of(self, client: str) -> bytes | None:
        """A client's key."""
        return self._keys.get(client)

    def old_challenges(self) -> tuple[str, ...]:
        """Challenges of sessions that were: what a replayed one answers to."""
        return tuple(self._challenges)

    def admit(self, connection: Connection) -> Fault | None:
        """A connection has proved who it is; why it may not stay, or None."""
        self._challenges.append(connection.challenge)
        before = self._clients.get(connection.client)
        if before is not None:
            before.end(Fault.REPLACED)
        elif len(self._clients) >= CLIENTS_MAX:
            return Fault.TOO_MANY
        self._clients[connection.client] = connection
        if connection in self._strangers:
            self._strangers.remove(connection)
        self.refresh()
        return None

    def take(self, connection: Connection, raw: str) -> Fault | None:
        """A proved read; why it is refused, or None."""
        if not is_plausible(raw):
            return Fault.IMPLAUSIBLE
        if self._events.qsize() >= READS_WAITING_MAX:
            return Fault.BUSY
        self.counts["read"] += 1
        self._last = connection
        self._events.put_nowait(Read(self.name, raw))
        return None

    def count(self, fault: Fault, client: str) -> None:
        """One more refused line; told in the log now and then, and in the status when somebody forges."""
        self.counts[fault] += 1
        now_s = self._clock.monotonic_s()
        if now_s - self._logged_s.get(fault, -LOG_EVERY_S) >= LOG_EVERY_S:
            self._logged_s[fault] = now_s
            known = client if client in self._keys else ""
            log.warning("reader.refused", reader=self.name, why=fault.value, client=known, count=self.counts[fault])
        if fault in (Fault.FORGED, Fault.REPLAYED):
            self._alarm, self._alarm_until_s = fault.value, now_s + ALARM_S
            self.refresh()

    def refresh(self) -> None:
        """Tell the status if it is another now."""
        code = "" if self._clients else "no-client"
        if self._alarm and self._clock.monotonic_s() < self._alarm_until_s:
            code = self._alarm
        self._tell_status(ReaderState.READY, code, ", ".join(sorted(self._clients)))

    def _tell_status(self, state: ReaderState, code: str, model: str = "") -> None:
        status = ReaderStatus(self.name, self.kind, state, code, model)
        if status != self._status:
            self._status = status
            self._put(status)

    def _put(self, event: ReaderEvent | BaseException) -> None:
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(event)

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for connection in [*self._strangers, *self._clients.values()]:
            connection.end(None)
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=HELLO_S)


@dataclass(frozen=True, slots=True)
class _KeyFile:
    """A usable key file: `keys` is None when it is the one seen before."""

    seen: tuple[int, ...]
    keys: dict[str, bytes] | None = None


def _read_keys(path: Path, seen_before: tuple[int, ...]) -> _KeyFile | str:
    """The key file, or the word for what is wrong with it."""
    try:
        about = path.stat()
        if about.st_mode & 0o077:
            return "key-file-open"
        seen = (about.st_mtime_ns, about.st_size, about.st_ino)
        if seen == seen_before:
            return _KeyFile(seen)
        if about.st_size > KEY_FILE_BYTES_MAX:
            return "bad-key-file"
        keys, problems = parse_keys(path.read_text("utf-8"))
    except FileNotFoundError:
        return "no-key-file"
    except (OSError, UnicodeDecodeError):
        return "bad-key-file"
    if problems or not keys:
        log.warning("reader.key_file", lines=[line for line, _ in problems])
        return "bad-key-file"
    return _KeyFile(seen, keys)
