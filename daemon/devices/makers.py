"""The makers' quirk files that come with Holdfast (`config/quirks/`). I/O: reads them once."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from daemon.devices.mib.quirk_file import parse_quirk

if TYPE_CHECKING:
    from daemon.devices.mib.quirks import Quirk
    from daemon.devices.mib.tables import ObjectId


@cache
def known_quirks() -> tuple[Quirk, ...]:
    """All rules, by file name."""
    folder = resources.files("daemon.devices.mib") / "makers"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name)
    return tuple(parse_quirk(entry.read_text("utf-8"), file=entry.name) for entry in files)


def vendor_objects() -> dict[int, tuple[ObjectId, ...]]:
    """The objects to ask a maker's device for, by enterprise number."""
    found: dict[int, tuple[ObjectId, ...]] = {}
    for quirk in known_quirks():
        objects = tuple(oid for oid in (quirk.status, quirk.serial, quirk.records) if oid)
        found[quirk.enterprise] = found.get(quirk.enterprise, ()) + objects
    return found
