"""Tapping in the demo: a name typed into its shell holds that person's card against the terminal's simulated reader."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

from daemon.cli.output import note
from daemon.system import SystemDice

if TYPE_CHECKING:
    from collections.abc import Mapping

NEW = "new"
"""The word for a card nobody has."""
STDIN = 0
LINE_BYTES_MAX = 1024
LINES_WAITING_MAX = 16
TIMEOUT_S = 5.0


async def follow(screen: str, cards: Mapping[str, str], *, stdin: int = STDIN) -> None:
    """Read names from standard input until it ends, and tap; `screen` is the address that opens the terminal's screen.

    Where standard input cannot be waited for (a file, closed) nothing is read. It stays as it is, also blocking: it is
    shared with the shell that started us.
    """
    lines: asyncio.Queue[str | None] = asyncio.Queue(LINES_WAITING_MAX)
    loop, waiting = asyncio.get_running_loop(), bytearray()

    def heard() -> None:
        data = os.read(stdin, LINE_BYTES_MAX)
        waiting.extend(data)
        *whole, rest = waiting.split(b"\n")
        waiting[:] = rest[-LINE_BYTES_MAX:]
        with contextlib.suppress(asyncio.QueueFull):
            for line in whole:
                lines.put_nowait(line.decode("utf-8", "replace").strip().lower())
            if not data:
                loop.remove_reader(stdin)
                lines.put_nowait(None)

    try:
        loop.add_reader(stdin, heard)
    except OSError:
        return
    try:
        while (word := await lines.get()) is not None:
            await _tap_by_name(word, screen, cards)
    finally:
        loop.remove_reader(stdin)


async def _tap_by_name(word: str, screen: str, cards: Mapping[str, str]) -> None:
    raw = cards.get(word) or (f"04{SystemDice().token(6).hex().upper()}" if word == NEW else "")
    if raw:
        note(await tap(screen, raw))
    elif word:
        note(f"Type one of: {', '.join((*cards, NEW))}")


async def tap(screen: str, raw: str) -> str:
    """Hold a card against the reader; what came of it, in words."""
    import httpx

    base = screen.partition("?")[0]
    with contextlib.suppress(httpx.HTTPError):
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            await client.get(screen)
            answer = await client.post(f"{base}ui/tap", json={"raw": raw})
            if answer.is_success:
                return "Tapped: look at the screen."
    return "The terminal does not take cards just now."
