"""Secrets come from standard input or a prompt that does not echo; never from arguments or the environment."""

from __future__ import annotations

import getpass
import sys

from daemon.cli.command import UsageError

SECRET_CHARS_MAX = 1024


def from_stdin(what: str) -> str:
    """The first line of standard input.

    Raises:
        UsageError: there is none.
    """
    line = sys.stdin.readline(SECRET_CHARS_MAX + 2).rstrip("\r\n")
    if not line:
        raise UsageError(f"expected the {what} on standard input")
    return line


def prompted(what: str) -> str:
    """Typed twice, not shown.

    Raises:
        UsageError: there is no terminal to ask at, or the two differ.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"there is no terminal to ask for the {what}; use --password-stdin")
    first = getpass.getpass(f"New {what}: ")
    if getpass.getpass("Once more: ") != first:
        raise UsageError("the two differ; nothing was changed")
    return first


def typed(what: str) -> str:
    """Asked for once at a terminal, without echo, or read from standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{what.capitalize()}: ")
    return from_stdin(what)
