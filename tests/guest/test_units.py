"""The project's units under a real systemd, installed as docs/operations.md says: a server, and a terminal with a reader."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.guest.typist import Typist
from tests.helpers.keyboard import end, typed

OPT = Path("/opt/holdfast")
HOLDFAST = str(OPT / "venv/bin/holdfast")
STATE = Path("/var/lib/holdfast/main")
TERMINAL = Path("/var/lib/holdfast-kiosk/terminal")
KEYS = ("pepper", "card", "box", "audit")
READER = "RF IDeas USB Keyboard"
COMMAND_S = 200
START_S = 300
"""Python's start is slow in an emulated machine."""
CARD = "0004123456"
IPP_QUESTION = (
    b"POST /ipp/print/findme HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"
)


def run(*command: str, stdin: str = "", may_fail: bool = False) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    assert may_fail or done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}{journal()}"
    return done.stdout


def journal() -> str:
    return subprocess.run(
        ["journalctl", "-n", "60", "-o", "cat", "--no-pager"], capture_output=True, text=True, timeout=60, check=False
    ).stdout


def show(unit: str, key: str) -> str:
    return run("systemctl", "show", "--value", "-p", key, unit).strip()


def holdfast(*arguments: str, stdin: str = "") -> dict:
    return json.loads(run(HOLDFAST, *arguments, "--state", str(STATE), "--json", stdin=stdin))


def ask(port: int = 631) -> bytes:
    """One question to the IPP listener; the first line of the answer. Waits as a client does."""
    with socket.create_connection(("127.0.0.1", port), timeout=START_S) as connection:
        connection.sendall(IPP_QUESTION)
        return connection.makefile("rb").readline()


def wait_until(is_so, what: str, timeout_s: float = START_S) -> None:
    until_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until_s, f"{what}\n{journal()}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def server():
    """Installed by the document's steps; the sockets are open, the daemon has not been asked for yet."""
    units = OPT / "systemd"
    run("install", "-m", "644", str(units / "holdfast.sysusers"), "/usr/lib/sysusers.d/holdfast.conf")
    run("systemd-sysusers")
    run("install", "-m", "644", str(units / "holdfast.tmpfiles"), "/usr/lib/tmpfiles.d/holdfast.conf")
    run("systemd-tmpfiles", "--create", "/usr/lib/tmpfiles.d/holdfast.conf")
    run(
        "install",
        "-m",
        "644",
        *map(str, [*units.glob("holdfast*.service"), *units.glob("holdfast*.socket")]),
        "/etc/systemd/system/",
    )
    run("runuser", "-u", "holdfast", "--", HOLDFAST, "init", "--state", str(STATE), "--name", "localhost")
    for key in KEYS:
        run("install", "-m", "400", str(STATE / "keys" / key), f"/etc/holdfast/keys/{key}")
        (STATE / "keys" / key).rename(STATE / "keys" / f"{key}.away")  # they come as credentials, or not at all
    config = STATE / "holdfast.toml"
    ports = "ipp_port = 631\nipps_port = 8631\napi_port = 443"
    text, count = re.subn(r"(?m)^base_port = .*$", ports, config.read_text("utf-8"))
    assert count == 1
    config.write_text(text, "utf-8")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "holdfast-ipp.socket", "holdfast-ipps.socket", "holdfast-https.socket")
    yield
    run(
        "systemctl",
        "stop",
        "holdfast.service",
        "holdfast-ipp.socket",
        "holdfast-ipps.socket",
        "holdfast-https.socket",
        may_fail=True,
    )


@pytest.fixture
def daemon(server):
    """The daemon at work; its main process."""
    ask()
    wait_until(lambda: show("holdfast.service", "ActiveState") == "active", "the daemon is not up")
    return int(show("holdfast.service", "MainPID"))


def test_the_first_client_starts_the_daemon(server):
    """Nothing runs until somebody connects to port 631; that client is answered, and the service is told ready by itself."""
    assert show("holdfast.service", "ActiveState") == "inactive"
    started_s = time.monotonic()
    assert ask().startswith(b"HTTP/1.1 4")
    print(f"first client answered after {time.monotonic() - started_s:.1f} s")
    wait_until(lambda: show("holdfast.service", "SubState") == "running", "never ready")
    assert show("holdfast.service", "NRestarts") == "0"


def test_keys_are_credentials(daemon):
    """The daemon runs on keys that are in its own directory no more; no other account can read them."""
    assert not (STATE / "keys/pepper").exists()
    assert show("holdfast.service", "ActiveState") == "active"
    other = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", "/etc/holdfast/keys/pepper"],
        capture_output=True,
        check=False,
    )
    assert other.returncode != 0
    seen = run("sh", "-c", f"cat /proc/{daemon}/environ | tr '\\0' '\\n'")
    directory = re.search(r"CREDENTIALS_DIRECTORY=(\S+)", seen)
    assert directory
    assert sorted(path.name for path in Path(f"/proc/{daemon}/root{directory[1]}").iterdir()) == sorted(
        f"holdfast-{key}" for key in KEYS
    )


def test_the_daemon_is_locked_in(daemon):
    """No capability, none to be had, system calls filtered, the system read-only, other processes out of sight."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{daemon}/status").read_text("ascii").splitlines())
    assert (status["CapEff"].strip("0"), status["CapBnd"].strip("0"), status["NoNewPrivs"], status["Seccomp"]) == (
        "",
        "",
        "1",
        "2",
    )
    mounts = [line.split() for line in Path(f"/proc/{daemon}/mounts").read_text("utf-8").splitlines()]
    roots = [options.split(",") for _, place, _, options, *_ in mounts if place == "/"]
    assert all("ro" in options for options in roots)


def test_killed_it_is_back_and_no_client_is_refused(daemon):
    """Killed by signal 9: who connects meanwhile waits and is answered; the books are whole."""
    before = int(show("holdfast.service", "NRestarts"))
    os.kill(daemon, signal.SIGKILL)
    started_s = time.monotonic()
    assert ask().startswith(b"HTTP/1.1 4")
    print(f"answered {time.monotonic() - started_s:.1f} s after the kill")
    assert int(show("holdfast.service", "NRestarts")) == before + 1
    assert holdfast("ledger", "verify")["ok"] is True


def test_a_daemon_that_hangs_is_started_again(daemon):
    """Stopped dead, it feeds no watchdog: systemd ends it and starts another, which answers."""
    before = int(show("holdfast.service", "NRestarts"))
    os.kill(daemon, signal.SIGSTOP)
    started_s = time.monotonic()
    wait_until(lambda: int(show("holdfast.service", "NRestarts")) > before, "the watchdog did not bite")
    assert ask().startswith(b"HTTP/1.1 4")
    print(f"answered {time.monotonic() - started_s:.1f} s after it hung")
    assert "watchdog" in run("journalctl", "-u", "holdfast.service", "-o", "cat", "--no-pager").lower()


def test_stopped_it_ends_cleanly(daemon):
    """SIGTERM: gone within the 5 s promised, with success; the next client starts it again."""
    started_s = time.monotonic()
    run("systemctl", "stop", "holdfast.service")
    assert time.monotonic() - started_s < 10
    assert show("holdfast.service", "Result") == "success"
    assert ask().startswith(b"HTTP/1.1 4")


@pytest.fixture(scope="module")
def terminal(server):
    """A terminal on the same machine, enrolled, with a reader of its own rule."""
    ask()
    holdfast(
        "user",
        "add",
        "anna",
        "--display-name",
        "Anna",
        "--pin",
        "auto",
        "--password-stdin",
        stdin="a walrus on a bicycle",
    )
    holdfast("printer", "add", "lobby", "--uri", "ipp://127.0.0.1:9/ipp/print")
    announced = holdfast("terminal", "add", "hall", "--printer", "lobby", "--policy", "card")
    run(
        "runuser", "-u", "holdfast-kiosk", "--", HOLDFAST, "kiosk", "enrol", "--daemon", announced["daemon_url"], "--code", "-",
        "--dir", str(TERMINAL), stdin=announced["code"] + "\n",
    )  # fmt: skip
    config = TERMINAL / "kiosk.toml"
    text = re.sub(r'(?ms)^\[reader\]\s*\nkind = "\w+"\s*', "", config.read_text("utf-8"))
    config.write_text(text + f'\n[[readers]]\nname = "desk"\nkind = "evdev"\nmatch = "{READER}"\n', "utf-8")
    rules = Path("/etc/udev/rules.d")
    run("install", "-m", "644", str(OPT / "systemd/70-holdfast-readers.rules"), str(rules))
    (rules / "65-holdfast-own-readers.rules").write_text(
        f'SUBSYSTEM=="input", ATTRS{{name}}=="{READER}", ENV{{HOLDFAST_READER}}="1"\n'
    )
    run("udevadm", "control", "--reload")
    run("systemctl", "start", "holdfast-kiosk.service")
    yield
    run("systemctl", "stop", "holdfast-kiosk.service", may_fail=True)


@pytest.fixture
async def reader():
    typist = Typist()
    yield await typist.plug_in(READER)
    typist.end()


async def ready_reader() -> dict:
    """The terminal's reader, once the daemon has heard that it is ready."""
    async with asyncio.timeout(START_S):
        while True:
            told = (await asyncio.to_thread(holdfast, "terminal", "show", "hall"))["readers"]
            if told and told[0]["state"] == "ready":
                return told[0]
            await asyncio.sleep(0.5)


async def test_a_card_typed_at_the_terminal_reaches_the_daemon(terminal, reader):
    """Locked in, and with no right but its group's, the terminal program takes the reader; what it types is a card."""
    owner = Path(reader.path)
    assert (await ready_reader())["model"] == READER
    assert (owner.group(), oct(owner.stat().st_mode & 0o777)) == ("holdfast-reader", "0o640")
    await reader.type(typed(CARD) + end("enter"), gap_s=0.01)
    async with asyncio.timeout(60):
        while True:
            await asyncio.sleep(0.5)
            linked = await asyncio.to_thread(
                run,
                HOLDFAST,
                "card",
                "add",
                "anna",
                "--tapped-at",
                "hall",
                "--state",
                str(STATE),
                "--json",
                may_fail=True,
            )
            if "card_id" in linked:
                break
    assert [card["card_id"] for card in holdfast("user", "show", "anna")["cards"]] == [json.loads(linked)["card_id"]]
    assert CARD not in run("journalctl", "-o", "json", "--no-pager")


async def test_the_terminal_program_takes_its_reader_again(terminal, reader):
    """Killed, it is back by systemd's hand, ready, and holds the reader alone once more."""
    import evdev

    await ready_reader()
    os.kill(int(show("holdfast-kiosk.service", "MainPID")), signal.SIGKILL)
    wait_until(lambda: int(show("holdfast-kiosk.service", "NRestarts")) >= 1, "not started again")
    wait_until(lambda: show("holdfast-kiosk.service", "SubState") == "running", "not ready again")

    def is_held() -> bool:
        with contextlib.closing(evdev.InputDevice(reader.path)) as other:
            try:
                other.grab()
            except OSError:
                return True
            return False

    wait_until(is_held, "the reader was not taken again")
