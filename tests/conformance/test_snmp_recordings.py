"""Recorded printers, served by snmpsim and read over the wire, against values worked out from the RFCs by hand.

The recordings are not part of the project: `HOLDFAST_CONFORMANCE` names their folder, without it there is nothing
to compare here (`tests/unit/test_devices_mib.py` has the rules with variables of our own).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from daemon.devices.probe import probe
from daemon.devices.snmp_codec import V1, V2C
from daemon.devices.snmp_general import Community, V3User
from daemon.system import SystemDice
from tests.helpers import snmpsim

FOLDER = Path(os.environ.get("HOLDFAST_CONFORMANCE", "/nonexistent")) / "snmp"
NAMES = sorted(path.name.removesuffix(".expected.json") for path in FOLDER.glob("*.expected.json"))
NOT_FIELDS = {"lenient", "optional"}


@pytest.fixture(scope="module")
def port():
    """One responder for all recordings."""
    with snmpsim.responder(FOLDER) as listening:
        yield listening


def differences(expected: dict, found: dict, where: str = "") -> list[str]:
    """Every field that is not as worked out, but those two readings of which are defensible."""
    wrong = []
    for key, value in expected.items():
        if key in NOT_FIELDS or key in expected["lenient"] or (key == "name" and not where):
            continue
        if isinstance(value, list) and value and isinstance(value[0], dict):
            wrong += rows(value, found[key], f"{where}{key}")
        elif plain(value) != plain(found[key]):
            wrong.append(f"{where}{key}: expected {value!r}, found {found[key]!r}")
    return wrong


def rows(expected: list[dict], found: list[dict], where: str) -> list[str]:
    """Rows by index, or by kind and colour where a maker's table has no index."""

    def name(row: dict) -> object:
        return row.get("index") or (row["kind"], row["color"])

    by_name = {name(row): row for row in found}
    needed = [row for row in expected if not row.get("optional") or name(row) in by_name]
    missing = [f"{where} {name(row)}: not there" for row in needed if name(row) not in by_name]
    extra = [f"{where} {key}: too much" for key in by_name.keys() - {name(row) for row in expected}]
    there = [row for row in needed if name(row) in by_name]
    return (
        missing
        + extra
        + [
            line
            for row in there
            for line in differences({"lenient": [], **row}, by_name[name(row)], f"{where} {name(row)}.")
        ]
    )


def plain(value: object) -> object:
    """Texts with runs of blanks made one."""
    return " ".join(value.split()) if isinstance(value, str) else value


@pytest.mark.parametrize("version", [V2C, V1], ids=["v2c", "v1"])
@pytest.mark.parametrize("name", NAMES)
async def test_recording(name: str, version: int, port: int):
    """Every field of every recorded printer, by GetBulk and by GetNext."""
    found = await probe(f"127.0.0.1:{port}", who=Community(version, name), dice=SystemDice())
    assert differences(json.loads((FOLDER / f"{name}.expected.json").read_text("utf-8")), found.to_json()) == []


@pytest.mark.parametrize("name", NAMES[:2])
async def test_recording_through_v3_and_the_general_library(name: str, port: int):
    """SNMPv3 with SHA-2 and AES, and v2c through the general library, read the same."""
    user = V3User(snmpsim.USER, "sha256", snmpsim.AUTH_SECRET, "aes", snmpsim.PRIVACY_SECRET, context=name)
    place, dice = f"127.0.0.1:{port}", SystemDice()
    lean = await probe(place, who=Community(V2C, name), dice=dice)
    for other in (
        await probe(place, who=user, dice=dice),
        await probe(place, who=Community(V2C, name), dice=dice, reference=True),
    ):
        assert other.reading == lean.reading
