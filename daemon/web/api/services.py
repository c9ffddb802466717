"""What the admin API needs: the verbs and stores it stands in front of, handed over by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from daemon.auth.tokens import Tokens
from daemon.kernel.clock import Clock
from daemon.workflows.accounts import Accounts
from daemon.workflows.cancel import Cancel
from daemon.workflows.card_desk import CardDesk
from daemon.workflows.card_enrolment import CardEnrolment
from daemon.workflows.card_import import CardImport
from daemon.workflows.card_keys import CardKeys
from daemon.workflows.card_survey import CardSurvey
from daemon.workflows.decide import Decide
from daemon.workflows.jobs import Jobs
from daemon.workflows.people import PeopleDesk
from daemon.workflows.printer_desk import PrinterDesk
from daemon.workflows.release import Release
from daemon.workflows.terminal_desk import TerminalDesk


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the house can take and release jobs now; `parts` tells which part cannot (`database`, `spool`, ...)."""

    is_ready: bool
    parts: dict[str, str]


@dataclass(frozen=True, slots=True)
class CardServices:
    """Everything behind /api/v1/cards."""

    desk: CardDesk
    enrolment: CardEnrolment
    importer: CardImport
    keys: CardKeys
    survey: CardSurvey


@dataclass(frozen=True, slots=True)
class ApiServices:
    """Everything behind /api/v1.

    `personal_urls` gives the printer addresses of a secret personal path.
    `release` and `decide` are None in a process that is not the daemon: nothing could deliver.
    `metrics` renders Prometheus text.
    """

    clock: Clock
    people: PeopleDesk
    printers: PrinterDesk
    terminals: TerminalDesk
    jobs: Jobs
    cancel: Cancel
    accounts: Accounts
    tokens: Tokens
    cards: CardServices
    release: Release | None
    decide: Decide | None
    personal_urls: Callable[[str], dict[str, str]]
    health: Callable[[], Awaitable[Health]]
    metrics: Callable[[], Awaitable[bytes]] | None = None
    status: Callable[[], Awaitable[dict[str, Any]]] | None = None
