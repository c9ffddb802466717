"""Keyboard-like readers in a guest: what uinput types there, and a real USB keyboard plugged in and out."""

from __future__ import annotations

import json
import time

import pytest

from tests.helpers.guest import ROOT, Guest

TESTS_S = 600
EVENT_S = 30
KEY_GAP_S = 0.02
"""qemu's keyboard keeps 16 strokes and loses more by itself: not below 16 ms."""
QCODES = {"\n": ("ret",), "\t": ("tab",), ";": ("semicolon",), "?": ("shift", "slash"), "-": ("minus",)}

# As on a terminal: the rules and the accounts of the project, and one line of one's own for this make of keyboard.
TERMINAL = """
install -D -m 644 {root}/systemd/70-holdfast-readers.rules /etc/udev/rules.d/70-holdfast-readers.rules
echo 'SUBSYSTEM=="input", ENV{{ID_VENDOR_ID}}=="0627", ENV{{ID_MODEL_ID}}=="0001", ENV{{HOLDFAST_READER}}="1"' \
  >/etc/udev/rules.d/65-holdfast-own-readers.rules
systemd-sysusers {root}/systemd/holdfast.sysusers
"""
# One listener with the group's right, one without; and questions to udev, when asked.
LISTENERS = """
group=$(getent group holdfast-reader | cut -d: -f3)
member() { echo "{\\"name\\":\\"desk\\",\\"match\\":\\"/dev/input/holdfast-reader-*\\",\\"user_id\\":65534,\\"group_ids\\":[$group]}"; }
python -m tests.guest.listen "$(member)" 2>&1 | sed -u 's/^/desk /' &
python -m tests.guest.listen '{"name":"other","match":"*USB Keyboard*","user_id":65534}' 2>&1 | sed -u 's/^/other /' &
while sleep 0.1; do
  if [ -e /run/guest/ask ]; then
    rm /run/guest/ask
    node=$(realpath /dev/input/holdfast-reader-*)
    { stat -c 'mode=%a group=%G' "$node"; udevadm info --query=property "$node"; echo told; } | sed 's/^/udev /'
  fi
done
"""


def press(guest: Guest, text: str) -> None:
    """Type on the USB keyboard."""
    for char in text:
        codes = QCODES.get(char) or (("shift", char.lower()) if char.isupper() else (char,))
        for is_down, order in ((True, codes), (False, codes[::-1])):
            for code in order:
                key = {"type": "key", "data": {"down": is_down, "key": {"type": "qcode", "data": code}}}
                guest.qmp("input-send-event", events=[key])
                time.sleep(KEY_GAP_S)


@pytest.mark.slow
@pytest.mark.timeout(TESTS_S + 100)
def test_what_is_typed_on_a_real_input_device():
    """Everything in `tests/guest/test_evdev.py` holds on Debian's kernel: speeds, layouts, grab, loss, unplugging, rights."""
    with Guest("python", "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "tests/guest/test_evdev.py") as guest:
        code = guest.finish(timeout_s=TESTS_S)
        assert code == 0, guest.log()[-6000:] + guest.console()[-2000:]
        print("\n".join(line for line in guest.log().splitlines() if "latency" in line or "idle:" in line))


@pytest.fixture(scope="module")
def terminal():
    """A guest with the project's rules and accounts, and both listeners awake."""
    with Guest("bash", "-c", LISTENERS, prepare=TERMINAL.format(root=ROOT)) as guest:
        guest.wait_for('desk {"state": "away"')
        guest.wait_for('other {"state": "away"')
        yield guest


def plug(guest: Guest) -> int:
    """Plug the reader in; where in the log its being ready begins."""
    seen = len(guest.log())
    plugged_s = time.monotonic()
    guest.qmp("device_add", driver="usb-kbd", id="reader", bus="xhci.0", serial="RFI0042")
    guest.wait_for('desk {"state": "ready"', after=seen, timeout_s=EVENT_S)
    print(f"ready {time.monotonic() - plugged_s:.2f} s after the plug")
    time.sleep(1)
    return seen


def unplug(guest: Guest) -> None:
    seen = len(guest.log())
    unplugged_s = time.monotonic()
    guest.qmp("device_del", id="reader")
    guest.wait_for('desk {"state": "away", "code": "unplugged"', after=seen, timeout_s=EVENT_S)
    print(f"away {time.monotonic() - unplugged_s:.2f} s after it was pulled")


@pytest.mark.slow
@pytest.mark.timeout(TESTS_S)
def test_a_usb_reader_is_plugged_in_and_out(terminal):
    """A real USB keyboard under the project's udev rules: found by its link, read by the group alone, gone and back again."""
    for _ in range(2):
        seen = plug(terminal)
        for card in ("0004123456\n", ";1234567890?\n", "04A1B2C3D4E5F6\n"):
            press(terminal, card)
            wanted = json.dumps({"read": card.strip()})
            terminal.wait_for(f"desk {wanted[:-1]}", after=seen, timeout_s=EVENT_S)
        press(terminal, "00041")
        unplug(terminal)
    log = terminal.log()
    assert log.count('desk {"read"') == 6
    assert 'other {"state": "refused", "code": "no-permission"' in log
    assert 'other {"read"' not in log


@pytest.mark.slow
@pytest.mark.timeout(TESTS_S)
def test_udev_gives_a_reader_to_the_terminal_program_alone(terminal):
    """Group and rights, the link, and the word that keeps the compositor away, as udev applied the project's rules."""
    plug(terminal)
    (terminal.share / "ask").touch()
    said = terminal.wait_for("udev told", timeout_s=EVENT_S)
    assert "udev mode=640 group=holdfast-reader" in said
    assert "udev LIBINPUT_IGNORE_DEVICE=1" in said
    assert "ID_INPUT_KEYBOARD=1" not in said
    assert "/dev/input/holdfast-reader-pci-" in said
    unplug(terminal)
