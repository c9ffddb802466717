"""What looks after the terminals: their opening hours, what they are asked to do, and whether they are there."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.auth.command_store import CommandStore
from daemon.auth.outage_store import OutageStore
from daemon.auth.outages import Graces
from daemon.auth.terminal_commands import TerminalCommands
from daemon.auth.terminal_hours import TerminalHours
from daemon.workflows.terminal_watch import TerminalWatch

if TYPE_CHECKING:
    from daemon.auth.terminals import Terminals
    from daemon.db.database import Database
    from daemon.kernel.clock import Clock
    from daemon.kernel.ids import Dice


@dataclass(frozen=True, slots=True)
class TerminalCare:
    """Built with the parts; the daemon alone runs `watch`."""

    hours: TerminalHours
    commands: TerminalCommands
    outages: OutageStore
    watch: TerminalWatch
    graces: Graces


@dataclass(frozen=True, slots=True)
class CareRules:
    """The site's time zone, by its IANA name, and how many seconds a terminal may be silent."""

    timezone: str
    away_after_s: int


def terminal_care(db: Database, terminals: Terminals, rules: CareRules, *, clock: Clock, dice: Dice) -> TerminalCare:
    """The care of all terminals."""
    hours = TerminalHours(clock, zoneinfo.ZoneInfo(rules.timezone))
    outages, graces = OutageStore(db), Graces(rules.away_after_s)
    return TerminalCare(
        hours=hours,
        commands=TerminalCommands(db, CommandStore(db), clock=clock, dice=dice),
        outages=outages,
        watch=TerminalWatch(db, outages, terminals=terminals, hours=hours, clock=clock, graces=graces),
        graces=graces,
    )
