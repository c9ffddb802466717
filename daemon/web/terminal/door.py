"""Who knocks: the request's size, its signature, its session; then the handler, and every refusal by the one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from daemon.auth.terminals import SignedHead
from daemon.kernel.errors import BadInput, Refusal, Unavailable
from daemon.web.terminal.answers import refused
from daemon.web.terminal.fields import Fields
from daemon.wire import signing
from daemon.wire.messages import BODY_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from daemon.auth.identity import Session
    from daemon.auth.service import SignIn
    from daemon.auth.sessions import Sessions
    from daemon.auth.terminal_commands import TerminalCommands
    from daemon.auth.terminal_hours import TerminalHours
    from daemon.auth.terminals import Terminal, Terminals
    from daemon.kernel.clock import Clock
    from daemon.notices.feed import EventFeed
    from daemon.web.terminal.backend import Backend
    from daemon.web.terminal.printer_news import PrinterNews
    from daemon.workflows.card_enrolment import CardEnrolment
    from daemon.workflows.people import PeopleDesk

log = structlog.get_logger(__name__)


class BodyTooLarge(Refusal):
    """More than a terminal ever has to say."""

    code = "body-too-large"


@dataclass(frozen=True, slots=True)
class ScreenLimits:
    """What terminals are told about their screens: seconds and languages, the first the default.

    `link`: people may link a card nobody knows; `mailed_code`: with a code by mail in place of a password.
    """

    idle_s: int = 60
    countdown_s: int = 20
    languages: tuple[str, ...] = ("en", "de", "fr", "es", "ar")
    link: bool = True
    mailed_code: bool = False


@dataclass(frozen=True, slots=True)
class TerminalServices:
    """What the terminal API stands on."""

    terminals: Terminals
    hours: TerminalHours
    commands: TerminalCommands
    printer_news: PrinterNews
    sessions: Sessions
    sign_in: SignIn
    feed: EventFeed
    backend: Backend
    clock: Clock
    screen: ScreenLimits
    cards: CardEnrolment
    people: PeopleDesk


@dataclass(frozen=True, slots=True)
class Call:
    """One signed request, understood as far as every request is."""

    services: TerminalServices
    request: Request
    terminal: Terminal
    body: bytes
    session: Session | None

    @property
    def fields(self) -> Fields:
        """The JSON body.

        Raises:
            BadInput: it is no object.
        """
        return Fields(self.body)

    @property
    def signed_in(self) -> Session:
        """The session; routes that need none never ask."""
        assert self.session is not None
        return self.session


def signed(
    services: TerminalServices,
    handler: Callable[[Call], Awaitable[Response]],
    *,
    needs_session: bool = True,
    is_use: bool = False,
    money: bool = False,
    body_bytes_max: int = BODY_BYTES_MAX,
) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint for signed requests. `is_use`: the person did something, so their session lives on.

    A request that was under way when its terminal was revoked is answered `revoked` like every later one.
    """

    async def endpoint(request: Request) -> Response:
        try:
            body = await _counted_body(services, request, body_bytes_max)
            terminal = await services.terminals.recognise(head_of(request), body)
            session = await session_of(services, request, terminal, needed=needs_session)
            if is_use and session is not None:
                await services.sessions.extend(session)
            try:
                answer = await handler(Call(services, request, terminal, body, session))
            except (Refusal, Unavailable):
                services.terminals.check_in_force(terminal)
                raise
            services.terminals.check_in_force(terminal)
            return answer
        except (Refusal, Unavailable) as problem:
            return answer_to(problem, request, money=money)

    return endpoint


def unsigned(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint for whoever has no key yet."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except (Refusal, Unavailable) as problem:
            return answer_to(problem, request, money=False)

    return endpoint


def answer_to(problem: Refusal | Unavailable, request: Request, *, money: bool) -> Response:
    """The refusal as an answer; unavailability is worth a line."""
    if isinstance(problem, Unavailable):
        log.warning("terminal.unavailable", code=problem.code, path=request.url.path)
    return refused(problem, money=money)


async def _counted_body(services: TerminalServices, request: Request, bytes_max: int) -> bytes:
    try:
        return await read_body(request, bytes_max)
    except BodyTooLarge:
        await services.terminals.refused_unread("too-large")
        raise


async def read_body(request: Request, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """The whole body, bounded.

    Raises:
        BodyTooLarge: more than a terminal ever sends.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise BodyTooLarge(f"a request has at most {bytes_max} bytes")
    return bytes(body)


def head_of(request: Request) -> SignedHead:
    """The signature's headers and exactly what was signed: the path and query as they came over the wire."""
    headers = request.headers
    scope: Any = request.scope
    raw_path: bytes = scope.get("raw_path") or request.url.path.encode()
    query: bytes = scope.get("query_string", b"")
    target = raw_path.partition(b"?")[0] + (b"?" + query if query else b"")
    try:
        text = target.decode("ascii")
    except UnicodeDecodeError as error:
        raise BadInput("the address is not ASCII") from error
    return SignedHead(
        terminal_id=headers.get(signing.HEADER_TERMINAL, ""),
        time=headers.get(signing.HEADER_TIME, ""),
        counter=headers.get(signing.HEADER_COUNTER, ""),
        signature=headers.get(signing.HEADER_SIGNATURE, ""),
        method=request.method,
        target=text,
    )


async def session_of(
    services: TerminalServices, request: Request, terminal: Terminal, *, needed: bool
) -> Session | None:
    """The session named in the request, opened at this terminal.

    Raises:
        SessionEnded: it is over, or one is needed and none was named.
    """
    token = request.headers.get(signing.HEADER_SESSION, "")
    if not token and not needed:
        return None
    return await services.sessions.check(token, terminal_id=terminal.id)
