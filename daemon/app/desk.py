"""What stands behind the console, from the parts and the verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.auth.console_sessions import ConsoleSessions, ConsoleTimes
from daemon.auth.console_store import ConsoleStore
from daemon.auth.lock_store import LockStore
from daemon.db.audit_log import AuditLog
from daemon.kernel.ids import new_id
from daemon.notices.mail_store import MailStore
from daemon.settings import shown
from daemon.web.console.desk import DeskServices
from daemon.workflows.attention import Attention, Sources
from daemon.workflows.decide import Decide
from daemon.workflows.first_admin import FirstAdmin
from daemon.workflows.person_care import PersonCare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.app.parts import Parts
    from daemon.app.verbs import Verbs
    from daemon.settings import Origin
    from daemon.web.api.services import ApiServices


def desk_services(parts: Parts, verbs: Verbs, api: ApiServices, *, origins: Mapping[str, Origin]) -> DeskServices:
    """The console's services: the API's own, and what only a person at a screen needs."""
    first_admin = FirstAdmin(parts.people, parts.credentials, parts.tokens)
    locks, audit, decide = LockStore(parts.db), AuditLog(parts.db), Decide(parts.house, verbs.settle)

    async def well() -> dict[str, str]:
        return (await api.health()).parts

    sources = Sources(
        locks=locks,
        decide=decide,
        printers=parts.printer_store,
        terminals=api.terminals,
        mails=MailStore(parts.db),
        audit=audit,
        parts=well,
        has_setup_token=first_admin.has_token,
    )
    rules = parts.settings.console
    sessions = ConsoleSessions(
        parts.db,
        ConsoleStore(parts.db),
        parts.auth_store,
        sign_in=parts.sign_in,
        clock=parts.clock,
        dice=parts.dice,
        times=ConsoleTimes(rules.idle_s, rules.absolute_s, rules.proof_s),
    )

    async def settings() -> Sequence[tuple[str, Any, str]]:
        return shown.rows(parts.settings, origins)

    return DeskServices(
        api=api,
        sessions=sessions,
        attention=Attention(sources, parts.clock),
        first_admin=first_admin,
        audit=audit,
        locks=locks,
        care=PersonCare(parts.db, parts.people, parts.credentials, parts.outbox, parts.clock),
        decide=decide,
        new_key=lambda: new_id(parts.dice),
        timezone=parts.house.timezone,
        settings=settings,
    )
