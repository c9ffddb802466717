"""One request of somebody to the console: who they are, what they may, how they are spoken to, and how we answer."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from daemon.web.console.forms import CSRF_FIELD, EMPTY, Form
from daemon.web.console.speech import OWN_NAMES

if TYPE_CHECKING:
    from starlette.requests import Request

    from daemon.auth.console_store import ConsoleSession
    from daemon.auth.permissions import Actor
    from daemon.web.console.desk import DeskServices
    from daemon.web.console.speech import Speech

SESSION_COOKIE = "__Host-holdfast"
LANGUAGE_COOKIE = "__Host-holdfast-language"
LANGUAGE_AGE_S = 365 * 86_400
NOTES_SESSIONS_MAX = 1000
NOTES_EACH_MAX = 5
_HIDDEN = Markup('<input type="hidden" name="{name}" value="{value}">')


@dataclass(frozen=True, slots=True)
class Note:
    """Said once, on the next page: `tone` is good or bad, `secret` is shown large (a PIN, a code) and nowhere kept."""

    key: str
    tone: str = "good"
    values: dict[str, object] = field(default_factory=dict)
    secret: str = ""

    def __repr__(self) -> str:
        return f"Note({self.key})"


class Notes:
    """What the next page of a session says. In memory: who restarts the daemon misses a confirmation, nothing else."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, list[Note]] = OrderedDict()

    def put(self, session: ConsoleSession, note: Note) -> None:
        """Keep it for the next page; of too many sessions the longest silent is forgotten."""
        kept = [*self._waiting.pop(session.csrf, []), note][-NOTES_EACH_MAX:]
        self._waiting[session.csrf] = kept
        while len(self._waiting) > NOTES_SESSIONS_MAX:
            self._waiting.popitem(last=False)

    def take(self, session: ConsoleSession) -> list[Note]:
        """What waits, and nothing the next time."""
        return self._waiting.pop(session.csrf, [])


@dataclass(frozen=True, slots=True)
class NavItem:
    """A page in the navigation: its address, the key of its name, and what it takes to see it."""

    path: str
    key: str
    permission: str


@dataclass(slots=True)
class Visit:
    """What a page is made from. `session` and `actor` are None before signing in."""

    request: Request
    services: DeskServices
    speech: Speech
    notes: Notes
    session: ConsoleSession | None = None
    actor: Actor | None = None
    form: Form = EMPTY
    nav: Sequence[NavItem] = ()
    fresh_token: str = ""
    """A cookie value made while this request was answered, to be sent with the answer."""

    @property
    def who(self) -> Actor:
        """Whoever is signed in; pages behind the gate have somebody."""
        assert self.actor is not None
        return self.actor

    @property
    def signed_in(self) -> ConsoleSession:
        """The session; pages behind the gate have one."""
        assert self.session is not None
        return self.session

    @property
    def peer(self) -> str:
        """The address the request came from."""
        return self.request.client.host if self.request.client else ""

    def part(self, name: str) -> str:
        """A part of the address (`/console/people/{id}`)."""
        return str(self.request.path_params[name])

    def asked(self, name: str, chars_max: int = 200) -> str:
        """A parameter of the address, one trimmed line; empty when it is not there."""
        return " ".join(self.request.query_params.get(name, "").split())[:chars_max]

    def may(self, permission: str) -> bool:
        """For what a page shows; what it does is held by the gate and the workflow."""
        return self.actor is not None and self.actor.may(permission)

    def page(self, template: str, title: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A whole page; `title` is already in the visitor's language."""
        session = self.session
        csrf = session.csrf if session is not None else ""
        template_of = environment().get_template
        html = template_of(f"desk/{template}.html").render(
            visit=self,
            say=self.speech,
            language=self.speech.language,
            title=title,
            here=self.request.url.path,
            nav=[item for item in self.nav if self.may(item.permission)],
            notes=self.notes.take(session) if session is not None and self._is_looked_at() else [],
            form_token=lambda: _HIDDEN.format(name=CSRF_FIELD, value=csrf),
            own_names=OWN_NAMES,
            may=self.may,
            asset=asset,
            path=path,
            **values,
        )
        return HTMLResponse(html, status_code=status)

    def _is_looked_at(self) -> bool:
        """Not a part that a page fetches behind the scenes: what is said once must be seen."""
        return self.request.headers.get("sec-fetch-mode", "navigate") == "navigate"

    def go(self, where: str, note: str = "", *, tone: str = "good", secret: str = "", **values: object) -> Response:
        """After a change: to a page of ours, which says what was done."""
        if note and self.session is not None:
            self.notes.put(self.session, Note(note, tone, values, secret))
        return RedirectResponse(where, status_code=303)


def path(*parts: str) -> str:
    """An address below the console, each part escaped."""
    return "/".join(("/console", *(quote(part, safe="") for part in parts)))


@cache
def environment() -> Environment:
    """The templates: everything filled in is escaped, everything missing is a bug."""
    return Environment(
        loader=PackageLoader("daemon.web.console"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def asset(name: str) -> str:
    """The address of a static file, new whenever its content is."""
    content = (resources.files("daemon.web.console") / "static" / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"
