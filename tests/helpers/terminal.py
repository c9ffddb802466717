"""A kiosk program as its own process, enrolled with a daemon: what runs on a terminal."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kiosk import enrolment
from tests.helpers.fake_daemon import FakeDaemon, FakePerson, job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).resolve().parents[2]
RUN = "import sys; from kiosk.cli import run; sys.exit(run(config=sys.argv[1]))"
START_S = 15
STOP_S = 6


class Terminal:
    """One kiosk program; `url` opens its screen."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = ""
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        config = self.directory / "kiosk.toml"
        text = config.read_text()
        lines = ["port = 0" if line.startswith("port = ") else line for line in text.splitlines()]
        config.write_text("\n".join(lines) + "\n")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            RUN,
            str(config),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), START_S)
        self.url = json.loads(line)["urls"]["kiosk"]

    async def stop(self) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), STOP_S)


def some_jobs() -> list[dict[str, object]]:
    """Colour, grey, several copies, one this printer cannot do, one with a job code."""
    return [
        job("j1", "Quarterly report", 12, color_impressions=4, sides="two-sided-long-edge", sheets=6),
        job("j2", "Invoice", 1),
        job("j3", "Workshop hand-out", 8, copies=5, color_impressions=8),
        job("j4", "Board minutes", 4, problem={"code": "cannot-staple", "message": "this printer cannot staple"}),
        job("j5", "Payslip", 1, needs_code=True),
    ]


def ada(language: str = "en") -> FakePerson:
    """PIN 4711, password `correct horse`, 12.50, card 04A1B2."""
    return FakePerson("4711", "correct horse", "Ada Lovelace", language=language, card="04A1B2", jobs=some_jobs())


@asynccontextmanager
async def terminal_with(daemon: FakeDaemon, directory: Path) -> AsyncIterator[Terminal]:
    """The stand-in started, a terminal enrolled with it and its kiosk program running."""
    if not daemon.people:
        daemon.people.append(ada())
    await daemon.start()
    home = directory / "terminal"
    await enrolment.enrol(url=daemon.url, code_text=daemon.code.text, directory=home, reader="simulated")
    terminal = Terminal(home)
    await terminal.start()
    try:
        yield terminal
    finally:
        await terminal.stop()
        await daemon.close()
