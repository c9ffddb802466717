"""Where values come from: TOML files with line numbers, the environment and flags, merged in that order.

`tomllib` tells a value but not its line, so a small scanner remembers where every key stands.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

FILE_BYTES_MAX = 1_000_000
ENVIRONMENT_PREFIX = "HOLDFAST__"
_KEY = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*(\.?)""")
_AT_LINE = re.compile(r"\(at line (\d+)")

KeyPath = tuple[str, ...]


class Text(str):
    """A value from the environment or a flag: text, whatever the option's type is."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """Who set a value: `kind` is default, file, environment or flag."""

    kind: str = "default"
    file: str = ""
    line: int = 0
    name: str = ""

    def text(self) -> str:
        """`holdfast.toml:12`, `environment HOLDFAST__...`, `flag ...` or `default`."""
        if self.kind == "file":
            return f"{self.file}:{self.line}"
        return f"{self.kind} {self.name}".strip()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong; `file` may be empty (environment), `line` 0 (no line)."""

    file: str
    line: int
    key: str
    message: str
    suggestion: str = ""

    def to_json(self) -> dict[str, object]:
        """The shape of an entry in `details`."""
        found: dict[str, object] = {"file": self.file, "line": self.line, "key": self.key, "message": self.message}
        if self.suggestion:
            found["suggestion"] = self.suggestion
        return found


@dataclass(slots=True)
class Tree:
    """Merged values with the origin of each key."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, Origin] = field(default_factory=dict)

    def origin(self, path: KeyPath) -> Origin:
        """Where `path`, or the nearest table around it, was set."""
        for size in range(len(path), 0, -1):
            found = self.origins.get(path[:size])
            if found is not None:
                return found
        return Origin()


def _split_key(text: str) -> tuple[KeyPath, str] | None:
    """The dotted key at the start of `text` and what follows it."""
    parts: list[str] = []
    at = 0
    while match := _KEY.match(text, at):
        parts.append(next(g for g in match.groups()[:3] if g is not None))
        at = match.end()
        if not match.group(4):
            return tuple(parts), text[at:]
    return None


class _Value:
    """Follows one value over lines: open brackets and multi-line strings."""

    _TOKEN = re.compile(r"'''|\"\"\"|\"(?:[^\"\\]|\\.)*\"|'[^']*'|[\[\]{}]|#.*$")

    def __init__(self) -> None:
        self.depth = 0
        self.quote = ""

    @property
    def is_open(self) -> bool:
        return bool(self.depth > 0 or self.quote)

    def feed(self, line: str) -> None:
        at = 0
        while at < len(line):
            if self.quote:
                end = line.find(self.quote, at)
                if end < 0:
                    return
                at, self.quote = end + 3, ""
                continue
            match = self._TOKEN.search(line, at)
            if match is None or match.group().startswith("#"):
                return
            piece, at = match.group(), match.end()
            if piece in ("'''", '"""'):
                self.quote = piece
            elif piece in "[{":
                self.depth += 1
            elif piece in "]}":
                self.depth -= 1


def key_lines(text: str) -> Iterator[tuple[KeyPath, int]]:
    """Every table header and key with its line number; entries of `[[name]]` carry their index in the path."""
    prefix: KeyPath = ()
    counts: dict[KeyPath, int] = {}
    value = _Value()
    for number, line in enumerate(text.splitlines(), start=1):
        if value.is_open:
            value.feed(line)
            continue
        stripped = line.strip()
        header = re.match(r"(\[\[?)(.*?)\]\]?\s*(?:#.*)?$", stripped)
        if header and (split := _split_key(header.group(2))):
            path: KeyPath = ()
            for index, part in enumerate(split[0]):
                path = (*path, part)
                is_last = index == len(split[0]) - 1
                if is_last and header.group(1) == "[[":
                    counts[path] = counts.get(path, -1) + 1
                if path in counts:
                    path = (*path, str(counts[path]))
            prefix = path
            yield prefix, number
        elif stripped and not stripped.startswith("#") and (split := _split_key(stripped)):
            yield prefix + split[0], number
            value = _Value()
            value.feed(split[1].lstrip()[1:])


def read_toml(path: Path, problems: list[Problem]) -> Tree:
    """One file; what cannot be read or parsed becomes a problem and an empty tree."""
    tree = Tree()
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            problems.append(Problem(str(path), 0, "", f"larger than {FILE_BYTES_MAX} bytes"))
            return tree
        text = path.read_text("utf-8")
        tree.values = tomllib.loads(text, parse_float=Decimal)
    except OSError as error:
        problems.append(Problem(str(path), 0, "", f"cannot be read: {error.strerror}"))
        return tree
    except UnicodeDecodeError:
        problems.append(Problem(str(path), 0, "", "is not UTF-8"))
        return tree
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.search(str(error))
        line = int(found.group(1)) if found else len(text.splitlines())
        problems.append(Problem(str(path), line, "", f"not valid TOML: {error}"))
        return tree
    tree.origins = {key: Origin("file", str(path), line) for key, line in key_lines(text)}
    return tree


def _overlay(base: dict[str, Any], above: Mapping[str, Any]) -> None:
    """Tables merge, everything else replaces."""
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            _overlay(base[key], value)
        else:
            base[key] = value


def merge(base: Tree, above: Tree) -> None:
    """`above` wins; lists are replaced whole, with the origins of their entries."""
    _overlay(base.values, above.values)
    base.origins.update(above.origins)


def put(tree: Tree, path: KeyPath, text: str, origin: Origin) -> None:
    """Set one value from outside the files. Names match with `_` for `-`, since the environment has no dash."""
    here = tree.values
    real: list[str] = []
    for part in path:
        real.append(next((k for k in here if k == part or k.replace("-", "_") == part), part))
        if len(real) == len(path):
            break
        below = here.get(real[-1])
        if not isinstance(below, dict):
            below = {}
            here[real[-1]] = below
        here = below
    here[real[-1]] = Text(text)
    tree.origins[tuple(real)] = origin


def put_environment(tree: Tree, environment: Mapping[str, str]) -> None:
    """Apply every `HOLDFAST__SECTION__KEY`."""
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT_PREFIX):
            path = tuple(part.lower() for part in name[len(ENVIRONMENT_PREFIX) :].split("__"))
            put(tree, path, environment[name], Origin("environment", name=name))


def put_flags(tree: Tree, flags: Mapping[str, str]) -> None:
    """Apply `section.key` -> text given on the command line."""
    for name in sorted(flags):
        put(tree, tuple(name.split(".")), flags[name], Origin("flag", name=name))
