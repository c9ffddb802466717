"""snmpsim's recordings: one variable a line, `OID|type|value`."""

from __future__ import annotations

from pathlib import Path

NUMBERS = {"2", "65", "66", "67", "70"}


def load(path: Path) -> dict:
    """The recorded variables as a walk."""
    walk = {}
    for line in path.read_bytes().split(b"\n"):
        if not line.strip():
            continue
        raw_oid, raw_tag, raw = line.split(b"|", 2)
        oid, tag = tuple(map(int, raw_oid.split(b"."))), raw_tag.decode()
        walk[oid] = _value(tag, raw)
    return walk


def _value(tag: str, raw: bytes):
    if tag in NUMBERS:
        return int(raw)
    if tag.endswith("x"):
        return bytes.fromhex(raw.decode())
    if tag == "6":
        return tuple(map(int, raw.decode().strip(".").split(".")))
    return None if tag == "5" else raw
