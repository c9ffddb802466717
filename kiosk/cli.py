"""`holdfast kiosk enrol` and `holdfast kiosk run`: the edge of the terminal program. I/O.

Both give the exit code of the command.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from daemon.kernel.errors import BadInput, Refusal, Unavailable

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from kiosk.agent import Agent
    from kiosk.identity import KioskConfig
    from kiosk.state import Terminal

EXIT_OK, EXIT_USAGE, EXIT_UNAVAILABLE, EXIT_REFUSED = 0, 2, 3, 4
EXIT_RESTART = 75
"""Start me again: holdfast-kiosk.service does; without a service manager the program does so itself."""
STOP_S = 3
BACKLOG = 128
URL_NAME = "screen.url"
"""Where the screen's address with this start's token is left for the browser's unit to read (0600)."""


def enrol(
    *, daemon_url: str, code: str, directory: str, as_json: bool = False, reader: str = "none", is_again: bool = False
) -> int:
    """Give this machine its own key and pin its daemon; `code` is the secret itself, never an argument's text."""
    from kiosk import enrolment

    try:
        work = enrolment.enrol(
            url=daemon_url, code_text=code, directory=Path(directory), reader=reader, is_again=is_again
        )
        result = asyncio.run(work)
    except (Refusal, Unavailable) as error:
        return _failed(error, as_json=as_json)
    if as_json:
        print(json.dumps(result))
    else:
        print(f"This terminal is enrolled as {result['name'] or result['terminal_id']}.")
        print(f"{'Restart' if is_again else 'Start'} it: holdfast kiosk run --config {result['config']}")
    return EXIT_OK


def run(*, config: str, as_json: bool = False) -> int:
    """Until SIGTERM. Prints one JSON line with the screen's address when it serves."""
    from kiosk import identity, service

    try:
        status = asyncio.run(_serve(identity.load(Path(config))))
    except (Refusal, Unavailable) as error:
        return _failed(error, as_json=as_json)
    if status == EXIT_RESTART and not service.is_managed():
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  -- itself, as it was started
    return status


async def _serve(config: KioskConfig) -> int:
    from daemon.devices.readers.simulated import SimulatedReader
    from daemon.system import SystemClock, SystemDice
    from kiosk import identity, reader_config, server
    from kiosk.agent import Agent
    from kiosk.hub import Hub
    from kiosk.link import DaemonLink

    _log_to_stderr()
    log = structlog.get_logger(__name__)
    clock, dice = SystemClock(), SystemDice()
    listener = _listen(config.screen_host, config.screen_port)
    port = listener.getsockname()[1]
    token = dice.token(24).hex()
    readers = reader_config.open_all(config.readers, clock=clock, directory=config.directory)
    simulated = [reader for reader in readers if isinstance(reader, SimulatedReader)]
    hub = Hub(readers, clock=clock, quiet_s={one.name: one.quiet_s for one in config.readers})
    counter = identity.Counter(config.directory / identity.COUNTER_NAME)
    async with DaemonLink(
        url=config.daemon_url,
        ca_pem=config.ca_pem,
        terminal_id=config.terminal_id,
        key=identity.load_key(config.key_file),
        counter=counter,
        clock=clock,
    ) as link:
        agent = Agent(link=link, clock=clock, dice=dice, terminal=_terminal(config), hub=hub, jitter=random.random)
        app = server.build(
            agent, port=port, token=token, dice=dice, readers=simulated, dpi=config.dpi, inches=config.inches
        )
        screen = _screen_server(app)
        url = f"http://{config.screen_host}:{port}/?t={token}"
        identity.write_private(config.directory / URL_NAME, url.encode())
        _stop_on_signals(screen)
        print(json.dumps({"event": "ready", "urls": {"kiosk": url}}), flush=True)
        log.info("kiosk.ready", port=port, readers=len(readers))
        await _until_stopped(agent, screen, listener)
    (config.directory / URL_NAME).unlink(missing_ok=True)
    if agent.watch.restart_asked.is_set():
        log.info("kiosk.restarts")
        return EXIT_RESTART
    return EXIT_OK


def _terminal(config: KioskConfig) -> Terminal:
    """What the screen is before the daemon has said anything."""
    from kiosk.languages import languages
    from kiosk.state import Terminal

    spoken = tuple(code for code in languages() if not config.languages or code in config.languages)
    home = config.language if config.language in spoken else spoken[0]
    return Terminal(name=config.name, languages=spoken, home_language=home)


def _screen_server(app: ASGIApp) -> uvicorn.Server:
    import uvicorn

    from kiosk.connections import HEAD_BYTES_MAX, ScreenProtocol, ScreenServer

    settings = uvicorn.Config(
        app, http=ScreenProtocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
        date_header=False, timeout_graceful_shutdown=1, h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        proxy_headers=False,
    )  # fmt: skip
    return ScreenServer(settings)


async def _until_stopped(agent: Agent, screen: uvicorn.Server, listener: socket.socket) -> None:
    """Serves the screen while the agent works; the end of either, or a signal, ends both."""
    from kiosk import service

    work = asyncio.create_task(agent.run(), name="agent")
    feeding = asyncio.create_task(service.feed_watchdog(), name="watchdog")
    serving = asyncio.create_task(screen.serve(sockets=[listener]), name="screen")
    service.notify("READY=1")
    restarting = asyncio.create_task(agent.watch.restart_asked.wait(), name="restart")
    await asyncio.wait({serving, work, restarting}, return_when=asyncio.FIRST_COMPLETED)
    restarting.cancel()
    screen.should_exit = screen.force_exit = True
    await asyncio.wait({serving}, timeout=STOP_S)
    feeding.cancel()
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


def _log_to_stderr() -> None:
    """JSON lines on stderr, the last of them kept for an operator who asks; stdout carries the ready line alone."""
    from kiosk import commands

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            commands.keep,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _stop_on_signals(screen: Any) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        screen.should_exit = screen.force_exit = True

    screen.install_signal_handlers = lambda: None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)  # here, so that the address works from the moment it is told
    except OSError as error:
        listener.close()
        raise Unavailable(f"port {port} on {host} is taken: change [screen] port in kiosk.toml") from error
    return listener


def _failed(error: Refusal | Unavailable, *, as_json: bool) -> int:
    details = error.data.get("details", [])
    if as_json:
        print(json.dumps({"error": {"code": error.code, "message": error.message, "details": details}}))
    else:
        print(f"holdfast: {error.message}", file=sys.stderr)
        for item in details:
            place = f"{item['file']}:{item['line']}" if item["line"] else item["file"]
            print("  " + ": ".join(part for part in (place, item["key"], item["message"]) if part), file=sys.stderr)
    if isinstance(error, Unavailable):
        return EXIT_UNAVAILABLE
    return EXIT_USAGE if isinstance(error, BadInput) else EXIT_REFUSED
