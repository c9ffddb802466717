"""What a terminal says of itself with every heartbeat: version, readers, screen. Kept as JSON, compared before a write.

Pure. A terminal is believed about itself and nothing else: texts are cut, lists are bounded.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeGuard

READERS_MAX = 16
TEXT_CHARS_MAX = 64
MODEL_CHARS_MAX = 128
VERSION_CHARS_MAX = 64
SIZE_MAX = 100_000
READY = "ready"
FORGED = frozenset({"forged", "replayed"})


@dataclass(frozen=True, slots=True)
class SeenReader:
    """A reader as its terminal tells of it; `since_us` is when it began to be in this state, as heard here."""

    name: str
    kind: str
    state: str
    code: str
    model: str
    since_us: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether a tap would be read."""
        return self.state == READY


@dataclass(frozen=True, slots=True)
class Report:
    """One heartbeat's news. `readers` None: not told (an older terminal)."""

    version: str = ""
    readers: tuple[SeenReader, ...] | None = None
    screen: tuple[int, int, float] | None = None

    def readers_after(self, before: str, now_us: int) -> str:
        """The readers to keep, as JSON; a reader whose state is as before keeps its time."""
        if self.readers is None:
            return before
        known = {reader.name: reader for reader in readers_of(before)}
        kept = []
        for reader in self.readers:
            old = known.get(reader.name)
            is_same = old is not None and (old.state, old.code) == (reader.state, reader.code)
            since_us = old.since_us if is_same and old is not None else now_us
            kept.append(asdict(replace(reader, since_us=since_us)))
        return json.dumps(kept, separators=(",", ":"), ensure_ascii=False)

    def screen_after(self, before: str) -> str:
        """The screen to keep, as JSON."""
        if self.screen is None:
            return before
        width, height, dpi = self.screen
        return json.dumps({"width": width, "height": height, "dpi": dpi}, separators=(",", ":"))


def readers_of(kept: str) -> list[SeenReader]:
    """The readers of a terminal's row."""
    return [SeenReader(**row) for row in json.loads(kept)]


def newly_forged(before: str, after: str) -> list[SeenReader]:
    """Readers of a row whose lines somebody forges or plays again (network readers tell so), and did not before."""
    told = {(reader.name, reader.code) for reader in readers_of(before)}
    return [reader for reader in readers_of(after) if reader.code in FORGED and (reader.name, reader.code) not in told]


def report_of(value: dict[str, Any]) -> Report:
    """A heartbeat's body; what cannot be understood is left out, for a terminal must never fall silent over it."""
    version, screen = value.get("version"), value.get("screen")
    readers = value.get("readers")
    return Report(
        version=_text(version, VERSION_CHARS_MAX),
        readers=_readers(readers) if isinstance(readers, list) else None,
        screen=_screen(screen) if isinstance(screen, dict) else None,
    )


def _readers(value: list[Any]) -> tuple[SeenReader, ...]:
    found: dict[str, SeenReader] = {}
    for item in value[:READERS_MAX]:
        if isinstance(item, str):  # as terminals of the first release say it: the kind alone
            item = {"name": item, "kind": item, "state": READY}  # noqa: PLW2901  -- the newer spelling of the same
        if not isinstance(item, dict) or not _text(item.get("name"), TEXT_CHARS_MAX):
            continue
        name, kind, state, code = (_text(item.get(key), TEXT_CHARS_MAX) for key in ("name", "kind", "state", "code"))
        found[name] = SeenReader(name, kind, state or READY, code, _text(item.get("model"), MODEL_CHARS_MAX))
    return tuple(found.values())


def _screen(value: dict[str, Any]) -> tuple[int, int, float] | None:
    sizes = [value.get("width"), value.get("height"), value.get("dpi", 0)]
    width, height, dpi = (float(one) if _is_size(one) else -1.0 for one in sizes)
    return (int(width), int(height), round(dpi, 1)) if min(width, height, dpi) >= 0 else None


def _is_size(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= SIZE_MAX


def _text(value: Any, most: int) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(c if c.isprintable() else "?" for c in value[:most])
