"""A maker's quirk file (`config/quirks/*.toml`) as rules; everything wrong with it is told at once. Pure."""

from __future__ import annotations

import tomllib
from typing import Any, Final

from daemon.devices.mib.quirks import Quirk, RecordField
from daemon.devices.mib.tables import ObjectId
from daemon.kernel.errors import BadInput

KEYS: Final = frozenset({"maker", "enterprise", "status", "serial", "records", "fields", "coarse_fields"})
FINE_OCTETS: Final = 4
COLORS: Final = frozenset({"", "black", "cyan", "magenta", "yellow"})
_FIELD_PARTS: Final = 3
_RECORD_MAX: Final = 0xFE


def parse_quirk(text: str, *, file: str) -> Quirk:
    """The rules of one file.

    Raises:
        BadInput: with every error by file, line and key.
    """
    wrong: list[dict[str, Any]] = []

    def say(key: str, message: str) -> None:
        wrong.append({"file": file, "line": _line_of(text, key), "key": key, "message": message})

    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(
            f"{file} is not TOML", details=[{"file": file, "line": 0, "key": "", "message": str(error)}]
        ) from error
    for key in sorted(found.keys() - KEYS):
        say(key, f"unknown key: use one of {', '.join(sorted(KEYS))}")
    if not isinstance(found.get("maker"), str) or not found.get("maker"):
        say("maker", "the maker's name is missing")
    enterprise = found.get("enterprise")
    if not isinstance(enterprise, int) or isinstance(enterprise, bool) or enterprise < 1:
        say("enterprise", "the maker's enterprise number (IANA) is missing")
    objects = {name: _object_id(found.get(name), name, say) for name in ("status", "serial", "records")}
    fields = _fields(found.get("coarse_fields", {}), "coarse_fields", say, is_coarse=True)
    fields |= _fields(found.get("fields", {}), "fields", say, is_coarse=False)
    if wrong:
        raise BadInput(f"{file} has {len(wrong)} error{'s' if len(wrong) > 1 else ''}", details=wrong)
    return Quirk(maker=found["maker"], enterprise=found["enterprise"], fields=fields, **objects)


def _object_id(value: Any, key: str, say: Any) -> ObjectId | None:
    if value is None:
        return None
    parts = value.split(".") if isinstance(value, str) else []
    if len(parts) < 2 or not all(part.isascii() and part.isdecimal() and len(part) <= 10 for part in parts):
        say(key, 'an object identifier in dotted numbers is needed, "1.3.6.1.4.1.2435.2"')
        return None
    return tuple(map(int, parts))


def _fields(value: Any, key: str, say: Any, *, is_coarse: bool) -> dict[int, RecordField]:
    if not isinstance(value, dict):
        say(key, "a table of record ids is needed")
        return {}
    fields: dict[int, RecordField] = {}
    for name, parts in value.items():
        number = int(name, 16) if all(c in "0123456789abcdefABCDEF" for c in name) and 0 < len(name) <= 2 else -1
        if not 0 <= number <= _RECORD_MAX:
            say(name, "a record's id is one octet in hexadecimal, 00 to fe")
            continue
        if not isinstance(parts, list) or len(parts) != _FIELD_PARTS or not _is_field(*parts):
            say(name, '["kind", "colour or nothing", parts per percent] is needed')
            continue
        kind, color, scale = parts
        fields[number] = RecordField(kind, color or None, scale, FINE_OCTETS, is_coarse)
    return fields


def _is_field(kind: Any, color: Any, scale: Any) -> bool:
    return (
        isinstance(kind, str) and kind != "" and color in COLORS
        and isinstance(scale, int) and not isinstance(scale, bool) and scale > 0
    )  # fmt: skip


def _line_of(text: str, key: str) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if line.split("=")[0].strip(" []\"'") == key:
            return number
    return 0
