"""Cards: 10,000 of 2,000 people under two keys, looked up, tapped, looked over and re-keyed.

    python -m benchmarks cards

The look-up is all a tap needs to know whose card it is: the read through its format, its keyed hash under every key
held, and the one query that finds card, person, passwords and the day's proof. A tap is that and a durable session.
Cards are written straight into the store; everything measured runs as in the daemon, in this process, without others.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import structlog

from benchmarks import house
from daemon.app.parts import open_parts
from daemon.auth import keys, permissions
from daemon.auth.card_store import NewCard
from daemon.checks import check_installation
from daemon.cli import install
from daemon.db.unit import Unit
from daemon.devices.printer import NewPrinter
from daemon.kernel.ids import new_id
from daemon.system import SystemClock, SystemDice

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.app.parts import Parts
    from daemon.auth.terminals import Terminal

PEOPLE, CARDS_EACH = 2_000, 5
UNIT_ROWS = 500
LOOKS, TAPS = 3_000, 600
LOOK_MS_MAX = 1.0
ADMIN = permissions.SYSTEM


def raw(number: int) -> str:
    """A read, as a reader sends it."""
    return f"04:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}:c2:d3:80"


async def _fill(parts: Parts) -> Terminal:
    at = parts.clock.now_us()
    sign_in = parts.cards.sign_in
    for start in range(0, PEOPLE, UNIT_ROWS):
        unit = Unit()
        for number in range(start, start + UNIT_ROWS):
            unit.add(
                """INSERT INTO person(public_id, name, profile, is_active, created_at_us)
                   VALUES(:id, :name, 'standard', 1, :at)""",
                id=new_id(parts.dice),
                name=f"p{number}",
                at=at,
            )
        await parts.db.commit(unit)
    ids = [row["id"] for row in await parts.db.read("SELECT id FROM person ORDER BY id")][-PEOPLE:]
    for start in range(0, PEOPLE * CARDS_EACH, UNIT_ROWS):
        unit = Unit()
        for number in range(start, start + UNIT_ROWS):
            public_id = new_id(parts.dice)
            form = sign_in.reads.form(raw(number), "")
            value, key_id = sign_in.hashes.of(form)
            card = NewCard(
                public_id, ids[number % PEOPLE], value, key_id, "default", "",
                sign_in.seal_read(raw(number), card_id=public_id), "bench", at, None,
            )  # fmt: skip
            parts.cards.store.insert(unit, card, hashes=[value], most=CARDS_EACH + 1)
        await parts.db.commit(unit)
    unit = Unit()
    parts.printer_store.insert(unit, NewPrinter(new_id(parts.dice), "p", "ipp://127.0.0.1:1/", created_at_us=at))
    await parts.db.commit(unit)
    return (await parts.terminals.add("door", printers=["p"], policy="card", actor="bench")).terminal


async def _look(parts: Parts, terminal: Terminal, number: int) -> float:
    sign_in = parts.cards.sign_in
    began = time.perf_counter()
    form = sign_in.reads.form(raw(number), sign_in.reads.chosen(terminal=terminal.name, reader="desk"))
    found = await parts.cards.store.tapped(
        sign_in.hashes.candidates(form), terminal_id=terminal.id, day=sign_in.rules.day(parts.clock.now_us())
    )
    took = time.perf_counter() - began
    assert found is not None
    return took * 1000


async def _timed(work: Any) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def _measure(state: Path) -> dict[str, Any]:
    checked = check_installation(state / "holdfast.toml", environment={})
    keys.rotate(state / "keys", keys.CARD, SystemDice())
    parts = await open_parts(checked.settings, checked.tariffs, clock=SystemClock(), dice=SystemDice())
    try:
        terminal = await _fill(parts)
        every = PEOPLE * CARDS_EACH
        looks = [await _look(parts, terminal, number * 7919 % every) for number in range(LOOKS)]
        taps = []
        for number in range(TAPS):
            parts.cards.sign_in._gate._terminals.clear()  # noqa: SLF001  -- nobody taps like this, and the gate knows
            taps.append(await _timed(parts.sign_in.by_card(raw(number * 7919 % every), terminal=terminal)) * 1000)
        check_s = await _timed(parts.cards.survey.check())
        rekey_s = await _timed(parts.cards.keys.rekey(actor=ADMIN))
    finally:
        await parts.close()
    return {
        "look_ms_p50": house.quantile(looks, 0.5),
        "look_ms_p95": house.quantile(looks, 0.95),
        "tap_ms_p50": house.quantile(taps, 0.5),
        "tap_ms_p95": house.quantile(taps, 0.95),
        "check_s": check_s,
        "rekey_s": rekey_s,
    }


def run() -> dict[str, Any]:
    """The figures, as `./run bench` wants them."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with house.folder() as folder:
        install.init(folder / "state", base_port=8630, name="localhost")
        medians = asyncio.run(_measure(folder / "state"))
    targets = {"look_ms_p95": LOOK_MS_MAX}
    met = {"look_ms_p95": medians["look_ms_p95"] <= LOOK_MS_MAX}
    return {
        "name": "cards", "unit": "ms, s", "medians": medians, "ratios": {}, "targets": targets, "met": met,
    }  # fmt: skip
