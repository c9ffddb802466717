"""A guest: Debian's kernel in qemu over this machine's own file tree, with input devices, USB and, if asked, systemd.

For what this machine's kernel lacks: /dev/uinput, USB, a service manager. What a guest writes is gone with it; only the
directory it shares with its test (`share`, in the guest /run/guest) stays until the `with` block ends.
"""

from __future__ import annotations

import compileall
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import pytest

from tests.helpers import guest_image

ROOT = guest_image.ROOT
BOOT_S = 120
"""From start to the first word of the command; 4 to 15 s unless the machine is busy."""
QMP_S = 10
MEMORY_MB = 1024
ACCELERATION = os.environ.get("HOLDFAST_GUEST_ACCEL", "tcg,thread=multi")
"""Emulation everywhere: hypervisors of build servers often offer a /dev/kvm that no guest comes up with."""
NO_RESULT = 125
_LEASH = ("setpriv", "--pdeathsig", "KILL", "nice")
"""A test that is killed takes its guest with it; and a guest gives way to everything else."""

_ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb", "HOLDFAST_GUEST": "1", "PYTHONPATH": str(ROOT),
    "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1",
}  # fmt: skip

# udev looks at what is there before the command starts, as on a real machine.
_RUN = """
exec </dev/null >/dev/console 2>&1
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs shm /dev/shm
ip link set lo up 2>/dev/null
/lib/systemd/systemd-udevd --daemon 2>/dev/null && udevadm trigger && udevadm settle
cut -d' ' -f1 /proc/uptime >/run/guest/booted
cd {root}
{command} >/run/guest/log 2>&1
echo $? >/run/guest/exit_code
sync; echo o >/proc/sysrq-trigger; sleep 9
"""
# Of this machine's services none is started: a target of the guest's own, and on it what the test puts there.
_UNIT = """
rm -f /.dockerenv  # a mark of what this machine may be; the guest is a machine
rm -f /etc/systemd/system/*.target.wants/*
cat >/etc/systemd/system/guest.target <<'UNIT'
[Unit]
Requires=basic.target
Wants=guest-command.service
After=basic.target
AllowIsolate=yes
UNIT
cat >/etc/systemd/system/guest-command.service <<'UNIT'
[Unit]
After=basic.target
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/bash /run/guest/run
UNIT
[ -s /etc/machine-id ] || echo 0123456789abcdef0123456789abcdef >/etc/machine-id
"""
_RUN_AS_UNIT = """
exec >/dev/console 2>&1
cut -d' ' -f1 /proc/uptime >/run/guest/booted
cd {root}
{command} >/run/guest/log 2>&1
echo $? >/run/guest/exit_code
sync; echo o >/proc/sysrq-trigger; sleep 9
"""


def require() -> None:
    """Fail with what to install when this machine cannot start guests."""
    missing = guest_image.missing()
    if missing:
        pytest.fail(f"guests need {' '.join(missing)}: ./run test --slow installs them", pytrace=False)


class Guest:
    """A running guest; killed when the `with` block ends.

    `command` runs as root in the tree with its environment. `prepare` is a shell script that runs before anything else,
    on the writable layer. With `has_systemd` the machine's own systemd is process 1 and the command a unit of it.
    """

    def __init__(
        self, *command: str, prepare: str = "", has_systemd: bool = False, qemu: tuple[str, ...] = (),
        memory_mb: int = MEMORY_MB,
    ) -> None:  # fmt: skip
        require()
        self._directory = tempfile.TemporaryDirectory(prefix="guest-")
        self.share = Path(self._directory.name) / "share"
        self.share.mkdir()
        self._command, self._prepare, self._has_systemd = command, prepare, has_systemd
        self._qemu, self._memory_mb = qemu, memory_mb
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor: Any = None

    def __enter__(self) -> Self:
        for part in ("daemon", "kiosk", "tests"):  # in the guest it would take a minute, at every start anew
            compileall.compile_dir(ROOT / part, quiet=2)
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in _ENVIRONMENT.items())
        script = (_RUN_AS_UNIT if self._has_systemd else _RUN).format(
            root=shlex.quote(str(ROOT)), command=shlex.join(self._command)
        )
        (self.share / "run").write_text(exports + script, "utf-8")
        (self.share / "prepare").write_text((_UNIT if self._has_systemd else "") + self._prepare, "utf-8")
        init = "/lib/systemd/systemd" if self._has_systemd else "/bin/bash /run/guest/run"
        (self.share / "tree").write_text(str(ROOT), "utf-8")
        (self.share / "init").write_text(init, "utf-8")
        with (Path(self._directory.name) / "qemu").open("wb") as words:
            self._process = subprocess.Popen(
                [*_LEASH, *self._arguments()], stdin=subprocess.DEVNULL, stdout=words, stderr=words
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        if self._monitor is not None:
            self._monitor.close()
        self._directory.cleanup()

    def _arguments(self) -> list[str]:
        image = guest_image.image()
        directory = self._directory.name
        return [
            "qemu-system-x86_64", "-M", "q35,i8042=off", "-accel", ACCELERATION, "-cpu", "max", "-smp", "2",
            "-m", str(self._memory_mb), "-display", "none", "-no-reboot", "-nic", "none",
            "-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append",
            "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on tsc=reliable systemd.show_status=no systemd.unit=guest.target",
            "-serial", f"file:{directory}/console", "-qmp", f"unix:{directory}/qmp,server=on,wait=off",
            "-device", "virtio-rng-pci", "-device", "qemu-xhci,id=xhci",
            "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
            "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
            "-fsdev", f"local,id=share,path={self.share},security_model=none",
            "-device", "virtio-9p-pci,fsdev=share,mount_tag=share", *self._qemu,
        ]  # fmt: skip

    def log(self) -> str:
        """What the command has written so far."""
        return self._text("log")

    def console(self) -> str:
        """What qemu, the kernel and the start-up scripts said: for reports of failures."""
        return self._text("../qemu") + self._text("../console") + self._text("prepare.log")

    def wait_for(self, text: str, *, after: int = 0, timeout_s: float = BOOT_S) -> str:
        """The log from its character `after`, once `text` is in it.

        Raises:
            AssertionError: it did not come, or the guest ended without it.
        """
        until_s = time.monotonic() + timeout_s
        while True:
            is_over = self._process is None or self._process.poll() is not None
            log = self.log()[after:]
            if text in log:
                return log
            if is_over or time.monotonic() > until_s:
                raise AssertionError(f"{text!r} did not come\n{log[-3000:]}\n{self.console()[-3000:]}")
            time.sleep(0.02)

    def qmp(self, command: str, **arguments: Any) -> Any:
        """One command of qemu's machine protocol: plug, unplug, press keys; gives what it returns.

        Raises:
            RuntimeError: qemu refused it.
        """
        if self._monitor is None:
            channel = socket.socket(socket.AF_UNIX)
            channel.settimeout(QMP_S)
            channel.connect(f"{self._directory.name}/qmp")
            self._monitor = channel.makefile("rw")
            self._monitor.readline()
            self.qmp("qmp_capabilities")
        self._monitor.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._monitor.flush()
        while True:
            answer = json.loads(self._monitor.readline())
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def finish(self, *, timeout_s: float) -> int:
        """The command's exit code once the guest has gone down; `NO_RESULT` when it did not come to one."""
        assert self._process is not None
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        return int(self._text("exit_code") or NO_RESULT)

    def kill(self) -> None:
        """Pull the plug."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _text(self, name: str) -> str:
        path = self.share / name
        return path.read_text("utf-8", "replace") if path.is_file() else ""
