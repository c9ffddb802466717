"""Which card format a read is in, by the reader it came from, and the canonical bytes it stands for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.auth.card_formats import DEFAULT_NAME, Formats, choose
from daemon.auth.cards import CardUnreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.auth.card_formats import CardFormat, Rule

RAW_CHARS_MAX = 512
"""Longer than anything a card says, shorter than anything that could hurt."""

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

    def named(self, name: str) -> CardFormat:
        """The format of this name; empty means the site's default.

        Raises:
            NotFound: there is none; the message lists what there is.
        """
        return self.formats.named(name or self.default)

    def is_tapped(self, name: str) -> bool:
        """Whether a tap can find a card enrolled in the format of this name: some reader's format shares its bytes.

        Raises:
            NotFound: there is no format of this name.
        """
        enrolled = self.named(name).canonical_of(_ANY_NUMBER)
        readers = {self.default, *(rule.format for rule in self._rules)}
        return any(self.named(reader).canonical_of(_ANY_NUMBER) == enrolled for reader in readers)

    def form(self, raw: str, name: str) -> bytes:
        """The canonical bytes of a read in the format of this name.

        Raises:
            NotFound: there is no such format.
            CardUnreadable: refused, never guessed; the message repeats nothing of the read.
        """
        if len(raw) > RAW_CHARS_MAX:
            raise CardUnreadable(f"a read has at most {RAW_CHARS_MAX} characters")
        return self.named(name).canonical(raw)
