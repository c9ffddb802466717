"""The command line from outside: exit codes, one JSON object, installations whole or untouched, a daemon beside it."""

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from daemon.cli.main import main

ROOT = Path(__file__).parents[2]


class Shell:
    """Runs commands in this process and reads what they print."""

    def __init__(self, capsys, state: Path) -> None:
        self._capsys, self.state = capsys, state

    def run(self, *words: str, state: bool = True) -> tuple[int, str, str]:
        self._capsys.readouterr()
        place = ["--state", str(self.state)] if state else []
        code = main([*words, *place])
        out = self._capsys.readouterr()
        return code, out.out, out.err

    def json(self, *words: str, code: int = 0, state: bool = True):
        got, out, err = self.run(*words, "--json", state=state)
        assert got == code, (out, err)
        return json.loads(out)


@pytest.fixture
def shell(capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("HOLDFAST_STATE", raising=False)
    return Shell(capsys, tmp_path / "state")


@pytest.fixture
def house(shell):
    shell.json("init")
    return shell


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def free_base() -> int:
    for base in range(20_000, 30_000, 20):
        try:
            for offset in range(4):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", base + offset))
        except OSError:
            continue
        return base
    raise AssertionError("no ports")


def test_init_makes_an_installation_and_prints_its_token_once(shell):
    """Every key of the contract is there, secrets are private, and the token is nowhere on disk."""
    made = shell.json("init", "--port-base", "9100", "--name", "print.example.org")
    assert set(made) == {"state_dir", "config", "ca_file", "ca_sha256", "urls", "admin_token"}
    assert made["urls"]["ipp"].startswith("ipp://print.example.org:9100/")
    assert made["urls"]["api"] == "https://print.example.org:9102"
    assert Path(made["config"]).is_file()
    assert Path(made["ca_file"]).is_file()
    assert stat.S_IMODE(shell.state.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in (shell.state / "keys").iterdir() if p.is_file())
    assert not any(made["admin_token"].encode() in data for data in contents(shell.state).values())
    assert shell.json("config", "check")["ok"] is True


def test_init_leaves_an_existing_directory_untouched(house):
    """A second init, and one into a directory of somebody else's, change no byte and exit 2."""
    before = contents(house.state)
    assert house.json("init", code=2)["error"]["code"] == "usage"
    assert contents(house.state) == before
    house.state = house.state.parent / "theirs"
    house.state.mkdir()
    (house.state / "file").write_text("theirs")
    assert house.run("init")[0] == 2
    assert contents(house.state) == {"file": b"theirs"}


def test_two_installations_share_no_secret(house):
    """Keys, certificates and tokens are made anew each time: nothing is the same in both."""
    first = {name: data for name, data in contents(house.state).items() if name.startswith(("keys/", "tls/"))}
    house.state = house.state.parent / "second"
    house.json("init")
    second = contents(house.state)
    assert first
    assert all(second[name] != data for name, data in first.items())


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["user"],
        ["user", "add"],
        ["user", "list", "--frobnicate"],
        ["printer", "add", "hall"],
        ["init", "--port-base", "many"],
        ["kiosk", "enrol", "--daemon", "https://x", "--code", "ABCD", "--dir", "d"],
    ],
)
def test_wrong_usage_is_exit_2_in_both_voices(shell, words):
    """A wrong command line is one JSON error on stdout with --json, else a sentence on stderr; never a traceback."""
    code, out, err = shell.run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("holdfast: ")
    assert shell.json(*words, code=2)["error"]["code"] == "usage"


def test_no_installation_says_how_to_make_one(shell):
    """Without a state directory every command tells the next step and exits 2."""
    code, _, err = shell.run("user", "list", state=False)
    assert code == 2
    assert "holdfast init" in err
    code, _, err = shell.run("user", "list")
    assert code == 2
    assert "does not exist" in err


def test_a_broken_configuration_stops_everything_with_file_and_line(house):
    """The check, the daemon and every command report all problems at once and exit 2."""
    config = house.state / "holdfast.toml"
    config.write_text("[server]\nbase_prot = 1\n[kiosk]\nidle_s = 1\n")
    (house.state / "tariffs" / "standard.toml").write_text('currency = "EUR"\n[media.default]\ngrey = "free"\n')
    for words in (["config", "check"], ["daemon"]):
        details = house.json(*words, code=2)["error"]["details"]
        places = {(Path(d["file"]).name, d["line"], d["key"]) for d in details}
        assert ("holdfast.toml", 2, "server.base_prot") in places
        assert ("holdfast.toml", 4, "kiosk.idle_s") in places
        assert any(name == "standard.toml" and line == 3 for name, line, _ in places)
    _, _, err = house.run("config", "check")
    assert f"{config}:2" in err


def test_people_and_accounts_without_a_daemon(house, monkeypatch):
    """With no daemon the same commands work on the state directory itself, and say what to do next when it is empty."""
    assert "user add" in house.run("user", "list")[1]
    monkeypatch.setattr("sys.stdin", __import__("io").StringIO("correct horse battery staple\n"))
    made = house.json("user", "add", "anna", "--display-name", "Anna", "--password-stdin")
    assert made["name"] == "anna"
    shown = house.json("user", "show", "anna")
    assert (shown["user_id"], shown["active"], shown["has_password"]) == (made["user_id"], True, True)
    assert house.json("user", "list")["items"][0]["name"] == "anna"
    assert house.json("user", "add", "ANNA", code=4)["error"]["code"] == "name-taken"
    assert house.json("user", "show", "nobody", code=4)["error"]["code"] == "user-unknown"
    account = house.json("account", "show", "anna")
    assert {"account_id", "kind", "unit", "balance", "reserved", "available", "limit", "next_grant_at"} <= set(
        account["accounts"][0]
    )
    arguments = ["account", "adjust", "anna", "--unit", "pages", "--amount", "-30", "--reason", "lost", "--key", "k"]
    first = house.json(*arguments)
    assert first == house.json(*arguments)
    assert first["balance"] == {"unit": "pages", "amount": 170, "scale": 0}
    assert house.json("account", "adjust", "anna", "--unit", "pages", "--amount=-999", "--reason", "x", code=4)
    assert [line["kind"] for line in house.json("account", "statement", "anna")["items"]] == ["grant", "adjustment"]
    override = ["account", "override", "anna", "--unit", "pages", "--to", "25", "--reason", "set", "--key", "o"]
    assert house.json(*override)["available"] == {"unit": "pages", "amount": 25, "scale": 0}
    assert house.json(*override)["changed_by"]["amount"] == -145
    assert house.json("job", "release", "x", "--printer", "p", code=3)["error"]["code"] == "daemon-not-running"
    text = house.run("account", "show", "anna")[1]
    assert "25 pages" in text


def test_a_terminal_begins_with_the_printer_named_first(house):
    """The order of `--printer` is kept: the first is the one preselected on the screen, whatever the names."""
    for name in ("alpha", "zulu", "mike"):
        house.json("printer", "add", name, "--uri", f"ipp://127.0.0.1:9/{name}")
    house.json("terminal", "add", "hall", "--printer", "zulu", "--printer", "alpha", "--printer", "mike")
    assert house.json("terminal", "show", "hall")["printers"] == ["zulu", "alpha", "mike"]


def test_ledger_verify_names_a_changed_row_and_exits_1(house):
    """A balance changed behind the ledger's back is found, with its table and id; export still tells every transfer."""
    house.json("user", "add", "anna")
    good = house.json("ledger", "verify")
    assert (good["ok"], good["mismatches"]) == (True, [])
    code, out, _ = house.run("ledger", "export")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert len(lines) == good["transfers"] == 1
    with sqlite3.connect(house.state / "holdfast.db") as database:
        triggers = database.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type='trigger' AND tbl_name='account'"
        ).fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE account SET credits_posted=credits_posted+1 WHERE kind='user'")
        for _, sql in triggers:
            database.execute(sql)
    bad = house.json("ledger", "verify", code=1)
    assert bad["ok"] is False
    assert "account" in {m["table"] for m in bad["mismatches"]}


def test_backup_and_restore_with_keys(house):
    """A backup is checked, never overwrites, and brings the people back; damage is found by --check with exit 1."""
    house.json("user", "add", "anna")
    copy, keys = house.state.parent / "copy.db", house.state.parent / "keys.tar"
    house.json("backup", str(copy), "--keys", str(keys))
    assert house.json("backup", str(copy), code=4)["error"]["code"] == "backup-refused"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    house.json("user", "add", "ben")
    assert house.json("restore", str(copy), "--check")["ok"] is True
    house.json("restore", str(copy), "--keys", str(keys))
    assert [item["name"] for item in house.json("user", "list")["items"]] == ["anna"]
    damaged = bytearray(copy.read_bytes())
    damaged[8192:8292] = b"\xff" * 100
    copy.write_bytes(damaged)
    assert house.json("restore", str(copy), "--check", code=1)["ok"] is False
    absent = str(copy.with_name("absent.db"))
    for words in ((absent, "--check"), (absent,)):
        assert house.json("restore", *words, code=2)["error"]["code"] == "usage"


def test_job_list_narrows_by_state_with_the_option_that_names_the_directory(house):
    """`--state` is the directory, and a job state where it is one of those words: both may be given."""
    assert house.json("job", "list", "--state", "pending-held")["items"] == []
    house.json("user", "add", "anna")
    assert house.json("job", "list", "--state", "completed", "--user", "anna")["items"] == []


def test_jobs_of_somebody_nobody_knows_are_no_empty_list(house):
    """A mistyped name is said, as every other command says it."""
    assert house.json("job", "list", "--user", "nobody", code=4)["error"]["code"] == "user-unknown"


def test_a_bug_never_looks_like_a_found_difference(house, monkeypatch):
    """Whatever breaks inside: one error object, the traceback beside it, and not exit 1."""
    monkeypatch.setattr("daemon.cli.ledger._verify", lambda _context: 1 / 0)
    code, out, err = house.run("ledger", "verify", "--json")
    assert (code, json.loads(out)["error"]["code"]) == (3, "internal-error")
    assert "ZeroDivisionError" in err


def test_missing_keys_are_a_matter_of_configuration(house):
    """An installation without its keys is exit 2, with the file named, and nothing is made up in their place."""
    (house.state / "keys" / "pepper").unlink()
    assert house.json("user", "list", code=2)["error"]["code"] == "keys-missing"
    assert not (house.state / "keys" / "pepper").exists()


def holdfast(*words: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "daemon", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_daemon_serves_the_command_line_and_ends_within_seconds(shell):
    """Ready line, private admin socket, commands through it, a second daemon refused, SIGTERM answered with exit 0."""
    base = free_base()
    shell.json("init", "--port-base", str(base))
    daemon = holdfast("daemon", "--config", str(shell.state / "holdfast.toml"))
    try:
        ready = json.loads(daemon.stdout.readline())
        assert ready["event"] == "ready"
        assert set(ready["urls"]) == {"ipp", "ipps", "api", "kiosk"}
        admin = shell.state / "admin.sock"
        assert stat.S_IMODE(admin.stat().st_mode) == 0o600
        made = shell.json("user", "add", "anna")
        assert shell.json("user", "show", made["user_id"])["name"] == "anna"
        with sqlite3.connect(f"file:{shell.state}/holdfast.db?mode=ro", uri=True) as database:
            actors = {row[0] for row in database.execute("SELECT actor FROM audit WHERE action='user.added'")}
        assert actors == {f"local:{os.getuid()}"}
        assert shell.json("ledger", "verify")["ok"] is True
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(admin)), base_url="http://house") as http:
            figures = http.get("/metrics").text
            assert http.get("/api/v1/status").json()["ready"] is True
        assert "holdfast_people 1.0" in figures
        assert 'holdfast_build_info{version="' in figures
        assert "holdfast_ledger_ok 1.0" in figures
        assert "anna" not in figures
        second = holdfast("daemon", "--state", str(shell.state), "--json")
        out, _ = second.communicate(timeout=30)
        assert second.returncode == 3
        assert json.loads(out)["error"]["code"] == "state-locked"
        listening = subprocess.run(["ss", "-Hlnt"], capture_output=True, text=True, check=False).stdout
        ours = [line.split()[3] for line in listening.splitlines() if f":{base}" in line or f":{base + 1}" in line]
        assert all(address.startswith(("127.", "[::1]")) for address in ours)
    finally:
        began = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        code = daemon.wait(timeout=20)
    assert code == 0
    assert time.monotonic() - began < 5
    assert not (shell.state / "admin.sock").exists()


def test_the_demo_does_one_whole_job_by_itself(tmp_path):
    """`demo --once --json`: submitted, signed in, released, printed into a file, paid once, the books right."""
    demo = holdfast("demo", "--once", "--json", "--port-base", str(free_base()), "--state", str(tmp_path / "demo"))
    out, err = demo.communicate(timeout=120)
    assert demo.returncode == 0, err
    result = json.loads(out)
    assert result["result"] == "printed"
    assert result["ledger"] == "ok"
    assert Path(result["printed_file"]).stat().st_size > 0
    paid = result["balance_before"]["amount"] - result["balance_after"]["amount"]
    assert paid == result["price"]["amount"] > 0
    assert (result["pages"], result["impressions"], result["sheets"]) == (3, 3, 2)


def test_the_demo_shows_what_to_do_and_has_jobs_waiting(tmp_path):
    """Its text reaches a pipe while it runs; a killed daemon is started again; Ctrl-C, sent to every process, ends all."""
    state = tmp_path / "demo"
    demo = holdfast("demo", "--port-base", str(free_base()), "--state", str(state), start_new_session=True)
    try:
        lines = [demo.stdout.readline()]
        while not lines[-1].startswith("Ctrl-C"):
            assert lines[-1], demo.stderr.read()
            lines.append(demo.stdout.readline())
        text = "".join(lines)
        assert "PIN" in text
        assert "lpadmin -p" in text
        found = holdfast("job", "list", "--state", str(state), "--json")
        waiting = json.loads(found.communicate(timeout=30)[0])["items"]
        assert [job["state"] for job in waiting] == ["pending-held"] * 4
        os.kill(int((state / "holdfast.db.lock").read_text()), signal.SIGKILL)
        told = [demo.stderr.readline() for _ in range(3)]
        assert told[1:] == ["The daemon ended by itself; starting it again ...\n", "It runs again.\n"]
    finally:
        os.killpg(demo.pid, signal.SIGINT)
        _, err = demo.communicate(timeout=30)
    assert (demo.returncode, "Traceback" in err) == (0, False)
