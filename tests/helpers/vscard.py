"""A card for qemu's CCID reader, on its character device: the protocol of `libcacard` (vscard_common.h). Threads only."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from pathlib import Path

from tests.helpers.vcard import ATR_CLASSIC

INIT, ERROR, READER_ADD, ATR, CARD_REMOVE, APDU, FLUSH, FLUSH_COMPLETE = 1, 2, 3, 5, 6, 7, 8, 9
VERSION = 2
NOBODY = 0xFFFFFFFF
CONNECT_S = 10
SETTLE_S = 0.3


class Slot:
    """The slot of one reader: cards are laid on and taken away."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        until_s = time.monotonic() + CONNECT_S
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                assert time.monotonic() < until_s, f"{path} does not answer"
                time.sleep(0.05)
        self._reader, self._uid = NOBODY, b""
        self._send(INIT, NOBODY, b"VSCD" + struct.pack(">II", VERSION, 0))
        threading.Thread(target=self._serve, daemon=True).start()
        self._send(READER_ADD, NOBODY, b"Virtual\0")
        time.sleep(SETTLE_S)

    def insert(self, uid: str) -> None:
        self._uid = bytes.fromhex(uid)
        self._send(ATR, 0, ATR_CLASSIC)

    def remove(self) -> None:
        self._send(CARD_REMOVE, 0)

    def close(self) -> None:
        self._socket.close()

    def _send(self, kind: int, reader: int, data: bytes = b"") -> None:
        self._socket.sendall(struct.pack(">III", kind, reader, len(data)) + data)

    def _serve(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                kind, reader, length = struct.unpack(">III", self._receive(12))
                data = self._receive(length)
                if kind == APDU:
                    is_asked = data[:5] == bytes.fromhex("FFCA000000")
                    self._send(APDU, reader, self._uid + b"\x90\x00" if is_asked else b"\x6d\x00")
                elif kind == FLUSH:
                    self._send(FLUSH_COMPLETE, reader)

    def _receive(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self._socket.recv(length - len(data))
            if not part:
                raise EOFError
            data += part
        return data
