"""Learning a format: what fits is found and ranked, what is ambiguous is told, and nothing is made up."""

from __future__ import annotations

import time

import pytest

from daemon.auth.card_formats import Pipeline, parse_format
from daemon.auth.card_formats.learning import PROPOSALS_MAX, Pair, learn
from daemon.auth.card_formats.readings import Check, readings
from daemon.auth.card_formats.writing import format_text, toml_string

SEARCH_S_MAX = 8.0
"""Of the processor; far above what it takes, a second at worst."""


@pytest.mark.parametrize(
    ("pairs", "pipeline"),
    [
        ([("946EBD28", "2490285352"), ("1C78F2BF", "477688511")], "hex2dec"),
        ([("1C78F2BF", "3220338716"), ("E43AC9D2", "3536403172")], "rev | hex2dec"),
        ([("2490285352", "946EBD28"), ("10597059", "00A1B2C3")], "dec2hex:4"),
        ([("4CDDA15F", "5FA1DD4C")], "rev"),
        ([("0801161DD6", "0018226646"), ("01095ABB5E", "0156941150")], "last:8 | hex2dec | zfill:10"),
        ([("3934364542443238", "2490285352")], "ascii | hex2dec"),
        ([("6C7CDB", "54-15981")], "wiegand:26"),
        ([("6C7CDB", "15981"), ("1FFFFFF", "65535")], "wiegand:26 | re:-([0-9]+)$"),
        ([("69A5154A4", "1234-567890")], "wiegand:35"),
        ([(";0001234567890=9912?", "0001234567890")], "track2"),
        ([("%A1234567^MUSTER/EVA^?", "1234567")], "track1"),
        ([("380090730FD4", "380090730F")], "xor"),
        ([("&é\"'(-è_çà", "1234567890")], "fr2us"),
        ([("123453=292929=1221", "292929")], "re:=([0-9]+)="),
        ([("5235092385=8", "5235092385")], "re:^([0-9]+)=[0-9]*$"),
        ([("*A0042817B*", "A0042817B")], "re:^\\*(.+)\\*$"),
        ([("077,30211", "077,30211")], "clean | fclen"),
        ([("04006d0ba0", "00008596950352"), ("0d001c59b3", "00047253268956")], "nibrev | hex2dec | zfill:14"),
        ([("04a1b2c3", "04:A1:B2:C3")], "hex"),
    ],
)
def test_the_best_proposal_is_the_usual_one(pairs, pipeline):
    """For pairs from real readers the first proposal is the pipeline somebody who knows would write."""
    started = time.process_time()
    learned = learn([Pair(raw, wanted) for raw, wanted in pairs])
    assert learned.proposals[0].pipeline.text == pipeline
    assert time.process_time() - started < SEARCH_S_MAX


def test_every_proposal_gives_what_is_wanted():
    """What is proposed has been tried on all pairs, and says what it gives."""
    pairs = [Pair("144238654", "816159"), Pair("144238652", "816158")]
    learned = learn(pairs)
    assert learned.proposals
    for one in learned.proposals:
        assert tuple(one.pipeline.run(pair.raw) for pair in pairs) == one.gives == ("816159", "816158")
        assert one.reason.startswith("fits both pairs")


def test_ambiguity_is_told_with_a_read_that_shows_it():
    """Two pipelines that fit one pair: both are told, and a read on which they differ."""
    learned = learn([Pair(";0001234567890=9912?", "1234567890")])
    assert not learned.is_certain
    assert len(learned.differences) == len(learned.proposals) - 1
    for one in learned.differences:
        first, second = (learned.proposals[place].pipeline for place in (one.first, one.second))
        assert first.trace(one.raw).normalised == one.first_gives
        assert second.trace(one.raw).normalised == one.second_gives
        assert None not in (one.first_gives, one.second_gives)
        assert one.first_gives != one.second_gives


def test_ways_that_give_one_number_are_one():
    """Pipelines that differ only in what they refuse are no ambiguity: the strictest usual one stands for them."""
    assert [one.pipeline.text for one in learn([Pair("946EBD28", "2490285352")]).proposals] == ["hex2dec"]


def test_a_card_of_two_layouts_is_told():
    """26 bits with few ones may be 34 bits: a card that would be another number decides."""
    learned = learn([Pair("6C7CDB", "54-15981")])
    assert [one.pipeline.text for one in learned.proposals] == ["wiegand:26", "wiegand:34"]
    decided = learn([Pair("6C7CDB", "54-15981"), Pair("26E7CD8", "55-15980")])
    assert [one.pipeline.text for one in decided.proposals] == ["wiegand:26"]


def test_there_is_an_end_to_proposals():
    """A read that fits in very many ways has the cheapest few told, not all."""
    assert 3 < len(learn([Pair("0012001200120012", "12")]).proposals) <= PROPOSALS_MAX


def test_another_pair_decides():
    """A second card of another length rules out what fitted the first by chance."""
    one = [Pair(";0001234567890?", "1234567890")]
    two = [*one, Pair(";0000004711112?", "4711112")]
    before = [found.pipeline.text for found in learn(one).proposals]
    after = [found.pipeline.text for found in learn(two).proposals]
    assert "track2 | last:10" in before
    assert "track2 | last:10" not in after
    assert after[0] == "track2 | strip0"


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("", "1234")],
        [("1234", "")],
        [("12345678", "hello")],
        [("04A1B2C3D4E5F6", "98765")],
        [("946EBD28", "2490285352"), ("1C78F2BF", "477688512")],
        [("7" * 600, "7")],
        [("\udc80", "1")],
        [("12é", "12é")],
        [("F" * 512, "1234567")],
    ],
)
def test_where_nothing_fits_nothing_is_proposed(pairs):
    """No pair, an empty one, one that contradicts the others or no card at all: an empty answer, in time."""
    started = time.process_time()
    assert learn([Pair(raw, wanted) for raw, wanted in pairs]).proposals == ()
    assert time.process_time() - started < SEARCH_S_MAX


def test_what_is_dropped_is_warned_of():
    """A proposal that gives up a part of the card says what may follow."""
    assert "two cards may get one number" in " ".join(learn([Pair("0801161DD6", "01161DD6")]).proposals[0].warnings)
    assert "spreadsheet" in " ".join(learn([Pair("AEB3D6E5EDDD6D", "49174381509598573")]).proposals[0].warnings)
    assert "two sites" in " ".join(learn([Pair("6C7CDB", "15981")]).proposals[0].warnings)


@pytest.mark.parametrize(
    ("raw", "pipeline", "value", "check"),
    [
        ("946EBD28", "hex", "946EBD28", Check.NONE),
        ("946EBD28", "rev | hex2dec", "683503252", Check.NONE),
        ("2490285352", "dec2hex:4 | rev", "28BD6E94", Check.NONE),
        ("6C7CDB", "wiegand:26", "54-15981", Check.GOOD),
        ("EC2036", "wiegand:26", "", Check.WRONG),
        ("7109851", "dec2hex | wiegand:26", "54-15981", Check.GOOD),
        ("69A5154A4", "wiegand:35", "1234-567890", Check.GOOD),
        ("3039C3500", "wiegand:37", "12345-400000", Check.GOOD),
        ("3039C3500", "wiegand37nofc", "6472735360", Check.GOOD),
        ("380090730FD4", "xor", "380090730F", Check.GOOD),
        ("380090730FD5", "xor", "", Check.WRONG),
        (";1234567890?5", "track2:lrc", "1234567890", Check.GOOD),
        (";1234567890?4", "track2:lrc", "", Check.WRONG),
        (";1234567890?", "track2", "1234567890", Check.NONE),
        ("%A1234567^MUSTER/EVA^?", "track1", "1234567", Check.NONE),
        ("02207638", "fclen", "22-7638", Check.NONE),
        ("0A004D7603", "hex | last:6 | fields:8:16", "77-30211", Check.NONE),
        ("3934364542443238", "ascii | fullre:[0-9A-Za-z]{4,}", "946EBD28", Check.NONE),
        ("*4234685818/", "re:^[;%*\\x02]([0-9A-Fa-f]{4,})[?/\\x03]$ | dec2hex:4 | rev", "7A2D68FC", Check.NONE),
        ("&é\"'(", "fr2us | fullre:[0-9]{4,}", "12345", Check.NONE),
    ],
)
def test_what_a_read_may_mean(raw, pipeline, value, check):
    """Among the meanings of a read is the right one, with the verdict of its own check."""
    found = {one.pipeline: one for one in readings(raw)}
    assert (found[pipeline].value, found[pipeline].check) == (value, check)
    for one in found.values():
        assert (Pipeline.parse(one.pipeline).trace(raw).normalised or "") == one.value


@pytest.mark.parametrize("raw", ["", "hello", "\udc80", "9" * 600, "--", "?"])
def test_what_no_card_sends_means_nothing(raw):
    """No meaning is made up."""
    assert [one for one in readings(raw) if one.check is not Check.WRONG] == []


@pytest.mark.parametrize("text", ["plain", "it's", 'quo"te', "back\\slash", "tab\there", "\x02\x03", "é", "line\nend"])
def test_texts_survive_the_file(text):
    """Whatever a reader sends stands in the written file so that it is read the same."""
    content = f"pipeline = 'fullre:.+'\n[[examples]]\nraw = {toml_string(text)}\nrefused = true\n"
    if text.isascii() and text.isprintable():
        content = content.replace("refused = true", f"normalised = {toml_string(text)}")
    assert parse_format(content, "mine.toml").examples[0].raw == text


def test_a_learned_format_is_ready_to_use():
    """The file that is written reads its own pairs, and fixes the width where the pipeline does."""
    pairs = [Pair("0801161DD6", "0018226646"), Pair("01095ABB5E", "0156941150")]
    text = format_text(learn(pairs).proposals[0].pipeline, pairs, description="Lobby", namespace="north")
    made = parse_format(text, "lobby.toml")
    assert (made.description, made.namespace, made.widths) == ("Lobby", "north", (10,))
    assert made.canonical("0801161DD6") == b"card-2:north:0018226646"
    loose = format_text(Pipeline.parse("hex2dec"), [Pair("FF", "255")])
    assert parse_format(loose, "loose.toml").widths == ()
