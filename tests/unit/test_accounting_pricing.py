"""Prices are those of the worked tables in docs/pricing.md, rounded once, by the named policy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daemon.accounting.pricing import PriceTooLarge, Quote, quote
from daemon.accounting.tariff import PERCENT, Rounding, Tariff
from daemon.accounting.tariff_file import parse_tariff
from daemon.kernel.counts import NOTHING, Counts, MediaCount
from daemon.kernel.money import unit_of

ROOT = Path(__file__).parents[2]
A4, A3, A5, LETTER = "iso_a4_210x297mm", "iso_a3_297x420mm", "iso_a5_148x210mm", "na_letter_8.5x11in"
EUR = unit_of("EUR")


def worked() -> Tariff:
    """The tariff printed in docs/pricing.md, so that the document cannot drift from the code."""
    document = (ROOT / "docs/pricing.md").read_text("utf-8")
    found = re.search(r"```toml\n(.*?)```", document, re.DOTALL)
    assert found
    return parse_tariff(found[1], "worked.toml")


def tariff(text: str) -> Tariff:
    return parse_tariff('currency = "EUR"\n' + text, "t.toml")


def on(media: str, grey: int, colour: int = 0, *, sheets: int, duplex: int = 0) -> MediaCount:
    return MediaCount(media, grey + colour, colour, sheets, duplex)


def price(of: Tariff, *counts: MediaCount, before: int = 0, printer: str = "") -> str:
    return quote(of, Counts(counts), impressions_before=before, printer=printer).amount.text()


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([on(A4, 3, sheets=3)], "0.15 EUR"),
        ([on(A4, 3, sheets=2, duplex=1)], "0.14 EUR"),
        ([on(A4, 16, 4, sheets=10, duplex=10)], "1.50 EUR"),
        ([on(A4, 20, sheets=10, duplex=10)], "0.90 EUR"),
        ([on(A3, 0, 1, sheets=1), on(A4, 2, sheets=2)], "0.50 EUR"),
        ([on(A4, 2, sheets=1, duplex=1)], "0.09 EUR"),
        ([], "0.00 EUR"),
    ],
)
def test_the_first_worked_table(counts, expected):
    """Each row of the first table, and the jam, costs what the document says."""
    assert price(worked(), *counts) == expected


def test_a_printer_with_its_own_prices():
    """Overrides replace single values on the printer they name, and nowhere else."""
    page = on(A4, 0, 1, sheets=1)
    assert price(worked(), page, printer="Lobby colour") == "0.45 EUR"
    assert price(worked(), page, printer="Basement") == "0.20 EUR"
    assert price(worked(), on(A3, 0, 1, sheets=1), printer="Lobby colour") == "0.50 EUR"


def test_a_step_in_the_middle_of_a_job():
    """Sides below a step keep their price, the dearest side stands first, and the total is rounded once."""
    made = quote(worked(), Counts((on(A4, 4, 1, sheets=5),)), impressions_before=498)
    assert [(line.kind, line.count, line.percent_parts) for line in made.lines] == [
        ("colour", 1, 10_000),
        ("grey", 1, 10_000),
        ("grey", 3, 9_000),
        ("rounding", 1, 10_000),
    ]
    assert sum(line.parts for line in made.lines[:-1]) == 3850 * PERCENT
    assert made.price == 3800
    assert made.rounding == "half-even to 0.01 EUR"


@pytest.mark.parametrize("policy", ["half-up", "up"])
def test_the_step_by_other_policies(policy):
    """The same job under the other policies of the document."""
    text = worked().source.replace('rounding = "half-even"', f'rounding = "{policy}"')
    assert price(parse_tariff(text, "w.toml"), on(A4, 4, 1, sheets=5), before=498) == "0.39 EUR"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("half-even", [12, 14, 13]),
        ("half-up", [13, 14, 13]),
        ("up", [13, 14, 14]),
        ("down", [12, 13, 13]),
    ],
)
def test_rounding_table(policy, expected):
    """The rounding table: 0.125, 0.135 and 0.131 by each policy."""
    rounding = Rounding(policy, 100)
    assert [rounding.apply(value * 10 * PERCENT) for value in (125, 135, 131)] == [cents * 100 for cents in expected]


def test_rounding_to_a_coin_of_five():
    """The total may be rounded to any step: five cents, or not at all beyond the smallest step."""
    text = "[media.default]\ngrey = 0.0335\ncolour = 0.0335\n"
    page = on(A4, 1, sheets=1)
    assert price(tariff('round_to = "0.05"\n' + text), page) == "0.05 EUR"
    assert price(tariff('round_to = "0.0001"\n' + text), page) == "0.0335 EUR"


def test_minimum_and_fee():
    """The table of minimum and fee: the minimum lifts small jobs, and nothing printed costs nothing."""
    fees = tariff('flat_fee = "0.02"\nminimum = "0.10"\n[media.default]\ngrey = "0.05"\ncolour = "0.20"\n')
    assert price(fees, on(A4, 1, sheets=1)) == "0.10 EUR"
    assert price(fees, on(A4, 2, sheets=2)) == "0.12 EUR"
    assert quote(fees, NOTHING).price == 0
    assert quote(fees, Counts((on(A4, 0, sheets=0),))).lines == ()


def test_blank_sheets_cost_paper_only():
    """A sheet without a marked side costs its paper (and the fee), no side."""
    made = tariff("flat_fee = 0.01\n[media.default]\ngrey = 0.05\ncolour = 0.05\nsheet = 0.02\n")
    assert price(made, on(A4, 0, sheets=1)) == "0.03 EUR"


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        (A4, "0.05 EUR"),
        (LETTER, "0.05 EUR"),
        (A3, "0.10 EUR"),
        ("na_ledger_11x17in", "0.10 EUR"),
        ("custom_298x421mm_298x421mm", "0.10 EUR"),
        ("iso_a2_420x594mm", "0.10 EUR"),
        (A5, "0.03 EUR"),
        ("iso_a6_105x148mm", "0.03 EUR"),
        ("", "0.05 EUR"),
        ("plain", "0.05 EUR"),
    ],
)
def test_a_size_without_a_row_costs_as_the_largest_not_larger(media, expected):
    """A page cannot escape a price by being a millimetre wider; an unnamed size is never a surprise."""
    rows = (
        "[media.default]\ngrey = 0.05\ncolour = 0.2\n[media.iso_a3_297x420mm]\ngrey = 0.10\n"
        "[media.iso_a5_148x210mm]\ngrey = 0.03\n"
    )
    assert price(tariff(rows), on(media, 1, sheets=1)) == expected


def test_steps_begin_right_after_their_number():
    """`above = 500`: the 500th side has its full price, the 501st the step's."""
    steps = "[media.default]\ngrey = 0.10\ncolour = 0.10\n[[steps]]\nabove = 500\npercent = 50\n"
    side = on(A4, 1, sheets=1)
    assert price(tariff(steps), side, before=499) == "0.10 EUR"
    assert price(tariff(steps), side, before=500) == "0.05 EUR"
    assert price(tariff(steps), on(A4, 1000, sheets=1000), before=0) == "75.00 EUR"


def test_lines_add_up_to_the_price():
    """Whatever a tariff holds, the lines with the rounding are exactly the price."""
    made = parse_tariff((ROOT / "config/tariffs/volume.toml").read_text("utf-8"), "volume.toml")
    counts = Counts((on(A4, 7, 3, sheets=6, duplex=4), on(A3, 1, 2, sheets=2, duplex=1)))
    priced = quote(made, counts, impressions_before=1995, printer="Lobby colour")
    assert sum(line.parts for line in priced.lines) == priced.price * PERCENT
    assert {line.kind for line in priced.lines} >= {"grey", "colour", "sheet", "duplex", "flat-fee"}


def test_a_quote_survives_storage():
    """A quote read back from its JSON is the same quote, and carries what it was made from."""
    made = quote(worked(), Counts((on(A4, 4, 1, sheets=5),)), impressions_before=498, printer="Lobby colour")
    again = Quote.from_json(made.to_json())
    assert again == made
    assert (again.impressions_before, again.printer, again.tariff) == (498, "Lobby colour", "worked")
    assert quote(worked(), again.counts, impressions_before=again.impressions_before, printer=again.printer) == made


def test_impossible_counts_are_a_bug():
    """More colour sides than sides, more two-sided sheets than sheets, or a negative volume never get a price."""
    for bad in (MediaCount(A4, 1, 2, 1, 0), MediaCount(A4, 4, 0, 1, 2), MediaCount(A4, 1, 0, 1, 1)):
        with pytest.raises(ValueError, match="no paper"):
            quote(worked(), Counts((bad,)))
    with pytest.raises(ValueError, match="negative"):
        quote(worked(), NOTHING, impressions_before=-1)


def test_a_price_beyond_an_amount_is_refused():
    """No total leaves the range of an amount, whatever the counts."""
    dear = tariff("[media.default]\ngrey = 10000\ncolour = 10000\n")
    with pytest.raises(PriceTooLarge):
        quote(dear, Counts((on(A4, 10**12, sheets=10**12),)))


def test_a_currency_without_cents():
    """JPY has no coin below one: its totals are whole yen, its single prices may be hundredths."""
    yen = parse_tariff('currency = "JPY"\n[media.default]\ngrey = "3.25"\ncolour = "20"\n', "yen.toml")
    made = quote(yen, Counts((on(A4, 3, sheets=3),)))
    assert (made.unit.scale, made.price, made.rounding) == (2, 1000, "half-even to 1 JPY")
