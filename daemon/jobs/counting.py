"""What a document puts on paper under a ticket: impressions, colour impressions, sheets, by paper size. Pure.

The rules, in the order they are applied:

1. *Pages*: page-ranges choose pages, each at most once, in document order (RFC 8011 section 5.2.7). They are applied
   once: where the file already is the chosen part (see `selected_runs`) all of it counts.
2. *Sides*: number-up puts up to n pages on one side. A side is colour when any of its pages is, and lies on the paper
   of its first page. A new paper size begins a new side.
3. *Paper*: a ticket that names its paper prints every side on it; else each side takes its page's own size.
4. *Colour*: a monochrome ticket has no colour sides. A ticket that says `color` does not make a grey page colour.
5. *Sheets*: two-sided joins neighbouring sides on the same paper; another paper begins a new sheet. A blank back is not
   an impression.
6. *Copies*: each copy begins a new sheet (RFC 8011 section 5.2.4, every value of multiple-document-handling).

`count_first` takes the first n impressions in the order they come out: copy by copy, or sheet by sheet if uncollated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from daemon.jobs.facts import RASTER_FORMATS, DocumentFacts, PageFact, PageRun, media_name
from daemon.jobs.ticket import COPIES_MAX, ONE_SIDED, SIDES, Ticket
from daemon.kernel.counts import NOTHING, Counts, MediaCount

if TYPE_CHECKING:
    from collections.abc import Sequence

UM_PER_HUNDREDTH_MM = 10


@dataclass(frozen=True, slots=True)
class Sheet:
    """One piece of paper: its size and, per marked side, whether that side is colour."""

    media: str
    colors: tuple[bool, ...]


@dataclass(slots=True)
class _Tally:
    """A running count on one paper size."""

    impressions: int = 0
    color_impressions: int = 0
    sheets: int = 0
    duplex_sheets: int = 0


def ticket_media(ticket: Ticket) -> str:
    """The PWG name of the paper the ticket asks for, or an empty string when each page takes its own size."""
    size = ticket.wanted_size
    if size is not None:
        return media_name(size[0] * UM_PER_HUNDREDTH_MM, size[1] * UM_PER_HUNDREDTH_MM)
    named = str(ticket.media_col.get("media_size_name", "") or ticket.media)
    return named if named not in ("", "auto") else ""


def selected_pages(facts: DocumentFacts, ticket: Ticket) -> tuple[tuple[int, int], ...]:
    """The pages to print as rising, disjoint (first, last) pairs counted from 1; never empty for a document with pages.

    Clients that render before sending may leave page-ranges on a file that already is the chosen part. So the whole
    document counts when the ranges name no page of it, and when a raster file has exactly as many pages as they choose.
    """
    pages = facts.page_count
    if pages == 0:
        return ()
    everything = ((1, pages),)
    if not ticket.page_ranges:
        return everything
    merged = _merged(ticket.page_ranges)
    if facts.format in RASTER_FORMATS and sum(high - low + 1 for low, high in merged) == pages:
        return everything
    inside = tuple((low, min(high, pages)) for low, high in merged if low <= pages)
    return inside or everything


def names_no_page(facts: DocumentFacts, ticket: Ticket) -> bool:
    """True where page-ranges lie wholly outside the document (RFC 8011 section 5.2.7 leaves open what then prints).

    Not where the document has exactly as many pages as they choose: then a client has cut it already and left the
    attribute on.
    """
    if not ticket.page_ranges or facts.page_count == 0:
        return False
    merged = _merged(ticket.page_ranges)
    is_cut = sum(high - low + 1 for low, high in merged) == facts.page_count
    return not is_cut and merged[0][0] > facts.page_count


def selected_runs(facts: DocumentFacts, ticket: Ticket) -> tuple[PageRun, ...]:
    """The chosen pages as runs, in document order."""
    chosen = selected_pages(facts, ticket)
    out: list[PageRun] = []
    start = 1
    for run in facts.runs:
        end = start + run.count - 1
        inside = sum(max(0, min(end, high) - max(start, low) + 1) for low, high in chosen)
        if inside:
            out.append(PageRun(inside, run.page))
        start = end + 1
    return tuple(out)


def count(facts: DocumentFacts, ticket: Ticket) -> Counts:
    """Everything the job puts on paper, all copies."""
    tally: dict[str, _Tally] = {}
    for sheet, times in _sheets(facts, ticket):
        _add(tally, sheet, times * ticket.copies)
    return _counts(tally)


def count_first(facts: DocumentFacts, ticket: Ticket, impressions: int) -> Counts:
    """What the first `impressions` marked sides of the job are, in the order they come out; more than all is all.

    A sheet whose front came out is a sheet, also when its back did not.
    """
    if impressions <= 0:
        return NOTHING
    one_copy = tuple(_sheets(facts, ticket))
    tally: dict[str, _Tally] = {}
    left = impressions
    if ticket.is_collated:
        per_copy = sum(len(sheet.colors) * times for sheet, times in one_copy)
        whole = min(ticket.copies, left // per_copy) if per_copy else 0
        for sheet, times in one_copy:
            _add(tally, sheet, times * whole)
        if whole < ticket.copies:
            _take(tally, one_copy, left - whole * per_copy)
    else:
        _take(tally, [(sheet, times * ticket.copies) for sheet, times in one_copy], left)
    return _counts(tally)


def adopt(ticket: Ticket, facts: DocumentFacts) -> Ticket:
    """The ticket with what a raster file's own headers ask for, where the ticket is silent.

    To be applied once, when the facts become known. Afterwards the ticket alone decides, and delivery rewrites the
    headers to agree with it (`jobs.delivery_plan`), so that what is priced is what the printer is told.
    """
    copies, sides = ticket.copies, ticket.sides
    if copies == 1 and facts.copies > 1:
        copies = min(facts.copies, COPIES_MAX)
    if sides == ONE_SIDED and facts.sides in SIDES:
        sides = facts.sides
    return replace(ticket, copies=copies, sides=sides)


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def _sides(facts: DocumentFacts, ticket: Ticket) -> Iterator[tuple[str, bool, int]]:
    """(media, is colour, how many such sides in a row) of one copy."""
    fixed = ticket_media(ticket)
    monochrome = ticket.is_monochrome
    runs = selected_runs(facts, ticket)
    if ticket.number_up == 1:
        for run in runs:
            yield fixed or run.page.media, run.page.is_color and not monochrome, run.count
        return
    group: list[PageFact] = []
    for page in _expanded(runs):
        if group and (len(group) == ticket.number_up or not (fixed or page.media == group[0].media)):
            yield fixed or group[0].media, any(p.is_color for p in group) and not monochrome, 1
            group = []
        group.append(page)
    if group:
        yield fixed or group[0].media, any(p.is_color for p in group) and not monochrome, 1


def _expanded(runs: Iterable[PageRun]) -> Iterator[PageFact]:
    for run in runs:
        for _ in range(run.count):
            yield run.page


def _sheets(facts: DocumentFacts, ticket: Ticket) -> Iterator[tuple[Sheet, int]]:
    """(sheet, how many such sheets in a row) of one copy, in print order."""
    if not ticket.is_two_sided:
        for media, is_color, times in _sides(facts, ticket):
            yield Sheet(media, (is_color,)), times
        return
    front: tuple[str, bool] | None = None
    for media, is_color, times in _sides(facts, ticket):
        left = times
        if front is not None:
            if front[0] == media:
                yield Sheet(media, (front[1], is_color)), 1
                left -= 1
            else:
                yield Sheet(front[0], (front[1],)), 1
            front = None
        if left // 2:
            yield Sheet(media, (is_color, is_color)), left // 2
        if left % 2:
            front = (media, is_color)
    if front is not None:
        yield Sheet(front[0], (front[1],)), 1


def _add(tally: dict[str, _Tally], sheet: Sheet, times: int) -> None:
    if times <= 0:
        return
    row = tally.setdefault(sheet.media, _Tally())
    row.impressions += len(sheet.colors) * times
    row.color_impressions += sum(sheet.colors) * times
    row.sheets += times
    row.duplex_sheets += times if len(sheet.colors) > 1 else 0


def _take(tally: dict[str, _Tally], sheets: Iterable[tuple[Sheet, int]], impressions: int) -> None:
    """Add sheets until `impressions` sides are used up; the last sheet may come out with its front only."""
    left = impressions
    for sheet, times in sheets:
        if left <= 0:
            return
        sides = len(sheet.colors)
        whole = min(times, left // sides)
        _add(tally, sheet, whole)
        left -= whole * sides
        if whole < times and left > 0:
            _add(tally, Sheet(sheet.media, sheet.colors[:left]), 1)
            return


def _counts(tally: dict[str, _Tally]) -> Counts:
    return Counts(
        tuple(
            MediaCount(media, t.impressions, t.color_impressions, t.sheets, t.duplex_sheets)
            for media, t in tally.items()
        ),
    )
