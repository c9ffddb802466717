"""Card formats: data that says how a reader's raw read becomes the number a card is known by. Pure.

`steps` are the words of the language, `pipeline` chains them, `card_format` adds what a number must look like and the
bytes that are hashed, `file` reads formats people write, `choosing` says which one a reader uses, `comparing` what a
change would do, `learning` proposes formats from samples. The language is in `docs/cards.md`.
"""

from __future__ import annotations

from daemon.auth.card_formats.card_format import DEFAULT, DEFAULT_NAME, CardFormat, Example, Formats
from daemon.auth.card_formats.choosing import Rule, choose
from daemon.auth.card_formats.comparing import Collision, Comparison, Likeness, Lost, collisions, compare
from daemon.auth.card_formats.file import parse_format
from daemon.auth.card_formats.pipeline import Pipeline, PipelineWrong, Trace

__all__ = [
    "DEFAULT", "DEFAULT_NAME", "CardFormat", "Collision", "Comparison", "Example", "Formats", "Likeness", "Lost",
    "Pipeline", "PipelineWrong", "Rule", "Trace", "choose", "collisions", "compare", "parse_format",
]  # fmt: skip
