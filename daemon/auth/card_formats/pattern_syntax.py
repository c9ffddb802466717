r"""The text of a regular expression to a small tree. Pure.

The usual notation (Perl, Java, Python): literals, classes, `\d \w \s \b`, groups, alternation, quantifiers greedy
and lazy, anchors, look-around. Everything is ASCII: `\d` is 0-9 and nothing else. Back references, atomic groups and
possessive quantifiers are refused by name: matching could then no longer be bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

PATTERN_CHARS_MAX = 500
REPEATS_MAX = 512
DEPTH_MAX = 30
_TOP = 0x10FFFF

Ranges = tuple[tuple[int, int], ...]
DIGIT: Ranges = ((48, 57),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
SPACE: Ranges = ((9, 13), (32, 32))
_CLASSES = {"d": DIGIT, "w": WORD, "s": SPACE}
_CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "a": 7, "e": 27, "0": 0}
_ANCHORS = {"A": "start", "Z": "end", "z": "end", "b": "word", "B": "no-word"}
_HEX_LENGTH = {"x": 2, "u": 4}


class PatternWrong(ValueError):
    """The text is no regular expression, or one that is not offered; the message says what and where."""


@dataclass(frozen=True, slots=True)
class Chars:
    """One character within `ranges`."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place: start, end, last-end (also before a final line feed), word, no-word."""

    kind: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """The first that leads to a match."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A group that captures; `number` counts from 1."""

    number: int
    item: Node


@dataclass(frozen=True, slots=True)
class Repeat:
    """`least` to `most` times; `most` None is without end."""

    item: Node
    least: int
    most: int | None
    is_greedy: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What must (or must not) stand ahead of or behind a place."""

    item: Node
    is_ahead: bool
    is_wanted: bool


Node = Chars | Anchor | Sequence | Either | Group | Repeat | Look


def others(ranges: Ranges) -> Ranges:
    """Every character that is not in `ranges`."""
    found, at = [], 0
    for low, high in sorted(ranges):
        if low > at:
            found.append((at, low - 1))
        at = max(at, high + 1)
    return (*found, (at, _TOP)) if at <= _TOP else tuple(found)


def both_cases(ranges: Ranges) -> Ranges:
    """`ranges` with the other case of every ASCII letter in them."""
    found = list(ranges)
    for low, high in ranges:
        for first, last, shift in ((65, 90, 32), (97, 122, -32)):
            a, b = max(low, first), min(high, last)
            if a <= b:
                found.append((a + shift, b + shift))
    return tuple(found)


def parse(text: str) -> Node:
    """The tree of a pattern.

    Raises:
        PatternWrong: too long, malformed, or something that is not offered.
    """
    if len(text) > PATTERN_CHARS_MAX:
        raise PatternWrong(f"is longer than {PATTERN_CHARS_MAX} characters")
    reader = _Reader(text)
    node = reader.either(0)
    if reader.at < len(text):
        raise PatternWrong(f"has a ) without its ( at character {reader.at + 1}")
    return node


@dataclass(slots=True)
class _Reader:
    """Reads a pattern from the left."""

    text: str
    at: int = 0
    groups: int = 0
    ignores_case: bool = False

    def take(self, wanted: str) -> bool:
        """Step over `wanted` if it stands here."""
        if self.text.startswith(wanted, self.at):
            self.at += len(wanted)
            return True
        return False

    def wrong(self, message: str) -> PatternWrong:
        """A refusal naming the place."""
        return PatternWrong(f"{message} at character {self.at + 1}")

    def chars(self, ranges: Ranges) -> Chars:
        return Chars(both_cases(ranges) if self.ignores_case else ranges)

    def either(self, depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise self.wrong(f"has more than {DEPTH_MAX} groups inside each other")
        options = [self.sequence(depth)]
        while self.take("|"):
            options.append(self.sequence(depth))
        return options[0] if len(options) == 1 else Either(tuple(options))

    def sequence(self, depth: int) -> Node:
        items: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            item = self.atom(depth)
            if item is not None:
                items.append(self.repeated(item))
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def repeated(self, item: Node) -> Node:
        bounds = self.quantifier()
        if bounds is None:
            return item
        least, most = bounds
        if most is not None and least > most:
            raise self.wrong("has a repeat whose least is more than its most")
        if max(least, most or 0) > REPEATS_MAX:
            raise self.wrong(f"repeats more than {REPEATS_MAX} times")
        is_greedy = not self.take("?")
        if self.take("+"):
            raise self.wrong("has a possessive quantifier, which is not offered,")
        if self.quantifier() is not None:
            raise self.wrong("has two quantifiers after each other")
        return Repeat(item, least, most, is_greedy)

    def quantifier(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.take(sign):
                return bounds
        end = self.text.find("}", self.at)
        if not self.text.startswith("{", self.at) or end < 0 or end - self.at > 10:
            return None
        least, comma, most = self.text[self.at + 1 : end].partition(",")
        parts = (least, most) if comma else (least, least)
        if not any(parts) or not all(part.isascii() and (part.isdigit() or not part) for part in parts):
            return None  # a brace that is no quantifier stands for itself
        self.at = end + 1
        return int(parts[0] or 0), int(parts[1]) if parts[1] else None

    def atom(self, depth: int) -> Node | None:
        character = self.text[self.at]
        if character in "*+?":
            raise self.wrong(f"has a {character} with nothing before it to repeat")
        self.at += 1
        if character == "(":
            return self.group(depth)
        if character == "[":
            return self.chars(self.character_class())
        if character == "\\":
            return self.escape()
        if character == ".":
            return Chars(others(((10, 10),)))
        if character in "^$":
            return Anchor("start" if character == "^" else "last-end")
        return self.chars(((ord(character), ord(character)),))

    def group(self, depth: int) -> Node | None:
        looks = {"?=": (True, True), "?!": (True, False), "?<=": (False, True), "?<!": (False, False)}
        if self.take("?i)"):
            if self.at != len("(?i)"):
                raise self.wrong("has (?i) elsewhere than in front")
            self.ignores_case = True
            return None
        for sign, (is_ahead, is_wanted) in looks.items():
            if self.take(sign):
                return Look(self.closed(depth), is_ahead, is_wanted)
        if self.take("?:"):
            return self.closed(depth)
        if self.take("?P<") or self.take("?<"):
            name, closing, _ = self.text[self.at :].partition(">")
            if not closing or not name.isidentifier():
                raise self.wrong("has a group name that is none")
            self.at += len(name) + 1
        elif self.text.startswith("?", self.at):
            raise self.wrong("has a kind of group that is not offered")
        self.groups += 1
        return Group(self.groups, self.closed(depth))

    def closed(self, depth: int) -> Node:
        node = self.either(depth + 1)
        if not self.take(")"):
            raise self.wrong("has a ( without its )")
        return node

    def escape(self) -> Node:
        if self.at < len(self.text):
            character = self.text[self.at]
            if character in _ANCHORS:
                self.at += 1
                return Anchor(_ANCHORS[character])
            if character in "123456789":
                raise self.wrong("has a back reference, which is not offered,")
        return self.chars(self.escaped())

    def escaped(self) -> Ranges:
        """The characters an escape stands for, the backslash already taken."""
        if self.at >= len(self.text):
            raise self.wrong("ends in a backslash")
        character = self.text[self.at]
        self.at += 1
        if character.lower() in _CLASSES:
            ranges = _CLASSES[character.lower()]
            return ranges if character.islower() else others(ranges)
        if character in _HEX_LENGTH:
            digits = self.text[self.at : self.at + _HEX_LENGTH[character]]
            if len(digits) < _HEX_LENGTH[character] or not all(d in "0123456789abcdefABCDEF" for d in digits):
                raise self.wrong(f"has a \\{character} without its {_HEX_LENGTH[character]} hexadecimal digits")
            self.at += len(digits)
            return ((int(digits, 16), int(digits, 16)),)
        if character in _CONTROLS:
            return ((_CONTROLS[character], _CONTROLS[character]),)
        if character.isascii() and character.isalnum():
            raise self.wrong(f"has \\{character}, which is not offered,")
        return ((ord(character), ord(character)),)

    def character_class(self) -> Ranges:
        is_negated = self.take("^")
        found: list[tuple[int, int]] = []
        is_first = True
        while is_first or not self.text.startswith("]", self.at):
            is_first = False
            low = self.class_item()
            if self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at):
                self.at += 1
                high = self.class_item()
                if len(low) > 1 or len(high) > 1 or low[0][0] != low[0][1] or low[0][0] > high[0][0]:
                    raise self.wrong("has a range in [] that goes nowhere")
                low = ((low[0][0], high[0][1]),)
            found += low
        self.at += 1
        ranges = both_cases(tuple(found)) if self.ignores_case else tuple(found)
        return others(ranges) if is_negated else ranges

    def class_item(self) -> Ranges:
        if self.at >= len(self.text):
            raise self.wrong("has a [ without its ]")
        if self.take("\\"):
            return ((8, 8),) if self.take("b") else self.escaped()
        self.at += 1
        return ((ord(self.text[self.at - 1]), ord(self.text[self.at - 1])),)
