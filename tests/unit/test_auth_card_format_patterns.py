"""Patterns people write: found as everywhere else, in bounded time, and what cannot be bounded is refused by name."""

from __future__ import annotations

import re
import time

import pytest

from daemon.auth.card_formats.pattern import WORK_MAX, Pattern
from daemon.auth.card_formats.pattern_syntax import PATTERN_CHARS_MAX, PatternWrong
from daemon.auth.cards import CardUnreadable

TEXTS = ("", "a", "ab", "aab", "abab", "A1b2", "12-34", "x12y", "1\n", "a b", "foo=42;bar=7", "00.6C.7C.DB", "a" * 9)
PATTERNS = (
    "", "a", "a*", "a+?b", "(a|ab)(c|bcd)?", "^(\\d+)-(\\d+)$", "\\bb?", "[^a-f]+", "[]a]+", "[a\\-z]", "(?:ab){2}",
    "x(\\d{2,})y", "a{0}", "a{,2}", "a{x}", "(a*)+", "(a*)*b", "(?i)ABAB", "(?=.*b)a", "a(?!b)", "(?<=-)\\d",
    "(?<!\\d)\\d", "(foo)=(\\d+)", "=(\\d+)", "^.$", "$", "\\d+$", "\\Z", "\\A\\d", "[\\d.A-F]+", "\\x41\\u0031",
    "(?P<n>\\d)", "a|b|", "((a)b)+", "a??b", "\\W\\w\\s", ".{3}", "(a+)+$", "([a-z]+)*=", "\\.", "[.]", "[\\b]", "a{2}",
    "(a{1,2}){2}", "(?:^)*a", "[^\\0-a]", "[^\\x61-\uffff]", "(?:(?=a)|b)*b", "\\S+", "\\D", "\\B1",
)  # fmt: skip
EMPTY_LOOPS = ("(a*)+", "(a*)*b")
"""What a group holds after a turn that took nothing is told differently by different engines."""


@pytest.mark.parametrize("pattern", PATTERNS)
def test_finds_what_others_find(pattern):
    """The same match and the same first group as Python's own engine, searching and for the whole text."""
    ours, theirs = Pattern.compile(pattern), re.compile(pattern, re.ASCII)
    for text in TEXTS:
        expected = theirs.search(text)
        found = ours.search(text)
        assert (found and found.whole) == (expected and expected.group()), text
        assert (ours.fullmatch(text) is not None) == (theirs.fullmatch(text) is not None), text
        if found and expected and expected.re.groups and pattern not in EMPTY_LOOPS:
            assert found.first == expected.group(1), text


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a)\\1", "back reference"),
        ("(?P<n>a)(?P=n)", "kind of group"),
        ("(?>a)", "kind of group"),
        ("(?#x)", "kind of group"),
        ("(?m)a", "kind of group"),
        ("a(?i)b", "(?i) elsewhere"),
        ("a++", "possessive"),
        ("a**", "two quantifiers"),
        ("*a", "nothing before it"),
        ("(a", "( without its )"),
        ("a)", ") without its ("),
        ("[a", "[ without its ]"),
        ("[z-a]", "goes nowhere"),
        ("[\\d-z]", "goes nowhere"),
        ("a{3,2}", "least is more"),
        ("a{1000}", "more than 512"),
        ("\\p{L}", "\\p, which is not offered"),
        ("\\x4", "hexadecimal digits"),
        ("\\", "ends in a backslash"),
        ("(?<1>a)", "group name"),
        ("(" * 40 + ")" * 40, "inside each other"),
        ("((a{500}){500}){500}", "too large"),
        ("(?:(?:(?:){512}){512}){512}", "too large"),
        ("a" * (PATTERN_CHARS_MAX + 1), "longer than"),
    ],
)
def test_what_is_not_offered_is_named(pattern, why):
    """A pattern that is wrong or cannot be bounded is refused when it is read, with the reason."""
    with pytest.raises(PatternWrong, match=re.escape(why)):
        Pattern.compile(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["^(a+)+$", "(a|a)*$", "(a*)*$", "(.*a){12}", "(?:a?){200}a{200}", "(?=(a+)+$)b", "(?<=(a+)+)b", "(?:(?=a*)a)*b"],
)
def test_no_pattern_takes_long(pattern):
    """What makes other engines backtrack for years is answered or refused within a second, at the longest read."""
    compiled = Pattern.compile(pattern)
    started = time.process_time()
    try:
        compiled.search("a" * 511 + "!")
    except CardUnreadable as refused:
        assert "work" in refused.message
    assert time.process_time() - started < 1.0
    assert WORK_MAX <= 100_000


def test_classes_are_ascii():
    """Digits, letters and spaces of other scripts are none."""
    for sign, text in (("\\d", "１٢३"), ("\\w", "éß中"), ("\\s", "\u00a0\u2003")):
        assert Pattern.compile(sign).search(text) is None
        assert Pattern.compile(sign.upper()).search(text) is not None
    assert Pattern.compile("(?i)k").search("\u212a") is None
