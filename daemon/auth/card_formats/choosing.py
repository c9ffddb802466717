"""Which format a tap is read by: the first rule whose terminal and reader match. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Protocol

from daemon.auth.card_formats.card_format import DEFAULT_NAME


class Rule(Protocol):
    """One `[[cards.readers]]` entry: globs on the names of terminal and reader, and the format for them."""

    @property
    def terminal(self) -> str: ...
    @property
    def reader(self) -> str: ...
    @property
    def format(self) -> str: ...


def choose(rules: Iterable[Rule], *, terminal: str, reader: str, default: str = DEFAULT_NAME) -> str:
    """The name of the format for a tap at `reader` of `terminal`; `default` when no rule matches.

    Rules are tried in the order they stand in; `*`, `?` and `[...]` match as in file names, in any case.
    """
    for rule in rules:
        if _matches(rule.terminal, terminal) and _matches(rule.reader, reader):
            return rule.format
    return default


def is_ruled(rules: Iterable[Rule], *, terminal: str, reader: str) -> bool:
    """Whether a rule says what reads of this reader are; without one, only the site's default is known of them."""
    return any(_matches(rule.terminal, terminal) and _matches(rule.reader, reader) for rule in rules)


def _matches(glob: str, name: str) -> bool:
    return fnmatchcase(name.casefold(), (glob or "*").casefold())
