"""`holdfast card try` and `card formats`: what a format makes of a read. Neither needs an installation or a daemon.

These are the commands that print card numbers, to whoever types them in; everywhere else numbers are never shown.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from daemon.auth.card_formats import CardFormat, Formats, Pipeline, Trace, parse_format
from daemon.auth.card_formats.steps import KINDS
from daemon.cli.command import OK, REFUSED, Command, Context, UsageError, argument
from daemon.cli.output import error_shape, plain, say, say_error, say_json, table

RAW_CHARS_READ_MAX = 8192
"""Of standard input; what is longer than a card is refused all the same."""
SHIPPED = Path(__file__).resolve().parent / "data" / "card-formats"
_STDIN = "-"


def installed_formats(context: Context) -> Formats:
    """The formats of the installation meant, or those that come with the program when none is.

    Raises:
        BadInput: its configuration or one of its formats is wrong.
    """
    from daemon.checks import read_formats

    return read_formats(formats_directory(context) or SHIPPED)


def formats_directory(context: Context) -> Path | None:
    """Where the installation meant keeps its formats; None when none is meant.

    Raises:
        BadInput: one is meant, and it is not there or its configuration is wrong.
    """
    try:
        context.config_path()
    except UsageError:
        return None
    return context.settings().cards.formats_dir


def format_named(context: Context, name: str) -> CardFormat:
    """A format by name, or by the path of its file.

    Raises:
        BadInput: the file cannot be read, or is wrong.
        NotFound: no format of this name.
    """
    if not name.endswith(".toml"):
        return installed_formats(context).named(name)
    try:
        return parse_format(Path(name).read_text("utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} cannot be read: {error}") from error


def read_line() -> str | None:
    """One line of standard input without its end; None when there is no more.

    Bytes that are no text become surrogates, which every format refuses.
    """
    source = getattr(sys.stdin, "buffer", None)
    if source is None:
        line = sys.stdin.readline(RAW_CHARS_READ_MAX)
    else:
        line = source.readline(RAW_CHARS_READ_MAX).decode("utf-8", "surrogateescape")
    return line.removesuffix("\n").removesuffix("\r") if line else None


def attempt(context: Context) -> int:
    options = context.options
    if bool(options.pipeline is not None) == bool(options.format):
        raise UsageError("give either --pipeline 'STEP | STEP' or --format NAME")
    way = format_named(context, options.format) if options.format else Pipeline.parse(options.pipeline)
    raw = (read_line() or "") if options.raw == _STDIN else options.raw
    trace = way.trace(raw)
    if context.as_json:
        say_json(trace_json(trace))
        return OK if trace.normalised is not None else REFUSED
    _tell(trace)
    return OK if trace.normalised is not None else REFUSED


def trace_json(trace: Trace) -> dict[str, Any]:
    """What `card try --json` prints; `bytes_hex` are the ASCII bytes of `normalised`."""
    error = error_shape("card-unreadable", trace.error)["error"] if trace.normalised is None else None
    return {
        "ok": trace.normalised is not None,
        "normalised": trace.normalised,
        "bytes_hex": None if trace.normalised is None else trace.normalised.encode("ascii").hex(),
        "steps": [{"step": done.step.text, "out": done.out} for done in trace.steps],
        "error": error,
    }


def _tell(trace: Trace) -> None:
    rows = [
        {"at": str(at), "step": done.step.text, "out": "refused" if done.out is None else done.out}
        for at, done in enumerate(trace.steps, start=1)
    ]
    if rows:
        table(rows, {"at": "#", "step": "STEP", "out": "GIVES"})
    if trace.normalised is None:
        say_error({"message": f"refused: {trace.error}"}, as_json=False)
        return
    say()
    say(f"The card's number is {plain(trace.normalised)} ({len(trace.normalised)} characters).")


def listing(context: Context) -> int:
    items = [
        {
            "name": one.name,
            "pipeline": one.pipeline.text,
            "namespace": one.namespace,
            "widths": list(one.widths),
            "facilities": sorted(one.facilities),
            "description": one.description,
        }
        for one in sorted(installed_formats(context).values(), key=lambda one: one.name)
    ]
    if context.as_json:
        say_json({"items": items, "next": None})
    else:
        table(items, {"name": "NAME", "pipeline": "PIPELINE", "description": "WHAT IT READS"})
    return OK


def steps(context: Context) -> int:
    items = [{"step": kind.form, "meaning": kind.meaning} for kind in KINDS.values()]
    if context.as_json:
        say_json({"items": items, "next": None})
    else:
        width = max(len(kind.form) for kind in KINDS.values())
        for kind in KINDS.values():
            say(f"{kind.form.ljust(width)}  {kind.meaning}")
    return OK


COMMANDS = (
    Command(
        ("card", "try"),
        "Show what a pipeline or a card format makes of a raw read, step by step; exit 4 when it is refused.",
        attempt,
        (
            "holdfast card try --pipeline 'hex | rev' 04:A1:B2:C3",
            "holdfast card try --pipeline 'ascii-enc|hex2dec' 3934364542443238 --json",
            "holdfast card try --format h10301 - < read.txt",
            "holdfast card try --pipeline clean -- -12-34        # a read that begins with -",
        ),
        (
            argument("raw", metavar="RAW", help="what the reader sends; - reads a line of standard input"),
            argument("--pipeline", metavar="P", default=None, help="steps with ' | ' between them (docs/cards.md)"),
            argument(
                "--format", metavar="NAME", default="", help="a card format by name, or the path of its .toml file"
            ),
        ),
    ),
    Command(
        ("card", "formats"),
        "List the card formats: the installation's, or those that come with Holdfast.",
        listing,
        ("holdfast card formats", "holdfast card formats --state DIR --json"),
    ),
    Command(
        ("card", "steps"),
        "List the steps a pipeline is made of.",
        steps,
        ("holdfast card steps",),
    ),
)
