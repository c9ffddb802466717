"""The spool's file format: a document sealed in chunks with AES-256-GCM, each bound to its place and to its file.

A file is a 16-byte header (magic, chunk size) and chunks of ciphertext + 16-byte tag. All chunks but the last hold
exactly `chunk_bytes` of plain text. A chunk's nonce is its index and whether it is the last one; header and file name
are authenticated with every chunk. So a chunk that was changed, moved, dropped, repeated, brought in from another file
or cut off at the end does not open. A key seals one file only, which is what makes counting nonces safe.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"HFSPOOL1"
HEADER_BYTES = 16
TAG_BYTES = 16
KEY_BYTES = 32
NONCE_BYTES = 12
CHUNK_BYTES = 1 << 20
"""Plain bytes per chunk: one thread hop each, and what reading or writing a document of any size holds in memory."""
_CHUNK_BYTES_MAX = 1 << 24


class Damaged(Exception):
    """A sealed file does not open: changed, cut, or not sealed with this key."""


class Seal:
    """Seals and opens the chunks of one file."""

    def __init__(self, key: bytes, name: str, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._cipher = AESGCM(key)
        self.chunk_bytes = chunk_bytes
        self.header = MAGIC + chunk_bytes.to_bytes(4, "big") + bytes(4)
        self._bound = self.header + name.encode()

    @classmethod
    def of_header(cls, key: bytes, name: str, header: bytes) -> Seal:
        """The seal of an existing file.

        Raises:
            Damaged: not this format.
        """
        chunk_bytes = int.from_bytes(header[8:12], "big")
        if len(header) != HEADER_BYTES or not header.startswith(MAGIC) or not 0 < chunk_bytes <= _CHUNK_BYTES_MAX:
            raise Damaged("not a spool file")
        seal = cls(key, name, chunk_bytes=chunk_bytes)
        if seal.header != header:
            raise Damaged("not a spool file")
        return seal

    def close(self, index: int, plain: bytes, *, is_last: bool) -> bytes:
        """Ciphertext and tag of chunk `index`."""
        return self._cipher.encrypt(self._nonce(index, is_last=is_last), plain, self._bound)

    def open(self, index: int, sealed: bytes, *, is_last: bool) -> bytes:
        """Plain text of chunk `index`.

        Raises:
            Damaged: it is not that chunk of that file, unchanged.
        """
        try:
            return self._cipher.decrypt(self._nonce(index, is_last=is_last), sealed, self._bound)
        except InvalidTag as error:
            raise Damaged(f"chunk {index} does not open") from error

    @staticmethod
    def _nonce(index: int, *, is_last: bool) -> bytes:
        return index.to_bytes(8, "big") + (b"last" if is_last else b"more")


def wrap(day_key: bytes, key: bytes, nonce: bytes, *, name: str, day: str) -> bytes:
    """A job's key under a day's key, bound to the file and the day it belongs to."""
    return nonce + AESGCM(day_key).encrypt(nonce, key, f"{day}/{name}".encode())


def unwrap(day_key: bytes, wrapped: bytes, *, name: str, day: str) -> bytes:
    """The job's key.

    Raises:
        Damaged: wrapped by another key, or for another file.
    """
    try:
        return AESGCM(day_key).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], f"{day}/{name}".encode())
    except (InvalidTag, ValueError) as error:
        raise Damaged("the document's key does not unwrap") from error
