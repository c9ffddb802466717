"""Counting: worked examples of every rule in `daemon.jobs.counting`."""

from __future__ import annotations

import pytest

from daemon.jobs.counting import adopt, count, count_first, names_no_page, selected_pages, ticket_media
from daemon.jobs.facts import DocumentFacts, PageFact
from daemon.jobs.ticket import Ticket
from daemon.kernel.counts import NOTHING, MediaCount

A4, A3 = "iso_a4_210x297mm", "iso_a3_297x420mm"
TWO = "two-sided-long-edge"
SHEETWISE = "separate-documents-uncollated-copies"


def document(pages: str, kind: str = "application/pdf", **more) -> DocumentFacts:
    """Facts from letters: a/A = A4 grey/colour, b/B = A3 grey/colour."""
    made = [PageFact(A4 if p in "aA" else A3, p.isupper(), 1, 1) for p in pages]
    return DocumentFacts.of_pages(kind, made, **more)


def totals(counts) -> tuple[int, int, int, int]:
    return counts.impressions, counts.color_impressions, counts.sheets, counts.duplex_sheets


@pytest.mark.parametrize(
    ("pages", "ticket", "expected"),
    [
        ("aaaaa", Ticket(), (5, 0, 5, 0)),
        ("aAaaa", Ticket(), (5, 1, 5, 0)),
        ("aAaaa", Ticket(sides=TWO), (5, 1, 3, 2)),
        ("aAaaa", Ticket(sides=TWO, copies=2), (10, 2, 6, 4)),
        ("aAaaa", Ticket(print_color_mode="monochrome"), (5, 0, 5, 0)),
        ("aaaaa", Ticket(print_color_mode="color"), (5, 0, 5, 0)),
        ("aAaaa", Ticket(number_up=2), (3, 1, 3, 0)),
        ("aAaaa", Ticket(number_up=2, sides=TWO), (3, 1, 2, 1)),
        ("AAAAA", Ticket(number_up=4), (2, 2, 2, 0)),
        ("aAaAa", Ticket(page_ranges=((2, 4),)), (3, 2, 3, 0)),
        ("aAaAa", Ticket(page_ranges=((4, 9), (1, 1), (1, 1))), (3, 1, 3, 0)),
        ("aAaAa", Ticket(page_ranges=((2, 4),), sides=TWO, copies=3), (9, 6, 6, 3)),
        ("a", Ticket(sides=TWO, copies=4), (4, 0, 4, 0)),
        ("", Ticket(copies=4), (0, 0, 0, 0)),
        # mixed paper: another size begins a new sheet, and a new side of an n-up
        ("aab", Ticket(sides=TWO), (3, 0, 2, 1)),
        ("aba", Ticket(sides=TWO), (3, 0, 3, 0)),
        ("abba", Ticket(sides=TWO), (4, 0, 3, 1)),
        ("abba", Ticket(number_up=2), (3, 0, 3, 0)),
        # one paper for all: sizes do not matter any more
        ("aba", Ticket(sides=TWO, media=A4), (3, 0, 2, 1)),
        ("abba", Ticket(number_up=4, media=A4), (1, 0, 1, 0)),
    ],
)
def test_worked_examples(pages, ticket, expected):
    """(impressions, colour, sheets, duplex sheets) of small documents, by hand."""
    assert totals(count(document(pages), ticket)) == expected


def test_counts_are_by_paper():
    """Each size has its own line; a blank back is no impression."""
    counts = count(document("aaaBb"), Ticket(sides=TWO, copies=2))
    assert counts.by_media == (MediaCount(A4, 6, 0, 4, 2), MediaCount(A3, 4, 2, 2, 2))


def test_paper_of_the_ticket_wins():
    """Media or media-col's size decides the paper of every side; media-col goes before media."""
    facts = document("ab")
    assert [m.media for m in count(facts, Ticket(media=A3)).by_media] == [A3]
    col = {"media_size": {"x_dimension": 29700, "y_dimension": 21000}}
    assert ticket_media(Ticket(media=A3, media_col=col)) == A4
    assert ticket_media(Ticket(media_col={"media_size_name": A3})) == A3
    assert ticket_media(Ticket(media="auto")) == ""


@pytest.mark.parametrize(
    ("kind", "pages", "ranges", "chosen"),
    [
        ("application/pdf", 4, ((1, 2),), ((1, 2),)),
        ("application/pdf", 4, (), ((1, 4),)),
        ("application/pdf", 4, ((3, 3), (1, 2)), ((1, 3),)),
        ("application/pdf", 2, ((3, 4),), ((1, 2),)),
        ("application/pdf", 2, ((2, 3),), ((2, 2),)),
        ("image/pwg-raster", 4, ((1, 2),), ((1, 2),)),
        ("image/pwg-raster", 2, ((2, 3),), ((1, 2),)),
        ("image/urf", 2, ((5, 6),), ((1, 2),)),
    ],
)
def test_page_ranges_are_applied_once(kind, pages, ranges, chosen):
    """A file that already is the chosen part counts whole; the ranges never bite twice."""
    assert selected_pages(document("a" * pages, kind), Ticket(page_ranges=ranges)) == chosen


@pytest.mark.parametrize(
    ("pages", "ranges", "is_outside"),
    [
        (4, (), False),
        (4, ((4, 9),), False),
        (4, ((5, 9),), True),
        (4, ((5, 5), (7, 8)), True),
        (4, ((1, 1), (7, 8)), False),
        (4, ((5, 8),), False),
        (4, ((5, 6), (9, 10)), False),
        (0, ((1, 2),), False),
    ],
)
def test_ranges_wholly_outside_are_noticed(pages, ranges, is_outside):
    """Unless the document has exactly as many pages as they choose: then a client has cut it already."""
    assert names_no_page(document("a" * pages), Ticket(page_ranges=ranges)) is is_outside


@pytest.mark.parametrize(
    ("ticket", "first", "expected"),
    [
        (Ticket(), 0, (0, 0, 0, 0)),
        (Ticket(), -3, (0, 0, 0, 0)),
        (Ticket(), 2, (2, 1, 2, 0)),
        (Ticket(), 99, (5, 1, 5, 0)),
        (Ticket(sides=TWO), 3, (3, 1, 2, 1)),
        (Ticket(sides=TWO), 4, (4, 1, 2, 2)),
        (Ticket(copies=3), 7, (7, 2, 7, 0)),
        (Ticket(copies=3, sides=TWO), 6, (6, 1, 4, 2)),
        (Ticket(copies=3, multiple_document_handling=SHEETWISE), 4, (4, 1, 4, 0)),
        (Ticket(copies=3, sides=TWO, multiple_document_handling=SHEETWISE), 5, (5, 2, 3, 2)),
    ],
)
def test_partial_prints(ticket, first, expected):
    """The first n impressions of aAaaa in print order: copy by copy, or sheet by sheet when uncollated."""
    assert totals(count_first(document("aAaaa"), ticket, first)) == expected


def test_nothing_printed_is_nothing():
    """Zero impressions are the empty counts, so that nothing is charged."""
    assert count_first(document("aA"), Ticket(), 0) == NOTHING


def test_headers_of_raster_are_adopted_once():
    """What a raster file asks for itself fills a silent ticket, and never overrides one that speaks."""
    facts = document("aa", "image/pwg-raster", copies=3, sides=TWO)
    assert adopt(Ticket(), facts) == Ticket(copies=3, sides=TWO)
    spoken = Ticket(copies=2, sides="two-sided-short-edge")
    assert adopt(spoken, facts) == spoken
    assert adopt(Ticket(), document("aa")) == Ticket()
    assert totals(count(facts, Ticket())) == (2, 0, 2, 0)
