"""Asking agents with the habits real printers have: none of them costs more than what it really cannot give."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from daemon.devices.mib import tables as mib
from daemon.devices.mib.reading import PRINTER_TYPE, SYS_DESCR, SYS_OBJECT_ID, SYS_UP_TIME
from daemon.devices.probe import probe, split_place
from daemon.devices.snmp_codec import V1, V2C
from daemon.devices.snmp_collect import NoAnswer
from daemon.devices.snmp_general import Community, SnmpDenied, V3User
from daemon.kernel.errors import BadInput
from daemon.system import SystemDice
from tests.helpers import snmp_table_agent

ROWS = 30
PRINTER = {
    SYS_DESCR: b"Test Printer",
    SYS_OBJECT_ID: (1, 3, 6, 1, 4, 1, 99999, 1),
    SYS_UP_TIME: 12345,
    (*mib.HR_DEVICE_TYPE, 1): PRINTER_TYPE,
    (*mib.HR_DEVICE_STATUS, 1): 2,
    (*mib.HR_PRINTER_DETECTED_ERROR_STATE, 1): b"\x20",
    (*mib.PRT_GENERAL_SERIAL_NUMBER, 1): b"SN-1",
    (*mib.PRT_MARKER_LIFE_COUNT, 1, 1): 4242,
    (*mib.PRT_MARKER_COUNTER_UNIT, 1, 1): 7,
    **{(*mib.PRT_MARKER_SUPPLIES_DESCRIPTION, 1, row): b"Black %d" % row for row in range(1, ROWS + 1)},
    **{(*mib.PRT_MARKER_SUPPLIES_LEVEL, 1, row): row for row in range(1, ROWS + 1)},
    **{(*mib.PRT_MARKER_SUPPLIES_MAX_CAPACITY, 1, row): 100 for row in range(1, ROWS + 1)},
    (1, 3, 6, 1, 4, 1, 99999, 9): 1,
}


async def ask(agent, *, version: int = V2C, community: str = "public", try_s: float = 0.15):
    """One quick probe of it."""
    return await probe(
        f"127.0.0.1:{agent.port}", who=Community(version, community), dice=SystemDice(), try_s=try_s, tries=2
    )


@pytest.mark.parametrize("version", [V1, V2C])
@pytest.mark.parametrize(
    "habits",
    [
        {},
        {"deaf_to": frozenset({"bulk"})},
        {"bindings_max": 5},
        {"too_big": 3},
        {"twice": True, "foreign": True},
    ],
    ids=["good", "no-bulk", "short-answers", "too-big", "noisy"],
)
async def test_everything_is_read_in_spite_of(habits, version):
    """Deaf to GetBulk, answers cut short, tooBig, doubled answers and noise: the reading is the same."""
    async with snmp_table_agent.running(PRINTER, **habits) as agent:
        found = await ask(agent, version=version)
    assert (found.reading.sys_descr, found.reading.serial, found.reading.life_count) == ("Test Printer", "SN-1", 4242)
    assert [supply.percent for supply in found.reading.supplies] == [float(row) for row in range(1, ROWS + 1)]
    assert found.reading.detected_errors == ("lowToner",)


async def test_a_column_the_device_dies_on_costs_that_column_only():
    """An agent that never answers one column gives all others, and the column is named."""
    async with snmp_table_agent.running(PRINTER, deaf_columns=(mib.PRT_MARKER_SUPPLIES_MAX_CAPACITY,)) as agent:
        found = await ask(agent, try_s=0.06)
    assert found.refused == (".".join(map(str, mib.PRT_MARKER_SUPPLIES_MAX_CAPACITY)),)
    assert len(found.reading.supplies) == ROWS
    assert found.reading.supplies[0].raw_level == 1


async def test_a_walk_in_circles_ends():
    """Names that do not rise end the column."""
    async with snmp_table_agent.running(PRINTER, circles=mib.PRT_MARKER_SUPPLIES_LEVEL) as agent:
        found = await ask(agent)
    assert found.reading.supplies[0].raw_level == 1
    assert len(agent.asked) < 60


async def test_silence_is_explained():
    """A wrong community looks like silence; a closed port says so; both name what to do."""
    async with snmp_table_agent.running(PRINTER) as agent:
        with pytest.raises(NoAnswer) as refused:
            await ask(agent, community="wrong", try_s=0.05)
        assert refused.value.data["why"] in ("silent", "community-refused")
        port = agent.port
    with pytest.raises(NoAnswer) as closed:
        await probe(f"127.0.0.1:{port}", who=Community(V2C, "x"), dice=SystemDice(), try_s=0.05, tries=1)
    assert closed.value.data["why"] == "port-closed"
    with pytest.raises(NoAnswer) as unknown:
        await probe("no-such-host.invalid", who=Community(V2C, "x"), dice=SystemDice())
    assert unknown.value.data["why"] == "name-unknown"


@pytest.mark.parametrize("text", ["", "host:0", "host:99999", "host:x", "[::1", "a b", "http://host", "host:"])
def test_addresses_that_are_none(text):
    """Refused before anything is sent; an empty port after a colon means the usual one."""
    if text == "host:":
        assert split_place(text) == ("host", 161)
        return
    with pytest.raises(BadInput):
        split_place(text)


def test_addresses():
    """Host, port, IPv6 with and without brackets."""
    assert split_place("h:1161") == ("h", 1161)
    assert split_place("[::1]:1161") == ("::1", 1161)
    assert split_place("fe80::1") == ("fe80::1", 161)


@pytest.mark.parametrize(
    "user",
    [
        V3User(""),
        V3User("u", "sha1"),
        V3User("u", "sha256", "short"),
        V3User("u", "none", "", "aes", "longenough"),
        V3User("u", "sha256", "longenough", "rot13", "longenough"),
    ],
)
def test_a_v3_user_that_no_printer_would_take(user):
    """Refused with the reason, and no secret in its repr."""
    with pytest.raises(BadInput):
        user.check()
    assert "longenough" not in repr(user)


async def test_the_command(tmp_path):
    """One JSON object with `--json`, a table without, exit 3 when nothing answers, exit 2 for no address."""

    async def run(*words: str) -> tuple[int, str, str]:
        import asyncio

        done = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "daemon", "printer", "probe", *words,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env={"PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip
        out, err = await done.communicate()
        return done.returncode or 0, out.decode(), err.decode()

    async with snmp_table_agent.running(PRINTER) as agent:
        place = f"127.0.0.1:{agent.port}"
        code, out, _err = await run(place, "--json")
        assert (code, json.loads(out)["supplies"][9]["percent"]) == (0, 10.0)
        code, out, _err = await run(place)
        assert code == 0
        assert "lowToner" in out
        code, _out, err = await run(place, "--community", "wrong", "--timeout", "0.05", "--retries", "0")
        assert (code, "community" in err) == (3, True)
    code, out, _err = await run("host:0", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (2, "bad-input")


def test_refusals_of_v3_are_told_apart():
    """Each indication of the library has its word."""
    from pysnmp.proto import errind

    from daemon.devices.snmp_general import _refusal

    told = {
        name: _refusal(getattr(errind, name))
        for name in ("unknownUserName", "wrongDigest", "decryptionError", "notInTimeWindow", "unsupportedSecurityLevel")
    }
    assert [error.data["why"] for error in told.values()] == [
        "user-unknown", "auth-wrong", "privacy-wrong", "clock-apart", "level-refused",
    ]  # fmt: skip
    assert all(isinstance(error, SnmpDenied) for error in told.values())
    assert isinstance(_refusal(errind.requestTimedOut), NoAnswer)
