"""A room with a real pcscd: private network and private /run, because its virtual reader binds every address.

A test written as `@inside async def test_...(desk)` runs in a process in that room; outside, pytest sees an ordinary test
that asks for the fixture `pcsc_room`. One process serves all tests of a module, each with a pcscd of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from daemon.devices.readers.pcsc import PcscOptions, PcscReader, open_pcsc
from daemon.devices.readers.reading import Missed, Read, ReaderState, ReaderStatus
from daemon.system import SystemClock
from tests.helpers.vcard import Card

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from daemon.devices.readers.reading import ReaderEvent

ROOT = Path(__file__).resolve().parents[2]
PCSCD = shutil.which("pcscd") or "/usr/sbin/pcscd"
SOCKET = "/run/pcscd/pcscd.comm"
VPCD = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
PORT = 35963
"""The first slot's; the second's is one more. The driver has two slots, however many are configured."""
SCENE_S = 180
ROOM_S = 20
EVENT_S = 5.0


class Desk:
    """A terminal's desk: pcscd with two slots, cards to lay on them, and a Reader that watches."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SystemClock()
        self.pcscd: asyncio.subprocess.Process | None = None
        self.reader: PcscReader | None = None
        self.lag_s = 0.0
        self.told: list[str] = []
        self._events: asyncio.Queue[ReaderEvent] = asyncio.Queue()
        self._tasks: list[asyncio.Task[Any]] = []

    async def start_service(self, *, with_readers: bool = True, name: str = "Virtual PCD") -> None:
        """Start pcscd; it answers when this returns. Its readers are called `name`."""
        config = self.folder / "readers"
        config.mkdir(exist_ok=True)
        slots = f'FRIENDLYNAME "{name}"\nDEVICENAME /dev/null:{PORT:#x}\nLIBPATH {VPCD}\nCHANNELID {PORT:#x}\n'
        (config / "vpcd").write_text(slots if with_readers else "")
        Path(SOCKET).parent.mkdir(exist_ok=True)
        words = [PCSCD, "--foreground", "--info", "-c", str(config)]
        # Later versions ask polkit who may use a card; there is none in this room.
        if b"--disable-polkit" in subprocess.run([PCSCD, "--help"], capture_output=True, check=False).stdout:
            words.append("--disable-polkit")
        with (self.folder / "pcscd.log").open("ab") as log:
            self.pcscd = await asyncio.create_subprocess_exec(*words, stdout=log, stderr=log)
        async with asyncio.timeout(10):
            while not _answers():
                assert self.pcscd.returncode is None, (self.folder / "pcscd.log").read_text()[-2000:]
                await asyncio.sleep(0.02)

    async def end_service(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End pcscd as its unit, or a crash, would."""
        assert self.pcscd is not None
        if self.pcscd.returncode is None:
            self.pcscd.send_signal(how)
            await asyncio.wait_for(self.pcscd.wait(), 10)

    async def watch(self, match: str = "*", *, first: ReaderState | None = ReaderState.READY) -> None:
        """Open a reader and keep what it tells; its first status is `first`."""
        self.reader = open_pcsc(PcscOptions(name="desk", match=match), self.clock)
        await self.watch_again(first=first)

    async def watch_again(self, *, first: ReaderState | None = ReaderState.READY) -> None:
        """Listen to the same reader once more."""
        assert self.reader is not None

        began = time.monotonic()

        async def listen(reader: PcscReader) -> None:
            async for event in reader.events():
                self.told.append(f"{time.monotonic() - began:.2f} s {event!r}")
                self._events.put_nowait(event)

        self._tasks = [asyncio.create_task(listen(self.reader)), asyncio.create_task(self._beat())]
        if first is not None:
            status = await self.status()
            assert status.state is first, status

    async def unwatch(self) -> float:
        """Close the reader; how long that took in seconds."""
        began = time.monotonic()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        return time.monotonic() - began

    async def rest(self, for_s: float) -> None:
        """Nothing happens, and nothing of ours but the reader works."""
        self._tasks[1].cancel()
        await asyncio.sleep(for_s)

    async def _beat(self) -> None:
        """How long the event loop was ever late."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            self.lag_s, last = max(self.lag_s, now - last - 0.01), now

    async def event(self, within_s: float = EVENT_S) -> ReaderEvent:
        return await asyncio.wait_for(self._events.get(), within_s)

    async def read(self, within_s: float = EVENT_S) -> str:
        """The next event, which must be a card's number."""
        event = await self.event(within_s)
        assert isinstance(event, Read), event
        assert event.reader == "desk"
        return event.raw

    async def missed(self, within_s: float = EVENT_S) -> str:
        """The next event, which must be a tap without a number; why."""
        event = await self.event(within_s)
        assert isinstance(event, Missed), event
        return event.why.value

    async def status(self, within_s: float = EVENT_S) -> ReaderStatus:
        """The next event, which must be a status."""
        event = await self.event(within_s)
        assert isinstance(event, ReaderStatus), event
        return event

    async def until(self, state: ReaderState, within_s: float = 10.0) -> ReaderStatus:
        """The next status of that state; others may come before it, cards may not."""
        async with asyncio.timeout(within_s):
            while (status := await self.status(within_s)).state is not state:
                pass
        return status

    async def silence(self, for_s: float) -> None:
        """Nothing is told for so long."""
        with contextlib.suppress(TimeoutError):
            raise AssertionError(await self.event(for_s))

    def threads(self, prefix: str) -> list[str]:
        """The threads of that name there are."""
        return [thread.name for thread in threading.enumerate() if thread.name.startswith(prefix)]

    @contextlib.contextmanager
    def log(self) -> Iterator[list[Any]]:
        """Every line logged in the block."""
        with structlog.testing.capture_logs() as lines:
            yield lines

    @contextlib.asynccontextmanager
    async def tap(self, uid: str, *, slot: int = 0, **how: Any) -> AsyncIterator[Card]:
        """A card on the reader for the length of a block."""
        card = Card(uid, port=PORT + slot, **how)
        await card.insert()
        try:
            yield card
        finally:
            await card.remove()


def _answers() -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(SOCKET)
        except OSError:
            return False
    return True


class Room:
    """The process inside, as pytest sees it."""

    def __init__(self) -> None:
        for needed in (PCSCD, VPCD):
            assert Path(needed).exists(), f"{needed} is missing: see tests/system-packages"
        words = ["unshare", "--mount", "--net", "--fork", "--kill-child"]
        if os.getuid() != 0:
            words.append("--map-root-user")
        self._process = subprocess.Popen(
            [*words, sys.executable, "-m", "tests.helpers.pcscd"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        assert self._hear(ROOM_S) == {"room": "ready"}

    def play(self, scene: str, folder: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"scene": scene, "folder": folder}) + "\n")
        heard = self._hear(SCENE_S + 10)
        if heard.get("error"):
            pytest.fail(heard["error"], pytrace=False)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process.stdout.close()

    def _hear(self, limit_s: float) -> dict[str, str]:
        ready, _, _ = select.select([self._process.stdout], [], [], limit_s)
        assert self._process.stdout is not None
        line = self._process.stdout.readline() if ready else ""
        if not line:
            self._process.kill()
            raise AssertionError(f"the process in the room has ended or hangs ({self._process.poll()})")
        answer: dict[str, str] = json.loads(line)
        return answer


@pytest.fixture(scope="module")
def pcsc_room() -> Iterator[Room]:
    """The room, for all tests of a module."""
    room = Room()
    yield room
    room.close()


def inside(scene: Callable[[Desk], Awaitable[None]]) -> Callable[..., None]:
    """Make `scene` a test that runs in the room."""

    def test(pcsc_room: Room, tmp_path: Path) -> None:
        pcsc_room.play(f"{scene.__module__}:{scene.__name__}", str(tmp_path))

    test.__name__, test.__qualname__, test.__doc__ = scene.__name__, scene.__qualname__, scene.__doc__
    test.__module__ = scene.__module__
    test.scene = scene  # type: ignore[attr-defined]
    return test


async def _play(name: str, folder: Path) -> None:
    module, _, function = name.partition(":")
    desk = Desk(folder)
    async with asyncio.timeout(SCENE_S):
        await desk.start_service()
        try:
            await getattr(importlib.import_module(module), function).scene(desk)
        except BaseException as error:
            error.add_note("what the reader told:\n  " + "\n  ".join(desk.told))
            raise
        finally:
            await desk.unwatch()
            await desk.end_service(signal.SIGKILL)


def main() -> None:
    """Inside: prepare the room, then play what is asked for, line by line."""
    for words in (["mount", "-t", "tmpfs", "room", "/run"], ["ip", "link", "set", "lo", "up"]):
        subprocess.run(words, check=True)
    # Whatever a scene prints goes to stderr: stdout carries the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    print(json.dumps({"room": "ready"}), file=answers)
    for line in sys.stdin:
        asked = json.loads(line)
        error = ""
        try:
            with tempfile.TemporaryDirectory(prefix="room-", dir=asked["folder"]) as folder:
                asyncio.run(_play(asked["scene"], Path(folder)))
        except BaseException:
            error = traceback.format_exc()
        print(json.dumps({"error": error}), file=answers)


if __name__ == "__main__":
    main()
