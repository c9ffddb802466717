"""The stores' SQL on a real PostgreSQL: every statement prepares there, so a second engine stays within reach.

What this does not show: the guards (triggers) are SQLite's and left out of the schema here, and `daemon/db` itself
(writer, readers, migrations, backup) is the engine that a second one replaces.
"""

from __future__ import annotations

import pytest

from tests.helpers import postgres, sql_source

STATEMENTS_MIN = 200
TABLES_MIN = 30
ENGINES_OWN = {
    "daemon/accounting/report_store.py:_SEQUENCE": "whether rows were cut off is told by SQLite's own counter",
    "daemon/accounting/report_store.py:_SCHEMA": "the fingerprint of the schema is read from SQLite's catalogue",
}
"""Statements that belong to one engine, and why."""

PROGRAMS = postgres.programs()


@pytest.fixture(scope="module")
def server():
    """An empty cluster with our schema in it."""
    assert PROGRAMS is not None, "PostgreSQL is not installed: ./run test installs it"
    with postgres.server(PROGRAMS) as one:
        assert "ERROR" not in (said := one.script(postgres.schema())), said
        yield one


def test_every_statement_is_found_in_the_source():
    """The list is taken from the stores themselves; a text that is put together in a new way must be taught here."""
    found, untold = sql_source.statements()
    assert untold == []
    assert len(found) >= STATEMENTS_MIN


def test_every_statement_prepares(server):
    """All statements of the stores but the engine's own, with the parameter types PostgreSQL finds by itself."""
    found, _ = sql_source.statements()
    script = "".join(
        f"\\echo {postgres.MARK}{number}\nPREPARE s{number} AS {postgres.positional(one.sql)};\n"
        for number, one in enumerate(found)
    )
    answers = server.script(script).split(postgres.MARK)[1:]
    assert len(answers) == len(found)
    refused = {}
    for answer in answers:
        number, _, said = answer.partition("\n")
        if said.strip():
            refused[found[int(number)].where] = said.strip()
    assert set(refused) == set(ENGINES_OWN), refused


def test_the_schema_is_there_as_a_whole(server):
    """Tables, keys, checks and partial indexes are taken as they are; a row that breaks a CHECK is refused there too."""
    counted = server.script(
        "\\pset format unaligned\n\\pset tuples_only on\nSELECT count(*) FROM pg_tables WHERE schemaname='public';"
    )
    assert int(counted.strip()) >= TABLES_MIN
    refused = server.script("INSERT INTO ledger_block(last_id, first_id, rows, prev, hash) VALUES(1,2,'','','');")
    assert "violates check constraint" in refused
