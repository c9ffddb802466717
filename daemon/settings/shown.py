"""Settings as people see them: each value in plain words, with where it was set."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from daemon.settings.source import Origin

DEFAULT = "default"


def plain(value: Any) -> Any:
    """A setting as JSON has it."""
    if isinstance(value, Mapping):
        return {key: plain(below) for key, below in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Path):
        return "" if value == Path() else str(value)
    return value


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every single value of a tree of `plain` ones, under its dotted key."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from flat(below, f"{prefix}{key}.")
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for index, below in enumerate(value):
            yield from flat(below, f"{prefix}{index}.")
    else:
        yield prefix[:-1], value


def origin_of(origins: Mapping[str, Origin], key: str) -> str:
    """Where a value was set: file and line, the environment, or `default`."""
    origin = origins.get(key)
    return origin.text() if origin is not None else DEFAULT


def rows(settings: Any, origins: Mapping[str, Origin]) -> list[tuple[str, Any, str]]:
    """(dotted key, value, where it was set) of everything in force, in the order of the reference."""
    return [(key, value, origin_of(origins, key)) for key, value in flat(plain(settings))]
