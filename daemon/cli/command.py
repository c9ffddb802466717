"""What a command is: its words, its help with examples first, its arguments and the function that runs it.

The parser, the exit codes, `--help` and `docs/reference/commands.md` are all made from these values.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.kernel.errors import BadInput
from daemon.settings import CONFIG_NAME, Settings, load

OK, DIFFERENCE, USAGE, UNAVAILABLE, REFUSED = 0, 1, 2, 3, 4
"""Exit codes: fine; a check found a difference; usage or configuration; try later; a rule says no."""

SYSTEM_CONFIG = Path("/etc/holdfast") / CONFIG_NAME
STATE_VARIABLE = "HOLDFAST_STATE"


class UsageError(BadInput):
    """The command line itself is wrong."""

    code = "usage"


@dataclass(frozen=True, slots=True)
class Context:
    """One run of one command."""

    options: argparse.Namespace
    as_json: bool

    def config_path(self) -> Path:
        """The configuration of the installation meant: `--config`, `--state`, `HOLDFAST_STATE`, the system's.

        Raises:
            UsageError: none of them says which.
        """
        if self.options.config:
            return Path(self.options.config)
        state = self.options.state or os.environ.get(STATE_VARIABLE, "")
        if state:
            return Path(state) / CONFIG_NAME
        if SYSTEM_CONFIG.exists():
            return SYSTEM_CONFIG
        raise UsageError(
            f"which installation? Give --state DIR or set {STATE_VARIABLE}; `holdfast init --state DIR` makes one"
        )

    def settings(self) -> Settings:
        """The installation's settings; a missing file says how to make one.

        Raises:
            BadInput: the configuration is wrong (every problem is listed), or there is none.
        """
        return load(self.existing_config_path())

    def existing_config_path(self) -> Path:
        """`config_path`, which is there.

        Raises:
            UsageError: it is not, or none is meant; the message says how to make one.
        """
        path = self.config_path()
        if not path.is_file():
            hint = f"`holdfast init --state {path.parent}` makes a new installation"
            if self.options.command.state_words:
                hint += f"; job states are {', '.join(self.options.command.state_words)}"
            raise UsageError(f"{path} does not exist; {hint}")
        return path


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument as `argparse` takes it."""

    names: tuple[str, ...]
    options: dict[str, Any]


def argument(*names: str, **options: Any) -> Argument:
    """Short for `Argument`."""
    return Argument(names, options)


@dataclass(frozen=True, slots=True)
class Command:
    """`words` are noun and verb; `run` returns the exit code; `state_words` are what `--state` narrows a list by."""

    words: tuple[str, ...]
    summary: str
    run: Callable[[Context], int]
    examples: tuple[str, ...] = ()
    arguments: tuple[Argument, ...] = field(default=())
    state_words: tuple[str, ...] = ()
