"""The language of card formats: every step against a table of reads, and every way a pipeline can be written wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.auth.card_formats import Pipeline, PipelineWrong
from daemon.auth.card_formats.pipeline import PIPELINE_CHARS_MAX, STEPS_MAX
from daemon.auth.card_formats.steps import ALIASES, KINDS, TEXT_CHARS_MAX
from daemon.auth.card_formats.wiegand import H10302, LAYOUTS
from daemon.auth.cards import CardUnreadable

READS = json.loads((Path(__file__).parents[1] / "data/card_reads.json").read_text("utf-8"))


def number(read: int) -> str:
    return f"{read}: {READS[read]['pipeline'][:30]} {READS[read]['note'][:30]}"


def wrong(text: str) -> list[dict]:
    with pytest.raises(PipelineWrong) as caught:
        Pipeline.parse(text)
    return caught.value.data["details"]


@pytest.mark.parametrize("read", range(len(READS)), ids=number)
def test_a_read_becomes_its_number_or_is_refused(read):
    """Each row of the table: the number reckoned by hand, or a refusal that does not contain the read."""
    row = READS[read]
    trace = Pipeline.parse(row["pipeline"]).trace(row["raw"])
    assert trace.normalised == row["normalised"]
    if row["normalised"] is None:
        assert trace.error
        assert len(row["raw"].strip()) < 4 or row["raw"].strip() not in trace.error
        with pytest.raises(CardUnreadable):
            Pipeline.parse(row["pipeline"]).run(row["raw"])


def test_the_table_knows_every_step():
    """No step is without a read that it takes and one that it refuses, but those that cannot refuse."""
    told = {"taken": set(), "refused": set()}
    for row in READS:
        trace = Pipeline.parse(row["pipeline"]).trace(row["raw"])
        for done in trace.steps:
            told["refused" if done.out is None else "taken"].add(done.step.name)
    cannot_refuse = {"clean", "upper", "lower", "zfill", "strip0"}
    beside = {"bitrev", "nibrev", "invert", "default"}
    assert set(KINDS) - told["taken"] == {"decbytes", "default"}
    assert set(KINDS) - told["refused"] <= cannot_refuse | beside


@pytest.mark.parametrize("length", [TEXT_CHARS_MAX + 1, 65_536, 1_000_000])
def test_what_is_longer_than_a_card_is_refused_unread(length):
    """64 KB of digits are no card, whatever the pipeline."""
    for pipeline in ("hex2dec", "dec2hex", "re:(a+)+$", "clean", "track2", "default"):
        trace = Pipeline.parse(pipeline).trace("7" * length)
        assert (trace.normalised, trace.steps) == (None, ())
        assert "longer than" in trace.error


@pytest.mark.parametrize("raw", ["\udc80\udcff", "12\ud800", "1234\udfff"])
def test_bytes_that_are_no_text_are_refused(raw):
    """Lone surrogates, which stand for undecodable bytes, get no further than the door."""
    assert Pipeline.parse("fullre:.+").trace(raw).steps == ()


def test_each_step_is_told():
    """A trace shows what every step gave, and where it stopped."""
    trace = Pipeline.parse("ascii | hex2dec | fullre:9+ | zfill:20").trace("3934364542443238")
    assert [(done.step.text, done.out) for done in trace.steps] == [
        ("ascii", "946EBD28"),
        ("hex2dec", "2490285352"),
        ("fullre:9+", None),
    ]
    assert trace.error == "step 3, fullre: the pattern does not match the whole of it"


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("hex | rev", ["hex", "rev"]),
        ("hex|rev", ["hex", "rev"]),
        ("hex |rev", ["hex", "rev"]),
        ("  hex   |   rev  ", ["hex", "rev"]),
        ("ascii-enc|hex2dec", ["ascii-enc", "hex2dec"]),
        ("dec2hex:4|rev|zfill:10", ["dec2hex:4", "rev", "zfill:10"]),
        ("re:a|b", ["re:a|b"]),
        ("re:a|b | upper", ["re:a|b", "upper"]),
        ("hex | re:^(A|B)|C$ | lower", ["hex", "re:^(A|B)|C$", "lower"]),
        ("hex2dec|last:8 | re:a|b", ["hex2dec", "last:8", "re:a|b"]),
        ("re:a[|]b", ["re:a[|]b"]),
        ("re:x:y", ["re:x:y"]),
    ],
)
def test_where_steps_end(text, steps):
    """A bar between spaces separates; without spaces it does so only where no pattern stands beside it."""
    assert [step.text for step in Pipeline.parse(text).steps] == steps


def test_what_is_written_back_is_read_the_same():
    """The text of a pipeline gives the same pipeline again."""
    for row in READS:
        pipeline = Pipeline.parse(row["pipeline"])
        assert Pipeline.parse(pipeline.text) == pipeline


@pytest.mark.parametrize(
    ("text", "message", "suggestion"),
    [
        ("hexx", "unknown step 'hexx'; did you mean 'hex'?", "hex"),
        ("HEX2DEC", "unknown step 'HEX2DEC'; did you mean 'hex2dec'?", "hex2dec"),
        ("hex2dez", "unknown step 'hex2dez'; did you mean 'hex2dec'?", "hex2dec"),
        ("reverse", "unknown step 'reverse'", None),
        ("dec2hex:0", "'dec2hex' needs a whole number from 1 to 512 after the colon", None),
        ("dec2hex:x", "'dec2hex' needs a whole number", None),
        ("dec2hex:４", "'dec2hex' needs a whole number", None),
        ("first", "'first' needs a whole number", None),
        ("last:-1", "'last' needs a whole number", None),
        ("zfill:99999", "'zfill' needs a whole number", None),
        ("hex:4", "'hex' takes nothing after its name", None),
        ("wiegand", "'wiegand' knows the layouts 26, 34, 35, 37, 48", None),
        ("wiegand:27", "'wiegand' knows the layouts 26, 34, 35, 37, 48", None),
        ("bits:26:9", "'bits' is written bits:WIDTH:START:LENGTH", None),
        ("bits:26:20:10", "'bits' takes bits beyond the last one: 20 + 10 is more than 26", None),
        ("bits:26:1:0", "'bits' needs a whole number", None),
        ("track2:crc", "'track2' takes nothing or :lrc after its name", None),
        ("re:", "'re' needs a regular expression after the colon", None),
        ("re:(", "'re' the pattern has a ( without its )", None),
        ("fullre:a**", "'fullre' the pattern has two quantifiers after each other", None),
        ("javascript:card.js", "'javascript' runs no JavaScript", None),
        ("GLOBAL", "'GLOBAL' is PaperCut's word", None),
        ("dec2hex:4|re:a", "stands beside a regular expression", None),
        ("hex2dec|re:a", "stands beside a regular expression", None),
        ("hex | | rev", "is empty", None),
        ("hex ||rev", "is empty", None),
        ("re:a |", "is empty", None),
        ("\x1b[2J", "unknown step 'this'", None),
    ],
)
def test_a_step_that_is_none_is_named(text, message, suggestion):
    """The problem is told in words, with the likeliest step that was meant."""
    found = wrong(text)[0]
    assert message in found["message"]
    if suggestion is not None:
        assert found["suggestion"] == suggestion


@pytest.mark.parametrize("text", ["", "   ", "|", " | "])
def test_a_pipeline_without_a_step_is_none(text):
    """Nothing is not `as it is`; the message says how to write that."""
    assert wrong(text)


def test_every_wrong_step_is_told_at_once():
    """Three mistakes are three details, each with its place."""
    found = wrong("hexx | rev | dec2hex:0 | javascript:x")
    assert [one["message"].partition(":")[0] for one in found] == ["step 1", "step 3", "step 4"]


def test_a_pipeline_has_an_end():
    """Neither too many steps nor too long a text."""
    assert "more than" in wrong(" | ".join(["rev"] * (STEPS_MAX + 1)))[0]["message"]
    assert "more than" in wrong("re:" + "a" * PIPELINE_CHARS_MAX)[0]["message"]


def test_aliases_are_steps():
    """Each of PaperCut's names stands for a step."""
    assert set(ALIASES.values()) <= set(KINDS)
    assert not set(ALIASES) & set(KINDS)
    assert [step.name for step in Pipeline.parse("ascii-enc|hex").steps] == ["ascii", "hex"]


@pytest.mark.parametrize(("number", "facility"), [(65_536, 1), (-1, 1), (1, 256), (1, -1), (1, None)])
def test_what_does_not_fit_a_card_is_not_written(number, facility):
    """A number or facility code beyond its bits, or a missing one, is no card."""
    with pytest.raises(ValueError, match="fit"):
        LAYOUTS[26].encode(number, facility)


def test_layouts_catch_every_single_wrong_bit():
    """Whatever bit of a card is read wrongly, a parity of its layout does not hold; H10301 to Corporate 1000."""
    for layout in (*LAYOUTS.values(), H10302):
        number, facility = layout.number.top // 3, layout.facility and layout.facility.top // 5
        value = layout.encode(number, facility)
        assert layout.decode(value) == (facility, number)
        for bit in range(layout.bits):
            assert not layout.is_parity_good(value ^ 1 << bit), (layout.name, bit)
