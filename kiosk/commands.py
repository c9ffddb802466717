"""What an operator may ask a terminal to do from afar, and the log it keeps for that. I/O (memory only).

`identify` flashes the screen with the terminal's name, `restart` starts this program anew (the unit brings it back),
`log` sends the last lines of its log: event names and ids, for secrets, titles and card numbers never enter it.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daemon.wire.messages import COMMAND_ANSWER_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import MutableMapping

IDENTIFY, RESTART, LOG = "identify", "restart", "log"
KINDS = frozenset({IDENTIFY, RESTART, LOG})
OVER = "command-over"
"""The daemon's word for a command that has its answer, or whose time is over."""
LOG_LINES_MAX = 400
LINE_CHARS_MAX = 1000
_LINES: deque[str] = deque(maxlen=LOG_LINES_MAX)


@dataclass(frozen=True, slots=True)
class Command:
    """One request of an operator."""

    command_id: str
    kind: str


def parse(data: str) -> Command | None:
    """The event's data; None when it is no command this program knows."""
    try:
        value = json.loads(data)
    except ValueError:
        return None
    if not isinstance(value, dict) or value.get("kind") not in KINDS:
        return None
    command_id = value.get("command_id")
    return Command(command_id, value["kind"]) if isinstance(command_id, str) and command_id else None


def answer(kind: str) -> str:
    """What goes back: the log's newest lines as far as they fit, or a word that it is done."""
    return recent_log() if kind == LOG else "done"


def keep(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: remembers the line and passes it on."""
    _LINES.append(json.dumps(dict(event), default=str, ensure_ascii=False)[:LINE_CHARS_MAX])
    return event


def recent_log() -> str:
    """The newest lines, oldest first, at most `COMMAND_ANSWER_BYTES_MAX` bytes."""
    lines: list[str] = []
    size = 0
    for line in reversed(_LINES):
        size += len(line.encode()) + 1
        if size > COMMAND_ANSWER_BYTES_MAX:
            break
        lines.append(line)
    return "\n".join(reversed(lines))
