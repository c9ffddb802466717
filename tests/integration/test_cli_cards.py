"""Card formats from the command line: tried, listed, learned and installed, with or without an installation."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.auth.card_formats import parse_format
from daemon.auth.card_formats.steps import KINDS
from daemon.cli.main import main

ROOT = Path(__file__).parents[2]
READS = json.loads((ROOT / "tests/data/card_reads.json").read_text("utf-8"))


class Shell:
    """Runs commands in this process, in a directory of its own, without an installation unless one is named."""

    def __init__(self, capsys, monkeypatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def run(self, *words: str, stdin: str = "") -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        self._capsys.readouterr()
        code = main(words)
        out = self._capsys.readouterr()
        return code, out.out, out.err

    def json(self, *words: str, code: int = 0, stdin: str = ""):
        got, out, err = self.run(*words, "--json", stdin=stdin)
        assert got == code, (out, err)
        assert out.count("\n") == 1
        return json.loads(out)


@pytest.fixture
def shell(capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("HOLDFAST_STATE", raising=False)
    monkeypatch.chdir(tmp_path)
    return Shell(capsys, monkeypatch)


@pytest.fixture
def state(shell, tmp_path) -> Path:
    """An installation, as `init` makes it."""
    shell.json("init", "--state", str(tmp_path / "state"))
    return tmp_path / "state"


def test_try_tells_every_step(shell):
    """All keys of the contract; bytes are the ASCII of the number; nothing else on stdout."""
    assert shell.json("card", "try", "--pipeline", "ascii | hex2dec", "3934364542443238") == {
        "ok": True,
        "normalised": "2490285352",
        "bytes_hex": "32343930323835333532",
        "steps": [{"step": "ascii", "out": "946EBD28"}, {"step": "hex2dec", "out": "2490285352"}],
        "error": None,
    }


def test_try_refuses_with_exit_4(shell):
    """A refused read: exit 4, the steps so far, a reason without the read, null for what there is not."""
    found = shell.json("card", "try", "--pipeline", "hex | xor | rev", "380090730FD5", code=4)
    assert (found["ok"], found["normalised"], found["bytes_hex"]) == (False, None, None)
    assert found["steps"] == [{"step": "hex", "out": "380090730FD5"}, {"step": "xor", "out": None}]
    assert found["error"]["code"] == "card-unreadable"
    assert "380090730FD5" not in found["error"]["message"]


@pytest.mark.parametrize("row", READS[::7], ids=lambda row: row["note"][:30])
def test_try_agrees_with_the_table(shell, row):
    """The command and the table of reads say the same, by argument and by standard input."""
    code = 0 if row["normalised"] is not None else 4
    got, out, _ = shell.run("card", "try", "--json", "--pipeline", row["pipeline"], "--", row["raw"])
    found = json.loads(out)
    assert (got, found["normalised"]) == (code, row["normalised"])
    if "\n" not in row["raw"] and "\r" not in row["raw"] and "\u0000" not in row["raw"]:
        assert (
            shell.json("card", "try", "--pipeline", row["pipeline"], "-", code=code, stdin=f"{row['raw']}\n") == found
        )


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--pipeline", "hexx", "00"), "did you mean 'hex'?"),
        (("--pipeline", "", "00"), "has no step"),
        (("--pipeline", "javascript:x", "00"), "runs no JavaScript"),
        (("--pipeline", "re:(", "00"), "( without its )"),
        (("00",), "give either --pipeline"),
        (("--pipeline", "hex", "--format", "uid-hex", "00"), "give either --pipeline"),
        (("--format", "missing.toml", "00"), "cannot be read"),
        (("--pipeline", "hex"), "required: RAW"),
    ],
)
def test_what_is_typed_wrong_is_exit_2(shell, words, part):
    """A pipeline that does not parse, or none: usage, with what was probably meant, as text and as JSON."""
    code, out, err = shell.run("card", "try", *words)
    assert (code, out) == (2, "")
    assert part in err
    error = shell.json("card", "try", *words, code=2)["error"]
    assert part in error["message"]


def test_try_is_readable(shell):
    """A person sees a line per step, then the number; or the refusal on stderr."""
    code, out, err = shell.run("card", "try", "--pipeline", "rev | hex2dec", "94:6E:BD:28")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split() == ["1", "rev", "28BD6E94"]
    assert out.splitlines()[-1] == "The card's number is 683503252 (9 characters)."
    code, out, err = shell.run("card", "try", "--pipeline", "rev | track2", "0102")
    assert code == 4
    assert out.splitlines()[-1].split() == ["2", "track2", "refused"]
    assert err.startswith("holdfast: refused: step 2, track2: is no whole magstripe line")


def test_a_terminal_does_not_obey_a_card(shell):
    """Control characters of a read never reach the screen as they are."""
    _, out, err = shell.run("card", "try", "--pipeline", "re:.+ | lower", "\x1b]0;owned\x07\u202e12")
    assert not any(sign in out + err for sign in ("\x1b", "\x07", "\u202e"))


def test_64_kb_and_bytes_that_are_no_text_are_refused(tmp_path):
    """From outside, as a file on standard input: exit 4 and one JSON object, at once."""
    for content in (b"7" * 65_536, b"\xff\xfe\x00\x01\n", b"", b"\n", os.urandom(4096)):
        done = subprocess.run(
            [sys.executable, "-m", "daemon", "card", "try", "--pipeline", "fullre:.+", "-", "--json"],
            cwd=ROOT, input=content, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 4, done.stderr
        assert json.loads(done.stdout)["ok"] is False


def test_try_by_format(shell, tmp_path):
    """A format by name or by file: its rules beyond the pipeline count, and unknown names list what there is."""
    assert shell.json("card", "try", "--format", "h10301", "6C7CDB")["normalised"] == "54-15981"
    assert shell.json("card", "try", "--format", "default", "04:a1:b2:c3")["normalised"] == "04A1B2C3"
    found = shell.json("card", "try", "--format", "uid-hex", "08A1B2C3", code=4)
    assert "pattern of this format" in found["error"]["message"]
    (tmp_path / "mine.toml").write_text("pipeline = 'wiegand:26'\nfacilities = [55]\n")
    found = shell.json("card", "try", "--format", str(tmp_path / "mine.toml"), "6C7CDB", code=4)
    assert "another site" in found["error"]["message"]
    code, _, err = shell.run("card", "try", "--format", "yours", "6C7CDB")
    assert code == 4
    assert "h10301" in err


def test_formats_are_listed(shell, state):
    """Those shipped without an installation, those of the installation with one."""
    shipped = shell.json("card", "formats")["items"]
    assert {"default", "uid-hex", "h10301", "track2"} <= {one["name"] for one in shipped}
    assert shell.json("card", "formats", "--state", str(state))["items"] == shipped
    (state / "card-formats/h10301.toml").unlink()
    (state / "card-formats/lobby.toml").write_text("pipeline = 'hex|rev'\nwidth = 8\n")
    names = {one["name"] for one in shell.json("card", "formats", "--state", str(state))["items"]}
    assert "lobby" in names
    assert "h10301" not in names
    assert "hex | rev" in shell.run("card", "formats", "--state", str(state))[1]


def test_an_installation_that_is_not_there_is_told(shell, tmp_path):
    """A mistyped --state never falls back to the formats shipped, nor writes somewhere else."""
    for words in (
        ("card", "formats"),
        ("card", "try", "--format", "uid-hex", "00"),
        ("card", "learn", "--pair", "A", "A"),
    ):
        assert "does not exist" in shell.json(*words, "--state", str(tmp_path / "typo"), code=2)["error"]["message"]


def test_steps_are_listed(shell):
    """Every step with its meaning, for whoever writes a pipeline."""
    items = shell.json("card", "steps")["items"]
    assert {re.split(r"[:\[]", one["step"])[0] for one in items} == set(KINDS)
    code, out, _ = shell.run("card", "steps")
    assert code == 0
    assert len(out.splitlines()) == len(items)


def test_an_installation_has_formats_and_checks_them(shell, state):
    """`init` installs them, `config check` reads them and tells every mistake with file, line and key."""
    found = shell.json("config", "check", "--state", str(state))
    assert {"default", "uid-hex"} <= set(found["card_formats"])
    bad = state / "card-formats/lobby.toml"
    bad.write_text("pipeline = 'hex | revv'\nwidht = 8\n")
    with (state / "holdfast.toml").open("a") as file:
        file.write('\n[cards]\ndefault_format = "nowhere"\n[[cards.readers]]\nreader = "desk"\nformat = "elsewhere"\n')
    details = shell.json("config", "check", "--state", str(state), code=2)["error"]["details"]
    places = {(Path(one["file"]).name, one["key"]): one for one in details}
    assert places["lobby.toml", "pipeline"]["suggestion"] == "rev"
    assert places["lobby.toml", "widht"]["line"] == 2
    assert places["holdfast.toml", "cards.default_format"]["line"] > 1
    assert "there are:" in places["holdfast.toml", "cards.readers.0.format"]["message"]
    bad.unlink()
    assert shell.run("daemon", "--state", str(state))[0] == 2


def test_learn_from_pairs(shell):
    """Pairs as arguments: the pipeline that fits, which format does the same, nothing written."""
    found = shell.json("card", "learn", "--pair", "1C78F2BF", "3220338716", "--pair", "E43AC9D2", "3536403172")
    assert found["ok"] is True
    assert found["pairs"] == 2
    assert found["proposals"][0]["pipeline"] == "rev | hex2dec"
    assert found["proposals"][0]["gives"] == ["3220338716", "3536403172"]
    assert (found["written"], found["error"], found["previews"]) == (None, None, [])
    found = shell.json("card", "learn", "--pair", "946EBD28", "2490285352")
    assert found["proposals"][0]["same_as"] == ["papercut-hex2dec"]


def test_learn_from_standard_input(shell):
    """Lines of read and number, by tab or arrow; further lines are previewed under each proposal."""
    lines = "946EBD28\t2490285352\n1C78F2BF -> 477688511\nFFFFFFFF\nnonsense\n"
    found = shell.json("card", "learn", stdin=lines)
    assert found["pairs"] == 2
    assert found["previews"] == [{"raw": "FFFFFFFF", "gives": ["4294967295"]}, {"raw": "nonsense", "gives": [None]}]
    found = shell.json("card", "learn", "--pair", "946EBD28", "2490285352", "--preview", stdin="00000001\n")
    assert found["previews"] == [{"raw": "00000001", "gives": ["1"]}]


def test_learn_from_one_card(shell):
    """Without its number every meaning is shown with the verdict of its check; with it the right one is found."""
    found = shell.json("card", "learn", stdin="0801161DD6\n")
    meanings = {one["pipeline"]: (one["value"], one["check"]) for one in found["readings"]}
    assert meanings["hex | last:8 | hex2dec | zfill:10"] == ("0018226646", "none")
    assert meanings["wiegand:37"] == ("32785-200427", "good")
    assert len(found["proposals"]) == len([one for one in found["readings"] if one["check"] != "wrong"])
    found = shell.json("card", "learn", "--printed", "0018226646", stdin="0801161DD6\n")
    assert found["pairs"] == 1
    assert found["proposals"][0]["pipeline"] == "last:8 | hex2dec | zfill:10"


def test_learn_says_when_nothing_fits(shell):
    """Numbers that no chain gives, and reads that are nothing known: exit 4 and why; no line at all is usage."""
    found = shell.json("card", "learn", "--pair", "12345678", "hello", code=4)
    assert (found["ok"], found["proposals"], found["error"]["code"]) == (False, [], "nothing-fits")
    assert shell.json("card", "learn", stdin="what is this\n", code=4)["error"]["code"] == "nothing-fits"
    assert shell.json("card", "learn", code=2)["error"]["code"] == "usage"
    many = [word for at in range(21) for word in ("--pair", f"{at:08X}", str(at))]
    assert "at most 20 pairs" in shell.json("card", "learn", *many, code=2)["error"]["message"]


def test_learn_never_chooses_silently(shell, tmp_path):
    """Where several fit nothing is written until one is named; the differences say where they part."""
    words = ("card", "learn", "--pair", "00.00.00.00.00.6C.7C.DB", "54-15981", "--write", "lobby")
    found = shell.json(*words, code=4)
    assert found["error"]["code"] == "ambiguous"
    assert found["differences"][0]["proposals"] == [1, 2]
    assert found["differences"][0]["gives"][0] != found["differences"][0]["gives"][1]
    assert not (tmp_path / "lobby.toml").exists()
    assert shell.json(*words, "--choose", "9", code=2)["error"]["code"] == "usage"
    found = shell.json(*words, "--choose", "1", "--namespace", "north", "--description", "Lobby")
    made = parse_format((tmp_path / "lobby.toml").read_text(), found["written"])
    assert (made.pipeline.text, made.namespace, made.description) == ("wiegand:26", "north", "Lobby")
    assert made.canonical("6C7CDB") == b"card-2:north:54-15981"


def test_learn_writes_into_the_installation_once(shell, state):
    """The file stands beside the others, is used at once, and is never written over."""
    words = ("card", "learn", "--pair", "946EBD28", "2490285352", "--write", "lobby", "--state", str(state))
    assert shell.json(*words)["written"] == str(state / "card-formats/lobby.toml")
    assert shell.json("card", "try", "--format", "lobby", "FF", "--state", str(state))["normalised"] == "255"
    assert "lobby" in shell.json("config", "check", "--state", str(state))["card_formats"]
    assert "exists; nothing was changed" in shell.json(*words, code=2)["error"]["message"]
    for name in ("default", "../up", "Upper"):
        shell.json(*words[:-3], name, "--state", str(state), code=2)


def test_learn_is_readable(shell):
    """A person sees the meanings, the proposals with their reasons, what to do next, and previews as they come."""
    code, out, _ = shell.run("card", "learn", stdin="6C7CDB\n1FFFFFF\n")
    assert code == 0
    assert "H10301 (26 bit); its check is right" in out
    assert "as the card formats h10301" in out
    assert "--printed NUMBER" in out
    assert "255-65535" in out
    code, out, err = shell.run("card", "learn", "--pair", "12345678", "hello")
    assert code == 4
    assert "no chain of known steps gives these numbers" in err


@pytest.mark.parametrize("verb", ["try", "learn", "formats", "steps"])
def test_help_begins_with_examples(shell, verb):
    """Each command explains itself with something to copy."""
    with pytest.raises(SystemExit) as caught:
        shell.run("card", verb, "--help")
    assert caught.value.code == 0


def test_learn_at_the_keyboard(tmp_path):
    """At a terminal it asks card by card, shows further taps under each proposal, and which shall be written."""
    master, slave = pty.openpty()
    os.write(master, b"6C7CDB\n54-15981\n\n1FFFFFF\n\n1\n")
    environment = {key: value for key, value in os.environ.items() if key != "HOLDFAST_STATE"}
    done = subprocess.run(
        [sys.executable, "-m", "daemon", "card", "learn", "--write", "lobby"],
        cwd=tmp_path, env={**environment, "PYTHONPATH": str(ROOT)}, stdin=slave, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    os.close(slave)
    os.close(master)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("Tap a card")
    assert "Which of the 2 shall be written?" in done.stderr
    assert "gives 255-65535" in done.stdout
    assert "pipeline = 'wiegand:26'" in (tmp_path / "lobby.toml").read_text()
