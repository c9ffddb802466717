"""What came out? Decides from a printer's last words how many impressions are charged, and on what evidence.

The printer's own counts win while they are plausible. Where it has none, or forgot the job before its last sides, the
difference of its life counter counts if nobody else printed meanwhile: never more than the quote (a counter knows no
names, and a copy made at the panel is not this job's), nothing if it never moved. Else the quote stands, marked
estimated. What ended badly is never charged more than was observed, and never free merely because it ended badly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Basis = Literal["reported", "counter", "quote", "nothing", "told"]
"""`told`: a person who looked at the printer said so."""
Ending = Literal["completed", "canceled", "aborted", "gone"]

EXTRA_IMPRESSIONS_MAX = 20
EXTRA_FACTOR_MAX = 4
"""A count above 4 x the quote + 20 is not this job's (some devices answer with a life count)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known at a job's end. None means: the printer does not say.

    `impressions`, `color_impressions`, `sheets` are the largest figures seen; `counter_difference` is the life count
    after minus before, given only when the printer was ours alone meanwhile.
    """

    ending: Ending
    expected_impressions: int
    expected_sheets: int
    impressions: int | None = None
    color_impressions: int | None = None
    sheets: int | None = None
    counter_difference: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`impressions` to charge (None: the outcome cannot be known), the colour part where the printer counted it."""

    impressions: int | None
    color_impressions: int | None
    basis: Basis

    @property
    def is_estimated(self) -> bool:
        """True when the charge rests on the quote or on a counter instead of the printer's word for this job."""
        return self.basis in ("quote", "counter")


def _plausible(count: int | None, expected: int) -> int | None:
    if count is None or count <= 0 or count > expected * EXTRA_FACTOR_MAX + EXTRA_IMPRESSIONS_MAX:
        return None
    return count


def _from_sheets(evidence: Evidence) -> int | None:
    sheets = _plausible(evidence.sheets, evidence.expected_sheets)
    if sheets is None or evidence.expected_sheets == 0:
        return None
    if sheets >= evidence.expected_sheets:
        return evidence.expected_impressions
    return min(evidence.expected_impressions, -(-sheets * evidence.expected_impressions // evidence.expected_sheets))


def decide(evidence: Evidence) -> Outcome:
    """The impressions to charge.

    An `impressions` of None in the answer means nobody can know: the job becomes uncertain.
    """
    expected = evidence.expected_impressions
    reported = _plausible(evidence.impressions, expected) or _from_sheets(evidence)
    counted = _plausible(evidence.counter_difference, expected)
    if evidence.counter_difference == 0 and evidence.ending == "completed":
        counted = 0  # it took the job and put nothing on paper
    if counted is not None:
        counted = min(counted, expected)  # what the device counted beyond our job was somebody else's, at its panel
    if reported is not None:
        color = evidence.color_impressions
        color = min(color, reported) if color is not None and color >= 0 else None
        if counted is None or evidence.ending != "gone" or counted <= reported:
            return Outcome(reported, color, "reported")
    if counted is not None:
        return Outcome(counted, None, "counter")
    if evidence.ending == "completed":
        return Outcome(expected, None, "quote")
    if evidence.ending == "gone" and evidence.counter_difference is None:
        return Outcome(None, None, "nothing")
    return Outcome(0, None, "nothing")
