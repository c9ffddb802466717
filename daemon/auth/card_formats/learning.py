"""Finding the pipeline that makes of raw reads what is wanted. Pure and bounded.

The search starts from the reads, tries sensible steps on all pairs at once and keeps what every pair allows, cheapest
first, until the wanted numbers come out. Cheap is what is usual and what checks itself; long chains and patterns are
dear. It never guesses: several answers are all told, with a read on which they differ, and none is told as none.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from daemon.auth.card_formats import wiegand
from daemon.auth.card_formats.moves import Texts, moves
from daemon.auth.card_formats.pipeline import Pipeline
from daemon.auth.card_formats.steps import HEX, TEXT_CHARS_MAX, clean

PAIRS_MAX = 20
STATES_MAX = 800
"""Sets of texts looked at in one search: about two seconds at worst."""
WAYS_MAX = 3
"""Different chains kept for one set of texts on the way."""
WAYS_AT_GOAL_MAX = 30
"""And for the numbers wanted; many of them do the same on every read."""
DEPTH_MAX = 5
PROPOSALS_MAX = 8
COST_MAX = 12
"""What is dearer fits by chance."""
COST_BEYOND_BEST = 2
"""How much dearer than the best a proposal may be to be worth telling."""
PROBES_MAX = 60
_NEVER_IN_A_NUMBER = frozenset(" ,.:/")

Outcomes = tuple[str | None, ...]
"""What a pipeline makes of each probe; None is refused."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What a reader sends and the number it must become."""

    raw: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A pipeline that fits every pair: what it makes of them, why it is ranked where it is, what to watch."""

    pipeline: Pipeline
    gives: tuple[str, ...]
    reason: str
    warnings: tuple[str, ...]
    cost: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A read on which two proposals differ: their places (from 0) and what each makes of it (None: refused)."""

    first: int
    second: int
    raw: str
    first_gives: str | None
    second_gives: str | None


@dataclass(frozen=True, slots=True)
class Learned:
    """Proposals, best first, none equal to another on anything tried; and where they differ."""

    proposals: tuple[Proposal, ...]
    differences: tuple[Difference, ...]

    @property
    def is_certain(self) -> bool:
        """True when exactly one way fits."""
        return len(self.proposals) == 1


def learn(pairs: Sequence[Pair]) -> Learned:
    """The pipelines that fit all of `pairs` (at most `PAIRS_MAX` are used)."""
    pairs = pairs[:PAIRS_MAX]
    raws = tuple(pair.raw for pair in pairs)
    if not pairs or not all(0 < len(raw) <= TEXT_CHARS_MAX for raw in raws):
        return Learned((), ())
    probes = _probes(raws)
    kept: list[tuple[Proposal, Outcomes]] = []
    for goals in _goals(pairs):
        kept = kept or _proposals(pairs, goals, probes)
    differences = tuple(_differences(probes, [made for _, made in kept]))
    return Learned(tuple(proposal for proposal, _ in kept), differences)


def _proposals(pairs: Sequence[Pair], goals: set[Texts], probes: list[str]) -> list[tuple[Proposal, Outcomes]]:
    """What the search finds, each with what it makes of the probes.

    Ways that give the same number wherever both take a read are one: the cheapest stands for them.
    """
    kept: list[tuple[Proposal, Outcomes]] = []
    for cost, steps, gives in _search(tuple(pair.raw for pair in pairs), goals):
        pipeline = Pipeline.parse(" | ".join(steps) or "fullre:.+")
        made = tuple(pipeline.trace(probe).normalised for probe in probes)
        if any(pipeline.trace(pair.raw).normalised != given for pair, given in zip(pairs, gives, strict=True)):
            continue
        if all(_conflict(before, made) is not None for _, before in kept):
            kept.append((Proposal(pipeline, gives, _reason(pipeline, pairs), _warnings(pipeline, gives), cost), made))
        if len(kept) == PROPOSALS_MAX:
            break
    return kept


def _goals(pairs: Sequence[Pair]) -> Iterator[set[Texts]]:
    """The numbers wanted, in the order of trying: as they stand (`077,30211` is 77-30211), then without separators."""
    wanted = [pair.wanted.strip() for pair in pairs]
    if not all(wanted):
        return
    halves = [re.fullmatch(r"([0-9]{1,7})[ ,/.:-]+([0-9]{1,10})", one) for one in wanted]
    first = set()
    if not any(set(one) & _NEVER_IN_A_NUMBER for one in wanted):
        first.add(tuple(wanted))
    if all(halves):
        first.add(tuple(f"{int(half[1])}-{int(half[2])}" for half in halves if half))
    yield first
    bare = tuple(clean(one) for one in wanted)
    if bare not in first and all(bare):
        yield {bare}


def _search(raws: Texts, goals: set[Texts]) -> Iterator[tuple[int, tuple[str, ...], Texts]]:
    """(cost, steps, results), cheapest first; ends with the search's limits or when only much dearer ways are left."""
    queue: list[tuple[int, int, tuple[str, ...], Texts, tuple[Texts, ...]]] = [(0, 0, (), raws, ())]
    ways: dict[Texts, int] = {}
    best: int | None = None
    order = 0
    while queue and len(ways) < STATES_MAX:
        cost, _, steps, texts, before = heapq.heappop(queue)
        if ways.get(texts, 0) >= (WAYS_AT_GOAL_MAX if texts in goals else WAYS_MAX):
            continue
        ways[texts] = ways.get(texts, 0) + 1
        if texts in goals:
            best = cost if best is None else best
            yield cost, steps, texts
            continue
        if len(before) == DEPTH_MAX:
            continue
        dearest = COST_MAX if best is None else best + COST_BEYOND_BEST
        for move, price, results in moves(texts, goals):
            is_new = results != texts and results not in before and not _is_there_and_back(steps, move)
            if is_new and cost + price <= dearest:
                order += 1
                heapq.heappush(queue, (cost + price, order, (*steps, *move), results, (*before, texts)))


def _is_there_and_back(steps: tuple[str, ...], move: tuple[str, ...]) -> bool:
    """Decimal to hexadecimal and to decimal again is a detour."""
    to = {"hex2dec": "dec2hex", "dec2hex": "hex2dec"}.get(move[0].partition(":")[0])
    return to is not None and any(step.partition(":")[0] == to for step in steps)


def _reason(pipeline: Pipeline, pairs: Sequence[Pair]) -> str:
    """Why this one, in words."""
    checks = {
        "wiegand": "the parity of every card is right",
        "wiegand37nofc": "the parity of every card is right",
        "xor": "the check byte of every read is right",
        "track1": "the reads are magnetic stripes",
        "track2": "the reads are magnetic stripes",
    }
    found = list(dict.fromkeys(checks[step.name] for step in pipeline.steps if step.name in checks))
    count = len(pairs)
    fits = "fits the one pair there is" if count == 1 else f"fits all {count} pairs" if count > 2 else "fits both pairs"
    size = len(pipeline.steps)
    return "; ".join([fits, *found, f"{size} step{'s' if size > 1 else ''}"])


def _warnings(pipeline: Pipeline, gives: tuple[str, ...]) -> tuple[str, ...]:
    """What somebody should know before using it."""
    names = [step.name for step in pipeline.steps]
    found = []
    if "last" in names or "drop" in names or "first" in names or "bits" in names:
        found.append("a part of the read is dropped: two cards may get one number")
    if "re" in names and pipeline.steps[-1].text == r"re:-([0-9]+)$":
        found.append("the facility code is dropped: cards of two sites may get one number")
    if len({len(one) for one in gives}) > 1 and names[-1] == "hex2dec":
        found.append("the numbers differ in length: a printed list may have leading zeros")
    if any(one.isdigit() and len(one) > 15 for one in gives):
        found.append("longer than a spreadsheet keeps exactly: import such numbers as text")
    return tuple(found)


def _probes(raws: tuple[str, ...]) -> list[str]:
    """Reads like those given: other cards of the layout, other digits here and there, a character less or more."""
    probes: dict[str, None] = dict.fromkeys(raws)
    for raw in raws:
        probes.update(dict.fromkeys(_other_cards(raw)))
        places = {at for at in (0, 1, len(raw) // 3, len(raw) // 2, len(raw) - 2, len(raw) - 1) if 0 <= at < len(raw)}
        for at in sorted(places):
            for other in "05" if raw[at].isdigit() else "AE" if raw[at].upper() in "ABCDEF" else "":
                probes[raw[:at] + other + raw[at + 1 :]] = None
        for other in (f"0{raw}", f"00{raw}", raw[1:], raw[2:], f"1{raw}", f"{raw}0", raw.lower(), raw.upper()):
            if other:
                probes[other] = None
    return list(probes)[:PROBES_MAX]


def _other_cards(raw: str) -> Iterator[str]:
    """Where a read is a card of a layout, parity and all: cards with other numbers, written as this one is."""
    digits = clean(raw)
    if not digits or not HEX.issuperset(digits):
        return
    for layout in (*wiegand.LAYOUTS.values(), wiegand.H10302):
        if not (layout.fits(int(digits, 16)) and layout.is_parity_good(int(digits, 16))):
            continue
        facility, number = layout.decode(int(digits, 16))
        for change in (1, 2, 0x8000, 0xFFFF):
            other = None if facility is None or layout.facility is None else (facility ^ change) & layout.facility.top
            text = f"{layout.encode((number ^ change) & layout.number.top, other):X}".zfill(len(digits))
            if raw == digits:
                yield text
            elif len(text) == len(digits):
                rest = iter(text)
                yield "".join(next(rest) if one in HEX else one for one in raw)


def _conflict(first: Outcomes, second: Outcomes) -> int | None:
    """The place of a probe of which two ways make different numbers."""
    for place, (one, other) in enumerate(zip(first, second, strict=True)):
        if one is not None and other is not None and one != other:
            return place
    return None


def _differences(probes: list[str], made: list[Outcomes]) -> Iterator[Difference]:
    """For each proposal after the first, a read of which it and the first make different numbers."""
    for place in range(1, len(made)):
        at = _conflict(made[0], made[place])
        assert at is not None  # that is why it is a proposal of its own
        yield Difference(0, place, probes[at], made[0][at], made[place][at])
