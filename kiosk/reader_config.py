"""`[[readers]]` of `kiosk.toml`: which readers stand here and how each is set up; and opening them. I/O only to open.

    [[readers]]
    name = "desk"             # the daemon's rules for card formats and printers use it
    kind = "pcsc"             # pcsc, evdev, network or simulated
    match = "OMNIKEY*"        # the rest depends on the kind: the fields of that reader's options
    quiet_ms = 1500           # the same card within this is one tap

The module of a kind is imported when a reader of it is opened, so that a terminal carries only what it has.
"""

from __future__ import annotations

import importlib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.devices.readers.reading import DEBOUNCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from daemon.devices.readers.reading import Reader
    from daemon.kernel.clock import Clock

READERS_MAX = 8
QUIET_MS_MIN, QUIET_MS_MAX = 100, 10_000
MS_PER_S = 1000
NAME_CHARS_MAX = 40

KINDS = {
    "pcsc": ("daemon.devices.readers.pcsc", "PcscOptions", "open_pcsc"),
    "evdev": ("daemon.devices.readers.hid", "EvdevOptions", "open_evdev"),
    "network": ("daemon.devices.readers.network", "NetworkOptions", "open_network"),
    "simulated": ("daemon.devices.readers.simulated", "SimulatedOptions", "open_simulated"),
}
"""By kind: module, the dataclass of its options, the function that opens one."""
CHOICES = {("evdev", "layout"): ("us", "de", "fr"), ("evdev", "terminator"): ("enter", "tab", "idle")}
RANGES = {("evdev", "idle_ms"): (50, 2000)}
"""By kind and key: the values that have a meaning."""
COMMON = ("name", "kind", "quiet_ms")


@dataclass(frozen=True, slots=True)
class ReaderConfig:
    """One reader, checked: `options` are those of its kind."""

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    quiet_s: float = DEBOUNCE_S


def parse(items: object, *, say: Callable[[int, str, str], None]) -> tuple[ReaderConfig, ...]:
    """Every `[[readers]]` table; each problem goes to `say(number of the table from 0, key, message)`."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        say(0, "", "must be a list of tables: write [[readers]] with two brackets")
        return ()
    if len(items) > READERS_MAX:
        say(READERS_MAX, "", f"a terminal has at most {READERS_MAX} readers")
        return ()
    found = []
    names: set[str] = set()
    for number, item in enumerate(items):
        name, kind = item.get("name", item.get("kind")), item.get("kind")
        if not isinstance(name, str) or not 0 < len(name) <= NAME_CHARS_MAX or not name.isprintable():
            say(number, "name", f"must be a text of 1 to {NAME_CHARS_MAX} characters")
        elif name in names:
            say(number, "name", f"there is another reader called {name!r}")
        names.add(str(name))
        quiet_ms = item.get("quiet_ms", int(DEBOUNCE_S * MS_PER_S))
        if type(quiet_ms) is not int or not QUIET_MS_MIN <= quiet_ms <= QUIET_MS_MAX:
            say(number, "quiet_ms", f"must be a number of milliseconds from {QUIET_MS_MIN} to {QUIET_MS_MAX}")
            quiet_ms = QUIET_MS_MIN
        if kind not in KINDS:
            say(number, "kind", f"must be one of {', '.join(KINDS)}")
            continue
        options = {key: value for key, value in item.items() if key not in COMMON}
        _check(number, kind, options, say)
        found.append(ReaderConfig(str(name), kind, options, quiet_ms / MS_PER_S))
    return tuple(found)


def open_all(readers: Sequence[ReaderConfig], *, clock: Clock, directory: Path) -> list[Reader]:
    """The readers; none touches its device before its `events` are asked for. Paths are relative to `directory`."""
    return [_open(reader, clock, directory) for reader in readers]


def _open(config: ReaderConfig, clock: Clock, directory: Path) -> Reader:
    module_name, options_name, function = KINDS[config.kind]
    module = importlib.import_module(module_name)
    options_class = getattr(module, options_name)
    values = {}
    for one in fields(options_class):
        if one.name in config.options:
            value = config.options[one.name]
            values[one.name] = directory / value if one.type == "Path" else value
    reader: Reader = getattr(module, function)(options_class(name=config.name, **values), clock)
    return reader


_TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "str": (str, "must be a text"),
    "Path": (str, "must be the name of a file"),
    "bool": (bool, "must be true or false"),
    "int": (int, "must be a whole number"),
    "float": ((int, float), "must be a number"),
}


def _check(number: int, kind: str, options: dict[str, Any], say: Callable[[int, str, str], None]) -> None:
    """Keys, types and values against the dataclass of the kind's options."""
    module_name, options_name, _ = KINDS[kind]
    options_class = getattr(importlib.import_module(module_name), options_name)
    known = {one.name: one for one in fields(options_class) if one.name != "name"}
    for key, value in options.items():
        one = known.get(key)
        if one is None:
            say(number, key, f"unknown key; a {kind} reader may have {', '.join((*COMMON, *known))}")
            continue
        wanted, message = _TYPES.get(str(one.type), (object, ""))
        if not isinstance(value, wanted) or (isinstance(value, bool) and one.type != "bool"):
            say(number, key, message)
        elif value not in CHOICES.get((kind, key), (value,)):
            say(number, key, f"must be one of {', '.join(CHOICES[kind, key])}")
        elif (kind, key) in RANGES and not _is_within(RANGES[kind, key], value):
            say(number, key, f"must be from {RANGES[kind, key][0]} to {RANGES[kind, key][1]}")
    for name, one in known.items():
        if name not in options and one.default is MISSING and one.default_factory is MISSING:
            say(number, name, f"is missing: a {kind} reader needs it")


def _is_within(limits: tuple[int, int], value: Any) -> bool:
    return limits[0] <= int(value) <= limits[1]
