"""Who this terminal is: its key, its counter, the CA it pinned, and the file that says so.

`KDIR` (0700) holds `kiosk.toml` (settings, edited by people), `terminal.key` (0600, Ed25519 in PKCS 8, made here and
never sent anywhere), `ca.pem` (pinned at enrolment) and `counter` (a high-water mark, so that no restart and no
stepping clock ever signs the same counter twice).
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from daemon.kernel.errors import BadInput
from kiosk import reader_config
from kiosk.reader_config import ReaderConfig

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG_NAME, KEY_NAME, CA_NAME, COUNTER_NAME = "kiosk.toml", "terminal.key", "ca.pem", "counter"
COUNTER_BLOCK = 4096
"""Counters are reserved on disk in blocks of this many."""
DEFAULT_SCREEN_PORT = 8633
HTTPS_PORT = 443
NO_READER = "none"

_KEYS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "daemon": {"url": str, "ca_file": str},
    "terminal": {"id": str, "name": str, "key_file": str},
    "screen": {
        "host": str,
        "port": int,
        "language": str,
        "languages": list,
        "dpi": (int, float),
        "inches": (int, float),
    },
    "reader": {"kind": str},
}
_READERS = "readers"
INCHES_MAX, DPI_MAX = 100, 1200


@dataclass(frozen=True, slots=True)
class KioskConfig:
    """`kiosk.toml`, checked. `dpi` 0 means: from `inches` (the diagonal), or else as the screen's size suggests."""

    directory: Path
    daemon_url: str
    ca_pem: str
    terminal_id: str
    name: str
    key_file: Path
    screen_host: str = "127.0.0.1"
    screen_port: int = DEFAULT_SCREEN_PORT
    language: str = "en"
    languages: tuple[str, ...] = ()
    dpi: float = 0.0
    inches: float = 0.0
    readers: tuple[ReaderConfig, ...] = ()


def new_key() -> Ed25519PrivateKey:
    """A fresh terminal key."""
    return Ed25519PrivateKey.generate()


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """The 32 raw bytes the daemon registers."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def load_key(path: Path) -> Ed25519PrivateKey:
    """The terminal's key.

    Raises:
        BadInput: missing, readable by others, or not Ed25519.
    """
    try:
        if path.stat().st_mode & 0o077:
            raise _bad(path, 0, "terminal.key_file", "others can read the terminal's key: chmod 600 it")
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise _bad(path, 0, "terminal.key_file", f"no usable key here ({type(error).__name__})") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _bad(path, 0, "terminal.key_file", "not an Ed25519 key")
    return key


def write_private(path: Path, data: bytes) -> None:
    """Write whole or not at all, 0600, durable."""
    part = path.with_name(path.name + ".part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def save(
    directory: Path, *, daemon_url: str, ca_pem: str, terminal_id: str, name: str, key: Ed25519PrivateKey, reader: str
) -> Path:
    """Make `directory` this terminal's home; gives the path of `kiosk.toml`."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    write_private(directory / KEY_NAME, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_private(directory / CA_NAME, ca_pem.encode("ascii"))
    text = (
        "# A Holdfast terminal. Made by `holdfast kiosk enrol`; screen and reader may be edited.\n\n"
        f"[daemon]\nurl = {json.dumps(daemon_url)}\nca_file = {json.dumps(CA_NAME)}\n\n"
        f"[terminal]\nid = {json.dumps(terminal_id)}\nname = {json.dumps(name)}\nkey_file = {json.dumps(KEY_NAME)}\n\n"
        "# The screen is served on loopback only. inches: its diagonal (or dpi), so that keys have their size in\n"
        "# millimetres; 0 = as its pixels suggest (800x480: 7 inch).\n"
        f'[screen]\nhost = "127.0.0.1"\nport = {screen_port_for(daemon_url)}\nlanguage = "en"\ninches = 0\n\n'
        "# Card readers: pcsc, evdev, network or simulated (taps come from POST /ui/tap); see the reference.\n"
    )
    if reader != NO_READER:
        text += f"[[readers]]\nname = {json.dumps(reader)}\nkind = {json.dumps(reader)}\n"
    config = directory / CONFIG_NAME
    write_private(config, text.encode())
    return config


def renew(config: Path, *, daemon_url: str, ca_pem: str, terminal_id: str, name: str, key: Ed25519PrivateKey) -> Path:
    """Give a terminal's home another key, daemon and name; readers, screen and comments stay as people left them.

    Raises:
        BadInput: `kiosk.toml` is not in order as it stands.
    """
    load(config)
    text = config.read_text(encoding="utf-8")
    for section, word, value in (
        ("daemon", "url", daemon_url),
        ("daemon", "ca_file", CA_NAME),
        ("terminal", "id", terminal_id),
        ("terminal", "name", name),
        ("terminal", "key_file", KEY_NAME),
    ):
        text = _with_value(text, section, word, json.dumps(value))
    try:
        again = tomllib.loads(text)
        is_good = (again["daemon"]["url"], again["terminal"]["id"]) == (daemon_url, terminal_id)
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        is_good = False
    if not is_good:
        raise _bad(config, 0, "", "cannot be edited as it is written: move it away and enrol without --again")
    here = config.parent
    write_private(here / KEY_NAME, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_private(here / CA_NAME, ca_pem.encode("ascii"))
    write_private(config, text.encode())
    return config


def _with_value(text: str, section: str, key: str, value: str) -> str:
    """The text with one key of one section set: where it stands, or as the section's first."""
    lines = text.splitlines()
    number = _line_of(text, f"{section}.{key}")
    stands = number and lines[number - 1].split("=")[0].strip() == key
    if stands:
        lines[number - 1] = f"{key} = {value}"
    else:
        lines.insert(_line_of(text, section), f"{key} = {value}")
    return "\n".join(lines) + "\n"


def screen_port_for(daemon_url: str) -> int:
    """Base ports count up: ipp, ipps, https, screen; a daemon on 443 leaves the default."""
    port = urlsplit(daemon_url).port or HTTPS_PORT
    return DEFAULT_SCREEN_PORT if port == HTTPS_PORT else port + 1


def load(path: Path) -> KioskConfig:
    """Read and check `kiosk.toml`.

    Raises:
        BadInput: every problem found, with file, line and key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except OSError as error:
        raise _bad(path, 0, "", f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _bad(path, 0, "", str(error)) from error
    problems = list(_problems(path, text, raw))
    if problems:
        raise BadInput(f"{path}: {len(problems)} problem(s)", details=problems)
    screen = raw.get("screen", {})
    here = path.parent
    readers = reader_config.parse(_readers_of(raw), say=lambda *_: None)
    return KioskConfig(
        directory=here,
        daemon_url=raw["daemon"]["url"].rstrip("/"),
        ca_pem=(here / raw["daemon"]["ca_file"]).read_text(encoding="ascii"),
        terminal_id=raw["terminal"]["id"],
        name=raw["terminal"].get("name", ""),
        key_file=here / raw["terminal"]["key_file"],
        screen_host=screen.get("host", "127.0.0.1"),
        screen_port=screen.get("port", DEFAULT_SCREEN_PORT),
        language=screen.get("language", "en"),
        languages=tuple(screen.get("languages", ())),
        dpi=float(screen.get("dpi", 0)),
        inches=float(screen.get("inches", 0)),
        readers=readers,
    )


def _readers_of(raw: dict[str, Any]) -> Any:
    """`[[readers]]`, or what the older `[reader] kind` says."""
    old = raw.get("reader", {}).get("kind", NO_READER)
    return raw.get(_READERS, [] if old == NO_READER else [{"kind": old}])


def _problems(path: Path, text: str, raw: dict[str, Any]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []

    def say(key: str, message: str) -> None:
        found.append({"file": str(path), "line": _line_of(text, key), "key": key, "message": message})

    _check_words(raw, say)
    for key in ("daemon.url", "daemon.ca_file", "terminal.id", "terminal.key_file"):
        section, _, name = key.partition(".")
        if not isinstance(raw.get(section), dict) or name not in raw[section]:
            say(key, "is missing: enrol this terminal with `holdfast kiosk enrol`")
    is_whole = not found
    found += _reader_problems(path, text, raw)
    if not is_whole:
        return found
    if not raw["daemon"]["url"].startswith("https://"):
        say("daemon.url", "must be an https:// address")
    if not (path.parent / raw["daemon"]["ca_file"]).is_file():
        say("daemon.ca_file", "no such file beside kiosk.toml")
    if raw.get("screen", {}).get("host", "127.0.0.1") not in ("127.0.0.1", "::1", "localhost"):
        say("screen.host", "the screen is served on loopback only")
    if raw.get("reader", {}).get("kind", NO_READER) not in (NO_READER, *reader_config.KINDS):
        say("reader.kind", f"must be one of {', '.join((NO_READER, *reader_config.KINDS))}")
    for key, most in (("inches", INCHES_MAX), ("dpi", DPI_MAX)):
        if not 0 <= raw.get("screen", {}).get(key, 0) <= most:
            say(f"screen.{key}", f"must be from 0 (unknown) to {most}")
    return found


def _check_words(raw: dict[str, Any], say: Callable[[str, str], None]) -> None:
    """Every section and key is one we know, of its type."""
    for section, content in raw.items():
        if section == _READERS:
            continue
        if section not in _KEYS or not isinstance(content, dict):
            say(section, f"unknown section; there are {', '.join((*_KEYS, '[[readers]]'))}")
            continue
        for key, value in content.items():
            wanted = _KEYS[section].get(key)
            if wanted is None:
                say(f"{section}.{key}", f"unknown key; here may be {', '.join(_KEYS[section])}")
            elif not isinstance(value, wanted) or isinstance(value, bool):
                say(f"{section}.{key}", "has the wrong type")


def _line_of(text: str, key: str) -> int:
    section, _, name = key.partition(".")
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("["):
            current = bare.strip("[]").strip()
            if not name and current == section:
                return number
        elif name and current == section and bare.split("=")[0].strip() == name:
            return number
    return 0


def _reader_problems(path: Path, text: str, raw: dict[str, Any]) -> list[dict[str, object]]:
    """What is wrong with `[[readers]]`."""
    found: list[dict[str, object]] = []

    def say(number: int, key: str, message: str) -> None:
        line, name = _line_of_table(text, number, key), f"{_READERS}.{key}".rstrip(".")
        found.append({"file": str(path), "line": line, "key": name, "message": message})

    if _READERS in raw:
        reader_config.parse(raw[_READERS], say=say)
        if "reader" in raw:
            message = "is the old way to write one reader: remove it, [[readers]] is used"
            found.append({"file": str(path), "line": _line_of(text, "reader"), "key": "reader", "message": message})
    return found


def _line_of_table(text: str, number: int, key: str) -> int:
    """The line of `key` in the `number`th (from 0) `[[readers]]`, or that table's own line; 0 when there is none."""
    at, found = -1, 0
    for line, content in enumerate(text.splitlines(), 1):
        bare = content.strip()
        if bare.startswith("["):
            at += bare.startswith("[[") and bare.strip("[] ").strip() == _READERS
            is_here = at == number and bare.strip("[] ").strip() == _READERS
            found = line if is_here else found
            if at > number:
                break
        elif at == number and bare.split("=")[0].strip() == key:
            return line
    return found


def _bad(path: Path, line: int, key: str, message: str) -> BadInput:
    detail = {"file": str(path), "line": line, "key": key, "message": message}
    return BadInput(f"{path}: {message}", details=[detail])


class Counter:
    """Numbers that only rise, across restarts, without a write per request."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._next = int(path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            self._next = 1
        self._reserved = self._next

    def next(self) -> int:
        """The next number, never given before."""
        if self._next >= self._reserved:
            self._reserved = self._next + COUNTER_BLOCK
            write_private(self._path, str(self._reserved).encode("ascii"))
        self._next += 1
        return self._next - 1
