"""Every page of the console, in one table, behind one gate."""

from __future__ import annotations

from daemon.auth import permissions as p
from daemon.web.console import audit, entry, jobs, overview, own, people, person
from daemon.web.console.desk import DeskServices
from daemon.web.console.gate import Gate, Page
from daemon.web.console.visit import NavItem

PAGES: tuple[Page, ...] = (
    *entry.PAGES,
    *overview.PAGES,
    *own.PAGES,
    *people.PAGES,
    *person.PAGES,
    *jobs.PAGES,
    *audit.PAGES,
)
NAV = (NavItem("/console", "nav.overview", p.STATUS_READ),)


def create_desk(services: DeskServices) -> Gate:
    """The gate over all pages."""
    return Gate(services, PAGES, NAV)
