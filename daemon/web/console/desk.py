"""What the console's own pages stand on: the same services as the API and the command line, handed over once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from daemon.auth.console_sessions import ConsoleSessions
from daemon.auth.lock_store import LockStore
from daemon.db.audit_log import AuditLog
from daemon.web.api.services import ApiServices
from daemon.workflows.attention import Attention
from daemon.workflows.decide import Decide
from daemon.workflows.first_admin import FirstAdmin
from daemon.workflows.person_care import PersonCare


@dataclass(frozen=True, slots=True)
class DeskServices:
    """`api` holds the verbs the API has too. `new_key` names a change once, so that a form sent twice changes once.

    `timezone` (IANA) is the house's; `settings` gives (key, value, where it was set) of everything in force.
    """

    api: ApiServices
    sessions: ConsoleSessions
    attention: Attention
    first_admin: FirstAdmin
    audit: AuditLog
    locks: LockStore
    care: PersonCare
    decide: Decide
    new_key: Callable[[], str]
    timezone: str
    settings: Callable[[], Awaitable[Sequence[tuple[str, Any, str]]]]
