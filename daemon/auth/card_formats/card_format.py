"""A card format: the pipeline of a reader and what its result must look like to be a card of this house. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from daemon.auth import cards
from daemon.auth.card_formats.pattern import Pattern
from daemon.auth.card_formats.pipeline import Pipeline, Trace
from daemon.auth.cards import CardUnreadable
from daemon.kernel.errors import NotFound

DEFAULT_NAME = "default"
NUMBER_CHARS_MAX = 128


@dataclass(frozen=True, slots=True)
class Example:
    """A raw read and what it must become; None: it must be refused."""

    raw: str = field(repr=False)
    normalised: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class CardFormat:
    """How raw reads become numbers, and the bytes that are hashed.

    Two formats with one `namespace` give one person's card the same bytes when they give it the same number: that is
    how a reader that sends hexadecimal and one that sends decimal know the same card. Another namespace keeps the
    same number of another site apart.
    """

    name: str
    pipeline: Pipeline
    description: str = ""
    namespace: str = ""
    widths: tuple[int, ...] = ()
    pattern: Pattern | None = None
    hint: str = ""
    """What it mostly means when the pattern does not match, in the words of whoever wrote the format."""
    facilities: frozenset[int] = frozenset()
    examples: tuple[Example, ...] = ()
    source: str = field(default="", repr=False, compare=False)
    """The text it was read from; empty for the built-in one."""

    def normalise(self, raw: str) -> str:
        """The number of a raw read.

        Raises:
            CardUnreadable: it is none of this format; the message says why, without the read.
        """
        trace = self.trace(raw)
        if trace.normalised is None:
            raise CardUnreadable(trace.error)
        return trace.normalised

    def trace(self, raw: str) -> Trace:
        """`normalise` with every step; never raises."""
        trace = self.pipeline.trace(raw)
        problem = self._problem(trace.normalised) if trace.normalised is not None else ""
        return Trace(trace.steps, None, problem) if problem else trace

    def canonical(self, raw: str) -> bytes:
        """The bytes a card's keyed hash is made of; raises as `normalise`. Built from text, never from integers."""
        return self.canonical_of(self.normalise(raw))

    def canonical_of(self, number: str) -> bytes:
        """The same of a number that `normalise` gave."""
        if self.name == DEFAULT_NAME:
            return cards.hashed_form(number)  # as every card was stored before formats were data
        return f"card-2:{self.namespace}:{number}".encode("ascii")

    def _problem(self, number: str) -> str:
        """Why this is no number of this format; empty when it is one."""
        if " " in number:
            return "the number has white space in it"
        if len(number) > NUMBER_CHARS_MAX:
            return f"the number has more than {NUMBER_CHARS_MAX} characters"
        if not number.strip("0-"):
            return "a card number of zeros is no number"
        if self.widths and len(number) not in self.widths:
            wanted = " or ".join(str(width) for width in self.widths)
            return f"the number has {len(number)} characters, and cards of this format have {wanted}"
        if self.pattern is not None and not _matches(self.pattern, number):
            return "the number does not match the pattern of this format" + (f": {self.hint}" if self.hint else "")
        if self.facilities:
            facility = number.partition("-")[0]
            if not facility.isdigit() or int(facility) not in self.facilities:
                return "the facility code is not one of this format's: a card of another site"
        return ""


def _matches(pattern: Pattern, number: str) -> bool:
    try:
        return pattern.fullmatch(number) is not None
    except CardUnreadable:
        return False


DEFAULT = CardFormat(
    DEFAULT_NAME,
    Pipeline.parse("default"),
    "Built in: 4 to 64 decimal or hexadecimal digits as the reader sends them, frames and separators dropped.",
)


class Formats(Mapping[str, CardFormat]):
    """The formats of an installation by name; the built-in `default` is always one of them."""

    def __init__(self, formats: Iterable[CardFormat] = ()) -> None:
        self._by_name = {one.name: one for one in (DEFAULT, *formats)}

    def __getitem__(self, name: str) -> CardFormat:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def named(self, name: str) -> CardFormat:
        """The format of this name; an empty name is the default.

        Raises:
            NotFound: there is none; the message lists those there are.
        """
        found = self._by_name.get(name or DEFAULT_NAME)
        if found is None:
            raise NotFound(f"no card format {name[:40]!r}; there are: {', '.join(sorted(self._by_name))}")
        return found
