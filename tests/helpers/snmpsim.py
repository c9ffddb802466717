"""A real snmpsim responder over a folder of recordings: community (or SNMPv3 context) is the file's name."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

READY_S = 40.0
STOP_S = 5.0
USER, AUTH_SECRET, PRIVACY_SECRET = "simuser", "authpass123", "privpass123"


def free_udp_port() -> int:
    """A loopback port nobody uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def responder(folder: Path) -> Iterator[int]:
    """The port it answers at, for the length of a block."""
    port = free_udp_port()
    with tempfile.TemporaryDirectory(prefix="snmpsim-") as work, (Path(work) / "log").open("wb") as log:
        program = Path(sys.executable).with_name("snmpsim-command-responder")
        process = subprocess.Popen(
            [
                program, f"--cache-dir={work}/cache", f"--data-dir={folder}",
                f"--agent-udpv4-endpoint=127.0.0.1:{port}", "--log-level=error",
                f"--v3-user={USER}", f"--v3-auth-key={AUTH_SECRET}", "--v3-auth-proto=SHA256",
                f"--v3-priv-key={PRIVACY_SECRET}", "--v3-priv-proto=AES128",
            ],
            env=os.environ | {"SNMPSIM_ALLOW_ROOT": "true"},
            stdout=log,
            stderr=log,
        )  # fmt: skip
        try:
            _wait(process, Path(work) / "log")
            yield port
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_S)


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + READY_S
    while "Listening at" not in log.read_text("utf-8", "replace"):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"snmpsim did not start: {log.read_text('utf-8', 'replace')[-2000:]}")
        time.sleep(0.1)
