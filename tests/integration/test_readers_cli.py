"""`holdfast reader ...`, as typed: what is plugged in, keys for network clients, cards from a script."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from daemon.cli.main import main
from daemon.devices.readers.network import NetworkOptions, open_network
from daemon.devices.readers.reading import Read
from daemon.system import SystemClock
from tests.helpers.pcscd import Desk, inside, pcsc_room  # noqa: F401  -- a fixture

ROOT = Path(__file__).resolve().parents[2]


def holdfast(*words: str, stdin: str = "") -> tuple[int, dict, str]:
    """One command with --json: exit code, object, stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "daemon", *words, "--json"], cwd=ROOT, input=stdin, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


async def ask(*words: str, stdin: str = "") -> tuple[int, dict, str]:
    return await asyncio.to_thread(holdfast, *words, stdin=stdin)


async def test_a_key_lets_a_script_send_cards(tmp_path) -> None:
    """One command makes both files, 0600; with them cards typed into `reader send` reach the terminal."""
    file, copy = tmp_path / "readers.keys", tmp_path / "gate.key"
    code, made, _ = await ask("reader", "key", "gate", "--file", str(file), "--copy", str(copy))
    assert (code, made["clients"]) == (0, ["gate"])
    assert file.read_text() == copy.read_text()
    assert file.stat().st_mode & 0o777 == copy.stat().st_mode & 0o777 == 0o600
    assert (await ask("reader", "key", "door", "--file", str(file)))[1]["clients"] == ["gate", "door"]
    reader = open_network(NetworkOptions(name="n", key_file=file, listen="127.0.0.1:0"), SystemClock())
    events = reader.events()
    await anext(events)
    address = f"127.0.0.1:{reader.port}"
    try:
        sent = asyncio.create_task(
            ask("reader", "send", "--to", address, "--key", str(copy), stdin="04A1B2C3\n;123?\n\x07\n")
        )
        reads = []
        async with asyncio.timeout(20):
            while len(reads) < 2:
                event = await anext(events)
                if isinstance(event, Read):
                    reads.append(event.raw)
        assert reads == ["04A1B2C3", ";123?"]
        assert (await sent)[:2] == (4, {"sent": 3, "accepted": 2, "refused": ["implausible"]})
        copy.write_text("gate " + "00" * 32 + "\n")
        code, refused, _ = await ask("reader", "send", "--to", address, "--key", str(copy), stdin="1\n")
        assert (code, refused["error"]["code"]) == (4, "read-refused")
        assert "refused" in refused["error"]["message"]
    finally:
        await events.aclose()


def test_keys_are_never_overwritten(tmp_path, capsys) -> None:
    """A name with a key, a file that is there, a file with mistakes, an impossible name: refused, nothing changed."""

    def key(name: str, *more: str) -> int:
        return main(["reader", "key", name, "--file", str(file), "--json", *more])

    file = tmp_path / "readers.keys"
    assert key("gate") == 0
    before = file.read_text()
    assert key("gate", "--copy", str(tmp_path / "x")) == 2
    (tmp_path / "door.key").write_text("mine")
    assert key("door") == 2
    assert key("Bad Name") == 2
    assert file.read_text() == before
    assert (tmp_path / "door.key").read_text() == "mine"
    file.write_text(before + "rubbish\n")
    capsys.readouterr()
    assert key("hall") == 2
    assert json.loads(capsys.readouterr().out)["error"]["details"][0]["line"] == 2
    assert main(["reader", "send", "--to", "127.0.0.1:9", "--key", str(tmp_path / "gate.key"), "--json"]) == 3


@inside
async def test_readers_are_listed_with_what_to_write(desk: Desk) -> None:
    """With pcscd: each reader by model and pattern. Without: no item of that kind, and the reason in words."""
    code, listed, _ = await ask("reader", "list")
    found = [one for one in listed["items"] if one["kind"] == "pcsc"]
    assert (code, listed["problems"], len(found)) == (0, [], 2)
    assert {one["match"] for one in found} == {"Virtual PCD"}
    await desk.end_service()
    code, listed, _ = await ask("reader", "list")
    assert code == 0
    assert "pcscd does not run" in listed["problems"][0]["message"]
