"""Edges of the money core that ordinary cases pass by: each was found by changing the code and seeing no test fail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from daemon.accounting import ledger, periods
from daemon.accounting.allowance import (
    CurrencyNotAccepted,
    InsufficientFunds,
    Leg,
    PotRule,
    Profile,
    charges,
    plan_legs,
    plan_selection,
)
from daemon.accounting.grants import Grant, grants_due
from daemon.accounting.ledger import Post, plan_settlement
from daemon.accounting.periods import PeriodKind, Term
from daemon.accounting.pricing import PriceTooLarge, QuoteLine, quote
from daemon.accounting.tariff import PERCENT
from daemon.accounting.tariff_file import parse_tariff
from daemon.jobs.counting import adopt, count, count_first
from daemon.jobs.facts import DocumentFacts, PageFact
from daemon.jobs.lifecycle import CannotHappen, Happening, advance
from daemon.jobs.outcome import Evidence, Outcome, decide
from daemon.jobs.ticket import Ticket
from daemon.kernel.clock import US_PER_S
from daemon.kernel.counts import Counts, MediaCount
from daemon.kernel.ids import request_digest
from daemon.kernel.money import AMOUNT_MAX, PAGES, Unit, unit_of

EUR = unit_of("EUR")
A4, A3 = "iso_a4_210x297mm", "iso_a3_297x420mm"
ONE_SIDE = Counts((MediaCount(A4, 1, 0, 1, 0),))
TERMS = (
    Term("a", date(2026, 1, 5), date(2026, 1, 30)),
    Term("b", date(2026, 3, 2), date(2026, 3, 27)),
    Term("c", date(2026, 5, 4), date(2026, 5, 29)),
)


@dataclass(frozen=True)
class Account:
    account_id: int
    pot: str
    unit: Unit
    available: int
    spendable: int
    kind: str = "user"


@dataclass(frozen=True)
class Reserved:
    pending_key: bytes
    account_id: int
    unit_code: str
    amount: int
    kind: str = "user"


def at(day: str) -> int:
    return int(datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC).timestamp()) * US_PER_S


def price_of(text: str, counts: Counts = ONE_SIDE):
    return quote(parse_tariff('currency = "EUR"\n' + text, "t.toml"), counts)


# ----- keys -----
@pytest.mark.parametrize(
    ("name", "parts", "expected"),
    [
        ("reservation_key", ("d", 1), "fd14b576dd6d263af92c4df0958dd3cf"),
        ("resolution_key", (b"\x01\x02",), "55a7c65b02e6242bc7c8da1b4cb75010"),
        ("late_key", (b"\x01\x02", "taken"), "524a3eb6439ec601e1dd669c2b864de4"),
        ("excess_key", ("d", "EUR", "overrun"), "4aebf9d16e95bc7ce881335e18c42d79"),
        ("adjustment_key", ("k",), "668b860a0fc94d47ba600bbb2ae6ab60"),
        ("override_key", ("k",), "fe3741f177c02d4510cdcc6de295ba39"),
        ("refund_key", ("k",), "a49bf2ab9f2ea7db0fae041013874331"),
        ("grant_key", ("a/pages", 7, "2026-11"), "1157a40dae901d000ac06ce56876a7d2"),
        ("clip_key", (b"\x01\x02",), "ce5962edc44216d154df957612f4a19f"),
        ("recovery_key", (b"\x01\x02",), "6f70f5ed20bbe7a6dd7e0fcf9536b9f7"),
    ],
)
def test_keys_never_change(name, parts, expected):
    """A key made differently by a later release would let a movement of an earlier one happen twice."""
    assert getattr(ledger, name)(*parts).hex() == expected


def test_no_two_movements_share_a_key():
    """Each part of what makes a movement changes its key."""
    keys = [
        *(ledger.grant_key(lineage, account, label) for lineage in "ab" for account in (1, 2) for label in ("x", "y")),
        *(ledger.excess_key(delivery, unit, part) for delivery in "de" for unit in ("EUR", "pages") for part in "12"),
        *(ledger.late_key(pending, part) for pending in (b"1", b"2") for part in ("taken", "overrun")),
        *(ledger.recovery_key(cause) for cause in (b"1", b"2")),
    ]
    assert len(set(keys)) == len(keys)


def test_bytes_in_a_request_are_told_by_their_digits():
    """The digest is the same on every Python: never the text Python shows for bytes."""
    assert ledger.digest("reserve", b"\x01") == request_digest("reserve", "01")


# ----- settling -----
def test_a_unit_that_did_not_come_out_returns_whole():
    """A reservation in a unit the outcome does not name is posted with nothing, and nothing else is taken for it."""
    legs = [Reserved(b"p", 1, "pages", 5), Reserved(b"e", 2, "EUR", 40)]
    done = plan_settlement({"pages": 0}, legs, legs)
    assert done.posts == (Post(b"p", 0), Post(b"e", 0))
    assert done.excess == ()


# ----- pots -----
def test_a_pot_without_an_account_does_not_hide_the_next():
    """Where a pot has no account yet, the ones after it still pay."""
    rules = Profile("p", (PotRule("new", PAGES), PotRule("old", PAGES)))
    assert plan_legs(rules, [Account(2, "old", PAGES, 5, 5)], {"pages": 5}) == (Leg(2, "pages", 5),)


def test_an_empty_pot_with_overdraft_is_not_taken_for_one_with_something_in_it():
    """The other pot's last step goes before the first step of an overdraft."""
    rules = Profile("p", (PotRule("a", PAGES, overdraft=9), PotRule("b", PAGES)))
    accounts = [Account(1, "a", PAGES, 0, 9), Account(2, "b", PAGES, 1, 1)]
    assert plan_legs(rules, accounts, {"pages": 1}) == (Leg(2, "pages", 1),)


def test_what_is_owed_is_told_with_the_selection_and_what_is_there():
    """Needed is the debt and every job of its unit; the sentence and the code name the debt."""
    rules = Profile("p", (PotRule("a", PAGES), PotRule("m", EUR)))
    accounts = [Account(1, "a", PAGES, 50, 50), Account(2, "overrun", PAGES, -7, 0, "overrun")]
    selection = plan_selection(rules, accounts, [("1", {"pages": 3}), ("2", {"EUR": 5}), ("3", {"pages": 4})])
    assert selection.shortage is not None
    told = selection.shortage
    assert (told.needed.value, told.available.value, told.owed.value) == (14, 50, 7)
    refusal = InsufficientFunds.of(told)
    assert refusal.code == "overrun-unsettled"
    assert refusal.message == "7 pages are owed from an earlier job and have to be settled first."


def test_a_job_that_takes_nothing_of_a_unit_needs_nothing_of_it():
    """Only the jobs that take colour pages count towards what is needed of them."""
    rules = Profile("p", (PotRule("a", PAGES), PotRule("m", EUR)))
    accounts = [Account(1, "a", PAGES, 50, 50), Account(2, "m", EUR, 10, 10)]
    selection = plan_selection(rules, accounts, [("1", {"pages": 3}), ("2", {"EUR": 11})])
    assert selection.shortage is not None
    assert (selection.shortage.needed.unit, selection.shortage.needed.value) == (EUR, 11)
    assert selection.fits == ("1",)
    refusal = InsufficientFunds.of(selection.shortage)
    assert refusal.message.startswith("This needs ")


def test_another_currency_is_named():
    """The refusal says in which currency prices are, in words and in its data."""
    made = price_of("[media.default]\ngrey = 0.05\ncolour = 0.20\n")
    with pytest.raises(CurrencyNotAccepted, match="prices here are in EUR") as caught:
        charges(Profile("p", (PotRule("m", unit_of("USD")),)), made)
    assert caught.value.data["unit"] == "EUR"


def test_a_profile_is_what_its_settings_say():
    """Restriction, zone, terms and caps reach the rule; a cap of nothing is a cap, one below zero is none."""
    pot = {"unit": "EUR", "amount": Decimal(5), "period": "term", "overdraft": Decimal(1)}
    source = SimpleNamespace(
        restricted=False,
        timezone="Asia/Kolkata",
        terms=[SimpleNamespace(name="a", start="2026-01-05", end="2026-01-30")],
        pots=[
            SimpleNamespace(pot="none", cap=Decimal(0), **pot),
            SimpleNamespace(pot="half", cap=Decimal("0.5"), **pot),
            SimpleNamespace(pot="open", cap=Decimal(-1), **pot),
        ],
    )
    made = Profile.of("staff", source)
    assert (made.name, made.restricted, made.timezone, made.terms) == ("staff", False, "Asia/Kolkata", TERMS[:1])
    assert [rule.cap for rule in made.pots] == [0, 5000, None]


# ----- prices -----
def test_an_exact_price_has_no_rounding_line():
    """What was not rounded is not told as rounded."""
    made = price_of("[media.default]\ngrey = 0.05\ncolour = 0.20\n")
    assert [line.kind for line in made.lines] == ["grey"]


def test_a_minimum_one_step_away_is_one_line_with_the_difference():
    """The smallest difference to the minimum is charged and told; a price at the minimum exactly is not."""
    assert price_of("minimum = 0.0501\n[media.default]\ngrey = 0.05\ncolour = 0.20\n").lines[1] == QuoteLine(
        "minimum", "", 1, 501, PERCENT, PERCENT
    )
    assert len(price_of("minimum = 0.05\n[media.default]\ngrey = 0.05\ncolour = 0.20\n").lines) == 1


def test_every_line_says_what_it_is_for():
    """Fee, paper and two-sided lines carry their paper, number and price, so that a statement can explain them."""
    text = "flat_fee = 0.10\n[media.default]\ngrey = 0.05\ncolour = 0.20\nsheet = 0.02\nduplex_discount = 0.01\n"
    made = price_of(text, Counts((MediaCount(A4, 2, 0, 1, 1),)))
    assert [(line.kind, line.media, line.count, line.each) for line in made.lines] == [
        ("grey", A4, 2, 500),
        ("sheet", A4, 1, 200),
        ("duplex", A4, 1, -100),
        ("flat-fee", "", 1, 1000),
    ]


def test_a_rounding_line_is_one_line_of_no_paper():
    """It counts once, has no price apiece and holds the difference."""
    made = price_of('rounding = "up"\nround_to = 0.01\n[media.default]\ngrey = 0.0501\ncolour = 0.20\n')
    assert made.lines[-1] == QuoteLine("rounding", "", 1, 0, PERCENT, made.price * PERCENT - 501 * PERCENT)


def test_the_largest_price_is_still_a_price():
    """One smallest step more is refused, in words, rather than wrapped or cut."""
    text = 'round_to = "0.0001"\n[media.default]\ngrey = 0.0001\ncolour = 0.20\n'
    assert price_of(text, Counts((MediaCount(A4, AMOUNT_MAX, 0, AMOUNT_MAX, 0),))).price == AMOUNT_MAX
    with pytest.raises(PriceTooLarge, match="smallest steps of EUR"):
        price_of(text, Counts((MediaCount(A4, AMOUNT_MAX + 1, 0, AMOUNT_MAX + 1, 0),)))


def test_a_quote_names_the_very_tariff():
    """Not only its name: a tariff changed under the same name is another one."""
    tariff = parse_tariff('currency = "EUR"\n[media.default]\ngrey = 0.05\ncolour = 0.20\n', "t.toml")
    assert quote(tariff, ONE_SIDE).digest == tariff.digest != ""


# ----- periods and grants -----
def test_a_grant_carries_everything_its_key_and_its_cap_need():
    """Lineage, label, amount and cap are the rule's."""
    rule = PotRule("a", PAGES, 100, PeriodKind.MONTHLY, cap=150)
    assert grants_due(Profile("p", (rule,)), rule, last_label=None, at_us=at("2026-03-05")) == (
        Grant("a/pages", "2026-03", 100, 150),
    )


@pytest.mark.parametrize(
    ("last", "day", "labels"),
    [
        (None, "2026-03-05", ["term:b"]),
        ("term:a", "2026-05-04", ["term:b", "term:c"]),
        ("once", "2026-02-10", []),
        ("once", "2026-03-05", ["term:b"]),
        ("term:forgotten", "2026-02-10", []),
        ("2026-05", "2026-06-10", []),
    ],
)
def test_terms_are_made_up_for_in_order_and_none_is_invented_between_them(last, day, labels):
    """Several slept through, none before the first, none after the last, none between two."""
    rule = PotRule("a", PAGES, 100, PeriodKind.TERM)
    found = grants_due(Profile("p", (rule,), terms=TERMS), rule, last_label=last, at_us=at(day))
    assert [grant.label for grant in found] == labels


def test_terms_that_overlap_are_each_granted():
    """The next term is the one that begins next, also while the one before still lasts."""
    terms = (Term("a", date(2026, 1, 5), date(2026, 1, 30)), Term("b", date(2026, 1, 20), date(2026, 2, 20)))
    rule = PotRule("a", PAGES, 100, PeriodKind.TERM)
    found = grants_due(Profile("p", (rule,), terms=terms), rule, last_label="term:a", at_us=at("2026-02-10"))
    assert [grant.label for grant in found] == ["term:b"]


def test_a_term_that_begins_today_has_begun():
    """The next term after its own first day is the one after it."""
    assert periods.next_start(PeriodKind.TERM, date(2026, 3, 2), TERMS) == date(2026, 5, 4)
    assert periods.next_start(PeriodKind.TERM, date(2026, 3, 1), TERMS) == date(2026, 3, 2)


def test_periods_have_both_their_ends():
    """A term ends on its last day; what is granted once lasts for ever."""
    term = periods.period_on(PeriodKind.TERM, date(2026, 3, 10), TERMS)
    assert term == periods.Period("term:b", date(2026, 3, 2), date(2026, 3, 27))
    assert periods.period_named("once") == periods.Period("once", date.min, date.max)


def test_midnight_is_a_whole_number():
    """Instants are integers everywhere: a float loses microseconds."""
    found = periods.midnight_us(date(2026, 11, 22), "Asia/Kathmandu")
    assert isinstance(found, int)
    assert found == at("2026-11-22") - (12 * 3600 + 5 * 3600 + 45 * 60) * US_PER_S


# ----- what came out -----
@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"impressions": 44}, Outcome(44, None, "reported")),
        ({"impressions": 45}, Outcome(6, None, "quote")),
        ({"impressions": 6, "color_impressions": 0}, Outcome(6, 0, "reported")),
        ({"impressions": 6, "color_impressions": -1}, Outcome(6, None, "reported")),
        ({"impressions": 3, "counter_difference": 9}, Outcome(3, None, "reported")),
    ],
)
def test_counts_at_the_limit_of_belief(known, expected):
    """Four times the quote and twenty is the last count believed; no colour at all is a count, below none is not."""
    assert decide(Evidence("completed", 6, 3, **known)) == expected


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"impressions": 4}, Outcome(4, None, "reported")),
        ({"impressions": 4, "counter_difference": 3}, Outcome(4, None, "reported")),
        ({"impressions": 4, "counter_difference": 4}, Outcome(4, None, "reported")),
        ({"impressions": 4, "counter_difference": 5}, Outcome(5, None, "counter")),
        ({"impressions": 4, "counter_difference": 9}, Outcome(6, None, "counter")),
    ],
)
def test_a_forgotten_job_is_charged_by_whichever_saw_more_of_it(known, expected):
    """The last word before the printer forgot, or its counter where that saw more, never more than the quote."""
    assert decide(Evidence("gone", 6, 3, **known)) == expected


def test_sides_from_sheets_are_whole_and_rounded_towards_what_lies_there():
    """Five sides on three sheets: two sheets hold at least the fourth side begun."""
    found = decide(Evidence("aborted", 5, 3, sheets=2))
    assert found == Outcome(4, None, "reported")
    assert isinstance(found.impressions, int)
    assert decide(Evidence("aborted", 5, 3, sheets=4)) == Outcome(5, None, "reported")


def test_what_cannot_happen_says_so():
    """The refusal names the state and what was tried, for the log and for the person."""
    with pytest.raises(CannotHappen, match="a job that is completed cannot be released") as caught:
        advance("completed", Happening.RELEASED)
    assert caught.value.data["state"] == "completed"
    with pytest.raises(CannotHappen, match="a job that is new cannot be released"):
        advance("", Happening.RELEASED)


# ----- counting -----
def pages(kinds: str, **more: object) -> DocumentFacts:
    made = [PageFact(A4 if kind == "a" else A3, is_color=False, width_um=1, height_um=1) for kind in kinds]
    return DocumentFacts.of_pages("application/pdf", made, **more)


def test_a_page_between_two_ranges_is_not_printed():
    """Neighbouring ranges join; a single page between them stays out."""
    facts = pages("aaaaa")
    assert count(facts, Ticket(page_ranges=((1, 2), (4, 5)))).impressions == 4
    assert count(facts, Ticket(page_ranges=((1, 2), (3, 5)))).impressions == 5


def test_paper_that_did_not_come_out_is_not_counted_even_as_nothing():
    """A partial print names only the paper it reached."""
    found = count_first(pages("aab"), Ticket(), 1)
    assert found.by_media == (MediaCount(A4, 1, 0, 1, 0),)


def test_two_copies_asked_for_by_the_file_are_two():
    """The smallest number that is more than one is taken over like any other."""
    assert adopt(Ticket(), pages("a", copies=2)).copies == 2
