"""What commands print: one JSON object, or text a person can read. Data on stdout, talk on stderr."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from daemon.kernel.money import Amount, unit_of

CELL_CHARS_MAX = 60


def say_json(value: object) -> None:
    """One object on one line."""
    print(json.dumps(value, ensure_ascii=False))


def say(text: str = "") -> None:
    """A line of the answer."""
    print(text)


def note(text: str) -> None:
    """A line beside the answer."""
    print(text, file=sys.stderr)


def error_shape(code: str, message: str, details: Sequence[Mapping[str, Any]] = (), **more: Any) -> dict[str, Any]:
    """{"error": {...}} as every command and door prints it."""
    return {"error": {"code": code, "message": message, "details": [dict(d) for d in details], **more}}


def say_error(error: Mapping[str, Any], *, as_json: bool) -> None:
    """An error: the object on stdout with `--json`, else one readable text on stderr."""
    if as_json:
        say_json({"error": error})
        return
    lines = [f"holdfast: {plain(str(error['message']))}"]
    for detail in error.get("details", ()):
        place = detail.get("file", "")
        if detail.get("line"):
            place += f":{detail['line']}"
        key = detail.get("key", "")
        lines.append("  " + ": ".join(plain(str(p)) for p in (place, key, detail.get("message", "")) if p))
    note("\n".join(lines))


def plain(text: str) -> str:
    """Text without anything a terminal would obey: control and direction characters become `?`."""
    return "".join("?" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in text)


def cell(value: Any) -> str:
    """A value in a table or a field list."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping) and {"unit", "amount", "scale"} <= set(value):
        return amount_text(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {cell(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(v) for v in value) or "-"
    return plain(str(value))


def amount_text(value: Mapping[str, Any]) -> str:
    """`0.35 EUR`, `12 pages`."""
    return Amount(unit_of(value["unit"]), value["amount"]).text()


def table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Rows under headings; `columns` maps a key to its heading."""
    lines = [tuple(columns.values())]
    lines += [tuple(cell(row.get(key))[:CELL_CHARS_MAX] for key in columns) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        say("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def fields(value: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    """One thing, a line per field."""
    width = max(len(label) for label in labels.values())
    for key, label in labels.items():
        if key in value:
            say(f"{label.ljust(width)}  {cell(value[key])}")
