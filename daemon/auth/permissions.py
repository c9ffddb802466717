"""Who may do what: roles are named sets of permissions, granted for all sites or for some. Deny by default. Pure.

A permission is `noun.verb`. Console, API and command line ask one `Actor` the same question, so no front door can
forget a rule. What is not yours to see answers as if it were not there: that choice lies with the caller, who knows
whether the thing exists.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.kernel.errors import Forbidden, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

EVERY_SITE = "*"

USERS_READ = "users.read"
USERS_WRITE = "users.write"
USERS_UNLOCK = "users.unlock"
USERS_PASSWORD = "users.password"  # noqa: S105  -- a permission's name
ROLES_WRITE = "roles.write"
PRINTERS_READ = "printers.read"
PRINTERS_WRITE = "printers.write"
TERMINALS_READ = "terminals.read"
TERMINALS_WRITE = "terminals.write"
TERMINALS_OPERATE = "terminals.operate"
JOBS_READ = "jobs.read"
JOBS_CONTROL = "jobs.control"
ACCOUNTS_READ = "accounts.read"
ACCOUNTS_ADJUST = "accounts.adjust"
LEDGER_READ = "ledger.read"
CARDS_READ = "cards.read"
CARDS_WRITE = "cards.write"
CARDS_BLOCK = "cards.block"
TOKENS_WRITE = "tokens.write"
QUEUES_OPERATE = "queues.operate"
SETTINGS_READ = "settings.read"
METRICS_READ = "metrics.read"
AUDIT_READ = "audit.read"
BACKUP_RUN = "backup.run"
STATUS_READ = "status.read"

_LOOK = frozenset({USERS_READ, PRINTERS_READ, TERMINALS_READ, JOBS_READ, STATUS_READ})

ADMIN = "admin"
"""The role whose holders answer for the house."""

ROLES: dict[str, frozenset[str]] = {
    ADMIN: frozenset(
        {
            USERS_READ,
            USERS_WRITE,
            USERS_UNLOCK,
            USERS_PASSWORD,
            ROLES_WRITE,
            PRINTERS_READ,
            PRINTERS_WRITE,
            TERMINALS_READ,
            TERMINALS_WRITE,
            TERMINALS_OPERATE,
            JOBS_READ,
            JOBS_CONTROL,
            ACCOUNTS_READ,
            ACCOUNTS_ADJUST,
            LEDGER_READ,
            CARDS_READ,
            CARDS_WRITE,
            CARDS_BLOCK,
            TOKENS_WRITE,
            QUEUES_OPERATE,
            SETTINGS_READ,
            METRICS_READ,
            AUDIT_READ,
            BACKUP_RUN,
            STATUS_READ,
        }
    ),
    "operator": _LOOK | {USERS_UNLOCK, TERMINALS_OPERATE, JOBS_CONTROL, QUEUES_OPERATE, CARDS_READ, CARDS_BLOCK},
    "billing": frozenset({USERS_READ, ACCOUNTS_READ, ACCOUNTS_ADJUST, LEDGER_READ, STATUS_READ}),
    "read-only": _LOOK | {ACCOUNTS_READ, CARDS_READ},
    "metrics": frozenset({METRICS_READ}),
}
"""The roles of the house. A person without one prints and sees what is their own, nothing else."""

PERMISSIONS = frozenset().union(*ROLES.values())


class RoleUnknown(Refusal):
    """No role of that name."""

    code = "role-unknown"


def check_role(role: str) -> str:
    """The role's name.

    Raises:
        RoleUnknown: there is none; the message lists them.
    """
    if role not in ROLES:
        raise RoleUnknown(f"no role {role!r}: use one of {', '.join(sorted(ROLES))}")
    return role


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks, as the audit names them: `local:<uid>`, `token:<name>`, `user:<id>`, `terminal:<id>`, `system`.

    `grants` maps a permission to the sites it holds for (`*` for all).
    """

    name: str
    person_id: int | None = None
    grants: dict[str, frozenset[str]] = field(default_factory=dict)

    def may(self, permission: str, *, site: str = EVERY_SITE) -> bool:
        """Whether this actor holds `permission` at `site`; `*` asks for all sites."""
        held = self.grants.get(permission, frozenset())
        return EVERY_SITE in held or site in held

    def may_anywhere(self, permission: str) -> bool:
        """Whether this actor holds `permission` for at least one site (lists are then cut to those sites)."""
        return bool(self.grants.get(permission))

    def require(self, permission: str, *, site: str = EVERY_SITE) -> None:
        """Go on only with the permission.

        Raises:
            Forbidden: without it.
        """
        if permission not in PERMISSIONS:
            raise ValueError(f"no such permission: {permission}")
        if not self.may(permission, site=site):
            raise Forbidden(f"this needs the permission {permission}", permission=permission)


def actor(name: str, roles: Iterable[tuple[str, str]], *, person_id: int | None = None) -> Actor:
    """An actor with the union of what `roles` (role, site) grant; unknown roles grant nothing."""
    grants: dict[str, set[str]] = {}
    for role, site in roles:
        for permission in ROLES.get(role, frozenset()):
            grants.setdefault(permission, set()).add(site)
    return Actor(name, person_id, {permission: frozenset(sites) for permission, sites in grants.items()})


SYSTEM = actor("system", [("admin", EVERY_SITE)])
"""The daemon itself."""
