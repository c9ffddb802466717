"""Figures for operators, and the daemon's own look at its books: counted where it happens, naming nobody."""

import json
import re
import sqlite3
from contextlib import closing

import pytest
import structlog

from daemon.accounting.allowance import InsufficientFunds
from daemon.app.figures import house_metrics
from daemon.app.services import api_services
from daemon.auth.identity import SignInFailed
from daemon.db.unit import Unit
from daemon.kernel.errors import Busy
from daemon.workflows.book_check import BookCheck
from tests.helpers.counter_hall import counter_hall
from tests.helpers.office import office

LABELS = {"state", "printer", "version", "by", "result", "method", "le"}


def value(text: str, name: str) -> float:
    """One sample of a rendered page."""
    (found,) = re.findall(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found)


def past_the_guards(path, statement: str) -> None:
    """A change to accounts that no guard of the database sees."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE tbl_name='account' AND type='trigger'")
        guards = triggers.fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        for _, sql in guards:
            connection.execute(sql)


async def test_releases_and_sign_ins_are_counted_without_naming_anybody(tmp_path):
    """What was promised is counted and timed, what was refused is counted by its code; no label can hold a person."""
    async with office(tmp_path) as opened:
        metrics = house_metrics(opened.parts)
        opened.verbs.release.observe(metrics.released)
        printer = await opened.buy_printer("p1")
        anna = await opened.hire("anna", pin="4711", password="tinned peaches at nine")
        job = await opened.read(await opened.submit(anna, 2, title="Secret.pdf"))
        await opened.release(anna, [job], printer)
        await opened.finished(job)
        dear = await opened.read(await opened.submit(anna, 1, copies=300))
        with pytest.raises(InsufficientFunds):
            await opened.release(anna, [dear], printer)
        async with counter_hall(opened) as hall:
            new = await hall.new_terminal("door", printer)
            with pytest.raises(SignInFailed):
                await opened.parts.sign_in.by_pin("4711", "wrong", terminal=new.terminal)
        text = (await metrics.render()).decode()
        assert value(text, 'holdfast_releases_total{by="person",result="promised"}') == 1
        assert value(text, 'holdfast_releases_total{by="person",result="insufficient-funds"}') == 1
        assert value(text, "holdfast_release_duration_seconds_count") == 1
        assert value(text, 'holdfast_login_failures_total{method="pin"}') == 1
        assert value(text, "holdfast_deliveries_uncertain") == 0
        assert value(text, "holdfast_ledger_drift_total") == 0
        ours = [line for line in text.splitlines() if line.startswith("holdfast_")]
        assert {label for line in ours for label in re.findall(r'[{,](\w+)="', line)} <= LABELS
        for secret in ("anna", "4711", "Secret", job.public_id):
            assert not any(secret in line for line in ours)


async def test_books_that_do_not_add_up_are_said_loudly_and_the_house_is_not_ready(tmp_path):
    """A balance changed past the guards: critical in the log with its row, not ready, counted; well again once mended."""
    async with office(tmp_path) as opened:
        await opened.hire("anna")
        check, parts = opened.parts.book_check, opened.parts
        services = api_services(parts, opened.verbs)
        assert await check.once()
        assert (check.are_wrong, check.differences_total) == (False, 0)
        assert (await services.health()).is_ready
        file = opened.state / "holdfast.db"
        past_the_guards(file, "UPDATE account SET credits_posted=credits_posted+1 WHERE kind='user'")
        with structlog.testing.capture_logs() as logged:
            assert await check.once()
        (said,) = [line for line in logged if line["event"] == "ledger.differs"]
        assert said["log_level"] == "critical"
        assert {one["table"] for one in said["differences"]} == {"account", "unit"}
        assert "anna" not in json.dumps(said)
        health = await services.health()
        assert not health.is_ready
        assert [part for part, state in health.parts.items() if state != "ok"] == ["ledger"]
        text = (await house_metrics(parts).render()).decode()
        assert value(text, "holdfast_ledger_ok") == 0
        assert value(text, "holdfast_ledger_drift_total") == check.differences_total > 0
        past_the_guards(file, "UPDATE account SET credits_posted=credits_posted-1 WHERE kind='user'")
        await check.once()
        assert (await services.health()).is_ready


async def test_a_check_that_cannot_be_made_changes_nothing_and_is_tried_again(tmp_path):
    """A busy database is no difference: the last outcome stands."""
    async with office(tmp_path) as opened:

        class BusyBooks:
            async def check_balances(self):
                raise Busy("too many reads are waiting")

        check = BookCheck(BusyBooks(), opened.parts.clock)
        assert await check.once() is False
        assert (check.last, check.are_wrong, check.at_us) == (None, False, 0)


async def test_an_uncertain_delivery_is_counted(tmp_path):
    """The gauge is what the table says now."""
    async with office(tmp_path) as opened:
        printer = await opened.buy_printer("p1", page_ms=1000)
        anna = await opened.hire("anna")
        job = await opened.read(await opened.submit(anna, 3))
        await opened.release(anna, [job], printer)
        unit = Unit()
        unit.add("UPDATE delivery SET phase='uncertain' WHERE job_id=:id", rows=1, id=job.id)
        await opened.parts.db.commit(unit)
        text = (await house_metrics(opened.parts).render()).decode()
        assert value(text, "holdfast_deliveries_uncertain") == 1
