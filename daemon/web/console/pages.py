"""The pages anybody may see: the start page, and the two that lead to a password. Links come by mail.

Looking at a page changes nothing. The link's code travels in the address's fragment and so reaches no server, log or
referrer; the form brings it. Without script it is typed from the mail.
"""

from __future__ import annotations

import asyncio
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from daemon.auth.credentials import LinkSpent
from daemon.auth.secret_rules import PasswordRefused
from daemon.kernel.errors import Refusal, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from daemon.auth.credentials import Credentials
    from daemon.web.console.gate import Gate

log = structlog.get_logger(__name__)

LANGUAGES = ("en", "de", "fr", "es")
FORM_BYTES_MAX = 16_384
FORM_FIELDS_MAX = 10
ASKS_WAITING_MAX = 100
NAME_CHARS_MAX = 254
_CSS, _JS = "text/css; charset=utf-8", "text/javascript; charset=utf-8"
STATIC = {"console.css": _CSS, "desk.css": _CSS, "password.js": _JS, "desk.js": _JS, "icon.svg": "image/svg+xml"}
STATIC_AGE_S = 3600
PUBLIC_PATHS = ("/", "/password", "/password/set", *(f"/static/{name}" for name in STATIC))
"""Everything here; nobody is signed in on these pages."""


class FormTooLarge(Refusal):
    """More than any of these forms holds."""

    code = "body-too-large"


@dataclass(frozen=True, slots=True)
class ConsoleServices:
    """What the pages stand on. `name_of` spells a network name, or raises; `password_chars_min` is shown."""

    credentials: Credentials
    name_of: Callable[[str], str]
    password_chars_min: int


@cache
def texts(language: str) -> Mapping[str, str]:
    """Everything the pages say in one language."""
    return tomllib.loads((resources.files("daemon.web.console.texts") / f"{language}.toml").read_text("utf-8"))


def spoken(accept: str) -> str:
    """The first language of Accept-Language that we have, else English."""
    for part in accept.split(",")[:20]:
        primary = part.partition(";")[0].strip().partition("-")[0].lower()
        if primary in LANGUAGES:
            return primary
    return LANGUAGES[0]


class Pages:
    """Renders and answers. Owns the asks under way: `close` ends them."""

    def __init__(self, services: ConsoleServices) -> None:
        self._services = services
        self._pages = Environment(
            loader=PackageLoader("daemon.web.console"), autoescape=True, undefined=StrictUndefined, auto_reload=False
        )
        self._asks: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """Every route."""
        return [
            Route("/", self.home, methods=["GET"]),
            Route("/password", self.ask, methods=["GET"]),
            Route("/password", self.asked, methods=["POST"]),
            Route("/password/set", self.choose, methods=["GET"]),
            Route("/password/set", self.chosen, methods=["POST"]),
            Route("/static/{name}", self.static, methods=["GET"]),
        ]

    async def close(self) -> None:
        """End what is still being mailed."""
        for task in self._asks:
            task.cancel()
        await asyncio.gather(*self._asks, return_exceptions=True)

    async def home(self, request: Request) -> Response:
        """GET /."""
        return self._page(request, "home", "home_title")

    async def ask(self, request: Request) -> Response:
        """GET /password: ask for a link."""
        return self._page(request, "ask", "ask_title")

    async def asked(self, request: Request) -> Response:
        """POST /password: the same answer at once, whoever was named; what follows happens behind it."""
        if not is_own_form(request):
            return self._notice(request, "forbidden", 403, link="/password", link_text="ask_title")
        form = await read_form(request)
        if len(self._asks) >= ASKS_WAITING_MAX:
            return self._notice(request, "away", 503, link="/password", link_text="ask_title")
        task = asyncio.create_task(self._send_link(form.get("name", "")[:NAME_CHARS_MAX]), name="password-link")
        self._asks.add(task)
        task.add_done_callback(self._asks.discard)
        return self._notice(request, "asked", 200, link="/", link_text="back")

    async def choose(self, request: Request) -> Response:
        """GET /password/set: the form. The code is in the fragment, which we do not see."""
        return self._form(request, token="", problem="")

    async def chosen(self, request: Request) -> Response:
        """POST /password/set: set it and spend the link, or say why not and keep the link."""
        if not is_own_form(request):
            return self._notice(request, "forbidden", 403, link="/password", link_text="ask_title")
        form = await read_form(request)
        token = form.get("token", "").strip()
        try:
            pin = await self._services.credentials.use_link(token, form.get("password", ""))
        except PasswordRefused as refusal:
            say = texts(spoken(request.headers.get("accept-language", "")))
            problem = say.get(str(refusal.data.get("reason")), refusal.message)
            return self._form(request, token=token, problem=problem, status=422)
        except LinkSpent:
            return self._notice(request, "spent", 410, link="/password", link_text="spent_again")
        return self._page(request, "done", "done_title", pin=pin)

    async def static(self, request: Request) -> Response:
        """GET /static/NAME: from the list above, nothing else."""
        name = str(request.path_params["name"])
        if name not in STATIC:
            return self.missing(request)
        content = _static(name)
        return Response(content, media_type=STATIC[name], headers={"Cache-Control": f"max-age={STATIC_AGE_S}"})

    def missing(self, request: Request) -> Response:
        """404."""
        return self._notice(request, "missing", 404, link="/", link_text="back", has_text=False)

    def unavailable(self, request: Request) -> Response:
        """503."""
        return self._notice(request, "away", 503, link="/", link_text="back")

    async def _send_link(self, name: str) -> None:
        try:
            await self._services.credentials.ask_link(self._services.name_of(name))
        except (Refusal, Unavailable) as problem:
            log.info("password_link.not_sent", code=problem.code)

    def _form(self, request: Request, *, token: str, problem: str, status: int = 200) -> Response:
        least = self._services.password_chars_min
        return self._page(request, "set", "set_title", status, token=token, problem=problem, least=least)

    def _notice(
        self, request: Request, what: str, status: int, *, link: str, link_text: str, has_text: bool = True
    ) -> Response:
        say = texts(spoken(request.headers.get("accept-language", "")))
        text = say[f"{what}_text"] if has_text else ""
        return self._page(request, "notice", f"{what}_title", status, text=text, link=link, link_text=say[link_text])

    def _page(self, request: Request, template: str, title: str, status: int = 200, **values: Any) -> Response:
        language = spoken(request.headers.get("accept-language", ""))
        say = texts(language)
        html = self._pages.get_template(f"{template}.html").render(
            language=language, say=say, title=say[title], **values
        )
        headers = {"Cache-Control": "no-store", "Vary": "Accept-Language"}
        return HTMLResponse(html, status_code=status, headers=headers)


def is_own_form(request: Request) -> bool:
    """Whether a form came from our own page: by Sec-Fetch-Site, else by Origin; without both it was no browser."""
    site = request.headers.get("sec-fetch-site", "")
    if site:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin", "")
    return not origin or urlsplit(origin).netloc == request.headers.get("host", "")


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a small form; of a field sent twice the first.

    Raises:
        FormTooLarge: more than these forms hold.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            raise FormTooLarge
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def create_console(services: ConsoleServices, desk: Gate | None = None) -> tuple[Starlette, Pages]:
    """The pages as an ASGI application for `/`, and their owner, which is closed before the database.

    `desk` holds the pages below `/console`, behind their own gate.
    """
    pages = Pages(services)

    async def on_missing(request: Request, _error: Exception) -> Response:
        if desk is not None and request.url.path.startswith("/console"):
            return await desk.missing(request)
        return pages.missing(request)

    async def on_unavailable(request: Request, _error: Exception) -> Response:
        return pages.unavailable(request)

    async def on_too_large(_request: Request, _error: Exception) -> Response:
        return Response(status_code=413)

    handlers: Any = {404: on_missing, 405: on_missing, Unavailable: on_unavailable, FormTooLarge: on_too_large}
    routes = [*pages.routes(), *(desk.routes() if desk is not None else ())]
    return Starlette(routes=routes, exception_handlers=handlers), pages


@cache
def _static(name: str) -> bytes:
    return (resources.files("daemon.web.console") / "static" / name).read_bytes()
