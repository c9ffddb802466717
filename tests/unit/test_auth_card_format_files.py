"""Card format files: taken whole or refused with every mistake, each at its file, line and key."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from daemon.auth import cards
from daemon.auth.card_formats import DEFAULT, Formats, Pipeline, parse_format
from daemon.auth.card_formats.steps import ALIASES, KINDS
from daemon.auth.cards import CardUnreadable
from daemon.cli.card_formats import trace_json
from daemon.kernel.errors import BadInput, NotFound

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "config/card-formats").glob("*.toml"))


def problems(content: str, file: str = "card-formats/mine.toml") -> list[dict]:
    with pytest.raises(BadInput) as caught:
        parse_format(content, file)
    return caught.value.data["details"]


def told(content: str) -> dict[str, tuple[int, str]]:
    return {found["key"]: (found["line"], found["message"]) for found in problems(content)}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_is_right_and_explained(path):
    """Every format that comes with the program reads its own examples, and says for what readers it is."""
    made = parse_format(path.read_text("utf-8"), str(path))
    assert made.name == path.stem
    assert made.examples
    assert made.description
    assert path.read_text("utf-8").startswith("# ")


def test_installations_get_what_is_shipped():
    """The formats `holdfast init` installs are those in config/card-formats."""
    given = {path.name: path.read_bytes() for path in (ROOT / "daemon/cli/data/card-formats").glob("*.toml")}
    assert given == {path.name: path.read_bytes() for path in SHIPPED}
    assert len(given) > 20


def test_the_language_and_the_formats_are_documented():
    """docs/cards.md explains every step, every alias and every format that is shipped."""
    document = (ROOT / "docs/cards.md").read_text("utf-8")
    said = set(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", document, flags=re.DOTALL)))
    names = {re.split(r"[:[]", one)[0] for one in said}
    assert {*KINDS, *ALIASES} <= names
    assert {path.stem for path in SHIPPED} <= said


def test_what_the_document_shows_is_what_is_given():
    """The file in docs/cards.md is a good one, and the command's JSON is what the command prints."""
    document = (ROOT / "docs/cards.md").read_text("utf-8")
    shown = next(block for block in re.findall(r"```toml\n(.*?)```", document, re.DOTALL) if "pipeline =" in block)
    assert parse_format(shown, "mine.toml").facilities == {54, 118}
    found = json.loads(re.search(r"```json\n(.*?)```", document, re.DOTALL).group(1))
    assert found == trace_json(Pipeline.parse("ascii | hex2dec").trace("3934364542443238"))


def test_readers_of_two_makes_know_one_card():
    """The four UID formats, and stripes by either track, give one card one set of bytes."""
    formats = {path.stem: parse_format(path.read_text("utf-8"), str(path)) for path in SHIPPED}
    reads = {
        "uid-hex": "94:6E:BD:28",
        "uid-hex-reversed": "28bd6e94",
        "uid-decimal": "2490285352",
        "uid-decimal-reversed": "0683503252",
    }
    assert {formats[name].canonical(raw) for name, raw in reads.items()} == {b"card-2:uid:946EBD28"}
    stripe = "%B1234567^BERG/ANNA^?;1234567=9912?"
    assert formats["track1"].canonical(stripe) == formats["track2"].canonical(stripe)
    assert formats["rdm6300"].canonical("\x02380090730FD4\x03") == formats["em4100-hex"].canonical("380090730F")


def test_every_mistake_is_told_at_once():
    """Nine mistakes in one file are nine details, each with its line."""
    found = told(
        "pipline = 'hex'\n"
        "pipeline = 'hexx | rev'\n"
        "width = [4, 'six']\n"
        "pattern = '('\n"
        "facilities = 12\n"
        "namespace = 'Not Good'\n"
        'description = "two\\nlines"\n'
        "[[examples]]\n"
        "raw = 12\n"
        "[[examples]]\n"
        "raw = '12'\n"
        "normalized = '12'\n"
    )
    assert {key: line for key, (line, _) in found.items()} == {
        "pipline": 1,
        "pipeline": 2,
        "width": 3,
        "pattern": 4,
        "facilities": 5,
        "namespace": 6,
        "description": 7,
        "examples.0.raw": 9,
        "examples.1.normalized": 12,
        "examples.1.normalised": 10,
    }


def test_unknown_words_name_the_likely_one():
    """A misspelt key or step suggests what was probably meant."""
    by_key = {found["key"]: found for found in problems("pipeline = 'hex2dez'\nwith = 4\n")}
    assert by_key["pipeline"]["suggestion"] == "hex2dec"
    assert by_key["with"]["suggestion"] == "width"


def test_a_format_that_fails_its_own_example_is_refused():
    """Examples are tried when the file is read: another number, an unwanted refusal, a missing one."""
    found = told(
        "pipeline = 'rev'\n"
        "[[examples]]\nraw = '0102'\nnormalised = '0102'\n"
        "[[examples]]\nraw = '010'\nnormalised = '010'\n"
        "[[examples]]\nraw = '0102'\nrefused = true\n"
        "[[examples]]\nraw = '0102'\nnormalised = '0201'\n"
    )
    assert {key: line for key, (line, _) in found.items()} == {
        "examples.0.normalised": 4,
        "examples.1": 5,
        "examples.2": 8,
    }
    assert not re.search(r"0201|'0102'", " ".join(message for _, message in found.values()))


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("", "pipeline"),
        ("pipeline = 12\n", "pipeline"),
        ("pipeline = ''\n", "pipeline"),
        ("pipeline = 'hex'\nwidth = 0\n", "width"),
        ("pipeline = 'hex'\nwidth = true\n", "width"),
        ("pipeline = 'hex'\npattern = ''\n", "pattern"),
        ("pipeline = 'hex'\nhint = 'not ours'\n", "hint"),
        ("pipeline = 'hex'\nfacilities = [1]\n", "facilities"),
        ("pipeline = 'wiegand:26 | upper'\nfacilities = [1]\n", "facilities"),
        ("pipeline = 'wiegand:26'\nfacilities = [-1]\n", "facilities"),
        ("pipeline = 'hex'\nexamples = 1\n", "examples"),
        ("pipeline = 'hex'\nexamples = [1]\n", "examples.0"),
        ("pipeline = 'hex'\n[[examples]]\nraw = '01'\nnormalised = '01'\nrefused = true\n", "examples.0.normalised"),
        ("pipeline = \n", ""),
        ("x = " + "[" * 3000, ""),
        ("x = " + "9" * 5000, ""),
        ("#" * 200_000, ""),
    ],
)
def test_what_is_wrong_is_named(content, key):
    """Each single mistake is told at its key."""
    assert problems(content)[0]["key"] == key


@pytest.mark.parametrize("file", ["default.toml", "Upper.toml", "a b.toml", ".toml", "x/ä.toml"])
def test_a_format_has_a_usable_name(file):
    """The file's name is the format's: small ASCII, and never the built-in one's."""
    assert "the file's name" in problems("pipeline = 'hex'\n", file)[0]["message"]


@pytest.mark.parametrize(
    ("rule", "raw", "is_taken"),
    [
        ("width = 8", "01020304", True),
        ("width = [8, 14]", "01020304050607", True),
        ("width = [8, 14]", "0102030405", False),
        ("pattern = '04.*'", "04020304", True),
        ("pattern = '04'", "04020304", False),
        ("pattern = '(?:(?=.*X|.*Y|.*Z|.).)*'", "01" * 64, False),  # more work than is allowed: no match
        ("", "00000000", False),
        ("", "01" * 65, False),
        ("", "01" * 64, True),
    ],
)
def test_a_number_is_checked_after_its_pipeline(rule, raw, is_taken):
    """Width, pattern and what is never a number: zeros, more than 128 characters."""
    made = parse_format(f"pipeline = 'hex'\n{rule}\n", "mine.toml")
    if is_taken:
        assert made.canonical(raw) == b"card-2::" + raw.encode()
        return
    with pytest.raises(CardUnreadable) as caught:
        made.normalise(raw)
    assert raw not in caught.value.message


def test_a_pattern_can_say_what_it_means():
    """The hint of a format stands behind the refusal by its pattern."""
    made = parse_format("pipeline = 'hex'\npattern = '(?!08).*'\nhint = 'a telephone'\n", "mine.toml")
    assert made.normalise("01020304")
    with pytest.raises(CardUnreadable, match="pattern of this format: a telephone$"):
        made.normalise("08020304")


def test_another_sites_card_is_refused():
    """With facility codes listed, a card of any other is none, though its parity is right."""
    made = parse_format("pipeline = 'wiegand:26'\nfacilities = [54, 55]\nnamespace = 'north'\n", "mine.toml")
    assert made.canonical("6C7CDB") == b"card-2:north:54-15981"
    with pytest.raises(CardUnreadable, match="another site"):
        made.normalise("1FFFFFF")


def test_white_space_is_no_part_of_a_number():
    """What a pipeline leaves with a space in it is shown, but no format takes it."""
    made = parse_format("pipeline = 'fullre:.+'\n", "mine.toml")
    assert made.pipeline.run("12 34") == "12 34"
    with pytest.raises(CardUnreadable, match="white space"):
        made.normalise("12 34")


def test_cards_stored_before_formats_are_still_known():
    """The built-in format hashes the bytes it always did."""
    assert DEFAULT.canonical("04:a1:b2:c3") == cards.hashed_form("04A1B2C3") == b"card-1:04A1B2C3"
    with pytest.raises(CardUnreadable):
        DEFAULT.normalise("hello")


def test_formats_are_found_by_name():
    """The built-in one is always there, an empty name means it, and an unknown name lists what there is."""
    made = parse_format("pipeline = 'hex'\n", "mine.toml")
    formats = Formats([made])
    assert list(formats) == ["default", "mine"]
    assert len(formats) == 2
    assert formats.named("") is DEFAULT
    assert formats.named("mine") is made is formats["mine"]
    with pytest.raises(NotFound, match="default, mine"):
        formats.named("yours")


def test_nothing_of_a_card_is_in_a_repr():
    """Examples and sources do not leak into logs by way of repr."""
    made = parse_format("pipeline = 'hex'\n[[examples]]\nraw = '0A0B0C0D'\nnormalised = '0A0B0C0D'\n", "mine.toml")
    assert "0A0B" not in repr(made)
