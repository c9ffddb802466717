"""Every page of the console, in one table, behind one gate."""

from __future__ import annotations

from daemon.auth import permissions as p
from daemon.web.console import audit, cards, entry, house, jobs, overview, own, people, person, printers, terminals
from daemon.web.console.desk import DeskServices
from daemon.web.console.gate import Gate, Page
from daemon.web.console.visit import NavItem

PAGES: tuple[Page, ...] = (
    *entry.PAGES,
    *overview.PAGES,
    *own.PAGES,
    *people.PAGES,
    *person.PAGES,
    *cards.PAGES,
    *jobs.PAGES,
    *terminals.PAGES,
    *printers.PAGES,
    *house.PAGES,
    *audit.PAGES,
)
NAV = (
    NavItem("/console", "nav.overview", p.STATUS_READ),
    NavItem("/console/people", "nav.people", p.USERS_READ),
    NavItem("/console/jobs", "nav.jobs", p.JOBS_READ),
    NavItem("/console/terminals", "nav.terminals", p.TERMINALS_READ),
    NavItem("/console/printers", "nav.printers", p.PRINTERS_READ),
    NavItem("/console/audit", "nav.audit", p.AUDIT_READ),
    NavItem("/console/tokens", "nav.tokens", p.TOKENS_WRITE),
    NavItem("/console/settings", "nav.settings", p.SETTINGS_READ),
)


def create_desk(services: DeskServices) -> Gate:
    """The gate over all pages."""
    return Gate(services, PAGES, NAV)
