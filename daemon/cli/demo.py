"""`holdfast demo`: all of it on one machine, nothing beyond loopback; with --once, one whole job without a person."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.cli import demo_house, demo_pdf, demo_send, demo_taps
from daemon.cli.client import connected
from daemon.cli.command import DIFFERENCE, OK, UsageError
from daemon.cli.demo_house import Child, DemoHouse, Person, choose_base
from daemon.cli.logs import log_to_stderr
from daemon.cli.output import amount_text, note, say, say_json
from daemon.kernel.errors import Unavailable
from daemon.settings import CONFIG_NAME, Log, load
from daemon.system import SystemClock, SystemDice

if TYPE_CHECKING:
    from kiosk.link import DaemonLink

PRINTED_S = 60.0
POLL_S = 0.1
RESTARTS_MAX = 5
"""Parts that end by themselves are started again so often, as a service manager does: the tour kills the daemon."""


def run_demo(*, once: bool, as_json: bool, base_port: int, state: Path | None) -> int:
    """Run it; returns the exit code."""
    log_to_stderr(Log(level="warning", format="text"))
    temporary = Path(tempfile.mkdtemp(prefix="holdfast-demo-")) if state is None else None
    home = temporary / "state" if temporary is not None else Path(state or "").absolute()
    root = temporary or home / "demo"
    if (home / CONFIG_NAME).exists():
        base = load(home / CONFIG_NAME).server.base_port
    elif home.exists():
        raise UsageError(f"{home} exists and is not an installation; nothing was changed")
    else:
        base = choose_base(base_port)
    house = DemoHouse(home, root, base)
    try:
        if once:
            return asyncio.run(_once(house, as_json=as_json))
        return asyncio.run(_stay(house, as_json=as_json, is_temporary=temporary is not None))
    finally:
        if temporary is not None:
            house.forget()
            if not once:
                shutil.rmtree(temporary, ignore_errors=True)


async def _stay(house: DemoHouse, *, as_json: bool, is_temporary: bool) -> int:
    """Serve until a signal; one that comes while it starts, or a terminal that closes, ends it as cleanly."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(_serve(house, as_json=as_json, is_temporary=is_temporary))
    stopping = asyncio.create_task(stop.wait())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    try:
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            await serving
        return OK
    finally:
        for task in (serving, stopping):
            task.cancel()
        await asyncio.gather(serving, stopping, return_exceptions=True)
        await house.close()


async def _serve(house: DemoHouse, *, as_json: bool, is_temporary: bool) -> None:
    """Start everything, say so, and stay.

    Raises:
        Unavailable: a part did not start, or ended by itself.
    """
    note("Starting: daemon, two simulated printers, a terminal ...")
    is_new = await house.open()
    screen = await house.open_kiosk()
    await house.open_console()
    if as_json:
        _say_ready(house, screen)
    else:
        if is_new:  # a program that reads JSON starts with an empty queue
            await demo_send.send_samples(house.urls["ipp"])
        _introduce(house, screen, is_temporary=is_temporary)
    sys.stdout.flush()  # it may be a pipe, and this program stays
    for _ in range(RESTARTS_MAX):
        dead = await _until_one_ends(house, screen)
        note(f"The {dead.name} ended by itself; starting it again ...")
        urls = (await house.again(dead))["urls"]
        if dead.name != "daemon":
            screen = urls["kiosk"]
        note("It runs again." if dead.name == "daemon" else f"It runs again: {screen}")
    dead = await _first_ended(house)
    raise Unavailable(f"the {dead.name} ended by itself; see {dead.log}")


async def _until_one_ends(house: DemoHouse, screen: str) -> Child:
    """Wait until a part has ended by itself; meanwhile names typed here tap."""
    tapping = asyncio.create_task(demo_taps.follow(screen, {person.name: person.card for person in house.people}))
    try:
        return await _first_ended(house)
    finally:
        tapping.cancel()
        await asyncio.gather(tapping, return_exceptions=True)


async def _first_ended(house: DemoHouse) -> Child:
    """Wait until a part has ended by itself."""
    ended = [asyncio.create_task(child.process.wait()) for child in house.children]
    try:
        await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in ended:
            task.cancel()
    return next(child for child in house.children if child.process.returncode is not None)


def _say_ready(house: DemoHouse, screen: str) -> None:
    people = [{"name": p.name, "pin": p.pin, "password": p.secret, "card": p.card} for p in house.people]
    printers = [{"name": n, "uri": p.uri, "folder": str(p.folder)} for n, p in house.visible_printers.items()]
    urls = {**house.urls, "kiosk": screen, "console": house.console_url}
    desk = {"name": demo_house.OPERATOR[0], "password": house.console_secret}
    say_json(
        {
            "event": "ready",
            "urls": urls,
            "people": people,
            "console": desk,
            "printers": printers,
            "state": str(house.state),
        }
    )


def _introduce(house: DemoHouse, screen: str, *, is_temporary: bool) -> None:
    """Say what can be done here, in the order somebody would do it."""
    state = shlex.quote(str(house.state))
    say()
    say(f"  Open the touch screen   {screen}")
    for person in house.people:
        say(f"  and sign in as {person.display_name:<11} PIN {person.pin}, then keypad password {person.secret}")
    say()
    say(f"To tap a card type {' or '.join(p.name for p in house.people)} here and press Enter; {demo_taps.NEW} is one")
    say("nobody has yet. A card asks for the password at its first use, and opens alone after that, until midnight.")
    say()
    say("Jobs are waiting there: touch one to change it, or print all. They come out as files in")
    for printer in house.visible_printers.values():
        say(f"  {printer.folder}")
    say()
    say(f"The console for those who look after it (the browser does not know this certificate): {house.console_url}")
    say(f"  sign in as {demo_house.OPERATOR[0]} with {house.console_secret}")
    say()
    say("To print something of your own, as anna or ben (any client works; these are for CUPS):")
    say(f"  sudo lpadmin -p holdfast -E -v {house.urls['ipp']} -m everywhere")
    say("  lp -d holdfast -U anna FILE.pdf")
    say()
    say("To look behind it, in another shell:")
    say(f"  ./run holdfast job list --state {state}")
    say()
    say("Ctrl-C ends it and removes it." if is_temporary else f"Ctrl-C ends it; to go on: ./run demo --state {state}")


async def _once(house: DemoHouse, *, as_json: bool) -> int:
    """One job from the client to the paper and the books."""
    try:
        await house.open()
        result = await _whole_job(house, house.people[0])
    finally:
        await house.close()
    is_good = (result["result"], result["ledger"]) == ("printed", "ok") and bool(result["printed_file"])
    if as_json:
        say_json(result)
    else:
        say(f"Printed job {result['job_id']} of {result['user']} on {result['printer']}.")
        say(f"{result['pages']} pages: {result['impressions']} impressions on {result['sheets']} sheets.")
        say(f"Price {amount_text(result['price'])}.")
        before, after = amount_text(result["balance_before"]), amount_text(result["balance_after"])
        say(f"Balance {before} before, {after} after; the ledger is {result['ledger']}.")
        say(f"What came out: {result['printed_file']}")
    return OK if is_good else DIFFERENCE


async def _whole_job(house: DemoHouse, person: Person) -> dict[str, Any]:
    name, printer = next(iter(house.printers.items()))
    async with connected(house.settings, needs_daemon=True) as api, _terminal(house) as link:
        before = await _balance(api, person)
        await demo_send.send(
            house.urls["ipp"],
            user=person.name,
            title=demo_pdf.TITLE,
            data=demo_pdf.document(),
            attributes={"sides": "two-sided-long-edge"},
        )
        printer_id = (await api.get(f"/printers/{name}"))["printer_id"]
        job = await _release(link, person, printer_id)
        done = await _ended(api, job["job_id"])
        after = await _balance(api, person)
        verified = await api.get("/ledger/verify")
    documents = printer.documents()
    return {
        "result": "printed" if done["state"] == "completed" else done["state"],
        "job_id": done["job_id"],
        "user": person.name,
        "printer": name,
        "pages": done["pages"],
        "impressions": done["printed"]["impressions"],
        "sheets": done["printed"]["sheets"],
        "price": done["price"],
        "balance_before": before,
        "balance_after": after,
        "printed_file": str(documents[-1]) if documents else "",
        "ledger": "ok" if verified["ok"] else "differs",
    }


@contextlib.asynccontextmanager
async def _terminal(house: DemoHouse) -> AsyncIterator[DaemonLink]:
    """The enrolled terminal's own line to the daemon, signed with its key."""
    from kiosk import identity
    from kiosk.link import DaemonLink

    config = identity.load(house.kiosk_dir / identity.CONFIG_NAME)
    async with DaemonLink(
        url=config.daemon_url,
        ca_pem=config.ca_pem,
        terminal_id=config.terminal_id,
        key=identity.load_key(config.key_file),
        counter=identity.Counter(config.directory / identity.COUNTER_NAME),
        clock=SystemClock(),
    ) as link:
        yield link


async def _balance(api: Any, person: Person) -> dict[str, Any]:
    account: dict[str, Any] = (await api.get(f"/accounts/{person.name}"))["accounts"][0]["available"]
    return account


async def _release(link: DaemonLink, person: Person, printer_id: str) -> dict[str, Any]:
    """Sign in with PIN and password, wait until the price is known, print."""
    opened = await link.post("/session", {"pin": person.pin, "password": person.secret})
    token = str(opened["session"])
    async with asyncio.timeout(PRINTED_S):
        while True:
            items = (await link.get(f"/jobs?printer_id={printer_id}", session=token))["items"]
            ready = [item for item in items if not item["preparing"]]
            if ready:
                break
            await asyncio.sleep(POLL_S)
    job: dict[str, Any] = ready[-1]
    key = SystemDice().token(16).hex()
    body = {"job_ids": [job["job_id"]], "printer_id": printer_id, "changes": {}, "key": key}
    await link.post("/release", body, session=token)
    await link.post("/logout", {}, session=token)
    return job


async def _ended(api: Any, job_id: str) -> dict[str, Any]:
    async with asyncio.timeout(PRINTED_S):
        while True:
            job: dict[str, Any] = await api.get(f"/jobs/{job_id}")
            if job["state"] in ("completed", "canceled", "aborted"):
                return job
            await asyncio.sleep(POLL_S)
