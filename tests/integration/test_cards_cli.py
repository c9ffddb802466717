"""Cards from the command line: added, listed, imported, blocked, re-keyed, checked; a number goes in and never comes out."""

import io
import json
from pathlib import Path

import pytest

from daemon.cli.card_import import read_rows
from daemon.cli.command import UsageError
from daemon.cli.main import main

NUMBER = "04A224B1C2D380"


class Desk:
    """Runs commands in this process."""

    def __init__(self, capsys, monkeypatch, state: Path) -> None:
        self._capsys, self._monkeypatch, self.state = capsys, monkeypatch, state

    def run(self, *words: str, stdin: str = "", code: int = 0):
        self._capsys.readouterr()
        self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        got = main([*words, "--state", str(self.state), "--json"])
        out = self._capsys.readouterr()
        assert got == code, (out.out, out.err)
        assert NUMBER not in (out.out + out.err).upper()
        return json.loads(out.out)

    def add(self, user: str, raw: str, *more: str, code: int = 0):
        return self.run("card", "add", user, *more, stdin=f"{raw}\n", code=code)


@pytest.fixture
def desk(capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("HOLDFAST_STATE", raising=False)
    made = Desk(capsys, monkeypatch, tmp_path / "state")
    made.run("init")
    for name in ("anna", "bert"):
        made.run("user", "add", name)
    return made


def test_a_card_is_added_listed_blocked_and_removed(desk):
    """The same card for somebody else is refused with exit 4, and the database holds no number."""
    added = desk.add("anna", NUMBER, "--reader-format", "default", "--label", "blue fob")
    assert (added["user"], added["label"], added["state"], added["cards"], added["new"]) == (
        "anna", "blue fob", "active", 1, True,
    )  # fmt: skip
    assert desk.add("anna", "04:a2:24:b1:c2:d3:80")["new"] is False
    taken = desk.add("bert", NUMBER, code=4)["error"]
    assert (taken["code"], taken["user"]) == ("card-taken", "anna")
    assert desk.add("anna", "not a card", code=4)["error"]["code"] == "card-unreadable"
    card_id = added["card_id"]
    assert [one["card_id"] for one in desk.run("card", "list", "--user", "anna")["items"]] == [card_id]
    assert desk.run("user", "show", "anna")["cards"] == [{"card_id": card_id, "label": "blue fob"}]
    assert desk.run("card", "change", card_id, "--expires", "+8h")["expires_at"]
    assert desk.run("card", "block", card_id)["state"] == "blocked"
    assert desk.run("card", "rekey")["rehashed"] == 1
    assert desk.run("card", "check")["ok"] is True
    assert desk.run("card", "remove", card_id)["state"] == "removed"
    assert desk.run("card", "show", card_id, code=4)["error"]["code"] == "card-not-found"
    raw = b"".join(file.read_bytes() for file in desk.state.rglob("holdfast.db*"))
    assert NUMBER.encode() not in raw.upper()
    assert bytes.fromhex(NUMBER) not in raw


def test_a_card_that_no_reader_reads_so_is_told_when_it_is_added(desk):
    """No notice while some reader has no rule; with a rule for every reader, only for formats that share no bytes."""
    assert desk.add("anna", NUMBER, "--reader-format", "default")["notice"] == ""
    assert desk.add("anna", NUMBER, "--reader-format", "uid-hex")["notice"] == ""
    config = desk.state / "holdfast.toml"
    config.write_text(config.read_text() + '\n[[cards.readers]]\nreader = "*"\nformat = "uid-decimal"\n')
    assert desk.add("bert", "11223344", "--reader-format", "uid-hex")["notice"] == ""
    told = desk.add("bert", "6C7CDB", "--reader-format", "h10301")["notice"]
    assert "'h10301'" in told
    assert "cards.default_format" in told


def test_a_file_is_tried_first_and_applied_row_by_row(desk, tmp_path):
    """Without --apply nothing is written; every bad row is told by its line; applied twice adds nothing more."""
    file = tmp_path / "cards.csv"
    file.write_text(
        "User;Card;Label;Expires\n"
        f"anna;{NUMBER};fob;\n"
        "bert;55556666;;2099-01-01\n"
        "\n"
        "carl;77778888;;\n"
        "bert;not a card;;\n"
        f"bert;04:A2:24:B1:C2:D3:80;;\n"
        "anna;99990000;;yesterday\n"
    )
    tried = desk.run("card", "import", str(file), code=1)
    assert (tried["applied"], tried["added"], tried["unchanged"], tried["refused"]) == (False, 2, 0, 4)
    assert [(one["line"], one["code"]) for one in tried["items"] if one["state"] == "refused"] == [
        (5, "user-unknown"), (6, "card-unreadable"), (7, "card-twice"), (8, "expiry-unreadable"),
    ]  # fmt: skip
    assert desk.run("card", "list")["items"] == []
    done = desk.run("card", "import", str(file), "--apply", code=1)
    assert (done["applied"], done["added"], done["refused"]) == (True, 2, 4)
    again = desk.run("card", "import", str(file), "--apply", code=1)
    assert (again["added"], again["unchanged"]) == (0, 2)
    cards = desk.run("card", "list")["items"]
    assert [(one["user"], one["expires_at"]) for one in cards] == [("anna", None), ("bert", "2099-01-02T00:00:00Z")]


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("user,number\n", 1, "number"),
        ("card\n1234\n", 1, "user"),
        ("user,card,card\n", 1, "card"),
        ("user,card\nanna,12345678,extra\n", 2, ""),
        ('user,card\nanna,"12345678\n', 2, ""),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_lines(tmp_path, text, line, key):
    """Unknown, missing and double columns, too many values, an open quote: nothing is sent."""
    file = tmp_path / "cards.csv"
    file.write_text(text)
    with pytest.raises(UsageError) as refused:
        read_rows(file, "")
    assert (line, key) in {(detail["line"], detail["key"]) for detail in refused.value.data["details"]}
