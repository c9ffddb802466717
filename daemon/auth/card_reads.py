"""Which card format a read is in, by the reader it came from, and the canonical bytes it stands for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.auth.card_formats import DEFAULT_NAME, Formats, choose
from daemon.auth.card_formats.choosing import is_ruled
from daemon.auth.cards import CardUnreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.auth.card_formats import CardFormat, Rule

RAW_CHARS_MAX = 512
"""Longer than anything a card says, shorter than anything that could hurt."""

_EVERY = ("", "*")
_ANY_NUMBER = "1"
"""Two formats know each other's cards when they make the same bytes of the same number, whichever it is."""


class CardReads:
    """The formats of an installation and the rules that choose among them."""

    def __init__(
        self, formats: Formats | None = None, *, default: str = DEFAULT_NAME, rules: Sequence[Rule] = ()
    ) -> None:
        self.formats = formats or Formats()
        self.default = default
        self._rules = tuple(rules)

    def chosen(self, *, terminal: str, reader: str) -> str:
        """The name of the format this reader's reads are in: the first rule that fits, else the site's default."""
        return choose(self._rules, terminal=terminal, reader=reader, default=self.default)

    def is_ruled(self, *, terminal: str, reader: str) -> bool:
        """Whether the site has said what this reader's reads are.

        Where it has not, a card is looked for by the format it was enrolled in too: the same read means the same card.
        """
        return is_ruled(self._rules, terminal=terminal, reader=reader)

    def named(self, name: str) -> CardFormat:
        """The format of this name; empty means the site's default.

        Raises:
            NotFound: there is none; the message lists what there is.
        """
        return self.formats.named(name or self.default)

    def is_tapped(self, name: str) -> bool:
        """Whether a tap can find a card enrolled in the format of this name.

        It can at every reader without a rule, and at those whose rule names a format that makes the same bytes.

        Raises:
            NotFound: there is no format of this name.
        """
        enrolled = self.named(name).canonical_of(_ANY_NUMBER)
        if not any(rule.terminal in _EVERY and rule.reader in _EVERY for rule in self._rules):
            return True
        return any(self.named(rule.format).canonical_of(_ANY_NUMBER) == enrolled for rule in self._rules)

    def form(self, raw: str, name: str) -> bytes:
        """The canonical bytes of a read in the format of this name.

        Raises:
            NotFound: there is no such format.
            CardUnreadable: refused, never guessed; the message repeats nothing of the read.
        """
        if len(raw) > RAW_CHARS_MAX:
            raise CardUnreadable(f"a read has at most {RAW_CHARS_MAX} characters")
        return self.named(name).canonical(raw)
