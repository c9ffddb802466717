"""Secrets come from systemd credentials or from files that only their owner can read; never from values."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from daemon.kernel.errors import Refusal

SECRET_BYTES_MAX = 65_536


class SecretMissing(Refusal):
    """A secret's file is not there, not private, or empty."""

    code = "secret-missing"


def read_secret(path: Path, *, credential: str = "") -> bytes:
    """The secret without the line end: `$CREDENTIALS_DIRECTORY/credential` if it exists, else `path`.

    Raises:
        SecretMissing: neither is there, it is empty, or others may read the file.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY", "")
    place = Path(directory) / credential if directory and credential else None
    if place is None or not place.is_file():
        place = path
        problem = private_problem(place)
        if problem:
            raise SecretMissing(f"{place}: {problem}")
    secret = place.read_bytes()[:SECRET_BYTES_MAX].rstrip(b"\r\n")
    if not secret:
        raise SecretMissing(f"{place}: is empty")
    return secret


def private_problem(path: Path) -> str:
    """Why `path` cannot serve as a secret's file; empty when it can."""
    try:
        mode = path.stat()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not stat.S_ISREG(mode.st_mode):
        return "is not a file"
    if mode.st_mode & (stat.S_IRWXG | stat.S_IRWXO) & ~stat.S_IRGRP:
        return "may be read by others; chmod 0400"
    return ""
