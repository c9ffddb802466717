"""A private cupsd with durable settings: every Root and Dir under one directory, no system bus, its own port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SEARCH = "/usr/sbin:/sbin:" + os.environ.get("PATH", "")
START_S = 15.0
QUEUE = "bench"

FILES = """\
SystemGroup root
Sandboxing relaxed
FileDevice Yes
SyncOnClose Yes
ServerRoot {root}/etc
RequestRoot {root}/spool
TempDir {root}/tmp
StateDir {root}/run
CacheDir {root}/cache
ErrorLog {root}/log/error_log
AccessLog {root}/log/access_log
PageLog {root}/log/page_log
"""
SETTINGS = """\
LogLevel warn
Listen 127.0.0.1:{port}
Listen {root}/cups.sock
DirtyCleanInterval 0
MaxJobs 0
MaxClients 200
Browsing Off
WebInterface No
DefaultAuthType None
<Location />
  Order allow,deny
  Allow all
</Location>
<Policy default>
  <Limit All>
    Order allow,deny
    Allow all
  </Limit>
</Policy>
"""


def is_there() -> bool:
    """Whether this machine has a cupsd to compare with."""
    return shutil.which("cupsd", path=SEARCH) is not None


class Cups:
    """One cupsd with one queue that holds what it is given."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Configure, start, add the queue."""
        for name in ("etc", "spool", "tmp", "run", "cache", "log"):
            (self.root / name).mkdir(parents=True)
        (self.root / "etc/cups-files.conf").write_text(FILES.format(root=self.root))
        (self.root / "etc/cupsd.conf").write_text(SETTINGS.format(root=self.root, port=self.port))
        server = shutil.which("cupsd", path=SEARCH)
        assert server is not None
        self.process = subprocess.Popen(
            [server, "-f", "-c", str(self.root / "etc/cupsd.conf"), "-s", str(self.root / "etc/cups-files.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        # A raw queue (no filter runs) that holds every job for its release, as ours does.
        self._run("lpadmin", "-p", QUEUE, "-v", "file:/dev/null", "-o", "job-hold-until-default=indefinite", "-E")

    def forget_jobs(self) -> None:
        """Cancel and purge everything: cupsd writes its list of all jobs on each change, a long one slows it down."""
        self._run("cancel", "-a", "-x")

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)

    def _run(self, *words: str) -> None:
        environment = os.environ | {"CUPS_SERVER": f"127.0.0.1:{self.port}"}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise OSError(f"{' '.join(words)}: {done.stderr}")
