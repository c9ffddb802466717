"""What is charged at a job's end, case by case."""

import pytest

from daemon.jobs.outcome import Evidence, Outcome, decide


def evidence(ending, **known):
    return Evidence(ending=ending, expected_impressions=6, expected_sheets=3, **known)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # the printer's word for this job
        (evidence("completed", impressions=6, sheets=3), Outcome(6, None, "reported")),
        (evidence("completed", impressions=6, color_impressions=2), Outcome(6, 2, "reported")),
        (evidence("completed", impressions=4), Outcome(4, None, "reported")),
        (evidence("completed", impressions=8), Outcome(8, None, "reported")),
        (evidence("aborted", impressions=1), Outcome(1, None, "reported")),
        (evidence("canceled", impressions=5), Outcome(5, None, "reported")),
        (evidence("gone", impressions=6), Outcome(6, None, "reported")),
        # only sheets: the sides on them
        (evidence("completed", sheets=3), Outcome(6, None, "reported")),
        (evidence("completed", impressions=0, sheets=2), Outcome(4, None, "reported")),
        (evidence("aborted", sheets=1), Outcome(2, None, "reported")),
        # a colour count cannot exceed what came out
        (evidence("completed", impressions=4, color_impressions=9), Outcome(4, 4, "reported")),
        # no word for this job: the life counter, then the quote
        (evidence("completed", counter_difference=6), Outcome(6, None, "counter")),
        (evidence("completed", impressions=0, counter_difference=5), Outcome(5, None, "counter")),
        (evidence("completed"), Outcome(6, None, "quote")),
        (evidence("completed", impressions=0, sheets=0), Outcome(6, None, "quote")),
        (evidence("aborted", counter_difference=2), Outcome(2, None, "counter")),
        # it knows no names: what it counted beyond our job was a copy made at the panel
        (evidence("completed", counter_difference=9), Outcome(6, None, "counter")),
        # it did not move: nothing is on paper
        (evidence("completed", counter_difference=0), Outcome(0, None, "counter")),
        (evidence("completed", impressions=4, counter_difference=0), Outcome(4, None, "reported")),
        # forgotten before the last sides were reported
        (evidence("gone", impressions=3, counter_difference=6), Outcome(6, None, "counter")),
        (evidence("gone", impressions=3, counter_difference=2), Outcome(3, None, "reported")),
        (evidence("completed", impressions=3, counter_difference=6), Outcome(3, None, "reported")),
        # a life count in the job's place is not this job's
        (evidence("completed", impressions=184_000), Outcome(6, None, "quote")),
        (evidence("completed", counter_difference=184_000), Outcome(6, None, "quote")),
        # nothing came out
        (evidence("aborted"), Outcome(0, None, "nothing")),
        (evidence("canceled", impressions=0), Outcome(0, None, "nothing")),
        (evidence("gone", counter_difference=0), Outcome(0, None, "nothing")),
        # nobody can know
        (evidence("gone"), Outcome(None, None, "nothing")),
        (evidence("gone", impressions=0), Outcome(None, None, "nothing")),
    ],
)
def test_decide(given, expected):
    """Each ending with each kind of evidence leads to this charge."""
    assert decide(given) == expected


@pytest.mark.parametrize(
    ("basis", "is_estimated"), [("reported", False), ("counter", True), ("quote", True), ("nothing", False)]
)
def test_estimates_are_marked(basis, is_estimated):
    """A charge that does not rest on the printer's own count of this job says so."""
    assert Outcome(3, None, basis).is_estimated is is_estimated


def test_an_uncounted_empty_job_needs_no_sheets():
    """A job of which nothing was expected never divides by its sheets."""
    assert decide(Evidence("completed", 0, 0, sheets=1)) == Outcome(0, None, "quote")
