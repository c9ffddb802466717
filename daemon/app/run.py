"""The daemon: start in order, say ready, serve until told to stop, stop in the reverse order within seconds."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from typing import TYPE_CHECKING

import structlog

from daemon.app.doors import Doors
from daemon.app.parts import open_parts
from daemon.app.verbs import build_verbs
from daemon.system import SystemClock, SystemDice
from daemon.web import systemd

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from daemon.app.parts import Parts
    from daemon.app.verbs import Verbs
    from daemon.checks import Checked
    from daemon.settings import Origin

log = structlog.get_logger(__name__)

STOP_S = 4.0
"""Everything ends within this after a signal; a job on a printer goes on there and is taken up at the next start."""


async def serve(checked: Checked, *, ready: Callable[[dict[str, str]], None]) -> None:
    """Run until SIGTERM or SIGINT. `ready` is called once, when everything answers.

    Raises:
        StateLocked: another process has the state directory; AddressTaken: a port is in use.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    parts = await open_parts(
        checked.settings, checked.tariffs, formats=checked.formats, clock=SystemClock(), dice=SystemDice()
    )
    try:
        await _serve(parts, build_verbs(parts), checked.origins, ready=ready, stop=stop)
    finally:
        await parts.close()
        log.info("daemon.stopped")


async def _serve(
    parts: Parts,
    verbs: Verbs,
    origins: Mapping[str, Origin],
    *,
    ready: Callable[[dict[str, str]], None],
    stop: asyncio.Event,
) -> None:
    doors = Doors(parts, verbs, sockets=systemd.listen_fds(), origins=origins)
    await parts.sign_in.start()
    await verbs.workshop.start()
    await verbs.housekeep.sweep()
    tasks: list[asyncio.Task[None]] = []
    try:
        await verbs.recover.run()
        for name, work in _work(parts, verbs, doors).items():
            tasks.append(asyncio.create_task(_owned(name, work), name=name))
        await doors.open()
        # What was built until now lives as long as the daemon: the collector walking it again would stop the loop for
        # a tenth of a second each time.
        gc.collect()
        gc.freeze()
        gc.enable()
        ready(parts.settings.urls())
        systemd.notify("READY=1")
        log.info("daemon.ready", urls=parts.settings.urls())
        ended = asyncio.create_task(stop.wait(), name="stop")
        done, _ = await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        for task in done - {ended}:
            task.result()
        systemd.notify("STOPPING=1")
    finally:
        await _stop(doors, verbs, tasks)


def _work(parts: Parts, verbs: Verbs, doors: Doors) -> dict[str, Coroutine[object, object, None]]:
    """The daemon's own tasks, by name."""
    work = {
        "read": verbs.read.run(),
        "housekeep": verbs.housekeep.run(),
        "auto-release": verbs.auto.run(),
        "printers": verbs.looks.run(),
        "terminals": parts.terminal_care.watch.run(),
        "books": parts.book_check.run(),
        "watchdog": systemd.feed_watchdog(),
        "certificate": doors.leaf.run(),
    }
    if parts.sender is not None:
        work["mail"] = parts.sender.run()
    if doors.metrics is not None:
        work["metrics"] = doors.metrics.run()
    return work


async def _owned(name: str, work: Coroutine[object, object, None]) -> None:
    """A task that ends by itself has finished its work; one that fails takes the daemon down to be restarted."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception:
        log.exception("daemon.task-failed", task=name)
        raise
    await asyncio.Event().wait()


async def _stop(doors: Doors, verbs: Verbs, tasks: list[asyncio.Task[None]]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_S):
            await doors.close()
            await verbs.deliver.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await verbs.workshop.close()
