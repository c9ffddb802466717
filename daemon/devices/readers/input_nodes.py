"""Which input devices this machine has, and which of them a configured reader means. I/O: sysfs and /dev/input only.

What a device is comes from sysfs, which everybody may read: so nobody's keyboard is opened merely to ask its name, and
a reader that may not be opened is still known by name and told as such.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from daemon.devices.readers.layouts import DIGIT_KEYS, KEY_ENTER

SYS_INPUT = Path("/sys/class/input")
DEV_INPUT = Path("/dev/input")
LINK_DIRECTORIES = ("", "by-id", "by-path")
"""Where udev leaves names that outlive a replug, below /dev/input."""

_VENDOR_PRODUCT = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")
_WORD_BITS = 8 * struct.calcsize("l")


@dataclass(frozen=True, slots=True)
class InputNode:
    """One event node. `ids` is `vendor:product` in lower-case hex; `links` are udev's names for it.

    `types_digits` tells a device that can type a number from buttons and media keys, which many readers show beside it.
    """

    path: Path
    name: str
    ids: str
    links: tuple[str, ...] = ()
    types_digits: bool = False


def nodes(*, sys_input: Path = SYS_INPUT, dev_input: Path = DEV_INPUT) -> list[InputNode]:
    """Every event node plugged in now, by number."""
    links = _links(dev_input)
    found = []
    for entry in sorted(sys_input.glob("event*"), key=lambda path: (len(path.name), path.name)):
        device, path = entry / "device", dev_input / entry.name
        keys = _bits(_text(device / "capabilities/key"))
        found.append(
            InputNode(
                path=path,
                name=_text(device / "name"),
                ids=f"{_text(device / 'id/vendor')}:{_text(device / 'id/product')}".lower(),
                links=tuple(links.get(os.path.realpath(path), ())),
                types_digits=keys.issuperset({*DIGIT_KEYS, KEY_ENTER}),
            )
        )
    return found


def is_match(match: str, node: InputNode) -> bool:
    """Whether `match` means this node: `0c27:3bfa`, a link (`/dev/input/by-id/usb-RFIDeas*`), or a name (`*Badge*`).

    `*`, `?` and `[...]` stand for anything, some character, one of these; capitals in names and numbers do not matter.
    """
    if match.startswith("/"):
        return any(fnmatchcase(path, match) for path in (str(node.path), *node.links))
    wanted = match.lower()
    if _VENDOR_PRODUCT.fullmatch(wanted):
        return node.ids == wanted
    return fnmatchcase(node.name.lower(), wanted)


def udev_line(node: InputNode) -> str:
    """The line for udev that gives this device to the terminal program (systemd/70-holdfast-readers.rules)."""
    vendor, _, product = node.ids.partition(":")
    who = f'ENV{{ID_VENDOR_ID}}=="{vendor}", ENV{{ID_MODEL_ID}}=="{product}"'
    return f'SUBSYSTEM=="input", {who}, ENV{{HOLDFAST_READER}}="1"'


def is_given(node: InputNode) -> bool:
    """Whether udev has given this device to the terminal program: the project's rule leaves a link."""
    return any(Path(link).name.startswith("holdfast-reader-") for link in node.links)


def _links(dev_input: Path) -> dict[str, list[str]]:
    """Links below `dev_input`, by the node they lead to."""
    found: dict[str, list[str]] = {}
    for name in LINK_DIRECTORIES:
        directory = dev_input / name
        try:
            entries = sorted(directory.iterdir())
        except OSError:
            continue
        for link in entries:
            if link.is_symlink():
                found.setdefault(os.path.realpath(link), []).append(str(link))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace").strip()
    except OSError:
        return ""  # unplugged between listing and reading, or a device without this attribute


def _bits(words: str) -> set[int]:
    """Numbers set in a sysfs bitmap: hexadecimal machine words, the highest first."""
    bitmap = 0
    for word in words.split():
        bitmap = bitmap << _WORD_BITS | int(word, 16)
    return {number for number in range(bitmap.bit_length()) if bitmap >> number & 1}
