"""An office whose terminal API is served over real TLS, and terminals that enrol at it like the kiosk program does."""

from __future__ import annotations

import asyncio
import contextlib

from daemon.app.doors import terminal_services
from daemon.app.services import terminal_desk
from daemon.auth import tls
from daemon.notices.event_store import EventStore
from daemon.notices.feed import EventFeed
from daemon.system import SystemClock
from daemon.web.https import WebServer, listen_tcp
from daemon.web.terminal.routes import create_terminal_api
from daemon.workflows.card_enrolment import CardDraft
from kiosk import identity
from kiosk.enrolment import enrol
from kiosk.link import DaemonLink

PASSWORD = "tinned peaches at nine"


class Hall:
    """The office, its address, its feed."""

    def __init__(self, office, url, feed, services):
        self.office, self.url, self.feed, self.services = office, url, feed, services
        self.parts = office.parts
        self.desk = terminal_desk(office.parts)

    async def hire(self, name, *, pin, **draft):
        """A person who can sign in."""
        return await self.office.hire(name, pin=pin, password=PASSWORD, **draft)

    async def new_terminal(self, name, printer, *, policy="card+password"):
        """A terminal added by the administrator; its code."""
        return await self.parts.terminals.add(name, printers=[printer.public_id], policy=policy, actor="local:0")

    @contextlib.asynccontextmanager
    async def terminal(self, folder, name, printer, *, policy="card+password"):
        """An enrolled terminal's line to the daemon."""
        new = await self.new_terminal(name, printer, policy=policy)
        home = folder / f"kiosk-{name}"
        await enrol(url=self.url, code_text=new.code, directory=home)
        config = identity.load(home / identity.CONFIG_NAME)
        link = DaemonLink(
            url=config.daemon_url,
            ca_pem=config.ca_pem,
            terminal_id=config.terminal_id,
            key=identity.load_key(config.key_file),
            counter=identity.Counter(home / identity.COUNTER_NAME),
            clock=SystemClock(),
        )
        async with link:
            yield link

    async def add_card(self, person, raw, **draft):
        """Register a card; its id."""
        made = await self.parts.cards.enrolment.enrol(person, CardDraft(raw, **draft), by="local:0", how="desk")
        return made.card.public_id


@contextlib.asynccontextmanager
async def counter_hall(office):
    """Serve the terminal API of an open office."""
    feed = EventFeed(EventStore(office.parts.db))
    await feed.start()
    services = terminal_services(office.parts, office.verbs, feed)
    app = create_terminal_api(services)
    sockets = listen_tcp(["127.0.0.1"], 0)
    server = WebServer(app, sockets, context=tls.server_context(office.parts.tls))
    await server.start()
    try:
        yield Hall(office, f"https://127.0.0.1:{sockets[0].getsockname()[1]}", feed, services)
    finally:
        await feed.close()
        await server.close()


class Listener:
    """Collects a stream's events; `until` waits for one."""

    def __init__(self, link, **options):
        self.events = []
        self._task = asyncio.create_task(self._listen(link, options))
        self._news = asyncio.Event()
        self.error = None

    async def _listen(self, link, options):
        try:
            async for event in link.events(**options):
                self.events.append(event)
                self._news.set()
        except Exception as error:
            self.error = error
        finally:
            self._news.set()

    async def until(self, wanted, timeout_s=15.0):
        """The first event for which `wanted` holds."""
        async with asyncio.timeout(timeout_s):
            while True:
                for event in self.events:
                    if wanted(event):
                        return event
                if self._task.done():
                    raise AssertionError(f"the stream ended: {self.error!r} after {self.events}")
                self._news.clear()
                await self._news.wait()

    async def ended(self, timeout_s=5.0):
        """Wait for the stream's end."""
        async with asyncio.timeout(timeout_s):
            await asyncio.wait([self._task])

    async def stop(self):
        """Hang up."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
