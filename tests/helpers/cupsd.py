"""A private cupsd on loopback: every directory of its own, no system bus, nothing of the machine's printing touched."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from tests.helpers.ippeveprinter import free_port

CUPSD = shutil.which("cupsd") or "/usr/sbin/cupsd"
START_S = 15.0

CONF = """
LogLevel debug
MaxLogSize 0
Listen 127.0.0.1:{port}
Listen {folder}/sock
DefaultAuthType None
WebInterface No
Browsing Off
JobPrivateAccess all
JobPrivateValues none
SubscriptionPrivateAccess all
SubscriptionPrivateValues none
PreserveJobFiles No
DirtyCleanInterval 0
<Location />
  Order allow,deny
  Allow all
</Location>
<Location /admin>
  Order allow,deny
  Allow all
</Location>
<Policy default>
  JobPrivateAccess all
  JobPrivateValues none
  <Limit All>
    Order deny,allow
    Allow all
  </Limit>
</Policy>
"""
FILES = """
FileDevice Yes
Sandboxing relaxed
ServerRoot {folder}/etc
ServerBin /usr/lib/cups
DataDir /usr/share/cups
DocumentRoot {folder}/www
RequestRoot {folder}/spool
CacheDir {folder}/cache
StateDir {folder}/run
TempDir {folder}/spool/tmp
AccessLog {folder}/access.log
ErrorLog {folder}/error.log
PageLog {folder}/page.log
ServerKeychain {folder}/etc/ssl
User lp
Group lp
SystemGroup root
"""


class Cups:
    """A running cupsd; commands talk to it through CUPS_SERVER."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.port = free_port()
        self.process = None

    @property
    def uri(self):
        return f"ipp://localhost:{self.port}/printers"

    @property
    def environment(self):
        return os.environ | {
            "CUPS_SERVER": f"localhost:{self.port}",
            "CUPS_SERVERROOT": str(self.folder / "etc"),
            "HOME": str(self.folder),
            "LC_ALL": "C",
        }

    async def start(self):
        for part in ("etc/ssl", "www", "spool/tmp", "cache", "run/certs"):
            (self.folder / part).mkdir(parents=True)
        self.folder.chmod(0o755)
        if os.getuid() == 0:
            for part in ("spool", "spool/tmp", "cache", "run"):
                shutil.chown(self.folder / part, "lp", "lp")
        values = {"port": self.port, "folder": self.folder}
        (self.folder / "etc/cupsd.conf").write_text(CONF.format(**values))
        (self.folder / "etc/cups-files.conf").write_text(FILES.format(**values))
        with (self.folder / "stderr").open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                CUPSD,
                "-f",
                "-c",
                str(self.folder / "etc/cupsd.conf"),
                "-s",
                str(self.folder / "etc/cups-files.conf"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.folder}/nobus"},
            )
        async with asyncio.timeout(START_S):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.05)

    async def stop(self):
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 10)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()

    async def run(self, *words, check=True):
        """A CUPS command; its output."""
        process = await asyncio.create_subprocess_exec(
            *words, env=self.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
        text = out.decode(errors="replace")
        assert process.returncode == 0 or not check, (words, text, self.log()[-3000:])
        return text

    def log(self):
        file = self.folder / "error.log"
        return (
            file.read_text(errors="replace") if file.exists() else (self.folder / "stderr").read_text(errors="replace")
        )


@contextlib.asynccontextmanager
async def running():
    """A cupsd for the length of a block, in a short directory of its own."""
    with tempfile.TemporaryDirectory(prefix="hfc") as folder:
        cups = Cups(Path(folder))
        try:
            await cups.start()
            yield cups
        finally:
            await cups.stop()
