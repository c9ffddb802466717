"""A real CCID card reader, plugged in and out of a guest: udev, socket-activated pcscd, libccid and our reader."""

from __future__ import annotations

import contextlib
import json
import time

import pytest

from tests.helpers.guest import BOOT_S, Guest
from tests.helpers.vscard import Slot

LIMIT_S = 300
EVENT_S = 30
TAP_S_MAX = 1.5
"""From laying a card on to the number, in an emulated machine; 40 to 80 ms when it is quiet."""

# The machine's own pcscd, started by its socket as its unit does, without the virtual readers the other tests use.
COMMAND = """
rm -f /etc/reader.conf.d/*
mkdir -p /run/pcscd
serve() {
  until [ -e /run/guest/stop ]; do
    rm -f /run/pcscd/pcscd.comm
    systemd-socket-activate --listen=/run/pcscd/pcscd.comm /usr/sbin/pcscd --foreground --auto-exit &
    until [ -S /run/pcscd/pcscd.comm ]; do sleep 0.05; done
    chmod 666 /run/pcscd/pcscd.comm
    wait $!
    echo "pcscd: $?"
  done
}
serve &
python -m tests.guest.pcsc_listen '*CCID*' &
until [ -e /run/guest/stop ]; do
  if [ -e /run/guest/kill ]; then rm /run/guest/kill; kill -KILL "$(cat /run/pcscd/pcscd.pid)"; fi
  sleep 0.1
done
wait %2
"""


class Told:
    """What the listener in the guest has said, read once."""

    def __init__(self, guest: Guest) -> None:
        self._guest, self._seen = guest, 0

    def next(self, timeout_s: float = EVENT_S) -> dict:
        until_s = time.monotonic() + timeout_s
        while time.monotonic() < until_s:
            lines = [line for line in self._guest.log().splitlines(keepends=True) if line.startswith("{")]
            if len(lines) > self._seen and lines[self._seen].endswith("\n"):
                self._seen += 1
                event = json.loads(lines[self._seen - 1])
                event.pop("at_s", None)
                return event
            time.sleep(0.01)
        raise AssertionError(f"nothing more came\n{self._guest.log()[-3000:]}\n{self._guest.console()[-2000:]}")

    def until(self, timeout_s: float = EVENT_S, /, **wanted: str) -> dict:
        """The next event with these values; statuses in between may come."""
        while True:
            event = self.next(timeout_s)
            if wanted.items() <= event.items():
                return event
            assert "state" in event, event


def plug(guest: Guest, number: int) -> Slot:
    """Plug a reader in; its slot."""
    path = guest.share.parent / f"card{number}"
    address = {"type": "unix", "data": {"path": str(path)}}
    backend = {"type": "socket", "data": {"addr": address, "server": True, "wait": False}}
    guest.qmp("chardev-add", id=f"card{number}", backend=backend)
    guest.qmp("device_add", driver="usb-ccid", id=f"reader{number}", bus="xhci.0")
    guest.qmp(
        "device_add", driver="ccid-card-passthru", id=f"slot{number}", chardev=f"card{number}", bus=f"reader{number}.0"
    )
    return Slot(path)


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S + 100)
def test_a_reader_is_plugged_in_and_out_and_in_elsewhere():
    """Away at first; plugged in it is ready, under a name with its port that the pattern still fits; cards are read.

    Unplugged with a card on it: away, at once; in another socket: ready again. The service is killed: it comes back by
    its socket, and so do we. All without any right beyond the socket's.
    """
    taps = []
    with Guest("bash", "-c", COMMAND) as guest, contextlib.ExitStack() as slots:
        told = Told(guest)
        told.until(BOOT_S, state="away")
        for number in (1, 2):
            slot = slots.enter_context(contextlib.closing(plug(guest, number)))
            assert "CCID" in told.until(state="ready")["model"]
            for uid in ("04A1B2C3", "04A1B2C3D4E5F6"):
                began_s = time.monotonic()
                slot.insert(uid)
                assert told.next() == {"read": uid}
                taps.append(time.monotonic() - began_s)
                slot.remove()
                time.sleep(0.7)
            if number == 1:
                slot.insert("04D1D2D3")
                assert told.next() == {"read": "04D1D2D3"}
                guest.qmp("device_del", id="reader1")
                assert told.until(state="away")["code"] == "unplugged"
        (guest.share / "kill").touch()
        assert told.until(state="away")["code"] == "service-down"
        told.until(state="ready")
        slot.insert("04E1E2E3")
        assert told.next() == {"read": "04E1E2E3"}
        (guest.share / "stop").touch()
        assert told.next()["closed_s"] < 1
        assert guest.finish(timeout_s=60) == 0, guest.log()[-3000:]
        assert "pcscd: 137" in guest.log()
    assert sorted(taps)[len(taps) // 2] < TAP_S_MAX, taps
    print("tap to number, s:", " ".join(f"{tap:.3f}" for tap in taps))
