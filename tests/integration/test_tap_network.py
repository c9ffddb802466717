"""A card sent by a script opens a session at a real kiosk program, and forged lines show in what the terminal reports."""

from __future__ import annotations

import asyncio
import json
import sys

import httpx

from kiosk import enrolment
from tests.helpers.fake_daemon import FakeDaemon
from tests.helpers.ippeveprinter import free_port
from tests.helpers.terminal import ROOT, Terminal, ada

WAIT_S = 20


async def holdfast(*words: str, stdin: str = "") -> tuple[int, dict]:
    """One command with --json."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "daemon", *words, "--json", cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(stdin.encode()), 60)
    return process.returncode or 0, json.loads(out)


async def until(client: httpx.AsyncClient, wanted) -> dict:
    """What the screen shows, once `wanted(it)`."""
    view: dict = {}
    try:
        async with asyncio.timeout(WAIT_S):
            while not wanted(view := (await client.get("/ui/view")).json()):
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise AssertionError(view) from error
    return view


def reader_code(view: dict) -> tuple[str, str]:
    """The first reader's state and code."""
    return next(((one["state"], one["code"]) for one in view["terminal"]["readers"]), ("", ""))


async def test_a_script_taps_for_somebody(tmp_path) -> None:
    """Key made, reader configured, card sent, password given: Ada's jobs are there. A forger is named; a missing key file too."""
    daemon = FakeDaemon()
    daemon.people.append(ada())
    await daemon.start()
    home, keys, port = tmp_path / "terminal", tmp_path / "terminal" / "readers.keys", free_port()
    await enrolment.enrol(url=daemon.url, code_text=daemon.code.text, directory=home, reader="none")
    with (home / "kiosk.toml").open("a") as file:
        file.write(
            f'\n[[readers]]\nname = "gate"\nkind = "network"\nlisten = "127.0.0.1:{port}"\nkey_file = "readers.keys"\n'
        )
    terminal = Terminal(home)
    await terminal.start()
    address, _, _ = terminal.url.partition("?")
    try:
        async with httpx.AsyncClient(base_url=address, follow_redirects=True) as client:
            await client.get(terminal.url)
            await until(client, lambda view: reader_code(view) == ("refused", "no-key-file"))
            copy = tmp_path / "gate.key"
            assert (await holdfast("reader", "key", "gate", "--file", str(keys), "--copy", str(copy)))[0] == 0
            await until(client, lambda view: view["away"] is None and reader_code(view) == ("ready", "no-client"))
            sent = await holdfast(
                "reader", "send", "--to", f"127.0.0.1:{port}", "--key", str(copy), stdin=f"{ada().card}\n"
            )
            assert sent == (0, {"sent": 1, "accepted": 1, "refused": []})
            await until(client, lambda view: view["screen"] == "card_password")
            await client.post("/ui/act", json={"do": "sign_in", "password": "correct horse"})
            view = await until(client, lambda view: view["person"] and view["jobs"])
            assert view["person"]["display_name"] == "Ada Lovelace"
            copy.write_text("gate " + "00" * 32 + "\n")
            code, _ = await holdfast("reader", "send", "--to", f"127.0.0.1:{port}", "--key", str(copy), stdin="1\n")
            assert code == 4
            await until(client, lambda view: reader_code(view) == ("ready", "forged"))
    finally:
        assert await terminal.stop() == 0
        await daemon.close()
