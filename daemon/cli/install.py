"""`holdfast init`: a new installation, whole or not at all.

Everything is made in a directory beside the one asked for and renamed at the end, so that a crash half-way leaves
nothing that looks like an installation, and an existing directory is never touched.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from daemon.cli.command import UsageError
from daemon.settings import CONFIG_NAME, Settings, load

DATABASE_NAME = "holdfast.db"
TARIFFS_NAME = "tariffs"
FORMATS_NAME = "card-formats"
TOKEN_NAME = "setup"  # noqa: S105  -- the token's name in lists and the audit
DIRECTORIES = ("spool",)
_DATA = Path(__file__).resolve().parent / "data"


def init(state: Path, *, base_port: int, name: str) -> dict[str, Any]:
    """Make the installation; what `holdfast init --json` prints.

    Raises:
        UsageError: the directory exists, or cannot be made.
        BadInput: port or name are not possible.
    """
    target = state.absolute()
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} exists; nothing was changed. Choose a new directory.")
    from daemon.system import SystemDice

    building = target.with_name(f".{target.name}.init-{SystemDice().token(4).hex()}")
    try:
        building.mkdir(mode=0o700, parents=True)
        _write_files(building, base_port=base_port, name=name)
        settings = load(building / CONFIG_NAME)
        token = asyncio.run(_make_secrets(settings))
        result = _result(target, settings, token, building)
        building.rename(target)
    except OSError as error:
        shutil.rmtree(building, ignore_errors=True)
        raise UsageError(f"cannot make {target}: {error.strerror}") from error
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return result


def _write_files(directory: Path, *, base_port: int, name: str) -> None:
    text = (_DATA / "holdfast.toml.txt").read_text("utf-8")
    values = {"BASE_PORT": str(base_port), "NAME": name.replace("\\", "").replace('"', "")}
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    (directory / CONFIG_NAME).write_text(text, "utf-8")
    (directory / TARIFFS_NAME).mkdir()
    shutil.copyfile(_DATA / "standard.toml.txt", directory / TARIFFS_NAME / "standard.toml")
    (directory / FORMATS_NAME).mkdir()
    for file in sorted((_DATA / FORMATS_NAME).glob("*.toml")):
        shutil.copyfile(file, directory / FORMATS_NAME / file.name)
    for below in DIRECTORIES:
        (directory / below).mkdir(mode=0o700)


async def _make_secrets(settings: Settings) -> str:
    """Keys, certificates, database, and the one API token that is printed once."""
    from daemon.auth import keys, tls
    from daemon.auth.store import AuthStore
    from daemon.auth.token_store import TokenStore
    from daemon.auth.tokens import Tokens
    from daemon.db.database import Database
    from daemon.system import SystemClock, SystemDice

    clock, dice = SystemClock(), SystemDice()
    keys.generate(settings.state_dir / "keys", dice)
    files = tls.TlsFiles.under(settings.state_dir)
    tls.create(files, names=(settings.server.name, *settings.server.names), clock=clock, dice=dice)
    database = await Database.open(settings.state_dir / DATABASE_NAME, clock=clock)
    try:
        tokens = Tokens(database, TokenStore(database), AuthStore(database), clock=clock, dice=dice)
        made = await tokens.create(TOKEN_NAME, role="admin", actor="system")
    finally:
        await database.close()
    return made.token


def _result(target: Path, settings: Settings, token: str, building: Path) -> dict[str, Any]:
    from daemon.auth import tls

    return {
        "state_dir": str(target),
        "config": str(target / CONFIG_NAME),
        "ca_file": str(tls.TlsFiles.under(target).ca_cert),
        "ca_sha256": tls.ca_sha256(tls.TlsFiles.under(building)),
        "urls": settings.urls(),
        "admin_token": token,
    }
