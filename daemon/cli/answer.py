"""One call of the API and its answer: an object with `--json`, else words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from daemon.cli.client import Api, with_api
from daemon.cli.command import OK, Context
from daemon.cli.output import say_json


def path(*parts: str) -> str:
    """The address of a thing: its parts, each made safe."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def answer(
    context: Context,
    call: Callable[[Api], Awaitable[Any]],
    tell: Callable[[Any], None],
    *,
    needs_daemon: bool = False,
) -> int:
    """Make the call and show what came back; `tell` puts it into words."""
    found = with_api(context.settings(), call, needs_daemon=needs_daemon)
    if context.as_json:
        say_json(found)
    else:
        tell(found)
    return OK
