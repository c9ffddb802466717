"""Printer rows: what goes in comes out, news makes an event, removal keeps the books."""

import pytest

from daemon.db.database import Database
from daemon.db.unit import Unit, UnitRefused
from daemon.devices.capabilities import Capabilities
from daemon.devices.errors import BadPrinterUri
from daemon.devices.ipp_client import PrinterStatus
from daemon.devices.store import NewPrinter, PrinterStore, SnmpTarget
from daemon.system import SystemClock


@pytest.fixture
async def db(tmp_path):
    database = await Database.open(tmp_path / "house.db", clock=SystemClock())
    yield database
    await database.close()


def new(name: str = "Hall", number: int = 1, **more) -> NewPrinter:
    return NewPrinter(public_id=f"p{number}", name=name, uri="ipp://10.0.0.5/ipp/print", created_at_us=5, **more)


async def commit(db, do, *args, **more) -> None:
    unit = Unit()
    do(unit, *args, **more)
    await db.commit(unit)


async def test_a_printer_is_added_and_found(db):
    """By name and by id, in the order of adding, with everything it was added with."""
    store = PrinterStore(db)
    await commit(db, store.insert, new(location="2nd floor", snmp=SnmpTarget("10.0.0.5", community="c")))
    await commit(db, store.insert, new("Attic", 2))
    printer = await store.by_name("Hall")
    assert (printer.uri, printer.tls, printer.state, printer.is_accepting) == (
        "ipp://10.0.0.5:631/ipp/print",
        "verify",
        "unknown",
        False,
    )
    assert printer.snmp == SnmpTarget("10.0.0.5", 161, "c") and printer.location == "2nd floor"
    assert await store.by_public("p1") == printer == await store.by_id(printer.id)
    assert [p.name for p in await store.page()] == ["Hall", "Attic"]
    assert [p.name for p in await store.page(after_id=printer.id, limit=1)] == ["Attic"]
    assert await store.by_name("Cellar") is None


async def test_names_are_taken_once_and_free_after_removal(db):
    """A second printer of a name is refused; removed, the row stays readable by id and its name is free."""
    store = PrinterStore(db)
    await commit(db, store.insert, new())
    with pytest.raises(UnitRefused) as caught:
        await commit(db, store.insert, new(number=2))
    assert caught.value.code == "name-taken"
    old = await store.by_name("Hall")
    await commit(db, store.remove, old, at_us=9)
    assert await store.by_name("Hall") is None and await store.by_public("p1") is None and await store.page() == []
    assert (await store.by_id(old.id)).uri == old.uri
    await commit(db, store.insert, new(number=2))
    with pytest.raises(UnitRefused):
        await commit(db, store.remove, old, at_us=10)
    with pytest.raises(BadPrinterUri):
        store.insert(Unit(), NewPrinter(public_id="x", name="x", uri="file:///x", created_at_us=1))


async def test_what_a_printer_says_is_kept_and_news_is_told(db):
    """A changed state is one event; the same state again is none; unreachable keeps the last abilities."""
    store = PrinterStore(db)
    await commit(db, store.insert, new())
    said = PrinterStatus(
        "stopped", ("media-jam",), True, 77, "urn:uuid:1", Capabilities(formats=("application/pdf",), is_color=True)
    )
    for at in (100, 200):
        await commit(db, store.set_status, await store.by_name("Hall"), said, at_us=at)
    printer = await store.by_name("Hall")
    assert (printer.state, printer.reasons, printer.up_time_s, printer.checked_at_us) == (
        "stopped",
        ("media-jam",),
        77,
        200,
    )
    assert printer.capabilities == said.capabilities and printer.uuid == "urn:uuid:1"
    for at in (300, 400):
        await commit(db, store.set_unreachable, await store.by_name("Hall"), at_us=at)
    away = await store.by_name("Hall")
    assert (away.state, away.reasons, away.is_accepting, away.capabilities) == (
        "unreachable",
        (),
        False,
        said.capabilities,
    )
    events = await db.read("SELECT subject, at_us FROM event WHERE topic='printer.changed' ORDER BY seq")
    assert [(e["subject"], e["at_us"]) for e in events] == [("p1", 100), ("p1", 300)]


async def test_tariff_and_trust_can_be_changed(db):
    """Another tariff, a renewed certificate's pin."""
    store = PrinterStore(db)
    await commit(db, store.insert, new())
    await commit(db, store.set_tariff, await store.by_name("Hall"), "premium")
    await commit(db, store.set_trust, await store.by_name("Hall"), tls="pin:" + "0" * 64)
    printer = await store.by_name("Hall")
    assert (printer.tariff, printer.tls[:4], printer.is_raw) == ("premium", "pin:", False)
