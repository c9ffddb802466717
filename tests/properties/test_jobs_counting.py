"""Counting against the dullest possible model: lay out every side of every copy and look."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.jobs.counting import count, count_first, selected_pages, ticket_media
from daemon.jobs.facts import DocumentFacts, PageFact
from daemon.jobs.ticket import Ticket
from daemon.kernel.counts import Counts

SIZES = ("iso_a4_210x297mm", "iso_a3_297x420mm")
pages = st.lists(st.tuples(st.sampled_from(SIZES), st.booleans()), max_size=12)
ranges = st.lists(st.tuples(st.integers(1, 14), st.integers(0, 5)).map(lambda r: (r[0], r[0] + r[1])), max_size=3)
tickets = st.builds(
    Ticket,
    copies=st.integers(1, 4),
    sides=st.sampled_from(["one-sided", "two-sided-long-edge", "two-sided-short-edge"]),
    print_color_mode=st.sampled_from(["auto", "color", "monochrome"]),
    media=st.sampled_from(["", SIZES[0]]),
    page_ranges=ranges.map(tuple),
    number_up=st.sampled_from([1, 2, 4]),
    multiple_document_handling=st.sampled_from(["", "separate-documents-uncollated-copies"]),
)
documents = pages.map(lambda ps: DocumentFacts.of_pages("application/pdf", [PageFact(m, c, 1, 1) for m, c in ps]))


def sides_of_one_copy(facts: DocumentFacts, ticket: Ticket) -> list[tuple[str, bool]]:
    fixed = ticket_media(ticket)
    chosen = [
        page
        for number, page in enumerate(facts.pages, 1)
        if any(low <= number <= high for low, high in selected_pages(facts, ticket))
    ]
    sides: list[list[PageFact]] = []
    for page in chosen:
        last = sides[-1] if sides else None
        if last and len(last) < ticket.number_up and (fixed or last[0].media == page.media):
            last.append(page)
        else:
            sides.append([page])
    return [
        (fixed or s[0].media, any(p.is_color for p in s) and ticket.print_color_mode != "monochrome") for s in sides
    ]


def sheets_of(facts: DocumentFacts, ticket: Ticket) -> list[list[tuple[str, bool]]]:
    one: list[list[tuple[str, bool]]] = []
    for side in sides_of_one_copy(facts, ticket):
        if one and ticket.is_two_sided and len(one[-1]) == 1 and one[-1][0][0] == side[0]:
            one[-1].append(side)
        else:
            one.append([side])
    if ticket.is_collated:
        return [list(sheet) for _ in range(ticket.copies) for sheet in one]
    return [list(sheet) for sheet in one for _ in range(ticket.copies)]


def as_dict(counts: Counts) -> dict[str, tuple[int, int, int, int]]:
    return {m.media: (m.impressions, m.color_impressions, m.sheets, m.duplex_sheets) for m in counts.by_media}


def model(sheets: list[list[tuple[str, bool]]], first: int) -> dict[str, tuple[int, int, int, int]]:
    out: dict[str, tuple[int, int, int, int]] = {}
    left = first
    for sheet in sheets:
        came_out = sheet[: max(0, left)]
        left -= len(sheet)
        if came_out:
            i, c, s, d = out.get(sheet[0][0], (0, 0, 0, 0))
            out[sheet[0][0]] = (
                i + len(came_out), c + sum(color for _, color in came_out), s + 1, d + (len(came_out) == 2),
            )  # fmt: skip
    return out


@given(documents, tickets, st.integers(-2, 60))
def test_counting_is_laying_out(facts, ticket, first):
    """Totals and every partial print equal what lying all sheets on a table says."""
    sheets = sheets_of(facts, ticket)
    assert as_dict(count(facts, ticket)) == model(sheets, 10**9)
    assert as_dict(count_first(facts, ticket, first)) == model(sheets, first)


@given(documents, tickets)
def test_partial_prints_add_up(facts, ticket):
    """One more impression is one more impression, and the last one completes the job."""
    whole = count(facts, ticket)
    before = 0
    for first in range(1, whole.impressions + 1):
        now = count_first(facts, ticket, first)
        assert now.impressions == first
        assert now.sheets >= before
        before = now.sheets
    assert as_dict(count_first(facts, ticket, whole.impressions)) == as_dict(whole)


@given(documents, tickets)
def test_downgrades_never_cost_more(facts, ticket):
    """Grey, two-sided and fewer copies mark no more sides, no more colour and use no more paper."""
    whole = count(facts, ticket)
    for change in ({"print_color_mode": "monochrome"}, {"sides": "two-sided-long-edge"}, {"copies": 1}):
        less = count(facts, Ticket.from_json({**ticket.to_json(), **change}))
        assert less.impressions <= whole.impressions
        assert less.color_impressions <= whole.color_impressions
        assert less.sheets <= whole.sheets
