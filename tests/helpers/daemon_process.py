"""A real daemon in a process of its own: started, asked over its admin socket, killed, started again."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

START_S = 30.0
ROOT = Path(__file__).resolve().parents[2]


def free_base(count: int = 20) -> int:
    """A port from which on `count` ports are free on loopback just now."""
    for base in range(random.randrange(15000, 30000), 60000, count):  # below the ports the system gives out by itself
        taken = False
        for port in range(base, base + count):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    taken = True
                    break
        if not taken:
            return base
    raise OSError("no free ports")


def holdfast(*words: str, stdin: str = "", check: bool = True) -> Any:
    """Run one command with --json; its object."""
    done = subprocess.run(
        [sys.executable, "-m", "daemon", *words, "--json"],
        cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if check and done.returncode != 0:
        raise AssertionError(f"holdfast {' '.join(words)} -> {done.returncode}: {done.stdout} {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


class DaemonProcess:
    """One installation and its daemon."""

    def __init__(self, state: Path, *, config: str = "") -> None:
        self.state = state
        self.base = free_base()
        self.made = holdfast("init", "--state", str(state), "--port-base", str(self.base))
        if config:
            (state / "conf.d").mkdir()
            (state / "conf.d" / "test.toml").write_text(config)
        self.process: subprocess.Popen[str] | None = None
        self.log = state.parent / "daemon.log"
        self.starts_s: list[float] = []

    @property
    def ipp(self) -> str:
        return f"ipp://localhost:{self.base}/ipp/print/findme"

    def start(self) -> None:
        """Start it and wait until it serves."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "daemon", "daemon", "--config", str(self.state / "holdfast.toml")],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            )  # fmt: skip
        ready, _, _ = select.select([self.process.stdout], [], [], START_S)
        line = self.process.stdout.readline() if ready else ""
        if '"ready"' not in line:
            self.kill()
            raise AssertionError(f"the daemon did not start: {line!r}\n{self.log.read_text()[-3000:]}")
        self.starts_s.append(time.monotonic() - began)

    def kill(self) -> None:
        """Kill -9 the daemon and all its workers, as a power cut of the process would."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(timeout=10)
        finally:
            process.stdout.close()

    def api(self) -> httpx.AsyncClient:
        """A client of the admin API over the socket."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.state / "admin.sock"))
        return httpx.AsyncClient(transport=transport, base_url="http://holdfast.local/api/v1", timeout=20)

    def cli(self, *words: str, **more: Any) -> Any:
        """A command on this installation."""
        return holdfast(*words, "--state", str(self.state), **more)
