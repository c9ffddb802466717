"""A learned format as the text of a file, ready to use. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.auth.card_formats.learning import Pair
from daemon.auth.card_formats.pipeline import Pipeline

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_KEEP_LENGTH = frozenset({"hex", "rev", "upper", "lower", "xor"})


def format_text(pipeline: Pipeline, pairs: Sequence[Pair], *, description: str = "", namespace: str = "") -> str:
    """The file of a card format with `pairs` as its examples (what is wanted must be what the pipeline gives)."""
    width = _width(pipeline, pairs)
    lines = [
        f"# Proposed by `holdfast card learn` from {len(pairs)} read{'s' if len(pairs) != 1 else ''}.",
        "# The examples are numbers of real cards: put made-up ones in their place before this file is passed on.",
        "",
        f"description = {toml_string(description or 'Learned from samples')}",
        f"namespace = {toml_string(namespace)}" if namespace else "#namespace = 'site'          # keeps numbers apart",
        f"pipeline = {toml_string(pipeline.text)}",
        f"width = {width}"
        if width
        else "#width = 10                   # characters a number has, where they are fixed",
    ]
    for pair in pairs:
        wanted = f"normalised = {toml_string(pair.wanted)}"
        lines += ["", "[[examples]]", f"raw = {toml_string(pair.raw)}", wanted]
    return "\n".join(lines) + "\n"


def _width(pipeline: Pipeline, pairs: Sequence[Pair]) -> int:
    """The one length the numbers can have; 0 where the pipeline does not fix it."""
    last = pipeline.steps[-1]
    count = last.text.partition(":")[2]
    lengths = {len(pair.wanted) for pair in pairs}
    is_fixed = (
        (last.name in ("first", "last"))
        or (last.name == "dec2hex" and bool(count))
        or (last.name == "zfill" and lengths == {int(count)})
        or (last.name in _KEEP_LENGTH and len(pairs) > 1)
    )
    return lengths.pop() if is_fixed and len(lengths) == 1 else 0


def toml_string(text: str) -> str:
    """`text` as a TOML string: literal where it can be, so that patterns stay readable."""
    if text.isprintable() and "'" not in text:
        return f"'{text}'"
    shown = "".join(_ESCAPES.get(one, one if one.isprintable() else f"\\U{ord(one):08x}") for one in text)
    return f'"{shown}"'
