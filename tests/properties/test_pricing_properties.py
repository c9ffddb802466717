"""Prices never turn the wrong way, for every tariff a file can hold and every job."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.accounting.pricing import Quote, quote
from daemon.accounting.tariff import PERCENT, ROUNDINGS, Tariff
from daemon.accounting.tariff_file import parse_tariff
from daemon.jobs.counting import count, count_first
from daemon.jobs.facts import DocumentFacts, PageFact, PageRun
from daemon.jobs.ticket import Ticket
from daemon.kernel.counts import Counts, MediaCount

MEDIA = ("iso_a4_210x297mm", "iso_a3_297x420mm", "na_letter_8.5x11in", "custom_300x500mm_300x500mm")
cents = st.integers(0, 20_000)


@st.composite
def rows(draw) -> str:
    grey = draw(cents)
    colour = grey + draw(cents)
    return (
        f"grey = {grey / 10_000:.4f}\ncolour = {colour / 10_000:.4f}\nsheet = {draw(cents) / 10_000:.4f}\n"
        f"duplex_discount = {draw(st.integers(0, grey // 4)) / 10_000:.4f}\n"
    )


@st.composite
def tariffs(draw) -> Tariff:
    steps, above, percent = "", 0, 100
    falling = draw(st.booleans())
    for _ in range(draw(st.integers(0, 3))):
        above += draw(st.integers(1, 20))
        percent += (-1 if falling else 1) * draw(st.integers(0, 25))
        steps += f"[[steps]]\nabove = {above}\npercent = {percent}\n"
    return parse_tariff(
        f'currency = "EUR"\nrounding = "{draw(st.sampled_from(ROUNDINGS))}"\n'
        f"round_to = {draw(st.sampled_from(['0.01', '0.05', '0.0001']))}\n"
        f"flat_fee = {draw(cents) / 10_000:.4f}\nminimum = {draw(cents) / 10_000:.4f}\n"
        f"[media.default]\n{draw(rows())}[media.iso_a3_297x420mm]\n{draw(rows())}{steps}",
        "any.toml",
    )


@st.composite
def media_counts(draw, media: str) -> MediaCount:
    duplex = draw(st.integers(0, 15))
    single = draw(st.integers(0, 15))
    impressions = 2 * duplex + single
    return MediaCount(media, impressions, draw(st.integers(0, impressions)), duplex + single, duplex)


counts = st.lists(st.sampled_from(MEDIA), unique=True, max_size=3).flatmap(
    lambda names: st.tuples(*(media_counts(name) for name in names)).map(Counts)
)
volume = st.integers(0, 60)


def changed(of: Counts, index: int, **changes: int) -> Counts:
    media = list(of.by_media)
    one = media[index]
    media[index] = replace(one, **{key: getattr(one, key) + by for key, by in changes.items()})
    return Counts(tuple(media))


@given(tariffs(), counts.filter(lambda c: c.by_media), volume)
def test_more_never_costs_less(tariff, of, before):
    """One side more, in grey or colour, on a new sheet or on the back of one, or one blank sheet never lowers a price."""
    price = quote(tariff, of, impressions_before=before).price
    for index, one in enumerate(of.by_media):
        grown = [
            changed(of, index, sheets=1),
            changed(of, index, impressions=1, sheets=1),
            changed(of, index, impressions=1, color_impressions=1, sheets=1),
        ]
        if one.sheets > one.duplex_sheets and one.impressions > 2 * one.duplex_sheets:
            grown.append(changed(of, index, impressions=1, duplex_sheets=1))
        for more in grown:
            assert quote(tariff, more, impressions_before=before).price >= price


@given(tariffs(), counts.filter(lambda c: c.color_impressions), volume)
def test_grey_never_costs_more_than_colour(tariff, of, before):
    """Each side turned grey, and all of them, never makes a job dearer."""
    price = quote(tariff, of, impressions_before=before).price
    grey = Counts(tuple(replace(m, color_impressions=0) for m in of.by_media))
    assert quote(tariff, grey, impressions_before=before).price <= price
    index = next(i for i, m in enumerate(of.by_media) if m.color_impressions)
    assert quote(tariff, changed(of, index, color_impressions=-1), impressions_before=before).price <= price


@given(tariffs(), counts, volume)
def test_two_sided_never_costs_more(tariff, of, before):
    """The same sides on fewer sheets never cost more."""
    one_sided = Counts(tuple(replace(m, sheets=m.sheets + m.duplex_sheets, duplex_sheets=0) for m in of.by_media))
    two = quote(tariff, of, impressions_before=before).price
    assert two <= quote(tariff, one_sided, impressions_before=before).price


@given(tariffs(), counts, volume)
def test_a_quote_is_exact_and_repeatable(tariff, of, before):
    """Lines add up to the price, the price lies on the rounding's step, and the stored quote makes it again."""
    made = quote(tariff, of, impressions_before=before)
    assert sum(line.parts for line in made.lines) == made.price * PERCENT
    assert made.price >= 0
    assert made.price % tariff.rounding.step == 0
    stored = Quote.from_json(made.to_json())
    again = quote(parse_tariff(tariff.source, "any.toml"), stored.counts, impressions_before=stored.impressions_before)
    assert again == made


@given(tariffs(), st.lists(volume, min_size=2, max_size=2).map(sorted))
def test_rounding_is_off_by_less_than_one_step(tariff, pair):
    """The price differs from the exact sum by less than a step, and rounding keeps the order of totals."""
    low, high = (value * 4321 for value in pair)
    size = tariff.rounding.step * PERCENT
    assert abs(tariff.rounding.apply(low) * PERCENT - low) < size
    assert tariff.rounding.apply(low) <= tariff.rounding.apply(high)


runs = st.lists(
    st.builds(
        lambda media, colour, pages: PageRun(pages, PageFact(media, colour, 210_000, 297_000)),
        st.sampled_from(MEDIA[:2]),
        st.booleans(),
        st.integers(1, 6),
    ),
    min_size=1,
    max_size=4,
)
tickets = st.builds(
    Ticket,
    copies=st.integers(1, 3),
    sides=st.sampled_from(["one-sided", "two-sided-long-edge"]),
    number_up=st.sampled_from([1, 2]),
    print_color_mode=st.sampled_from(["auto", "monochrome"]),
)


@settings(max_examples=60)
@given(tariffs(), runs, tickets, volume)
def test_a_part_never_costs_more_than_the_whole(tariff, pages, ticket, before):
    """However many sides came out: the price of a longer part is never less, and that of all is the quote."""
    facts = DocumentFacts("application/pdf", tuple(pages))
    whole = count(facts, ticket)
    quoted = quote(tariff, whole, impressions_before=before).price
    prices = [
        quote(tariff, count_first(facts, ticket, n), impressions_before=before).price
        for n in range(whole.impressions + 2)
    ]
    assert prices == sorted(prices)
    assert prices[0] == 0
    assert prices[-1] == prices[-2] == quoted
