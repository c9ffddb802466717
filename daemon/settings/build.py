"""From a tree of raw values to the frozen settings: every type, bound and unknown key checked, all problems kept."""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar, cast

from daemon.settings.options import META
from daemon.settings.source import KeyPath, Origin, Problem, Text, Tree

_SECRET = re.compile(r"(password|secret|token|passphrase|community)$")
_YES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
T = TypeVar("T")


class _Refused(Exception):
    """A single value's problem, caught where its key is known."""


class _Checked(Protocol):
    """A section that has rules between its options."""

    def check(self) -> Iterable[tuple[str, str]]: ...


@dataclass(slots=True)
class Builder:
    """Builds dataclasses out of `tree`; `problems` and `origins` fill on the way."""

    tree: Tree
    base_dir: Path
    problems: list[Problem]
    origins: dict[str, Origin]

    def refuse(self, path: KeyPath, message: str, suggestion: str = "") -> None:
        """Note one problem at the place where `path` was set."""
        origin = self.tree.origin(path)
        key = ".".join(path)
        if origin.kind in ("environment", "flag"):
            message = f"{message} ({origin.text()})"
        self.problems.append(Problem(origin.file, origin.line, key, message, suggestion))

    def build(self, cls: type[T], raw: Mapping[str, Any], path: KeyPath = ()) -> T:
        """An instance of `cls`; options that are missing or wrong keep their default."""
        hints = typing.get_type_hints(cls)
        fields = {f.name: f for f in dataclasses.fields(cast("Any", cls)) if META in f.metadata}
        for key in raw:
            if key not in fields:
                self._unknown((*path, key), key, fields)
        values: dict[str, Any] = {}
        for name, declared in fields.items():
            here = (*path, name)
            if name in raw:
                known = len(self.problems)
                value = self._value(hints[name], raw[name], here, declared.metadata[META])
                if len(self.problems) == known:
                    values[name] = value
            elif declared.default is dataclasses.MISSING and declared.default_factory is dataclasses.MISSING:
                self.refuse(here, "is required")
                return cast("T", None)
            elif dataclasses.is_dataclass(hints[name]):
                values[name] = self.build(cast("type[Any]", hints[name]), {}, here)
            elif isinstance(declared.default, Path) and declared.default != Path():
                values[name] = (self.base_dir / declared.default).absolute()
            self._remember(hints[name], here, is_given=name in raw)
        made = cls(**values)
        if hasattr(made, "check"):
            for key, message in cast("_Checked", made).check():
                self.refuse((*path, key) if key else path, message)
        return made

    def _remember(self, hint: Any, path: KeyPath, *, is_given: bool) -> None:
        if dataclasses.is_dataclass(hint) or typing.get_origin(hint) is Mapping:
            return
        self.origins[".".join(path)] = self.tree.origin(path) if is_given else Origin()

    def _unknown(self, path: KeyPath, key: str, known: Iterable[str]) -> None:
        names = list(known)
        close = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
        if _SECRET.search(key):
            file_key = f"{key}_file"
            hint = f"a secret is never written here: put it in a file and name the file in {file_key}"
            self.refuse(path, f"unknown key {key!r}; {hint}", file_key if file_key in names else "")
            return
        suggestion = close[0] if close else ""
        tail = f"; did you mean {suggestion!r}?" if close else f"; known here: {', '.join(sorted(names))}"
        self.refuse(path, f"unknown key {key!r}{tail}", suggestion)

    def _value(self, hint: Any, raw: Any, path: KeyPath, meta: Mapping[str, Any]) -> Any:
        """One option of whatever shape; problems are noted and None comes back."""
        if dataclasses.is_dataclass(hint):
            if not isinstance(raw, Mapping):
                return self.refuse(path, "must be a table")
            return self.build(cast("type[Any]", hint), raw, path)
        if typing.get_origin(hint) is Mapping:
            return self._named(typing.get_args(hint)[1], raw, path, meta)
        if typing.get_origin(hint) is tuple:
            return self._list(typing.get_args(hint)[0], raw, path, meta)
        return self._scalar(hint, raw, path, meta)

    def _named(self, cls: type[Any], raw: Any, path: KeyPath, meta: Mapping[str, Any]) -> Any:
        if not isinstance(raw, Mapping):
            return self.refuse(path, "must be a table of tables")
        made: dict[str, Any] = {}
        for name, below in raw.items():
            here = (*path, name)
            if not re.fullmatch(meta["pattern"], name):
                self.refuse(here, f"the name {name!r} must match {meta['pattern']}")
            elif not isinstance(below, Mapping):
                self.refuse(here, "must be a table")
            else:
                made[name] = self.build(cls, below, here)
        return MappingProxyType(made)

    def _list(self, hint: Any, raw: Any, path: KeyPath, meta: Mapping[str, Any]) -> Any:
        if isinstance(raw, Text):
            raw = [Text(part.strip()) for part in raw.split(",") if part.strip()]
        if not isinstance(raw, list):
            return self.refuse(path, "must be a list")
        made: list[Any] = []
        for index, item in enumerate(raw):
            here = (*path, str(index))
            if dataclasses.is_dataclass(hint):
                if isinstance(item, Mapping):
                    made.append(self.build(cast("type[Any]", hint), item, here))
                else:
                    self.refuse(here, "must be a table")
            else:
                made.append(self._scalar(hint, item, here, meta))
        return tuple(made)

    def _scalar(self, hint: Any, raw: Any, path: KeyPath, meta: Mapping[str, Any]) -> Any:
        try:
            value = _READ[hint](raw)
            if hint is Path and str(raw):
                value = (self.base_dir / value).absolute()
            _bounds(value, meta)
        except _Refused as refused:
            return self.refuse(path, str(refused))
        return value


def _bounds(value: Any, meta: Mapping[str, Any]) -> None:
    low, high, choices, pattern = meta.get("low"), meta.get("high"), meta.get("choices"), meta.get("pattern")
    if choices and value not in choices:
        close = difflib.get_close_matches(str(value), choices, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise _Refused(f"{value!r} is not one of {', '.join(repr(c) for c in choices)}{hint}")
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        if low is not None and value < low:
            raise _Refused(f"{value} is too small, at least {low}")
        if high is not None and value > high:
            raise _Refused(f"{value} is too large, at most {high}")
    if pattern and isinstance(value, str) and not re.fullmatch(pattern, value):
        raise _Refused(f"{value!r} does not match {pattern}")


def _read_bool(raw: Any) -> bool:
    if isinstance(raw, Text) and raw.lower() in _YES:
        return _YES[raw.lower()]
    if isinstance(raw, bool):
        return raw
    raise _Refused("must be true or false")


def _read_int(raw: Any) -> int:
    if isinstance(raw, Text):
        try:
            return int(raw)
        except ValueError:
            raise _Refused(f"must be a whole number, not {str(raw)!r}") from None
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    raise _Refused(f"must be a whole number, not {raw!r}")


def _read_decimal(raw: Any) -> Decimal:
    if isinstance(raw, (int, str, Decimal)) and not isinstance(raw, bool):
        try:
            value = Decimal(raw)
        except InvalidOperation:
            raise _Refused(f"must be a number, not {str(raw)!r}") from None
        if value.is_finite():
            return value
    raise _Refused(f"must be a number, not {raw!r}")


def _read_str(raw: Any) -> str:
    if not isinstance(raw, str):
        raise _Refused(f"must be text in quotes, not {raw!r}")
    if any(ord(c) < 32 or ord(c) == 127 for c in raw):
        raise _Refused("must not hold control characters")
    return str(raw)


def _read_path(raw: Any) -> Path:
    return Path(_read_str(raw))


_READ: Mapping[Any, Callable[[Any], Any]] = {
    bool: _read_bool, int: _read_int, Decimal: _read_decimal, str: _read_str, Path: _read_path,
}  # fmt: skip
