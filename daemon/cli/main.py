"""`holdfast`: noun, verb, options. Parses, runs, and turns every outcome into text and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from daemon import __version__
from daemon.cli import registry
from daemon.cli.command import OK, REFUSED, UNAVAILABLE, USAGE, Command, Context, UsageError
from daemon.cli.output import error_shape, note, say_error
from daemon.kernel.errors import BadInput, Refusal, Unavailable

INTERRUPTED = 130
CONFIGURATION = frozenset({"keys-missing", "secret-missing", "schema-differs", "schema-too-new"})
"""Refusals that are about the installation, not about the request."""


class _Parser(argparse.ArgumentParser):
    """Raises instead of printing, so that `--json` holds for usage errors too."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. `{self.prog} --help` shows how.")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Examples stand first, above the options."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=100)


class _State(argparse.Action):
    """`--state DIR`; where a list can be narrowed by state, one of those words narrows it instead."""

    def __init__(self, *args: Any, words: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self._words = words

    def __call__(self, _parser: Any, namespace: Any, values: Any, _option: str | None = None) -> None:
        setattr(namespace, "state_filter" if values in self._words else "state", values)


def _common(state_words: Sequence[str] = ()) -> _Parser:
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("everywhere")
    text = "the installation's state directory (or HOLDFAST_STATE)"
    if state_words:
        text += f"; or only what is in this state: {', '.join(state_words)}"
    group.add_argument("--state", metavar="DIR", action=_State, words=state_words, help=text)
    group.add_argument("--config", metavar="FILE", help="its configuration file, instead of DIR/holdfast.toml")
    group.add_argument("--json", action="store_true", help="print one JSON object")
    return common


def _text(summary: str, examples: Sequence[str]) -> str:
    shown = "".join(f"  $ {example}\n" for example in examples)
    return f"{summary}\n\nexamples:\n{shown}" if examples else summary


def build_parser(commands: Sequence[Command]) -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = _Parser(
        prog="holdfast",
        formatter_class=_Help,
        parents=[_common()],
        description=_text(
            "Print release and accounting: jobs held until their owner stands at the printer.",
            (
                "holdfast init --state ./house",
                "holdfast daemon --state ./house",
                "holdfast user add anna --state ./house",
            ),
        ),
    )
    top.add_argument("--version", action="version", version=f"holdfast {__version__}")
    nouns = top.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    verbs: dict[str, Any] = {}
    for command in commands:
        parent = nouns
        noun, *rest = command.words
        if rest:
            if noun not in verbs:
                group = nouns.add_parser(noun, help=registry.NOUNS[noun], description=registry.NOUNS[noun])
                verbs[noun] = group.add_subparsers(metavar="VERB", required=True, parser_class=_Parser)
            parent = verbs[noun]
        one = parent.add_parser(
            command.words[-1],
            help=command.summary,
            formatter_class=_Help,
            description=_text(command.summary, command.examples),
            parents=[_common(command.state_words)],
        )
        for declared in command.arguments:
            one.add_argument(*declared.names, **declared.options)
        one.set_defaults(command=command)
    return top


def _run(command: Command, context: Context) -> int:
    try:
        return command.run(context)
    except BadInput as wrong:
        say_error(_shape(wrong), as_json=context.as_json)
        return USAGE
    except Refusal as refusal:
        say_error(_shape(refusal), as_json=context.as_json)
        return USAGE if refusal.code in CONFIGURATION else REFUSED
    except Unavailable as unavailable:
        say_error(_shape(unavailable), as_json=context.as_json)
        return UNAVAILABLE


def _shape(error: Refusal | Unavailable) -> dict[str, Any]:
    data = dict(error.data)
    details = data.pop("details", ())
    plain = {key: value for key, value in data.items() if isinstance(value, (str, int, bool, list, dict, type(None)))}
    shape: dict[str, Any] = error_shape(error.code, error.message, details, **plain)["error"]
    return shape


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words
    from daemon.cli.client import CallFailed

    try:
        options = build_parser(registry.COMMANDS).parse_args(words)
        for name in ("state", "config", "state_filter"):
            setattr(options, name, getattr(options, name, ""))
        return _run(options.command, Context(options, getattr(options, "json", False)))
    except UsageError as wrong:
        say_error(_shape(wrong), as_json=as_json)
        return USAGE
    except CallFailed as failed:
        say_error({"details": [], **failed.error}, as_json=as_json)
        return exit_code(failed.status)
    except KeyboardInterrupt:
        note("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; flushing at exit must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as bug:
        # Exit 1 means a check found a difference: a bug must not look like one.
        traceback.print_exc()
        say_error(error_shape("internal-error", f"a bug: {type(bug).__name__}")["error"], as_json=as_json)
        return UNAVAILABLE


def exit_code(status: int) -> int:
    """The exit code for an HTTP status of the admin API."""
    if status == 400:
        return USAGE
    if status == 429 or status >= 500:
        return UNAVAILABLE
    return REFUSED
