"""Numbered SQL migrations, and the fingerprint that tells whether a file's schema is the released one.

A migration `NNNN_name.sql` is applied in one transaction together with `user_version`. An existing database is copied
before it is changed. The expected schema of any version is made by applying the same files to an empty database, so
a missing guard trigger is named, not guessed.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from daemon.kernel.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"


class SchemaDiffers(Unavailable):
    """The file's schema is not the released one; `data["differences"]` names each object. Nothing was changed."""

    code = "schema-differs"


class SchemaTooNew(Unavailable):
    """The file was written by a later release; this one must not touch it."""

    code = "schema-too-new"


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class SchemaDifference:
    """One schema object that is not as released; an absent side is empty."""

    name: str
    expected: str
    found: str


@cache
def migrations() -> tuple[Migration, ...]:
    """All released migrations in order, numbered 1, 2, 3, ... without a gap."""
    folder = resources.files("daemon.db") / "migrations"
    found = sorted(
        (Migration(int(entry.name[:4]), entry.name, entry.read_text("utf-8")) for entry in folder.iterdir()
         if entry.name.endswith(".sql")),
        key=lambda migration: migration.number,
    )  # fmt: skip
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"migrations are not numbered 1, 2, 3, ...: {[migration.name for migration in found]}")
    return tuple(found)


def version_of(connection: sqlite3.Connection) -> int:
    """The last migration applied to this file; 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def schema_of(connection: sqlite3.Connection) -> dict[str, str]:
    """Every schema object's text by name."""
    return {name: sql or "" for _type, name, _table, sql in connection.execute(_SCHEMA)}


def fingerprint(schema: dict[str, str]) -> str:
    """Hex digest of a schema; equal exactly when every object's text is equal."""
    digest = hashlib.blake2b(digest_size=16)
    for name, sql in sorted(schema.items()):
        digest.update(f"{len(name)}:{name}{len(sql)}:{sql}".encode())
    return digest.hexdigest()


@cache
def released_schema(version: int) -> dict[str, str]:
    """What `schema_of` gives for an untouched file of that version."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for migration in migrations()[:version]:
            _apply(connection, migration)
        return schema_of(connection)


def schema_differences(connection: sqlite3.Connection, version: int) -> list[SchemaDifference]:
    """Every object that is missing, added or altered against the release."""
    expected, found = released_schema(version), schema_of(connection)
    return [
        SchemaDifference(name, expected.get(name, ""), found.get(name, ""))
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]


def migrate(path: Path) -> int:
    """Bring the file to the latest version and check its schema; the number of migrations applied.

    Raises:
        SchemaTooNew: written by a later release.
        SchemaDiffers: the schema was altered outside the migrations, before or after.
    """
    latest = len(migrations())
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        version = version_of(connection)
        if version > latest:
            raise SchemaTooNew(f"{path.name} has schema {version}, this release knows {latest}")
        _check(connection, version)
        if 0 < version < latest:
            _copy_aside(connection, path.with_name(f"{path.name}.before-{latest:04d}"))
        if version == 0:
            connection.execute("PRAGMA journal_mode=WAL")
        for migration in migrations()[version:]:
            _apply(connection, migration)
        _check(connection, latest)
        return latest - version


def _check(connection: sqlite3.Connection, version: int) -> None:
    differences = schema_differences(connection, version)
    if differences:
        names = [difference.name for difference in differences]
        raise SchemaDiffers(f"the schema was altered outside the migrations: {', '.join(names)}", differences=names)


def _copy_aside(connection: sqlite3.Connection, target: Path) -> None:
    """A whole copy, before anything is changed; a copy of an earlier try is replaced."""
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    """All of the file and its number, or nothing."""
    connection.execute("BEGIN EXCLUSIVE")
    try:
        for statement in _statements(migration.sql):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={migration.number:d}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """The script cut at complete statements (a trigger's body is one)."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending
