"""Writes docs/reference/settings.md, docs/reference/commands.md and config/holdfast.example.toml from the declarations.

    .venv/bin/python tools/generate_reference.py

`tests/house` fails while a file differs from what this would write: nothing can be set or run undocumented.
"""

from __future__ import annotations

import dataclasses
import re
import sys
import textwrap
import typing
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from daemon.cli.registry import COMMANDS, NOUNS  # noqa: E402  -- the path is set above
from daemon.settings import Settings  # noqa: E402
from daemon.settings.options import META  # noqa: E402

WIDTH = 118
KINDS = {str: "text", int: "whole number", bool: "true or false", Decimal: "number", Path: "path"}
SETTINGS_HEAD = """\
# Settings

Made by `tools/generate_reference.py` from the declarations in `daemon/settings/`; the same text, as a file to copy
from, is `config/holdfast.example.toml`.

Flags win over the environment (`HOLDFAST__SECTION__KEY`), the environment over `holdfast.toml` and its
`conf.d/*.toml` (in name order, later wins), files over defaults. `holdfast config check` reports every problem at
once, with file and line; `holdfast config show --origin` says where each value comes from. Secrets are never values:
an option ending in `_file` names a file that only its owner can read, and a systemd credential comes before it.
"""
COMMANDS_HEAD = """\
# Commands

Made by `tools/generate_reference.py` from the declarations in `daemon/cli/`.

Everywhere: `--state DIR` (or `HOLDFAST_STATE`) or `--config FILE` says which installation; `--json` prints one JSON
object, lists as `{"items": [...], "next": null}`, errors as `{"error": {"code", "message", "details": [{"file",
"line", "key", "message"}]}}` on standard output. Amounts are `{"unit", "amount", "scale"}`, times RFC 3339 UTC, ids
strings. Secrets come on standard input or at a prompt without echo, never in arguments or environment.

| exit code | means |
|---|---|
| 0 | done |
| 1 | a check found a difference |
| 2 | usage or configuration |
| 3 | unavailable: try later |
| 4 | refused by a rule |

Prices, pots and policies: [pricing](../pricing.md), [allowances](../allowances.md), [settings](settings.md).
"""


@dataclasses.dataclass(frozen=True)
class Option:
    """One option as the reference tells it."""

    key: str
    kind: str
    default: str
    doc: str


def toml(value: Any) -> str:
    """A default as it would stand in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Path):
        return f'"{value}"' if value != Path() else '""'
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return str(value)


def is_table(hint: Any) -> bool:
    """A section, or a table or list of them."""
    arguments = [hint, *typing.get_args(hint)]
    return any(dataclasses.is_dataclass(one) for one in arguments)


def kind_of(hint: Any, meta: Mapping[str, Any]) -> str:
    """What may stand there, in words."""
    if meta.get("choices"):
        words = " ".join(f"`{choice}`" for choice in meta["choices"])
        return f"list of {words}" if typing.get_origin(hint) is tuple else words
    if typing.get_origin(hint) is tuple:
        return "list"
    low, high = meta.get("low"), meta.get("high")
    bounds = f", {low} to {high}" if high is not None else f", from {low}" if low is not None else ""
    return KINDS.get(hint, "text") + bounds


def tables(cls: type, path: str, doc: str) -> Iterator[tuple[str, str, list[Option]]]:
    """Every table below `cls`: its header, meaning and options, in the order of declaration."""
    hints = typing.get_type_hints(cls)
    options, below = [], []
    for declared in dataclasses.fields(cls):
        if META not in declared.metadata:
            continue
        meta, hint = declared.metadata[META], hints[declared.name]
        if is_table(hint):
            inner = typing.get_args(hint)
            origin = typing.get_origin(hint)
            if origin is tuple:
                below.append((inner[0], f"[[{path.strip('[]')}.{declared.name}]]", meta["doc"]))
            elif origin is not None:
                below.append((inner[1], f"[{declared.name}.NAME]", meta["doc"]))
            else:
                below.append((hint, f"[{declared.name}]", meta["doc"]))
            continue
        options.append(Option(declared.name, kind_of(hint, meta), toml(declared.default), meta["doc"]))
    if options:
        yield path, doc, options
    for inner_cls, header, inner_doc in below:
        yield from tables(inner_cls, header, inner_doc)


def settings_page() -> str:
    """docs/reference/settings.md."""
    parts = [SETTINGS_HEAD]
    for header, doc, options in tables(Settings, "", ""):
        rows = "\n".join(f"| `{o.key}` | {o.kind} | `{o.default}` | {o.doc.replace('|', ' or ')} |" for o in options)
        parts.append(f"## `{header}`\n\n{doc}\n\n| key | value | default | meaning |\n|---|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def example() -> str:
    """config/holdfast.example.toml: every option at its default, commented out."""
    lines = [
        "# Every option with its meaning and default; docs/reference/settings.md is the same as a page.",
        "# Made by tools/generate_reference.py. Take what you change into your holdfast.toml; check with",
        "# `holdfast config check`. NAME stands for a name of your choice.",
    ]
    for header, doc, options in tables(Settings, "", ""):
        lines += ["", *textwrap.wrap(doc, WIDTH, initial_indent="# ", subsequent_indent="# "), f"# {header}"]
        for option in options:
            lines.append("#")
            meaning = f"{option.doc} ({option.kind.replace('`', '')})"
            lines += textwrap.wrap(meaning, WIDTH, initial_indent="#   ", subsequent_indent="#   ")
            lines.append(f"# {option.key} = {option.default}")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """docs/reference/commands.md."""
    parts = [COMMANDS_HEAD]
    noun = ""
    for command in COMMANDS:
        if len(command.words) > 1 and command.words[0] != noun:
            noun = command.words[0]
            parts.append(f"## {noun}\n\n{NOUNS[noun]}\n")
        parts.append(f"### `holdfast {' '.join(command.words)}`\n\n{command.summary}\n")
        if command.arguments:
            rows = [f"| {_names(one.names, one.options)} | {_help(one.options)} |" for one in command.arguments]
            parts.append("\n".join(["| argument | meaning |", "|---|---|", *rows]) + "\n")
        if command.state_words:
            parts.append(f"`--state` followed by one of {', '.join(command.state_words)} narrows the list.\n")
        if command.examples:
            parts.append("```sh\n" + "\n".join(command.examples) + "\n```\n")
    return "\n".join(parts)


def _names(names: tuple[str, ...], options: Mapping[str, Any]) -> str:
    word = str(options.get("metavar") or "").strip()
    if names[0].startswith("-"):
        return ", ".join(f"`{name} {word}`" if word else f"`{name}`" for name in names)
    return f"`{word or names[0]}`"


def _help(options: Mapping[str, Any]) -> str:
    text = str(options.get("help", "")).replace("|", " or ")
    choices = options.get("choices")
    return re.sub(r"\s+", " ", f"{text} ({', '.join(map(str, choices))})" if choices else text)


def pages() -> dict[Path, str]:
    """Every file this writes, with its text."""
    return {
        ROOT / "docs/reference/settings.md": settings_page(),
        ROOT / "docs/reference/commands.md": commands_page(),
        ROOT / "config/holdfast.example.toml": example(),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        print(path.relative_to(ROOT))  # noqa: T201  -- a script run by hand
