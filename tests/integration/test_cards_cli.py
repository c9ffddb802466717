"""Cards from the command line: added, listed, imported, blocked, re-keyed, checked; a number goes in and never comes out."""

import io
import json
import sqlite3
from pathlib import Path

import pytest

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
    """Every key is there, the same card for somebody else is refused with exit 4, and the file holds no number."""
    added = desk.add("anna", NUMBER, "--reader-format", "default", "--label", "blue fob")
    assert (added["user"], added["label"], added["state"], added["cards"], added["new"]) == (
        "anna", "blue fob", "active", 1, True,
    )  # fmt: skip
    assert desk.add("anna", "04:a2:24:b1:c2:d3:80")["new"] is False
    taken = desk.add("bert", NUMBER, code=4)["error"]
    assert (taken["code"], taken["user"]) == ("card-taken", "anna")
    assert desk.add("anna", "not a card", code=4)["error"]["code"] == "card-unreadable"
    assert desk.add("anna", "1" * 60_000, code=4)["error"]["code"] == "card-unreadable"
    assert desk.add("nobody", NUMBER, code=4)["error"]["code"] == "user-unknown"
    assert desk.add("anna", NUMBER, "--reader-format", "nope", code=4)["error"]["code"] == "not-found"
    card_id = added["card_id"]
    assert [one["card_id"] for one in desk.run("card", "list", "--user", "anna")["items"]] == [card_id]
    assert desk.run("card", "list", "--user", "bert")["items"] == []
    assert desk.run("user", "show", "anna")["cards"] == [{"card_id": card_id, "label": "blue fob"}]
    assert desk.run("card", "change", card_id, "--label", "red fob", "--expires", "+8h")["expires_at"]
    assert desk.run("card", "change", card_id, "--expires", "")["expires_at"] is None
    assert desk.run("card", "block", card_id)["state"] == "blocked"
    assert desk.run("card", "block", card_id)["state"] == "blocked"
    assert desk.run("card", "unblock", card_id)["state"] == "active"
    assert desk.run("card", "remove", card_id)["state"] == "removed"
    assert desk.run("card", "show", card_id, code=4)["error"]["code"] == "card-not-found"
    assert desk.add("bert", NUMBER)["user"] == "bert"
    raw = b"".join(file.read_bytes() for file in desk.state.rglob("holdfast.db*"))
    assert NUMBER.encode() not in raw.upper()
    assert bytes.fromhex(NUMBER) not in raw


def test_nobody_has_more_cards_than_allowed(desk):
    """The fourth card is refused; one that is blocked does not count."""
    made = [desk.add("anna", f"1000000{n}")["card_id"] for n in range(3)]
    refused = desk.add("anna", "10000009", code=4)["error"]
    assert (refused["code"], refused["cards_max"]) == ("card-limit-reached", 3)
    desk.run("card", "block", made[0])
    assert desk.add("anna", "10000009")["cards"] == 3


@pytest.mark.parametrize(
    ("expires", "code"), [("tomorrow", 2), ("2020-01-01", 2), ("2026-11-22T10:00:00", 2), ("+0d", 2), ("+3d", 0)]
)
def test_ends_are_days_times_and_spans(desk, expires, code):
    """What is none of these, or past, is refused and adds nothing."""
    desk.add("anna", NUMBER, "--expires", expires, code=code)
    assert len(desk.run("card", "list")["items"]) == (0 if code else 1)


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
    for text, key in (("user,number\n", "number"), ("card\n1234\n", "user"), ("user,card,card\n", "card")):
        file.write_text(text)
        refused = desk.run("card", "import", str(file), code=2)["error"]
        assert key in {detail["key"] for detail in refused["details"]}


def test_a_new_key_moves_every_kept_card(desk):
    """All hashes differ afterwards, none is left under the old key, which is forgotten; the cards are still theirs."""
    for n in range(3):
        desk.add("anna", f"1000000{n}")
    before = _rows(desk)
    done = desk.run("card", "rekey")
    after = _rows(desk)
    assert (done["rehashed"], done["remaining"]) == (3, 0)
    assert {row[1] for row in after} == {done["key_id"]}
    assert {row[0] for row in before} & {row[0] for row in after} == set()
    assert done["retired"] == [before[0][1]]
    assert desk.add("anna", "10000000")["new"] is False
    assert desk.add("bert", "10000001", code=4)["error"]["code"] == "card-taken"


def test_likenesses_and_a_changed_format_are_told_before_anybody_meets_them(desk, tmp_path):
    """00123-like twins are found with exit 1; a format that would lose a card names the person, never the number."""
    desk.add("anna", "00012345")
    desk.add("bert", "0012345")
    found = desk.run("card", "check", code=1)
    assert {card["user"] for card in found["collisions"][0]["cards"]} == {"anna", "bert"}
    file = tmp_path / "staff.toml"
    file.write_text('pipeline = "default"\nwidth = 8\n')
    tried = desk.run("card", "dry-run", "--format", "default", "--with", str(file), code=1)
    assert [one["user"] for one in tried["lost"]] == ["bert"]
    assert [one["user"] for one in tried["changed"]] == ["anna"]
    assert "12345" not in json.dumps(tried)
    desk.run("card", "remove", next(c["card_id"] for c in desk.run("card", "list")["items"] if c["user"] == "bert"))
    assert desk.run("card", "check")["ok"]


def _rows(desk):
    with sqlite3.connect(desk.state / "holdfast.db") as connection:
        return connection.execute("SELECT hash, key_id FROM card ORDER BY id").fetchall()
