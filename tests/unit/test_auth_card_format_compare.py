"""Which format a reader uses, what a change of formats does to enrolled cards, and cards easily taken for each other."""

from __future__ import annotations

import time

import pytest

from daemon.auth.card_formats import DEFAULT, CardFormat, Likeness, Pipeline, choose, collisions, compare
from daemon.settings import CardReader


def made(pipeline: str, *, name: str = "mine", namespace: str = "", **more) -> CardFormat:
    return CardFormat(name, Pipeline.parse(pipeline), namespace=namespace, **more)


HEX, REV = made("hex"), made("rev")


@pytest.mark.parametrize(
    ("terminal", "reader", "name"),
    [
        ("lobby-1", "desk", "uid-hex"),
        ("LOBBY-2", "Desk", "uid-hex"),
        ("lobby-1", "stripe", "track2"),
        ("attic", "stripe", "track2"),
        ("attic", "desk", "house"),
        ("", "", "house"),
        ("lobby-[1]", "x", "house"),
    ],
)
def test_the_first_rule_that_fits_is_taken(terminal, reader, name):
    """Globs on terminal and reader in any case, in their order; the default when none fits."""
    rules = [
        CardReader(terminal="lobby-*", reader="desk", format="uid-hex"),
        CardReader(terminal="*", reader="strip?", format="track2"),
        CardReader(terminal="lobby-*", reader="stripe", format="never"),
    ]
    assert choose(rules, terminal=terminal, reader=reader, default="house") == name


def test_without_rules_it_is_the_built_in_one():
    """No rule and no default leave the format every card was read by before."""
    assert choose([], terminal="lobby", reader="desk") == "default"


def test_a_dry_run_says_what_becomes_of_each_card():
    """Kept, changed, lost with the reason, gained, unreadable; by id, never by number."""
    old = made("fullre:[0-9A-F]+", widths=(8, 10))
    new = made("hex | rev", widths=(8, 14))
    cards = [
        ("changed", "01020304"),
        ("kept", "01022010".replace("2010", "0201")),
        ("lost", "0102030405"),
        ("gained", "01:02:03:05"),
        ("unreadable", "hello"),
    ]
    found = compare(old, new, cards)
    assert (found.kept, found.changed, found.gained) == (("kept",), ("changed",), ("gained",))
    assert found.unreadable == ("unreadable",)
    assert [(one.card_id, "10 characters" in one.reason) for one in found.lost] == [("lost", True)]
    assert not found.is_safe
    assert "0102" not in repr(found)


def test_cards_that_would_become_one_are_told():
    """A format that gives up a part of the number merges cards; one that keeps it does not."""
    cards = [("a", "0801161DD6"), ("b", "0901161DD6"), ("c", "0801161DD7")]
    found = compare(made("hex"), made("hex | last:8"), cards)
    assert found.merged == (("a", "b"),)
    assert not found.is_safe
    assert compare(HEX, REV, cards).merged == ()
    assert compare(HEX, REV, cards).is_safe


def test_another_namespace_changes_the_bytes():
    """The number stays, the hash does not: such cards are changed, not kept."""
    assert compare(HEX, made("hex", namespace="north"), [("a", "01020304")]).changed == ("a",)
    assert compare(DEFAULT, HEX, [("a", "01020304")]).changed == ("a",)
    assert compare(HEX, HEX, [("a", "01020304")]).kept == ("a",)


@pytest.mark.parametrize(
    ("likeness", "first", "second"),
    [
        (Likeness.SAME, (HEX, "01020304"), (REV, "04030201")),
        (Likeness.CASE, (made("lower"), "a1b2c3d4"), (made("upper"), "a1b2c3d4")),
        (Likeness.LEADING_ZEROS, (made("fullre:.+"), "00123"), (made("fullre:.+"), "123")),
        (Likeness.LEADING_ZEROS, (made("fullre:.+"), "022-07638"), (made("fullre:.+"), "22-7638")),
        (Likeness.NAMESPACE, (HEX, "01020304"), (made("hex", namespace="north"), "01020304")),
        (Likeness.FACILITY, (made("fclen"), "02207638"), (made("fclen"), "02307638")),
        (Likeness.FACILITY, (made("fclen", namespace="n"), "02207638"), (made("fclen", namespace="s"), "02307638")),
        (Likeness.BYTE_ORDER, (HEX, "946EBD28"), (HEX, "28BD6E94")),
        (Likeness.NOTATION, (HEX, "946EBD28"), (made("fullre:.+"), "2490285352")),
        (Likeness.NOTATION, (HEX, "946EBD28"), (made("fullre:.+"), "0683503252")),
    ],
)
def test_cards_that_are_alike_are_found(likeness, first, second):
    """Each way of taking two cards for each other, told once and under its name."""
    enrolled = [("one", *first), ("two", *second), ("other", made("fullre:.+"), "77777")]
    assert [(one.likeness, one.card_ids) for one in collisions(enrolled)] == [(likeness, ("one", "two"))]


def test_cards_that_are_not_alike_are_left_alone():
    """Different numbers, unreadable reads and one card alone give nothing."""
    enrolled = [
        ("a", HEX, "01020304"),
        ("b", HEX, "01020305"),
        ("c", HEX, "nonsense"),
        ("d", made("fclen"), "02207638"),
    ]
    assert collisions(enrolled) == []
    assert collisions([]) == []


def test_a_house_of_ten_thousand_is_looked_through_quickly():
    """Ten thousand cards of five sites with the same numbers: two thousand groups, within seconds."""
    fclen = made("fclen")
    started = time.process_time()
    found = collisions((str(at), fclen, f"{at % 5 + 1:03d}{at // 5 + 1:05d}") for at in range(10_000))
    assert time.process_time() - started < 5
    assert {one.likeness for one in found} == {Likeness.FACILITY}
    assert len(found) == 2_000
