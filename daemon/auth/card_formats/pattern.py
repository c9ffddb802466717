"""Regular expressions whose work is bounded by the length of pattern and text. Pure.

People write the patterns and anybody can hold a barcode before a reader, so a pattern that backtracks for minutes
would stop the daemon. Here a place in the pattern is tried at a place in the text once (Russ Cox, "Regular Expression
Matching: the Virtual Machine Approach", with memory instead of threads): work is at most the product of the two, and
a named limit below even that. Which match is found is the usual choice: leftmost, then the first alternative.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from daemon.auth.card_formats import pattern_syntax as syntax
from daemon.auth.card_formats.pattern_syntax import Node, PatternWrong
from daemon.auth.cards import CardUnreadable

INSTRUCTIONS_MAX = 1500
WORK_MAX = 100_000
"""Places tried in one read; a pattern that needs more refuses the read. About 0.1 s."""


class _Op(IntEnum):
    CHAR, SPLIT, JUMP, SAVE, ANCHOR, LOOK, MATCH = range(7)


@dataclass(slots=True)
class _Instruction:
    """`x` and `y` are where to go on (SPLIT: first x, then y) or what to save."""

    op: _Op
    x: int = 0
    y: int = 0
    ranges: syntax.Ranges = ()
    kind: str = ""
    below: tuple[_Instruction, ...] = ()
    is_wanted: bool = True


_Captures = tuple[int, int]
_NONE: _Captures = (-1, -1)


@dataclass(frozen=True, slots=True)
class Found:
    """A match: the whole of it, and the first group (None: there is none, or it took no part)."""

    whole: str
    first: str | None


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern ready to be tried."""

    text: str
    has_group: bool
    _program: tuple[_Instruction, ...] = field(repr=False, compare=False)

    @classmethod
    def compile(cls, text: str) -> Pattern:
        """Read a pattern.

        Raises:
            PatternWrong: it is malformed, too large, or asks for something that is not offered.
        """
        tree = syntax.parse(text)
        writer = _Writer()
        writer.write(tree)
        writer.add(_Op.MATCH)
        return cls(text, writer.has_group, tuple(writer.program))

    def search(self, text: str) -> Found | None:
        """The first match anywhere in `text`.

        Raises:
            CardUnreadable: the pattern needs more work on this text than is allowed.
        """
        run = _Run(text)
        tried: set[int] = set()
        for start in range(len(text) + 1):
            ended = run.match(self._program, start, tried)
            if ended is not None:
                return _found(text, start, *ended)
        return None

    def fullmatch(self, text: str) -> Found | None:
        """The match that takes all of `text`; raises as `search`."""
        ended = _Run(text).match(self._program, 0, set(), must_end=len(text))
        return _found(text, 0, *ended) if ended is not None else None


def _found(text: str, start: int, end: int, captures: _Captures) -> Found:
    return Found(text[start:end], text[captures[0] : captures[1]] if min(captures) >= 0 else None)


@dataclass(slots=True)
class _Writer:
    """A tree to instructions."""

    program: list[_Instruction] = field(default_factory=list)
    has_group: bool = False
    size: int = 0

    def add(self, op: _Op) -> _Instruction:
        """One more instruction.

        Raises:
            PatternWrong: the pattern has grown too large.
        """
        self.grow()
        made = _Instruction(op)
        self.program.append(made)
        return made

    def grow(self) -> None:
        """Count one instruction, or one copy of nothing; raises as `add`."""
        self.size += 1
        if self.size > INSTRUCTIONS_MAX:
            raise PatternWrong("is too large: its repeats multiply")

    def write(self, node: Node) -> None:
        """Append what matches `node`."""
        if isinstance(node, syntax.Chars):
            self.add(_Op.CHAR).ranges = node.ranges
        elif isinstance(node, syntax.Anchor):
            self.add(_Op.ANCHOR).kind = node.kind
        elif isinstance(node, syntax.Sequence):
            for item in node.items:
                self.write(item)
        elif isinstance(node, syntax.Either):
            self.either(node.options)
        elif isinstance(node, syntax.Group):
            self.group(node)
        elif isinstance(node, syntax.Repeat):
            self.repeat(node)
        else:
            self.look(node)

    def either(self, options: tuple[Node, ...]) -> None:
        jumps = []
        for option in options[:-1]:
            split = self.add(_Op.SPLIT)
            split.x = len(self.program)
            self.write(option)
            jumps.append(self.add(_Op.JUMP))
            split.y = len(self.program)
        self.write(options[-1])
        for jump in jumps:
            jump.x = len(self.program)

    def group(self, node: syntax.Group) -> None:
        if node.number > 1:
            self.write(node.item)
            return
        self.has_group = True
        self.add(_Op.SAVE).x = 0
        self.write(node.item)
        self.add(_Op.SAVE).x = 1

    def repeat(self, node: syntax.Repeat) -> None:
        for _ in range(node.least):
            self.grow()
            self.write(node.item)
        if node.most is None:
            back = len(self.program)
            split = self.add(_Op.SPLIT)
            self.write(node.item)
            self.add(_Op.JUMP).x = back
            self.aim([split], back + 1, is_greedy=node.is_greedy)
            return
        splits = []
        for _ in range(node.most - node.least):
            split = self.add(_Op.SPLIT)
            split.x = len(self.program)
            splits.append(split)
            self.write(node.item)
        for split in splits:
            self.aim([split], split.x, is_greedy=node.is_greedy)

    def aim(self, splits: list[_Instruction], inside: int, *, is_greedy: bool) -> None:
        """Greedy tries inside first, lazy goes on first."""
        after = len(self.program)
        for split in splits:
            split.x, split.y = (inside, after) if is_greedy else (after, inside)

    def look(self, node: syntax.Look) -> None:
        inner = _Writer(size=self.size)
        inner.write(node.item)
        inner.add(_Op.MATCH)
        self.size = inner.size
        self.has_group = self.has_group or inner.has_group
        made = self.add(_Op.LOOK)
        made.below, made.is_wanted, made.kind = tuple(inner.program), node.is_wanted, "ahead" if node.is_ahead else ""


def _is_word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and any(low <= ord(text[at]) <= high for low, high in syntax.WORD)


def _stands(kind: str, text: str, at: int) -> bool:
    """Whether an anchor holds at a place."""
    if kind == "start":
        return at == 0
    if kind == "end":
        return at == len(text)
    if kind == "last-end":
        return at == len(text) or (at == len(text) - 1 and text[at] == "\n")
    return (_is_word(text, at - 1) != _is_word(text, at)) == (kind == "word")


@dataclass(slots=True)
class _Run:
    """One text being read; counts the work of everything tried on it."""

    text: str
    work: int = 0

    def match(
        self, program: tuple[_Instruction, ...], start: int, tried: set[int], *, must_end: int = -1
    ) -> tuple[int, _Captures] | None:
        """(end, captures) of the preferred match at `start`. A place in `tried` has failed before and fails again."""
        text, size = self.text, len(self.text) + 1
        waiting: list[tuple[int, int, _Captures]] = [(0, start, _NONE)]
        while waiting:
            pc, at, captures = waiting.pop()
            key = pc * size + at
            if key in tried:
                continue
            tried.add(key)
            self.work += 1
            if self.work > WORK_MAX:
                raise CardUnreadable("the pattern needs too much work on this read")
            one = program[pc]
            if one.op is _Op.CHAR:
                if at < len(text) and any(low <= ord(text[at]) <= high for low, high in one.ranges):
                    waiting.append((pc + 1, at + 1, captures))
            elif one.op is _Op.SPLIT:
                waiting += ((one.y, at, captures), (one.x, at, captures))
            elif one.op is _Op.JUMP:
                waiting.append((one.x, at, captures))
            elif one.op is _Op.SAVE:
                waiting.append((pc + 1, at, (at, -1) if one.x == 0 else (captures[0], at)))
            elif one.op is _Op.ANCHOR:
                if _stands(one.kind, text, at):
                    waiting.append((pc + 1, at, captures))
            elif one.op is _Op.LOOK:
                seen = self.look(one, at)
                if (seen is not None) == one.is_wanted:
                    inner = seen if seen is not None and seen != _NONE else captures
                    waiting.append((pc + 1, at, inner))
            elif must_end < 0 or at == must_end:
                return at, captures
        return None

    def look(self, one: _Instruction, at: int) -> _Captures | None:
        """The captures of what stands ahead of or behind `at`; None when it does not stand there."""
        if one.kind == "ahead":
            ended = self.match(one.below, at, set())
            return ended[1] if ended is not None else None
        for start in range(at, -1, -1):
            ended = self.match(one.below, start, set(), must_end=at)
            if ended is not None:
                return ended[1]
        return None
