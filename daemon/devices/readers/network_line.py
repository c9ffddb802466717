"""One connection of a network reader's client, from the greeting to the end. I/O."""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING, Protocol

from daemon.devices.readers.network_protocol import (
    LINE_BYTES_MAX,
    STAYS,
    Fault,
    Refused,
    greeting,
    hello,
    hello_in,
    prove,
    said,
    seal,
    session_key,
)

if TYPE_CHECKING:
    from daemon.devices.readers.network_protocol import Hello, Said
    from daemon.kernel.clock import Clock

HELLO_S = 3.0
"""From the greeting to a proved hello."""
IDLE_S = 90.0
"""Without a word a client is gone; it pings every 30 s."""
LATE_S = 10
"""A line may be on its way for this long, and a client's clock be wrong by it over a session."""
SESSION_S = 6 * 3600.0
"""Then a client says hello again: its clock may drift by `LATE_S` in a day."""
WRITE_S = 2.0
MISTAKES_MAX = 3
"""Reads of a proved client that are refused in a row; then the connection ends."""


class House(Protocol):
    """What a connection needs of the reader it belongs to."""

    def key_of(self, client: str) -> bytes | None: ...
    def old_challenges(self) -> tuple[str, ...]: ...
    def admit(self, connection: Connection) -> Fault | None: ...
    def take(self, connection: Connection, raw: str) -> Fault | None: ...
    def count(self, fault: Fault, client: str) -> None: ...


class Connection:
    """Speaks with one client."""

    def __init__(
        self,
        house: House,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        challenge: str,
        clock: Clock,
    ) -> None:
        self.client = ""
        self.challenge = challenge
        self.loop = asyncio.get_running_loop()
        self._house, self._reader, self._writer, self._clock = house, reader, writer, clock
        self._began_s = clock.monotonic_s()
        self._session: bytes | None = None
        self._counter = 0
        self._mistakes = 0

    async def serve(self) -> None:
        """Until the client goes, is refused, or `end`."""
        fault: Fault | None = None
        try:
            await self._say(greeting(self.challenge))
            async with asyncio.timeout(HELLO_S):
                first = hello_in(await self._line())
            self._prove(first)
            while True:
                async with asyncio.timeout(IDLE_S):
                    line = await self._line()
                await self._hear(line)
        except Refused as refused:
            fault = refused.fault
        except TimeoutError:
            fault = Fault.IDLE
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            if fault is not None:
                self._house.count(fault, self.client)
            self.end(fault)

    async def signal(self, *, is_good: bool) -> None:
        """Tell what became of the last read."""
        await self._say(f"signal {self._counter} {'good' if is_good else 'bad'}")

    def end(self, fault: Fault | None) -> None:
        """End the connection, with the reason if there is one; whoever has proved nothing learns next to none."""
        if self._writer.is_closing():
            return
        if fault is not None:
            if self._session is None and fault in (Fault.FORGED, Fault.REPLAYED, Fault.UNKNOWN_CLIENT):
                fault = Fault.REFUSED
            self._writer.write(self._bytes(f"no {self._counter} {fault.value}"))
        self._writer.close()

    def _prove(self, first: Hello) -> None:
        """The client of a hello is who it says.

        Raises:
            Refused: unknown, forged, heard before, or too many.
        """
        key = self._house.key_of(first.client)
        # An unknown client costs the same work and gets the same answer as a wrong key.
        session = session_key(key or bytes(32), challenge=self.challenge, client=first.client, nonce=first.nonce)
        is_right = hmac.compare_digest(hello(session, client=first.client, nonce=first.nonce)[-64:], first.mac)
        if key is None:
            raise Refused(Fault.UNKNOWN_CLIENT)
        if not is_right:
            self.client = first.client
            raise Refused(Fault.REPLAYED if self._was_heard(first, key) else Fault.FORGED)
        self.client = first.client
        refused = self._house.admit(self)
        if refused is not None:
            raise Refused(refused)
        self._session = session
        self._writer.write(self._bytes("welcome"))

    def _was_heard(self, first: Hello, key: bytes) -> bool:
        """Whether this hello answers an older challenge: somebody recorded it."""
        for challenge in self._house.old_challenges():
            session = session_key(key, challenge=challenge, client=first.client, nonce=first.nonce)
            if hmac.compare_digest(hello(session, client=first.client, nonce=first.nonce)[-64:], first.mac):
                return True
        return False

    async def _hear(self, line: str) -> None:
        """One line of a proved client.

        Raises:
            Refused: the connection ends.
        """
        assert self._session is not None
        word = said(self._session, line)
        if word.counter <= self._counter:
            raise Refused(Fault.REPLAYED)
        self._counter = word.counter
        elapsed_s = self._clock.monotonic_s() - self._began_s
        if elapsed_s > SESSION_S:
            raise Refused(Fault.EXPIRED)
        fault = Fault.STALE if abs(elapsed_s - word.age_s) > LATE_S else None
        if fault is None and word.verb == "ping":
            await self._say(f"pong {word.counter}")
            return
        fault = fault or self._take(word)
        if fault is None:
            self._mistakes = 0
            await self._say(f"ok {word.counter}")
            return
        self._mistakes += 1
        if fault not in STAYS or self._mistakes >= MISTAKES_MAX:
            raise Refused(fault)
        self._house.count(fault, self.client)
        await self._say(f"no {word.counter} {fault.value}")

    def _take(self, word: Said) -> Fault | None:
        assert self._session is not None
        try:
            raw = seal(self._session, word.counter, word.sealed).decode("utf-8")
        except UnicodeDecodeError:
            return Fault.IMPLAUSIBLE
        return self._house.take(self, raw)

    async def _line(self) -> str:
        """The next line.

        Raises:
            Refused: too long, or not ASCII.
            asyncio.IncompleteReadError: the client has gone.
        """
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            raise Refused(Fault.TOO_LONG) from error
        if len(line) > LINE_BYTES_MAX:
            raise Refused(Fault.TOO_LONG)
        try:
            return line.rstrip(b"\r\n").decode("ascii")
        except UnicodeDecodeError as error:
            raise Refused(Fault.MALFORMED) from error

    async def _say(self, words: str) -> None:
        if not self._writer.is_closing():
            self._writer.write(self._bytes(words))
            async with asyncio.timeout(WRITE_S):
                await self._writer.drain()

    def _bytes(self, words: str) -> bytes:
        line = words if self._session is None else prove(self._session, "server", words)
        return f"{line}\n".encode("ascii")
