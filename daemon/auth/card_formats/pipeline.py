"""A pipeline: the chain of steps that makes a card number of a raw read. Pure.

Steps are separated by a bar with a space on each side, so that a bar inside a regular expression is part of it:
`re:^(?:A|B)(.+)$ | upper`. A chain without a regular expression may leave the spaces out, as PaperCut writes it:
`ascii-enc|hex2dec`.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from daemon.auth.card_formats.steps import ALIASES, ELSEWHERE, KINDS, TEXT_CHARS_MAX, Step, StepWrong
from daemon.auth.cards import CardUnreadable
from daemon.kernel.errors import BadInput

SEPARATOR = " | "
STEPS_MAX = 20
PIPELINE_CHARS_MAX = 2000
_PATTERN_STEPS = ("re:", "fullre:")


class PipelineWrong(BadInput):
    """A pipeline that is none; `details` has a line per problem, with the likeliest that was meant."""


@dataclass(frozen=True, slots=True)
class Done:
    """One step of a run: what it gave, None where it refused."""

    step: Step
    out: str | None


@dataclass(frozen=True, slots=True)
class Trace:
    """A run with every step: `normalised` or `error`, a sentence that does not contain the read."""

    steps: tuple[Done, ...]
    normalised: str | None
    error: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps in order."""

    steps: tuple[Step, ...]

    @property
    def text(self) -> str:
        """As it is best written."""
        return SEPARATOR.join(step.text for step in self.steps)

    @classmethod
    def parse(cls, text: str) -> Pipeline:
        """Read a pipeline.

        Raises:
            PipelineWrong: `data["details"]` lists every problem as {"key","message"[,"suggestion"]}.
        """
        problems: list[dict[str, object]] = []
        steps: list[Step] = []
        pieces = split(text) if len(text) <= PIPELINE_CHARS_MAX else []
        if not pieces or len(pieces) > STEPS_MAX:
            message = f"has no step; to take a read as it is, write {_PATTERN_STEPS[1]}.+"
            if len(text) > PIPELINE_CHARS_MAX or pieces:
                message = f"has more than {STEPS_MAX} steps or {PIPELINE_CHARS_MAX} characters"
            problems.append({"key": "pipeline", "message": message})
        for place, piece in enumerate(pieces[:STEPS_MAX], start=1):
            try:
                steps.append(parse_step(piece))
            except StepWrong as wrong:
                found: dict[str, object] = {"key": "pipeline", "message": f"step {place}: {wrong}"}
                if wrong.suggestion:
                    found["suggestion"] = wrong.suggestion
                problems.append(found)
        if problems:
            raise PipelineWrong(f"the pipeline cannot be read: {problems[0]['message']}", details=problems)
        return cls(tuple(steps))

    def trace(self, raw: str) -> Trace:
        """Run it and tell every step. Never raises, whatever `raw` is."""
        done: list[Done] = []
        try:
            text = _admitted(raw)
            for place, step in enumerate(self.steps, start=1):
                done.append(Done(step, None))
                text = _step(step, place, text)
                done[-1] = Done(step, text)
            return Trace(tuple(done), _finished(text), "")
        except CardUnreadable as refused:
            return Trace(tuple(done), None, refused.message)

    def run(self, raw: str) -> str:
        """The number of a raw read: printable ASCII, not empty.

        Raises:
            CardUnreadable: a step refused it; the message names the step and never contains the read.
        """
        trace = self.trace(raw)
        if trace.normalised is None:
            raise CardUnreadable(trace.error)
        return trace.normalised


def split(text: str) -> list[str]:
    """The texts of the steps; see the module."""
    pieces: list[str] = []
    for part in re.split(r"[ \t]\|(?=[ \t])", f" {text.strip()} "):
        piece = part.strip()
        has_pattern = any(one.strip().startswith(_PATTERN_STEPS) for one in piece.split("|"))
        pieces += [piece] if has_pattern else [one.strip() for one in piece.split("|")]
    return [] if pieces == [""] else pieces


def parse_step(text: str) -> Step:
    """One step.

    Raises:
        StepWrong: no such step, or what stands after its colon is wrong.
    """
    name, colon, rest = text.partition(":")
    if not text:
        raise StepWrong("is empty: two bars without a step between them")
    if name in ELSEWHERE:
        raise StepWrong(f"{name!r} {ELSEWHERE[name]}")
    known = ALIASES.get(name, name)
    if known not in KINDS:
        raise _unknown(name)
    if known not in ("re", "fullre") and "|" in rest:
        raise StepWrong(
            f"{name!r} stands beside a regular expression: separate the steps by a bar with spaces around it"
        )
    try:
        return Step(f"{name}{colon}{rest}" if rest else name, KINDS[known].build(rest))
    except StepWrong as wrong:
        raise StepWrong(f"{name!r} {wrong}", wrong.suggestion) from None


def _unknown(name: str) -> StepWrong:
    shown = name if name.isprintable() and len(name) <= 40 else "this"
    names = (*KINDS, *ALIASES)
    close = difflib.get_close_matches(name[:40].lower(), names, n=1, cutoff=0.5)
    if any(sign + ":" in name for sign in ("|re", "|fullre")) or "|" in name:
        return StepWrong(f"{shown!r} stands beside a regular expression: separate steps by a bar with spaces around it")
    tail = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(KINDS)}"
    return StepWrong(f"unknown step {shown!r}; {tail}", close[0] if close else "")


def _admitted(raw: str) -> str:
    if not raw:
        raise CardUnreadable("the read is empty")
    if len(raw) > TEXT_CHARS_MAX:
        raise CardUnreadable(f"the read is longer than {TEXT_CHARS_MAX} characters: too long for a card")
    if any("\ud800" <= one <= "\udfff" for one in raw):
        raise CardUnreadable("the read is not text")
    return raw


def _step(step: Step, place: int, text: str) -> str:
    try:
        out = step.run(text)
    except CardUnreadable as refused:
        raise CardUnreadable(f"step {place}, {step.name}: {refused.message}") from None
    if not out or len(out) > TEXT_CHARS_MAX:
        why = "leaves nothing" if not out else f"gives more than {TEXT_CHARS_MAX} characters"
        raise CardUnreadable(f"step {place}, {step.name}: {why}")
    return out


def _finished(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise CardUnreadable("what is left has characters that no card number has: only printable ASCII is taken")
    if not text.strip():
        raise CardUnreadable("only white space is left")
    return text
