"""Card formats hold for every read: conversions undo each other, nothing crashes, nothing takes long, nothing leaks."""

from __future__ import annotations

import re
import time

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from daemon.auth.card_formats import DEFAULT, CardFormat, Pipeline, PipelineWrong, collisions, compare, parse_format
from daemon.auth.card_formats.learning import Pair, learn
from daemon.auth.card_formats.magstripe import TRACK_1, TRACK_2
from daemon.auth.card_formats.pattern import Pattern
from daemon.auth.card_formats.pattern_syntax import PatternWrong
from daemon.auth.card_formats.readings import readings
from daemon.auth.card_formats.steps import KINDS
from daemon.auth.card_formats.wiegand import H10302, LAYOUTS
from daemon.auth.card_formats.writing import format_text
from daemon.auth.cards import CardUnreadable
from daemon.kernel.errors import BadInput

READ_S_MAX = 2.0
"""Of the processor. No read may take longer; usual ones take some microseconds."""

ARGUMENTS = {
    "dec2hex": st.sampled_from(["", ":4", ":7", ":40"]),
    "wiegand": st.sampled_from([f":{bits}" for bits in LAYOUTS]),
    "bits": st.sampled_from([":26:9:16", ":512:0:512", ":1:0:1"]),
    "fields": st.sampled_from([":8:16", ":1:1"]),
    "track1": st.sampled_from(["", ":lrc"]),
    "track2": st.sampled_from(["", ":lrc"]),
    "re": st.sampled_from([":(a+)+$", ":([0-9]{4})", ":^.?(.*)", ":(a|b|[^x])*?=", ":(?=.*7)."]),
    "fullre": st.sampled_from([":.*", ":[0-9A-F]+", ":(.?){40}"]),
    **{name: st.integers(1, 40).map(":{}".format) for name in ("first", "last", "drop", "zfill")},
}
steps = st.sampled_from(sorted(KINDS)).flatmap(lambda name: ARGUMENTS.get(name, st.just("")).map(name.__add__))
pipelines = st.lists(steps, min_size=1, max_size=6).map(" | ".join)
hex_bytes = st.binary(min_size=1, max_size=20).map(lambda octets: octets.hex().upper())
cards = st.one_of(
    st.text(max_size=40),
    st.text(st.characters(codec=None, categories=["Cs", "Cc", "Nd", "Zs", "Lu"]), max_size=20),
    hex_bytes,
    st.from_regex(r"[;%][0-9A-Z^=]{0,12}\?[0-9;?]{0,2}", fullmatch=True),
    st.integers(0, 10**25).map(str),
    st.sampled_from(["a" * 511 + "!", "7" * 512, "0" * 512, "F" * 512, "7" * 600]),
)


def run(pipeline: str, raw: str) -> str:
    return Pipeline.parse(pipeline).run(raw)


@settings(deadline=None)
@given(hex_bytes)
def test_turning_round_twice_is_nothing(text):
    """`rev`, `bitrev`, `nibrev` and `invert` undo themselves, and keep every zero byte."""
    for step in ("rev", "bitrev", "nibrev", "invert"):
        assert run(f"{step} | {step}", text) == text


@settings(deadline=None)
@given(hex_bytes)
def test_hexadecimal_and_decimal_are_the_same_number(text):
    """To decimal and back to as many bytes is as before, for every length; to fewer is refused, never cut."""
    size = len(text) // 2
    assert run(f"hex2dec | dec2hex:{size}", text) == text
    assert run("hex2dec", text) == str(int(text, 16))
    if not text.startswith("00") and size > 1:
        assert Pipeline.parse(f"hex2dec | dec2hex:{size - 1}").trace(text).normalised is None


@settings(deadline=None)
@given(st.sampled_from([*LAYOUTS.values(), H10302]), st.data())
def test_a_card_is_read_as_it_was_written(layout, data):
    """Any facility code and number of any layout, written with its parities, is read back; one wrong bit is refused."""
    number = data.draw(st.integers(0, layout.number.top))
    facility = data.draw(st.integers(0, layout.facility.top)) if layout.facility else None
    step = "wiegand37nofc" if facility is None else f"wiegand:{layout.bits}"
    value = layout.encode(number, facility)
    assert run(step, f"{value:X}") == (str(number) if facility is None else f"{facility}-{number}")
    bad = value ^ 1 << data.draw(st.integers(0, layout.bits - 1))
    assert Pipeline.parse(step).trace(f"{bad:X}").normalised is None


@settings(deadline=None)
@given(st.integers(0, (1 << 64) - 1), st.integers(1, 64), st.data())
def test_bits_are_those_of_the_number(value, width, data):
    """`bits` gives what slicing the binary text gives, or refuses a number that is wider."""
    start = data.draw(st.integers(0, width - 1))
    length = data.draw(st.integers(1, width - start))
    found = Pipeline.parse(f"bits:{width}:{start}:{length}").trace(str(value)).normalised
    text = f"{value:b}".zfill(width)
    assert found == (str(int(text[start : start + length], 2)) if len(text) == width else None)


@settings(deadline=None)
@given(st.from_regex(r"[0-9]{1,19}", fullmatch=True), st.booleans())
def test_a_stripe_is_read_and_its_check_matters(account, has_more):
    """The right check character is taken whichever it is, every other is refused; on both tracks."""
    for kind, data in ((TRACK_2, account + "=2512" * has_more), (TRACK_1, f"B{account}^BERG/ANNA^{'2512' * has_more}")):
        name = kind.name.replace(" ", "")
        check = kind.check_character(data)
        line = f"{kind.start}{data}?"
        assert run(f"{name}:lrc", line + check) == run(f"{name}:lrc", line) == account
        other = chr(kind.base + (ord(check) - kind.base ^ 1))
        assert Pipeline.parse(f"{name}:lrc").trace(line + other).normalised is None


@settings(max_examples=300, deadline=None)
@given(pipelines, cards)
def test_no_read_crashes_a_pipeline(pipeline, raw):
    """Any text through any steps: a number of printable ASCII or a sentence, in bounded time, without the read in it."""
    parsed = Pipeline.parse(pipeline)
    started = time.process_time()
    trace = parsed.trace(raw)
    assert time.process_time() - started < READ_S_MAX
    assert Pipeline.parse(parsed.text) == parsed
    if trace.normalised is None:
        assert trace.error
        assert len(raw) < 6 or raw not in trace.error
    else:
        assert trace.normalised.isascii()
        assert trace.normalised.isprintable()
        made = CardFormat("mine", parsed)
        try:
            assert made.canonical(raw) == b"card-2::" + trace.normalised.encode()
        except CardUnreadable as refused:
            assert len(raw) < 6 or raw not in refused.message


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_pipeline_or_refused(text):
    """What people type as a pipeline is read or refused with details, never anything else."""
    try:
        Pipeline.parse(text)
    except PipelineWrong as wrong:
        assert wrong.data["details"]
        assert all(found["message"] for found in wrong.data["details"])


@settings(deadline=None)
@given(st.text("pipeline=width[]'\"\n#0123456789abc{}., re:|", max_size=300))
def test_any_text_is_a_file_or_refused(text):
    """What people save as a format is read or refused with file and line."""
    for content in (text, f"pipeline = 'hex'\n{text}"):
        try:
            parse_format(content, "mine.toml")
        except BadInput as wrong:
            assert all(found["file"] == "mine.toml" and found["line"] >= 1 for found in wrong.data["details"])


pieces = st.recursive(
    st.sampled_from(["a", "b", "[ab]", "[^a]", "\\d", ".", "^", "$", "\\b", "1"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("(?:{0[0]}|{0[1]})".format),
        inner.map("({})".format),
        inner.map("(?:{})?".format),
        inner.map("(?:{}x)*".format),
        inner.map("(?:x{}){{1,2}}?".format),
        inner.map("(?={})".format),
        inner.map("(?!{})".format),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(pieces, st.text("ab1x", max_size=8))
def test_patterns_find_what_others_find(pattern, text):
    """Made-up patterns on made-up texts: the same match and first group as Python's engine."""
    ours, theirs = Pattern.compile(pattern), re.compile(pattern, re.ASCII)
    found, expected = ours.search(text), theirs.search(text)
    assert (found and (found.whole, found.first)) == (
        expected and (expected.group(), expected.group(1) if theirs.groups else None)
    )


@settings(deadline=None)
@given(st.text("()[]{}|?*+^$\\.-,:=!<P>abdswDSWxuiQ019 é", max_size=30), st.text("ab09-= é", max_size=20))
def test_any_text_is_a_pattern_or_refused(pattern, text):
    """What people type as a pattern compiles or is refused by name, and then finds or does not."""
    try:
        compiled = Pattern.compile(pattern)
    except PatternWrong as wrong:
        assert str(wrong)
        return
    assert compiled.search(text) is None or compiled.search(text).whole in text


@settings(max_examples=8, deadline=None)
@given(hex_bytes, st.sampled_from(["rev", "hex2dec", "rev | hex2dec | zfill:25", "hex | lower", "hex2dec | strip0"]))
def test_what_a_pipeline_made_is_learned_again(raw, pipeline):
    """A pair made by a usual pipeline has at least one proposal, and its file reads the pair."""
    wanted = run(pipeline, raw)
    assume(wanted.strip("0") and wanted != raw and len(raw) > 4)
    pairs = [Pair(raw, wanted)]
    learned = learn(pairs)
    assert learned.proposals
    made = parse_format(format_text(learned.proposals[0].pipeline, pairs), "mine.toml")
    assert made.normalise(raw) == wanted


@settings(deadline=None)
@given(cards)
def test_every_meaning_is_what_its_pipeline_gives(raw):
    """Whatever is read, each meaning shown can be used as it stands."""
    for one in readings(raw):
        assert (Pipeline.parse(one.pipeline).trace(raw).normalised or "") == one.value


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30).map(str), cards), max_size=12, unique_by=lambda card: card[0]))
def test_every_card_has_one_fate(enrolled):
    """In a dry run each card is told exactly once; looking for twins takes any reads."""
    new = CardFormat("mine", Pipeline.parse("hex | rev"))
    found = compare(DEFAULT, new, enrolled)
    fates = [*found.kept, *found.changed, *(one.card_id for one in found.lost), *found.gained, *found.unreadable]
    assert sorted(fates) == sorted(card_id for card_id, _ in enrolled)
    for group in collisions((card_id, DEFAULT, raw) for card_id, raw in enrolled):
        assert len(set(group.card_ids)) == len(group.card_ids) > 1
