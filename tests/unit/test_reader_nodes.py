"""Which input devices there are and which one a configuration means; and what all of them together are told as."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.devices.readers.hid_thread import Standing, _standing
from daemon.devices.readers.input_nodes import InputNode, is_given, is_match, nodes, udev_line
from daemon.devices.readers.reading import ReaderState

KEYBOARD = "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe"  # as a USB keyboard's sysfs shows it
BUTTONS = "3e000b00000000 0 0 0"


@pytest.fixture
def machine(tmp_path):
    """A machine's sysfs and /dev/input, to which devices can be added."""
    sys_input, dev_input = tmp_path / "sys", tmp_path / "dev"
    for directory in (sys_input, dev_input / "by-id", dev_input / "by-path"):
        directory.mkdir(parents=True)

    def add(number: int, name: str, *, ids: str = "0c27:3bfa", keys: str = KEYBOARD, link: str = "") -> Path:
        device = sys_input / f"event{number}/device"
        (device / "id").mkdir(parents=True)
        (device / "capabilities").mkdir()
        vendor, product = ids.split(":")
        for file, text in (("name", name), ("id/vendor", vendor), ("id/product", product), ("capabilities/key", keys)):
            (device / file).write_text(f"{text}\n")
        node = dev_input / f"event{number}"
        node.touch()
        if link:
            os.symlink(f"../event{number}", dev_input / "by-id" / link)
        return node

    add.found = lambda: nodes(sys_input=sys_input, dev_input=dev_input)
    return add


def test_devices_are_told_by_name_numbers_links_and_keys(machine):
    """In the order of their numbers; what types digits is told from buttons."""
    machine(10, "RF IDeas USB Keyboard", link="usb-RFIDeas_USB_Keyboard-event-kbd")
    machine(2, "RF IDeas Consumer Control", keys=BUTTONS)
    found = machine.found()
    assert [(node.path.name, node.name, node.ids, node.types_digits) for node in found] == [
        ("event2", "RF IDeas Consumer Control", "0c27:3bfa", False),
        ("event10", "RF IDeas USB Keyboard", "0c27:3bfa", True),
    ]
    assert [Path(link).name for link in found[1].links] == ["usb-RFIDeas_USB_Keyboard-event-kbd"]


def test_a_device_that_goes_while_it_is_looked_at_hurts_nobody(machine):
    """Files that vanished read as empty; nothing is there, nothing is found."""
    assert machine.found() == []
    node = machine(1, "Badge")
    device = node.parent.parent / "sys/event1/device"
    for file in ("name", "id/vendor", "id/product", "capabilities/key"):
        (device / file).unlink()
    assert [(one.name, one.ids, one.types_digits) for one in machine.found()] == [("", ":", False)]


@pytest.mark.parametrize(
    ("match", "is_meant"),
    [
        ("RF IDeas USB Keyboard", True), ("rf ideas*", True), ("*keyboard", True), ("RF IDeas", False), ("", False),
        ("0c27:3bfa", True), ("0C27:3BFA", True), ("0c27:3bfb", False), ("0c27:*", False),
        ("/dev/input/by-id/usb-RFIDeas*-event-kbd", True), ("/dev/input/event7", True), ("/dev/input/event70", False),
        ("/dev/input/by-id/usb-rfideas*", False),
    ],
)  # fmt: skip
def test_what_a_match_means(match, is_meant):
    """A name with stars, vendor and product, or a path; capitals matter in paths only."""
    link = "/dev/input/by-id/usb-RFIDeas_USB_Keyboard-event-kbd"
    node = InputNode(Path("/dev/input/event7"), "RF IDeas USB Keyboard", "0c27:3bfa", (link,), types_digits=True)
    assert is_match(match, node) is is_meant


READER = InputNode(Path("/dev/input/event7"), "Badge", "0c27:3bfa", types_digits=True)
LAMP = InputNode(Path("/dev/input/event8"), "Lamp", "0c27:3bfa")


@pytest.mark.parametrize(
    ("ours", "problems", "wanted", "told"),
    [
        ([], [], [], Standing(ReaderState.AWAY, "unplugged")),
        (["Badge"], [], [READER], Standing(ReaderState.READY, "", "Badge")),
        (["B", "A", "A"], [("no-permission", "C")], [READER], Standing(ReaderState.READY, "", "A, B")),
        ([], [("no-permission", "Badge")], [READER], Standing(ReaderState.REFUSED, "no-permission", "Badge")),
        ([], [("held-elsewhere", "Badge")], [READER], Standing(ReaderState.AWAY, "held-elsewhere", "Badge")),
        ([], [("held-elsewhere", "B"), ("no-permission", "A")], [READER], Standing(ReaderState.REFUSED, "no-permission", "A")),
        ([], [("unplugged", "Badge")], [READER], Standing(ReaderState.AWAY, "unplugged")),
        ([], [("failed", "Badge")], [READER], Standing(ReaderState.AWAY, "failed", "Badge")),
        ([], [], [LAMP], Standing(ReaderState.REFUSED, "not-a-keyboard", "Lamp")),
    ],
)  # fmt: skip
def test_several_devices_are_told_as_one(ours, problems, wanted, told):
    """Ready when one is; else what somebody must do comes before what mends itself."""
    assert _standing(ours, problems, wanted) == told


def test_a_device_says_how_udev_gives_it_to_the_terminal_program():
    """The line names the device by its numbers; once it has worked, the project's own link shows it."""
    assert udev_line(READER) == (
        'SUBSYSTEM=="input", ENV{ID_VENDOR_ID}=="0c27", ENV{ID_MODEL_ID}=="3bfa", ENV{HOLDFAST_READER}="1"'
    )
    links = ("/dev/input/by-id/usb-Badge-event-kbd", "/dev/input/holdfast-reader-pci-0000_00_03_0-usb-0_1_1_0")
    given = InputNode(READER.path, READER.name, READER.ids, links, types_digits=True)
    assert (is_given(READER), is_given(given)) == (False, True)


def test_the_rules_name_readers_and_never_every_keyboard():
    """Each rule that says reader names a maker's number; rights and the compositor's word come after it."""
    text = (Path(__file__).parents[2] / "systemd/70-holdfast-readers.rules").read_text("utf-8")
    rules = [line for line in text.splitlines() if line and not line.startswith("#")]
    claims = [line for line in rules if 'ENV{HOLDFAST_READER}="1"' in line]
    assert claims
    assert all(line.startswith("ENV{ID_VENDOR_ID}==") for line in claims)
    given = next(line for line in rules if "GROUP=" in line)
    assert rules.index('ENV{HOLDFAST_READER}!="1", GOTO="holdfast_end"') < rules.index(given)
    assert 'MODE="0640"' in given
    assert 'ENV{LIBINPUT_IGNORE_DEVICE}="1"' in given
