"""The other side of a network reader: what a script, or a box with a reader of its own, sends with. I/O."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.devices.readers.network_protocol import (
    COUNTER_MAX,
    LINE_BYTES_MAX,
    NONCE_BYTES,
    STAYS,
    Fault,
    Refused,
    challenge_in,
    hello,
    parse_keys,
    prove,
    proved,
    seal,
    session_key,
)
from daemon.kernel.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from daemon.kernel.clock import Clock

ANSWER_S = 5.0
PING_EVERY_S = 30.0


class Sender:
    """A proved session with a terminal."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, session: bytes, began_s: float, clock: Clock
    ) -> None:
        self._reader, self._writer, self._session = reader, writer, session
        self._began_s, self._clock = began_s, clock
        self._counter = 0
        self.signals: list[bool] = []
        """What became of earlier reads, as told since the session began: True is good."""

    async def send(self, raw: str) -> Fault | None:
        """One read; why it was refused, or None.

        Raises:
            Refused: the terminal ended the session.
            Unavailable: it has gone.
        """
        self._counter += 1
        sealed = seal(self._session, self._counter, raw.encode("utf-8"))
        return await self._ask(f"read {self._counter} {self._age_s()} {sealed.hex()}", "ok")

    async def ping(self) -> None:
        """Say that we are still there; every `PING_EVERY_S`.

        Raises:
            Refused, Unavailable: as for `send`.
        """
        self._counter += 1
        await self._ask(f"ping {self._counter} {self._age_s()}", "pong")

    def _age_s(self) -> int:
        return int(self._clock.monotonic_s() - self._began_s)

    async def _ask(self, words: str, wanted: str) -> Fault | None:
        if self._counter > COUNTER_MAX:
            raise Refused(Fault.EXPIRED)
        self._writer.write(f"{prove(self._session, 'client', words)}\n".encode("ascii"))
        while True:
            answer = proved(self._session, "server", await _line(self._reader)).split(" ")
            match answer:
                case ["signal", _, said]:
                    self.signals.append(said == "good")
                case [word, counter] if word == wanted and counter == str(self._counter):
                    return None
                case ["no", _, word]:
                    if (fault := _fault(word)) in STAYS:
                        return fault
                    raise Refused(fault)
                case _:
                    raise Refused(Fault.MALFORMED)


@asynccontextmanager
async def session(address: str, key_file: Path, clock: Clock) -> AsyncIterator[Sender]:
    """A session with the terminal at HOST:PORT, for the length of a block. `key_file` holds one client's line.

    Raises:
        BadInput: the address or the key file is not usable.
        Unavailable: nobody answers there, or not as a network reader.
        Refused: the terminal does not take us, or is not the one that knows our key.
    """
    client, key = own_key(key_file)
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise BadInput(f"{address!r} is not HOST:PORT")
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), limit=LINE_BYTES_MAX)
    except (OSError, OverflowError, TimeoutError) as error:
        raise Unavailable(f"no terminal answers at {address}", code="no-terminal") from error
    try:
        challenge = challenge_in(await _line(reader))
        began_s, nonce = clock.monotonic_s(), os.urandom(NONCE_BYTES).hex()
        secret = session_key(key, challenge=challenge, client=client, nonce=nonce)
        writer.write(f"{hello(secret, client=client, nonce=nonce)}\n".encode("ascii"))
        answer = await _line(reader)
        if answer.startswith("no "):
            raise Refused(_fault(answer.split(" ")[2]))
        if proved(secret, "server", answer) != "welcome":
            raise Refused(Fault.MALFORMED)
        yield Sender(reader, writer, secret, began_s, clock)
    finally:
        writer.close()


async def send_all(
    address: str,
    key_file: Path,
    clock: Clock,
    *,
    next_raw: Callable[[], Awaitable[str | None]],
    tell: Callable[[Fault | None], None],
) -> None:
    """Send what `next_raw` gives until it gives None, and `tell` why each was refused, or None.

    The session is kept alive while nothing comes, and begun anew when it has grown too old.

    Raises:
        BadInput, Unavailable, Refused: as for `session`.
    """
    waiting: asyncio.Task[str | None] | None = None
    try:
        while True:
            try:
                async with session(address, key_file, clock) as sender:
                    while True:
                        waiting = waiting or asyncio.ensure_future(next_raw())
                        done, _ = await asyncio.wait({waiting}, timeout=PING_EVERY_S)
                        if not done:
                            await sender.ping()
                            continue
                        raw = waiting.result()
                        if raw is None:
                            return
                        tell(await sender.send(raw))
                        waiting = None
            except Refused as refused:
                if refused.fault is not Fault.EXPIRED:
                    raise
    finally:
        if waiting is not None:
            waiting.cancel()


def own_key(path: Path) -> tuple[str, bytes]:
    """The one client of a key file: name and key.

    Raises:
        BadInput: there is no such file, others can read it, or it does not hold one client.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise BadInput(f"others can read {path}: chmod 600 it")
        keys, problems = parse_keys(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({type(error).__name__})") from error
    if problems:
        details = [{"file": str(path), "line": line, "key": "", "message": text} for line, text in problems]
        raise BadInput(f"{path}: {len(problems)} problem(s)", details=details)
    if len(keys) != 1:
        raise BadInput(f"{path} must hold the line of one client, not of {len(keys)}")
    return next(iter(keys.items()))


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        async with asyncio.timeout(ANSWER_S):
            return (await reader.readuntil(b"\n")).rstrip(b"\r\n").decode("ascii")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, UnicodeDecodeError, OSError, TimeoutError) as error:
        raise Unavailable("the terminal has gone, or is none", code="no-terminal") from error


def _fault(word: str) -> Fault:
    try:
        return Fault(word)
    except ValueError:
        return Fault.MALFORMED
