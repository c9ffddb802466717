"""A real `ippeveprinter` on loopback as an independent witness: private D-Bus, captured documents, faults on demand.

It needs only the Debian packages cups-ipp-utils and dbus. Faults are chosen by `mode` before a job is sent; the
counts come from the capture command's `ATTR:` lines, as a real device's would.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

PROGRAM = shutil.which("ippeveprinter") or "/usr/sbin/ippeveprinter"
START_S = 15.0
CAPTURE = r"""#!/bin/bash
# The printer's "engine": keep document and environment, then behave as $CAPTURE_DIR/MODE says.
out=${CAPTURE_DIR:?}
id=$IPP_JOB_ID-$(date +%s%N)
cp "$1" "$out/$id.part"; env | sort >"$out/$id.env"; mv "$out/$id.part" "$out/$id.doc"
mode=$(cat "$out/MODE" 2>/dev/null || echo ok)
n=$(cat "$out/PAGES" 2>/dev/null || echo 3)
at=$(cat "$out/FAULT_AT" 2>/dev/null || echo 1)
pause=$(cat "$out/PAGE_S" 2>/dev/null || echo 0.05)
say() { echo "$*" >&2; }
page() { say "ATTR: job-impressions=$n job-impressions-completed=$1"; sleep "$pause"; }
clears() { while [ "$(cat "$out/MODE" 2>/dev/null)" = "$mode" ]; do sleep 0.1; done; }
case "$mode" in
  ok)         for i in $(seq "$n"); do page "$i"; done ;;
  mediaempty) for i in $(seq "$at"); do page "$i"; done; say "STATE: +media-empty-error"; clears
              say "STATE: -media-empty-error"; for i in $(seq $((at + 1)) "$n"); do page "$i"; done ;;
  jam)        for i in $(seq "$at"); do page "$i"; done; say "STATE: +media-jam-error"; clears
              say "STATE: -media-jam-error"; for i in $(seq $((at + 1)) "$n"); do page "$i"; done ;;
  abort)      for i in $(seq "$at"); do page "$i"; done; say "ERROR: boom"; exit 1 ;;
  crash)      for i in $(seq "$at"); do page "$i"; done; kill -9 $$ ;;
esac
"""


def is_installed() -> bool:
    """True if both programs are there."""
    return Path(PROGRAM).exists() and shutil.which("dbus-daemon") is not None


def free_port() -> int:
    """A port nobody listens on now; ippeveprinter cannot be told 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class IppEvePrinter:
    """A running printer. `uri` is plain, `secure_uri` the same port with TLS and a self-made certificate."""

    folder: Path
    port: int
    name: str
    flags: tuple[str, ...] = ()
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def uri(self) -> str:
        return f"ipp://localhost:{self.port}/ipp/print"

    @property
    def secure_uri(self) -> str:
        return f"ipps://localhost:{self.port}/ipp/print"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def behave(self, mode: str, *, pages: int = 3, fault_at: int = 1, page_s: float = 0.05) -> None:
        """Choose what the next job (or a waiting fault: `ok` clears it) does."""
        (self.out / "PAGES").write_text(str(pages))
        (self.out / "FAULT_AT").write_text(str(fault_at))
        (self.out / "PAGE_S").write_text(str(page_s))
        (self.out / "MODE").write_text(mode)

    def documents(self) -> list[Path]:
        """What it received, oldest first."""
        return sorted(self.out.glob("*.doc"), key=lambda p: p.stat().st_mtime_ns)

    def environment(self, document: Path) -> dict[str, str]:
        """The job attributes it saw, as its command's environment."""
        lines = document.with_suffix(".env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def start(self) -> None:
        """Start bus and printer; returns when it answers."""
        for part in ("out", "spool", "keys"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        command = self.folder / "capture.sh"
        command.write_text(CAPTURE)
        command.chmod(0o755)
        bus = self.folder / "bus"
        if not bus.exists():
            self._spawn(["dbus-daemon", "--session", "--nofork", f"--address=unix:path={bus}"], {})
            _wait_for(bus.exists)
        self._spawn(
            [
                PROGRAM, "-v", "-r", "off", "-n", "localhost", "-p", str(self.port), "-d", str(self.folder / "spool"),
                "-k", "-K", str(self.folder / "keys"), "-2", "-s", "20,10",
                "-f", "application/pdf,image/pwg-raster,image/urf,image/jpeg", "-c", str(command), *self.flags, self.name,
            ],
            {"CAPTURE_DIR": str(self.out), "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus}"},
        )  # fmt: skip
        _wait_for(self._answers)

    def _spawn(self, argv: list[str], environment: dict[str, str]) -> None:
        log = (self.folder / "log").open("ab")
        with log:
            self.processes.append(
                subprocess.Popen(
                    argv, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True,
                )
            )  # fmt: skip

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("localhost", self.port), timeout=0.5):
            return True
        return False

    @property
    def printer_process(self) -> subprocess.Popen[bytes]:
        return self.processes[-1]

    def freeze(self) -> None:
        """It takes connections and answers nothing."""
        self.printer_process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.printer_process.send_signal(signal.SIGCONT)

    def power_off(self) -> None:
        """Gone from one moment to the next, its running job with it."""
        process = self.processes.pop()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        while self.processes:
            self.power_off()


def _wait_for(is_true) -> None:
    deadline = time.monotonic() + START_S
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError("the simulated printer did not start")
        time.sleep(0.05)


@contextlib.asynccontextmanager
async def running(*, name: str = "Witness", flags: tuple[str, ...] = ()) -> AsyncIterator[IppEvePrinter]:
    """A printer for the length of a block, in a short directory of its own (socket paths are short)."""
    with tempfile.TemporaryDirectory(prefix="hfp") as folder:
        printer = IppEvePrinter(Path(folder), free_port(), name, flags)
        try:
            await asyncio.to_thread(printer.start)
            yield printer
        finally:
            await asyncio.to_thread(printer.stop)
