"""Migrations: numbered, whole or not at all, and never on a file that is not what it says."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from daemon.db import migrate as m
from daemon.db.database import Database
from tests.helpers.books import HandClock


def plain(path):
    return closing(sqlite3.connect(path, isolation_level=None))


def test_new_file_gets_every_migration_once(tmp_path):
    """A fresh file is brought to the latest version; a second run has nothing to do."""
    path = tmp_path / "house.db"
    assert m.migrate(path) == len(m.migrations())
    assert m.migrate(path) == 0
    with plain(path) as connection:
        assert m.version_of(connection) == len(m.migrations())
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert m.fingerprint(m.schema_of(connection)) == m.fingerprint(m.released_schema(len(m.migrations())))


@pytest.mark.parametrize(
    "harm",
    [
        "DROP TRIGGER account_guard",
        "DROP INDEX transfer_one_resolution",
        "CREATE TABLE extra(a)",
        "ALTER TABLE meta ADD COLUMN more TEXT",
    ],
)
async def test_altered_schema_is_refused_by_name(tmp_path, harm):
    """A dropped guard, a lost index or a foreign table stops the start, and the object is named."""
    path = tmp_path / "house.db"
    m.migrate(path)
    with plain(path) as connection:
        connection.execute(harm)
    with pytest.raises(m.SchemaDiffers) as refused:
        await Database.open(path, clock=HandClock())
    assert any(word in refused.value.data["differences"] for word in harm.split() + ["extra"])


def test_later_release_is_refused(tmp_path):
    """A file of a later release is not touched."""
    path = tmp_path / "house.db"
    m.migrate(path)
    with plain(path) as connection:
        connection.execute("PRAGMA user_version=9999")
    before = path.read_bytes()
    with pytest.raises(m.SchemaTooNew):
        m.migrate(path)
    assert path.read_bytes() == before


def test_migration_of_an_existing_file_copies_it_first(tmp_path, monkeypatch):
    """Data survives a migration, and a whole copy of the old version stays beside it."""
    path = tmp_path / "house.db"
    m.migrate(path)
    with plain(path) as connection:
        connection.execute("INSERT INTO meta VALUES('a', 'b')")
    released = m.migrations()
    added = m.Migration(len(released) + 1, "test.sql", "CREATE TABLE later(a INTEGER) STRICT; -- a comment\n")
    monkeypatch.setattr(m, "migrations", lambda: (*released, added))
    m.released_schema.cache_clear()
    assert m.migrate(path) == 1
    with plain(path.with_name(f"{path.name}.before-{added.number:04d}")) as copy:
        assert m.version_of(copy) == len(released)
        assert copy.execute("SELECT value FROM meta").fetchone() == ("b",)
    m.released_schema.cache_clear()


def test_broken_migration_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    """A migration that fails half-way is undone with its version number."""
    path = tmp_path / "house.db"
    m.migrate(path)
    released = m.migrations()
    bad = m.Migration(len(released) + 1, "bad.sql", "CREATE TABLE later(a INTEGER) STRICT;\nCREATE TABLE later(a);\n")
    monkeypatch.setattr(m, "migrations", lambda: (*released, bad))
    with pytest.raises(sqlite3.OperationalError):
        m.migrate(path)
    with plain(path) as connection:
        assert m.version_of(connection) == len(released)
        assert "later" not in m.schema_of(connection)
    m.released_schema.cache_clear()
