"""A tariff file is taken whole or refused with every mistake, each at its file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.accounting.tariff_file import parse_tariff
from daemon.kernel.errors import BadInput

ROOT = Path(__file__).parents[2]
GOOD = 'currency = "EUR"\n[media.default]\ngrey = 0.05\ncolour = 0.20\n'


def problems(content: str) -> list[dict]:
    with pytest.raises(BadInput) as caught:
        parse_tariff(content, "tariffs/mine.toml")
    return caught.value.data["details"]


def told(content: str) -> dict[str, tuple[int, str]]:
    return {found["key"]: (found["line"], found["message"]) for found in problems(content)}


def test_every_mistake_is_told_at_once():
    """Nine mistakes in one file are nine details, each with its line."""
    found = told(
        'currncy = "EUR"\n'
        'rounding = "half-evn"\n'
        "minimum = -1\n"
        "[media.default]\n"
        "gray = 0.05\n"
        "colour = 0.00001\n"
        "[media.a3]\n"
        "grey = 1\n"
        "[[steps]]\n"
        "above = 2.5\n"
        'percent = "many"\n'
        '[printers."Lobby"]\n'
        "fee = 1\n"
    )
    assert {key: line for key, (line, _) in found.items()} == {
        "currncy": 1,
        "currency": 1,
        "rounding": 2,
        "minimum": 3,
        "media.default.grey": 4,
        "media.default.gray": 5,
        "media.default.colour": 6,
        "media.a3": 7,
        "steps.0.above": 10,
        "steps.0.percent": 11,
        "printers.Lobby.fee": 13,
    }


def test_unknown_keys_name_the_likely_one():
    """An unknown key suggests what was probably meant."""
    by_key = {found["key"]: found for found in problems(GOOD + "shete = 1\n")}
    assert by_key["media.default.shete"]["suggestion"] == "sheet"
    by_key = {found["key"]: found for found in problems(GOOD.replace("EUR", "eur"))}
    assert by_key["currency"]["suggestion"] == "EUR"


def test_grey_must_not_be_dearer_than_colour():
    """A job changed to grey never gets dearer: such a file is refused, also in a row that inherits half of it."""
    assert "media.default.colour" in told('currency = "EUR"\n[media.default]\ngrey = 2\ncolour = 1\n')
    assert told(GOOD + "[media.iso_a3_297x420mm]\ngrey = 0.30\n")["media.iso_a3_297x420mm.colour"][0] == 5
    assert told(GOOD + '[printers."L".media.default]\ncolour = 0.01\n')["printers.L.media.default.colour"][0] == 6


def test_one_mistake_is_told_once():
    """A misspelt price is one problem, not also whatever would follow from its absence; other rows are still checked."""
    text = GOOD.replace("grey", "gray") + "duplex_discount = 0.05\n"
    assert set(told(text)) == {"media.default.gray", "media.default.grey"}
    a3 = GOOD + "[media.iso_a3_297x420mm]\ngrey = 0.1\nshete = 1\n[media.iso_a5_148x210mm]\ngrey = 1\n"
    assert set(told(a3)) == {"media.iso_a3_297x420mm.shete", "media.iso_a5_148x210mm.colour"}


def test_a_discount_never_makes_a_further_side_free():
    """The discount of a two-sided sheet is at most the cheapest side, at the cheapest step."""
    assert "media.default.duplex_discount" in told(GOOD + "duplex_discount = 0.06\n")
    steps = "duplex_discount = 0.05\n[[steps]]\nabove = 10\npercent = 99\n"
    assert "media.default.duplex_discount" in told(GOOD + steps)
    assert parse_tariff(GOOD + "duplex_discount = 0.05\n", "t.toml").at("").rows["default"].duplex_discount == 500


def test_steps_rise_in_number_and_go_one_way():
    """Steps out of order, or down and up again, are refused at the step that breaks the rule."""
    one = "[[steps]]\nabove = 100\npercent = 90\n"
    assert told(GOOD + one + one.replace("90", "80"))["steps.1"][0] == 8
    assert "steps.1" in told(GOOD + one + "[[steps]]\nabove = 200\npercent = 95\n")
    assert told(GOOD + one.replace("90", "90.123"))["steps.0.percent"][0] == 7
    assert told(GOOD + "[[steps]]\nabove = 1\n")["steps.0.percent"] == (5, "is required")
    rising = "[[steps]]\nabove = 100\npercent = 110\n[[steps]]\nabove = 200\npercent = 120.5\n"
    assert [step.parts for step in parse_tariff(GOOD + rising, "t.toml").steps] == [11_000, 12_050]


@pytest.mark.parametrize(
    "value", ["true", "[]", "nan", "inf", '"1e999999"', '"0x10"', "100000000000", '""', "-0.01", "1e-9"]
)
def test_a_price_is_an_ordinary_number(value):
    """Booleans, lists, infinities and numbers finer or larger than money are refused, never a crash."""
    assert "media.default.sheet" in told(GOOD + f"sheet = {value}\n")


@pytest.mark.parametrize(
    ("content", "line"),
    [("currency = \n", 1), (GOOD + "[media.default]\n", 5), (GOOD + "x = '''open", 5), ("\x00", 1)],
)
def test_broken_toml_names_its_line(content, line):
    """A file that is not TOML is one problem with its line."""
    (found,) = problems(content)
    assert (found["line"], found["file"]) == (line, "tariffs/mine.toml")
    assert "not valid TOML" in found["message"]


@pytest.mark.parametrize(
    "text",
    [
        "media = 3\n", "[media]\ndefault = 1\n", "printers = 1\n", "[printers]\nL = 2\n", "steps = 1\n",
        "steps = [1]\n", "title = 5\n", 'title = "a\\nb"\n', "round_to = 0\n", "", "[media.default]\n",
        '[printers."L"]\nmedia = 1\n',
    ],
)  # fmt: skip
def test_wrong_shapes_are_problems_not_crashes(text):
    """Every wrong shape is told as a problem."""
    assert problems('currency = "EUR"\n' + text)


def test_huge_and_deep_files_are_refused():
    """Size and nesting are bounded."""
    assert "longer than" in problems("#" * 300_000)[0]["message"]
    assert problems("a = " + "[" * 5000 + "]" * 5000)


def test_the_digest_follows_prices_only():
    """Comments, order and spelling leave the digest alone; any price changes it."""
    one = parse_tariff(GOOD, "a/one.toml")
    same = parse_tariff('# note\ncurrency = "EUR"\n[media.default]\ncolour = "0.200"\ngrey = "0.05"\n', "one.toml")
    other = parse_tariff(GOOD.replace("0.20", "0.21"), "one.toml")
    assert one.digest == same.digest != other.digest
    assert one.name == "one"
    assert one.source == GOOD


@pytest.mark.parametrize("path", sorted((ROOT / "config/tariffs").glob("*.toml")), ids=lambda path: path.name)
def test_shipped_tariffs_are_valid(path):
    """Every tariff that ships can be used as it is."""
    assert parse_tariff(path.read_text("utf-8"), str(path)).name == path.stem
