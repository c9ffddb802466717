"""The daemon's listeners: IPP plain and over TLS, https for API, terminals and console, and the admin socket."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

import structlog

from daemon.app.desk import desk_services
from daemon.app.figures import house_metrics
from daemon.app.ipp_backend import IppBackend
from daemon.app.services import api_services
from daemon.auth import tls
from daemon.auth.leaf import Leaf
from daemon.notices.event_store import EventStore
from daemon.notices.feed import EventFeed
from daemon.people.names import normalise
from daemon.web.console.app import create_desk
from daemon.web.console.pages import ConsoleServices, create_console
from daemon.web.dns_sd import Announcement, Announcer, CannotAnnounce
from daemon.web.https import WebServer, listen_admin, listen_tcp
from daemon.web.ipp.addresses import PAGES_PREFIX, Ports
from daemon.web.ipp.front import IppFront
from daemon.web.ipp.http import HttpLimits
from daemon.web.ipp.listener import IppListener
from daemon.web.ipp.queues import Queues, QueueView, Rule
from daemon.web.site import create_site
from daemon.web.terminal.door import ScreenLimits, TerminalServices
from daemon.web.terminal.house import HouseBackend, KioskPolicy
from daemon.web.terminal.printer_news import PrinterNews
from daemon.web.terminal.routes import create_terminal_api

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from daemon.app.parts import Parts
    from daemon.app.verbs import Verbs
    from daemon.settings import Origin, Queue, Settings
    from daemon.web.console.pages import Pages

TERMINAL_PREFIX = "/terminal"
log = structlog.get_logger(__name__)

QUEUE_SPACE = uuid.UUID("6f2d2f0e-8f0a-5b1e-9b83-6b1a5f0f6d11")
"""Name space of queue UUIDs: one installation's queue of one name keeps its UUID for ever."""


class Doors:
    """Opens and closes every listener.

    `sockets` are those handed over by systemd, by name; `origins` tells where each setting was set.
    """

    def __init__(
        self,
        parts: Parts,
        verbs: Verbs,
        *,
        sockets: Mapping[str, Sequence[socket.socket]],
        origins: Mapping[str, Origin] | None = None,
    ) -> None:
        self._origins = origins or {}
        self._parts = parts
        self._verbs = verbs
        self._sockets = sockets
        self.metrics = house_metrics(parts) if parts.settings.metrics.enabled else None
        if self.metrics is not None:
            verbs.release.observe(self.metrics.released)
        self._ipp: list[IppListener] = []
        self._web: list[WebServer] = []
        self._feed = EventFeed(EventStore(parts.db))
        self._pages: Pages | None = None
        server = parts.settings.server
        self.leaf = Leaf(parts.tls, names=(server.name, *server.names), clock=parts.clock, dice=parts.dice)
        self._announcer: Announcer | None = None

    async def open(self) -> None:
        """Serve everywhere; what was opened is closed again when one cannot be.

        Raises:
            AddressTaken: somebody else listens there.
        """
        try:
            await self._open_ipp()
            await self._open_web()
            await self._announce()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop accepting, end event streams, let what is under way end within its grace."""
        if self._announcer is not None:
            await self._announcer.close()
        await self._feed.close()
        if self._pages is not None:
            await self._pages.close()
        for listener in self._ipp:
            await listener.close()
        for server in self._web:
            await server.close()
        self._ipp.clear()
        self._web.clear()
        with contextlib.suppress(FileNotFoundError):
            self._parts.settings.admin_socket.unlink()

    async def _open_ipp(self) -> None:
        parts, server = self._parts, self._parts.settings.server
        context = self.leaf.context()
        front = IppFront(
            queues=queue_views(parts.settings, parts.tls),
            backend=IppBackend(parts, self._verbs),
            ports=Ports(server.ipp or 0, server.ipps),
            clock=parts.clock,
            key=parts.dice.token(32),
            document_bytes_max=parts.settings.spool.bytes_max,
            strip_domains=parts.settings.people.strip_domains,
        )
        limits = HttpLimits(connections_max=server.connections_max)
        plain = IppListener(handler=front, clock=parts.clock, limits=limits, upgrade_context=context)
        secure = IppListener(handler=front, clock=parts.clock, limits=limits, context=context)
        if server.ipp is not None:
            await self._listen(plain, "ipp", server.ipp)
        await self._listen(secure, "ipps", server.ipps)

    async def _listen(self, listener: IppListener, name: str, port: int) -> None:
        self._ipp.append(listener)
        given = self._sockets.get(name)
        await listener.start(sockets=given or listen_tcp(self._parts.settings.server.bind, port))

    async def _open_web(self) -> None:
        parts, server = self._parts, self._parts.settings.server
        await self._feed.start()
        terminals = create_terminal_api(terminal_services(parts, self._verbs, self._feed))
        api = api_services(parts, self._verbs, metrics=self.metrics.render if self.metrics else None)
        desk = create_desk(desk_services(parts, self._verbs, api, origins=self._origins))
        console, self._pages = create_console(console_services(parts), desk)
        site, admin = create_site(api, others={TERMINAL_PREFIX: terminals, "/": console})
        context = self.leaf.context()
        given = self._sockets.get("https") or listen_tcp(server.bind, server.api)
        self._web = [
            WebServer(site, given, context=context, connections_max=server.connections_max),
            WebServer(admin, [listen_admin(parts.settings.admin_socket)]),
        ]
        for one in self._web:
            await one.start()

    async def _announce(self) -> None:
        """Say on the network where the queues are; where that fails, printing by address works all the same."""
        settings = self._parts.settings
        if not settings.dns_sd.enabled:
            return
        addresses = settings.dns_sd.interfaces or settings.server.bind
        server = settings.server
        house = Announcement(server.name, addresses, server.ipp, server.ipps, f"{PAGES_PREFIX}/")
        queues = tuple(queue_views(settings, self._parts.tls).by_name.values())
        self._announcer = Announcer(queues, house, interfaces=addresses)
        try:
            await self._announcer.start()
        except CannotAnnounce as problem:
            log.warning("dns_sd.unavailable", problem=problem.message)


def terminal_services(parts: Parts, verbs: Verbs, feed: EventFeed) -> TerminalServices:
    """What the terminal API stands on."""
    kiosk = parts.settings.kiosk
    backend = HouseBackend(
        parts.house,
        terminals=parts.terminal_store,
        jobs=verbs.jobs,
        cancel=verbs.cancel,
        release=verbs.release,
        prices=parts.prices,
        printers=parts.printers,
        converter=verbs.converter,
        policy=KioskPolicy(preview=kiosk.preview, card_cost_cap=kiosk.card_cost_cap, cards=parts.cards.rules),
        look=verbs.looks.soon,
    )
    cards = parts.settings.cards
    return TerminalServices(
        terminals=parts.terminals,
        hours=parts.terminal_care.hours,
        commands=parts.terminal_care.commands,
        printer_news=PrinterNews(backend.printer),
        sessions=parts.sessions,
        sign_in=parts.sign_in,
        feed=feed,
        backend=backend,
        clock=parts.clock,
        screen=ScreenLimits(
            kiosk.idle_s, kiosk.countdown_s, kiosk.languages, link=cards.self_enrolment, mailed_code=cards.mailed_code
        ),
        cards=parts.cards.enrolment,
        people=parts.people,
    )


def console_services(parts: Parts) -> ConsoleServices:
    """What the public pages stand on."""
    people, rules = parts.settings.people, parts.settings.sign_in
    return ConsoleServices(
        credentials=parts.credentials,
        name_of=lambda name: normalise(name, strip_domains=people.strip_domains),
        password_chars_min=rules.password_length_min,
    )


def queue_views(settings: Settings, files: tls.TlsFiles) -> Queues:
    """The queues as IPP clients see them."""
    names = list(settings.queues)
    house = tls.ca_sha256(files)
    return Queues.of(*(_view(name, settings.queues[name], house=house, is_default=name == names[0]) for name in names))


def _view(name: str, queue: Queue, *, house: str, is_default: bool) -> QueueView:
    return QueueView(
        name=name,
        uuid=f"urn:uuid:{uuid.uuid5(QUEUE_SPACE, f'{house}/{name}')}",
        rule=Rule(queue.rule),
        is_held=not queue.auto_release,
        is_default=is_default,
        info=queue.title or name,
        location=queue.location,
    )
