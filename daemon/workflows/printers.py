"""Printers as the verbs need them: looked up, asked for their state, offered as alternatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.kernel.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKING = frozenset(
    {
        "media-empty", "media-jam", "media-needed", "door-open", "cover-open", "interlock-open", "input-tray-missing",
        "output-tray-missing", "output-area-full", "marker-supply-empty", "toner-empty", "marker-waste-full", "paused",
        "moving-to-paused", "shutdown", "timed-out", "spool-area-full", "fuser-over-temp", "marker-supply-missing",
    }
)  # fmt: skip
"""printer-state-reasons under which nothing is released (suffixes -error/-warning/-report stripped)."""


class PrinterStopped(Conflict):
    """The printer cannot print now; nothing was charged. `data["reasons"]`, `data["alternatives"]`."""

    code = "printer-stopped"


QUIET_WHEN_IDLE = frozenset({"media-empty", "media-needed", "output-area-full", "marker-supply-empty", "toner-empty"})
"""A warning of these on an idle printer means one tray or colour of several: it still prints."""


def plain_reason(reason: str) -> str:
    """A printer-state-reason without its severity suffix (RFC 8011 section 5.4.12)."""
    for suffix in ("-error", "-warning", "-report"):
        reason = reason.removesuffix(suffix)
    return reason


def blocking_reasons(state: str, reasons: Sequence[str]) -> tuple[str, ...]:
    """Why nothing may be released to a printer in this state; empty when it may.

    Reports never block. A warning such as `toner-low` never blocks either, but some printers call a jam a warning
    while they stay `processing` with the sheet inside, so the word counts, and the suffix only where one tray of
    several may be meant.
    """
    found: list[str] = []
    for reason in reasons:
        plain = plain_reason(reason)
        if plain not in BLOCKING or reason.endswith("-report"):
            continue
        if state == "idle" and reason.endswith("-warning") and plain in QUIET_WHEN_IDLE:
            continue
        found.append(plain)
    if state == "stopped" and not found:
        return ("stopped",)
    return tuple(dict.fromkeys(found))
