"""Card format files: TOML text to a `CardFormat`, with every mistake reported at once by file, line and key. Pure.

The format is in `docs/cards.md`. Reading the file from disk is the caller's.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daemon.auth.card_formats.card_format import DEFAULT_NAME, NUMBER_CHARS_MAX, CardFormat, Example
from daemon.auth.card_formats.pattern import Pattern
from daemon.auth.card_formats.pattern_syntax import PatternWrong
from daemon.auth.card_formats.pipeline import Pipeline, PipelineWrong
from daemon.auth.card_formats.steps import GIVES_FACILITY, TEXT_CHARS_MAX
from daemon.kernel.errors import BadInput
from daemon.settings.source import KeyPath, key_lines

FILE_CHARACTERS_MAX = 100_000
EXAMPLES_MAX = 100
FACILITIES_MAX = 1000
FACILITY_MAX = (1 << 22) - 1
WIDTHS_MAX = 10
DESCRIPTION_CHARS_MAX = 200

_TOP = ("description", "pipeline", "width", "pattern", "hint", "facilities", "namespace", "examples")
_EXAMPLE = ("raw", "normalised", "refused")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_AT_LINE = re.compile(r"\(at line (\d+)")


def parse_format(text: str, file: str) -> CardFormat:
    """The format in `text`; its name is the file's name without the ending.

    A format whose own examples do not come out as they say is refused.

    Raises:
        BadInput: `data["details"]` lists every problem as {"file","line","key","message"[,"suggestion"]}.
    """
    reader = _Reader(file, {}, [])
    made: CardFormat | None = None
    if len(text) > FILE_CHARACTERS_MAX:
        reader.refuse((), f"is longer than {FILE_CHARACTERS_MAX} characters")
    else:
        try:
            raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            found = _AT_LINE.search(str(error))
            line = int(found.group(1)) if found else len(text.splitlines())
            reader.refuse((), f"not valid TOML: {error}", line=line)
        except RecursionError:
            reader.refuse((), "is nested too deeply")
        except ValueError:  # Python's own limit on the digits of a number
            reader.refuse((), "has a number with thousands of digits")
        else:
            for path, line in key_lines(text):
                reader.lines.setdefault(path, line)
            made = reader.format(raw, text)
    if reader.problems or made is None:
        raise BadInput(_summary(reader.problems), details=reader.problems)
    return made


def _summary(problems: list[dict[str, object]]) -> str:
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{first['file']}:{first['line']}: {first['key']}: {first['message']}{more}"


def is_name(name: str) -> bool:
    """Whether a format may be called so: what is also a safe name of a file, and not the built-in one's."""
    return bool(_NAME.fullmatch(name)) and name != DEFAULT_NAME


def name_of(file: str) -> str:
    """The name a file gives its format."""
    return file.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".toml")


@dataclass(slots=True)
class _Reader:
    """Walks the raw table, keeps every problem, and never stops at the first."""

    file: str
    lines: dict[KeyPath, int]
    problems: list[dict[str, object]]

    def refuse(self, path: KeyPath, message: str, *, suggestion: str = "", line: int = 0) -> None:
        """Note a problem at `path`, or at the nearest table that stands in the file."""
        for size in range(len(path), 0, -1):
            line = line or self.lines.get(path[:size], 0)
        found: dict[str, object] = {"file": self.file, "line": line or 1, "key": ".".join(path), "message": message}
        if suggestion:
            found["suggestion"] = suggestion
        self.problems.append(found)

    def format(self, raw: Mapping[str, Any], text: str) -> CardFormat | None:
        """The whole file; None where examples cannot be tried because something else is wrong."""
        self.known(raw, (), _TOP)
        name = name_of(self.file)
        if not is_name(name):
            why = "is built in: choose another" if name == DEFAULT_NAME else "must be a-z, 0-9, - and _"
            self.refuse((), f"the file's name {name[:70]!r} is the format's, and {why}")
        pipeline = self.pipeline(raw)
        widths, pattern = self.widths(raw), self.pattern(raw)
        facilities, examples = self.facilities(raw, pipeline), self.examples(raw)
        description, hint, namespace = self.line(raw, "description"), self.line(raw, "hint"), self.namespace(raw)
        if hint and "pattern" not in raw:
            self.refuse(("hint",), "says what it means when the pattern does not match, and there is no pattern")
        if self.problems or pipeline is None:
            return None
        made = CardFormat(
            name=name,
            pipeline=pipeline,
            description=description,
            namespace=namespace,
            widths=widths,
            pattern=pattern,
            hint=hint,
            facilities=facilities,
            examples=tuple(examples.values()),
            source=text,
        )
        for index, example in examples.items():
            self.try_example(made, index, example)
        return made

    def try_example(self, made: CardFormat, index: int, example: Example) -> None:
        trace = made.trace(example.raw)
        if trace.normalised == example.normalised:
            return
        if trace.normalised is None:
            self.refuse(("examples", str(index)), f"its own pipeline refuses this example: {trace.error}")
        elif example.normalised is None:
            self.refuse(("examples", str(index)), "should be refused, but the format takes it")
        else:
            self.refuse(
                ("examples", str(index), "normalised"),
                "the format gives another number; `holdfast card try` shows which",
            )

    def known(self, table: Mapping[str, Any], path: KeyPath, names: tuple[str, ...]) -> None:
        """Refuse every key that is not one of `names`, with the likeliest that was meant."""
        for key in table:
            if key in names:
                continue
            close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
            tail = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(names)}"
            self.refuse((*path, key), f"unknown key {key!r}; {tail}", suggestion=close[0] if close else "")

    def line(self, raw: Mapping[str, Any], key: str) -> str:
        value = raw.get(key, "")
        if isinstance(value, str) and len(value) <= DESCRIPTION_CHARS_MAX and value.isprintable():
            return value
        self.refuse((key,), f"must be one line of text, at most {DESCRIPTION_CHARS_MAX} characters")
        return ""

    def namespace(self, raw: Mapping[str, Any]) -> str:
        value = raw.get("namespace", "")
        if isinstance(value, str) and (not value or _NAMESPACE.fullmatch(value)):
            return value
        self.refuse(("namespace",), "must be a short name of a-z, 0-9, - and _, or left out")
        return ""

    def pipeline(self, raw: Mapping[str, Any]) -> Pipeline | None:
        value = raw.get("pipeline")
        if not isinstance(value, str):
            self.refuse(("pipeline",), "is required: steps in quotes, such as 'hex | rev'")
            return None
        try:
            return Pipeline.parse(value)
        except PipelineWrong as wrong:
            for found in wrong.data["details"]:
                self.refuse(("pipeline",), found["message"], suggestion=found.get("suggestion", ""))
            return None

    def widths(self, raw: Mapping[str, Any]) -> tuple[int, ...]:
        value = raw.get("width", [])
        found = value if isinstance(value, list) else [value]
        if len(found) <= WIDTHS_MAX and all(_is_whole(one, 1, NUMBER_CHARS_MAX) for one in found):
            return tuple(sorted(set(found)))
        self.refuse(("width",), f"must be a whole number from 1 to {NUMBER_CHARS_MAX}, or a list of up to {WIDTHS_MAX}")
        return ()

    def pattern(self, raw: Mapping[str, Any]) -> Pattern | None:
        value = raw.get("pattern")
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            self.refuse(("pattern",), "must be a regular expression in quotes")
            return None
        try:
            return Pattern.compile(value)
        except PatternWrong as wrong:
            self.refuse(("pattern",), str(wrong))
            return None

    def facilities(self, raw: Mapping[str, Any], pipeline: Pipeline | None) -> frozenset[int]:
        value = raw.get("facilities", [])
        if (
            not isinstance(value, list)
            or len(value) > FACILITIES_MAX
            or not all(_is_whole(one, 0, FACILITY_MAX) for one in value)
        ):
            self.refuse(("facilities",), f"must be a list of facility codes, whole numbers from 0 to {FACILITY_MAX}")
            return frozenset()
        if value and pipeline is not None and pipeline.steps[-1].name not in GIVES_FACILITY:
            names = " or ".join(sorted(GIVES_FACILITY))
            self.refuse(("facilities",), f"needs a pipeline that ends in {names}: only they tell the facility code")
        return frozenset(value)

    def examples(self, raw: Mapping[str, Any]) -> dict[int, Example]:
        items = raw.get("examples", [])
        if not isinstance(items, list) or len(items) > EXAMPLES_MAX:
            self.refuse(("examples",), f"must be at most {EXAMPLES_MAX} tables [[examples]]")
            return {}
        made = {}
        for index, item in enumerate(items):
            path = ("examples", str(index))
            if not isinstance(item, Mapping):
                self.refuse(path, "must be a table")
                continue
            self.known(item, path, _EXAMPLE)
            example = self.example(item, path)
            if example is not None:
                made[index] = example
        return made

    def example(self, item: Mapping[str, Any], path: KeyPath) -> Example | None:
        raw, normalised, refused = item.get("raw"), item.get("normalised"), item.get("refused", False)
        if not isinstance(raw, str) or len(raw) > TEXT_CHARS_MAX * 2:
            self.refuse((*path, "raw"), "is required: what the reader sends, in quotes")
            return None
        if refused is True and normalised is None:
            return Example(raw, None)
        if not isinstance(normalised, str) or refused is not False:
            self.refuse((*path, "normalised"), "is required: the number in quotes, or refused = true instead of it")
            return None
        return Example(raw, normalised)


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
