"""One spelling per person: whatever a client sends, the same name comes out, or a refusal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.people.names import BadName, email_address, normalise, printable


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("anna", "anna"),
        (" Anna ", "anna"),
        ("EXAMPLE\\Anna", "anna"),
        ("anna@example.org", "anna"),
        ("ÄNNA", "änna"),
        ("A\u0308nna", "änna"),
        ("Straße", "strasse"),
        ("anna berg", "anna berg"),
        ("Ελένη", "ελένη"),
    ],
)
def test_every_spelling_of_a_name_is_one(sent, stored):
    """Domains, case, composition and spaces around do not make another person."""
    assert normalise(sent) == stored


def test_domains_stay_where_the_site_says_so():
    """With several domains of equal names, the domain is part of the name."""
    assert normalise("Anna@Example.org", strip_domains=False) == "anna@example.org"


@pytest.mark.parametrize(
    "sent", ["", "   ", "@example.org", "a\nb", "a\x00", "a/b", "a:b", 'a"b', "a\u202eb", "x" * 129]
)
def test_what_cannot_be_a_name_is_refused(sent):
    """Nothing that would break a path, a header, a screen's direction or a log line becomes a person."""
    with pytest.raises(BadName):
        normalise(sent)


@given(st.text(max_size=40))
def test_a_stored_name_is_its_own_spelling(text):
    """Normalising twice changes nothing more, and what is stored is NFC without control characters."""
    try:
        name = normalise(text)
    except BadName:
        return
    assert normalise(name) == name
    assert unicodedata.is_normalized("NFC", name)
    assert name.isprintable()


@pytest.mark.parametrize(
    "sent", ["anna", "@x", "a@", "a@b c", "a\r\nBcc: x@y", "a@b@c", "a@.x", "a@x.", "ä@x.org", "<a@b>", "a,b@c"]
)
def test_addresses_that_could_carry_a_header_are_refused(sent):
    """Only a plain address reaches a mail's header."""
    with pytest.raises(BadName):
        email_address(sent)


def test_a_plain_address_or_none_is_kept():
    """An address is taken as it is; an empty one means no mail."""
    assert email_address(" anna.berg+print@example.org ") == "anna.berg+print@example.org"
    assert email_address("") == ""


def test_texts_on_screens_stay_on_one_line():
    """A full name with a line break or a lone surrogate is refused, an accent is composed."""
    assert printable("  Anna Be\u0301rg ", what="a full name") == "Anna Bérg"
    for text in ("a\nb", "a\u2028b", "a\ud800"):
        with pytest.raises(BadName):
            printable(text, what="a full name")
