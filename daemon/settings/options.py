"""How an option is declared: its default, its meaning and its bounds stand beside each other.

The reference in `docs/reference/settings.md`, `config check` and `config show` are all made from these
declarations, so an option cannot exist undocumented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any

META = "holdfast"


def option(
    default: Any,
    doc: str,
    *,
    choices: tuple[str, ...] = (),
    low: int | None = None,
    high: int | None = None,
    pattern: str = "",
) -> Any:
    """One value; `low` and `high` are inclusive, `pattern` must match the whole text."""
    meta = {"doc": doc, "choices": choices, "low": low, "high": high, "pattern": pattern}
    return field(default=default, metadata={META: meta})


def section(cls: type, doc: str) -> Any:
    """A nested table with its own options."""
    return field(default_factory=cls, metadata={META: {"doc": doc}})


def named(default: Mapping[str, Any], doc: str, *, pattern: str = r"[a-z0-9][a-z0-9_-]{0,62}") -> Any:
    """A table of tables, one per name; what stands in the file replaces the default."""
    frozen = MappingProxyType(dict(default))
    return field(default_factory=lambda: frozen, metadata={META: {"doc": doc, "pattern": pattern}})


def several(doc: str) -> Any:
    """An ordered list of tables (`[[...]]`), empty unless given."""
    return field(default=(), metadata={META: {"doc": doc}})
