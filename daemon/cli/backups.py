"""What `holdfast backup` and `holdfast restore` do, around `daemon.db.backup`."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daemon.cli.command import UsageError
from daemon.cli.install import DATABASE_NAME
from daemon.db import backup
from daemon.db.backup import BackupRefused, BackupReport
from daemon.db.lock import StateLock
from daemon.settings import Settings
from daemon.system import SystemClock

KEYS_NAME = "keys"
KEY_FILES_MAX = 10_000
KEY_BYTES_MAX = 1_000_000


def _shape(file: Path, report: BackupReport) -> dict[str, Any]:
    return {
        "file": str(file.absolute()),
        "ok": True,
        "bytes": report.octets,
        "transfers": report.transfers,
        "schema_version": report.version,
    }


def make_backup(settings: Settings, file: Path, *, keys: str) -> dict[str, Any]:
    """Copy and check the database, and with `keys` the key files, beside a running daemon.

    Raises:
        BackupRefused: a target exists or cannot be written, or the copy does not verify.
    """
    try:
        report = backup.back_up(settings.state_dir / DATABASE_NAME, file)
        if keys:
            backup.copy_keys(settings.state_dir / KEYS_NAME, Path(keys))
    except OSError as error:
        raise BackupRefused(f"{error.filename or file}: cannot be written: {error.strerror}") from error
    return {**_shape(file, report), "keys_file": str(Path(keys).absolute()) if keys else None}


def check_backup(file: Path) -> dict[str, Any]:
    """Whether the copy is whole; what is wrong stands in `problems`.

    Raises:
        UsageError: there is no such file, which is a mistyped name and no difference found.
    """
    _require_file(file)
    try:
        return {**_shape(file, backup.check(file)), "problems": []}
    except BackupRefused as refused:
        problems = refused.data.get("details") or [refused.message]
        return {"file": str(file.absolute()), "ok": False, "bytes": 0, "transfers": 0, "problems": problems}


def put_back(settings: Settings, file: Path, *, keys: str) -> dict[str, Any]:
    """Put a copy (and its keys) in place; what was there is kept beside it.

    Raises:
        UsageError: there is no such file.
        BackupRefused: the copy or the keys are not good; nothing was replaced.
        StateLocked: the daemon is running.
    """
    _require_file(file)
    state = settings.state_dir
    unpacked = _unpack(state, Path(keys)) if keys else None
    try:
        actor = f"local:{os.getuid()}"
        report, revival = backup.restore(file, state / DATABASE_NAME, at_us=SystemClock().now_us(), actor=actor)
        if unpacked is not None:
            _swap_keys(state, unpacked)
    finally:
        if unpacked is not None:
            shutil.rmtree(unpacked, ignore_errors=True)
    before = str(state / f"{DATABASE_NAME}.before-restore")
    return {**_shape(file, report), "before": before, **revival.to_json()}


def told(done: dict[str, Any]) -> Iterator[str]:
    """What `put_back` did, in sentences."""
    yield f"Restored from {done['file']}. What was there before is in {done['before']}."
    ended = done["ended"]
    yield (
        f"Ended: {ended['sessions']} sessions, {ended['links']} mailed links, "
        f"{ended['terminal_codes']} enrolment codes, {ended['mails']} mails not yet sent."
    )
    if done["withdrawn"] is None:
        yield "The database that was there could not be read: what was withdrawn since the backup is valid again."
    else:
        kept = ", ".join(f"{count} {what}" for what, count in done["withdrawn"].items() if count)
        yield f"Kept as in the database that was there (blocked, revoked, changed): {kept or 'nothing'}."
    valid = done["valid"]
    yield f"Look whether these should be valid. API tokens: {', '.join(valid['tokens']) or 'none'}."
    yield f"Terminals: {', '.join(valid['terminals']) or 'none'}. Cards: {valid['cards']}."


def _require_file(file: Path) -> None:
    if not file.is_file():
        raise UsageError(f"there is no file {file}")


def _unpack(state: Path, archive: Path) -> Path:
    """The keys of the archive in a private directory beside the real one."""
    if not archive.is_file():
        raise UsageError(f"there is no file {archive}")
    target = state / f".{KEYS_NAME}.restoring"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    try:
        with tarfile.open(archive) as opened:
            members = opened.getmembers()
            if len(members) > KEY_FILES_MAX or any(m.size > KEY_BYTES_MAX for m in members):
                raise BackupRefused(f"{archive} is not a key archive")
            opened.extractall(target, members=members, filter="data")
    except (tarfile.TarError, OSError) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise BackupRefused(f"{archive} is not a key archive: {error}") from error
    if not (target / KEYS_NAME).is_dir():
        shutil.rmtree(target, ignore_errors=True)
        raise BackupRefused(f"{archive} holds no keys")
    return target


def _swap_keys(state: Path, unpacked: Path) -> None:
    lock = StateLock(state / f"{DATABASE_NAME}.lock")
    lock.acquire()
    try:
        before = state / f"{KEYS_NAME}.before-restore"
        shutil.rmtree(before, ignore_errors=True)
        if (state / KEYS_NAME).exists():
            (state / KEYS_NAME).replace(before)
        (unpacked / KEYS_NAME).replace(state / KEYS_NAME)
        (state / KEYS_NAME).chmod(0o700)
    finally:
        lock.release()
