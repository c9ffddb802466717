"""The languages of the screen: one JSON file each, beside this module. I/O (reads files)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEXTS = Path(__file__).parent / "texts"
FIRST = ("en", "de", "fr", "es", "ar")
"""The order languages are offered in; others follow by code."""


def languages() -> tuple[str, ...]:
    """Codes of all languages there are texts for."""
    found = {path.stem for path in TEXTS.glob("*.json")}
    return tuple(code for code in FIRST if code in found) + tuple(sorted(found - set(FIRST)))


def load(code: str) -> dict[str, Any]:
    """One language's texts: key to a sentence with {placeholders}, or to its plural forms (CLDR categories)."""
    texts: dict[str, Any] = json.loads((TEXTS / f"{code}.json").read_text(encoding="utf-8"))
    return texts
