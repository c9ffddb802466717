"""Key files: what turns a stolen database into noise. They live in DIR/keys (0700) or in systemd credentials.

One file per purpose, one key a line, `KEYID BASE64`, the first line in use and the others kept until nothing refers
to them. Every stored value carries its `key_id`, so a new first line rotates without a flag day. Keys are never in
the database and never in its backup.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from daemon.kernel.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from daemon.kernel.ids import Dice

PEPPER = "pepper"
"""Keyed hash over passwords before Argon2id."""
CARD = "card"
"""Keyed hash of card numbers: the number space is small enough to try, the key is not."""
BOX = "box"
"""Seals small secrets that must be read back (enrolment codes, mail that carries a link)."""
AUDIT = "audit"
"""Keys the audit chain."""
PURPOSES = (PEPPER, CARD, BOX, AUDIT)

KEY_BYTES = 32
KEY_ID_BYTES = 4
KEYS_PER_FILE_MAX = 64
NONCE_BYTES = 12
CREDENTIAL_PREFIX = "holdfast-"
"""A systemd credential is called `holdfast-pepper`, `holdfast-card`, ..."""
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"


class KeysMissing(Refusal):
    """A key file is absent or damaged: the daemon must not start, or it would lock everyone out with new keys."""

    code = "keys-missing"


class SealBroken(Refusal):
    """A sealed value was changed, moved to another place, or belongs to another installation."""

    code = "seal-broken"


@dataclass(frozen=True, slots=True)
class Key:
    """32 secret bytes and the short name stored values carry."""

    key_id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.key_id})"


class KeyRing:
    """All keys of one purpose: the first is in use, the rest still open what they closed."""

    def __init__(self, purpose: str, keys: tuple[Key, ...]) -> None:
        if not keys:
            raise KeysMissing(f"no key for {purpose}")
        self.purpose = purpose
        self._keys = keys
        self._by_id = {key.key_id: key for key in keys}

    @property
    def current(self) -> Key:
        """The key new values are made with."""
        return self._keys[0]

    @property
    def all(self) -> tuple[Key, ...]:
        """Newest first."""
        return self._keys

    def by_id(self, key_id: str) -> Key:
        """The key named by a stored value.

        Raises:
            KeysMissing: the file no longer holds it.
        """
        try:
            return self._by_id[key_id]
        except KeyError:
            raise KeysMissing(f"key {key_id} of {self.purpose} is gone") from None


@dataclass(frozen=True, slots=True)
class Keys:
    """Every ring the daemon needs."""

    pepper: KeyRing
    card: KeyRing
    box: KeyRing
    audit: KeyRing


def generate(directory: Path, dice: Dice) -> None:
    """Make what is missing of DIR/keys: directory 0700, a file per purpose 0600, all fsynced. Existing files stay."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    for purpose in PURPOSES:
        path = directory / purpose
        if not path.exists():
            _write_new(path, _line(new_key(dice)))
    sync_directory(directory)


def new_key(dice: Dice) -> Key:
    """A fresh key with a fresh id."""
    return Key(dice.token(KEY_ID_BYTES).hex(), dice.token(KEY_BYTES))


def rotate(directory: Path, purpose: str, dice: Dice) -> Key:
    """Put a new key in front of `purpose`; stored values move over as they are used.

    Raises:
        KeysMissing: there is no such file, or it already holds as many keys as allowed.
    """
    path = directory / purpose
    ring = _read(path, purpose)
    if len(ring.all) >= KEYS_PER_FILE_MAX:
        raise KeysMissing(f"{purpose} holds {KEYS_PER_FILE_MAX} keys already; retire old ones first")
    key = new_key(dice)
    _replace(path, [key, *ring.all])
    return key


def retire(directory: Path, purpose: str, keep: Collection[str]) -> tuple[str, ...]:
    """Forget keys of `purpose` that are not in `keep`; the one in use stays in any case. Returns their ids.

    Raises:
        KeysMissing: there is no such file.
    """
    path = directory / purpose
    ring = _read(path, purpose)
    kept = [key for key in ring.all if key is ring.current or key.key_id in keep]
    gone = tuple(key.key_id for key in ring.all if key not in kept)
    if gone:
        _replace(path, kept)
    return gone


def is_given(purpose: str) -> bool:
    """Whether this key comes from a systemd credential: then it is changed there, not here."""
    return _given(purpose) is not None


def load_ring(directory: Path, purpose: str) -> KeyRing:
    """The ring of one purpose as it is now on disk, or as systemd gives it.

    Raises:
        KeysMissing: absent, unreadable or damaged.
    """
    return _read(_given(purpose) or directory / purpose, purpose)


def load(directory: Path) -> Keys:
    """Read every ring; a file in `$CREDENTIALS_DIRECTORY` is preferred to the one in `directory`.

    Raises:
        KeysMissing: a file is absent, unreadable or damaged; the message names it.
    """
    rings = {purpose: load_ring(directory, purpose) for purpose in PURPOSES}
    return Keys(pepper=rings[PEPPER], card=rings[CARD], box=rings[BOX], audit=rings[AUDIT])


class SecretBox:
    """AES-256-GCM for small secrets. `place` (such as `mail:text`) is bound in: a value opens only where it was put."""

    def __init__(self, ring: KeyRing, dice: Dice) -> None:
        self._ring = ring
        self._dice = dice

    def seal(self, plain: bytes, *, place: str) -> bytes:
        """Key id, nonce and ciphertext in one."""
        key = self._ring.current
        nonce = self._dice.token(NONCE_BYTES)
        sealed = AESGCM(key.secret).encrypt(nonce, plain, _bound(key.key_id, place))
        return bytes.fromhex(key.key_id) + nonce + sealed

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """What was sealed.

        Raises:
            SealBroken: changed, from another place or another installation.
        """
        key_id = sealed[:KEY_ID_BYTES].hex()
        nonce = sealed[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES]
        try:
            key = self._ring.by_id(key_id)
            return AESGCM(key.secret).decrypt(nonce, sealed[KEY_ID_BYTES + NONCE_BYTES :], _bound(key_id, place))
        except (InvalidTag, KeysMissing, ValueError) as error:
            raise SealBroken("a sealed value does not open") from error


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _given(purpose: str) -> Path | None:
    """The systemd credential of this purpose, where there is one."""
    folder = os.environ.get(CREDENTIALS_VARIABLE, "")
    given = Path(folder) / f"{CREDENTIAL_PREFIX}{purpose}" if folder else None
    return given if given is not None and given.exists() else None


def _replace(path: Path, ring: Iterable[Key]) -> None:
    """Write a key file anew, wholly or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    _write_new(temporary, "".join(_line(key) for key in ring))
    temporary.replace(path)
    sync_directory(path.parent)


def _bound(key_id: str, place: str) -> bytes:
    return f"holdfast-box-1:{key_id}:{place}".encode()


def _line(key: Key) -> str:
    return f"{key.key_id} {base64.b64encode(key.secret).decode('ascii')}\n"


def _write_new(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, text.encode("ascii"))
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path, purpose: str) -> KeyRing:
    try:
        lines = path.read_text(encoding="ascii").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise KeysMissing(f"{path}: cannot read the {purpose} key: {error}") from error
    keys = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        key_id, _, text = line.partition(" ")
        try:
            secret = base64.b64decode(text, validate=True)
            is_good = len(bytes.fromhex(key_id)) == KEY_ID_BYTES and len(secret) == KEY_BYTES
        except (ValueError, binascii.Error):
            is_good = False
            secret = b""
        if not is_good:
            raise KeysMissing(f"{path}:{number}: not a key line (KEYID BASE64)")
        keys.append(Key(key_id, secret))
    return KeyRing(purpose, tuple(keys))
