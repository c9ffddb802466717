"""What a worker says through its pipe: frames of one type byte, a length and a body.

`D` is a piece of output, `R` the result (JSON, the last frame), `E` a refusal (JSON, the last frame). A pipe that ends
without `R` or `E` means the worker died.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any

DATA, RESULT, REFUSED = b"D", b"R", b"E"
HEADER = struct.Struct(">cI")
BODY_BYTES_MAX = 1 << 20
"""Largest body of a `D` frame, and so what the reading side holds."""
RESULT_BYTES_MAX = 16 << 20
"""Largest `R` frame: facts of the longest document allowed, every page different."""


class Refuse(Exception):
    """Raised inside a worker: the document is refused with a code and a plain sentence."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


class FrameWriter:
    """Writes frames to a descriptor; blocks while the reader is slow."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def data(self, body: bytes | memoryview) -> None:
        """Output, cut into frames of at most `BODY_BYTES_MAX`."""
        view = memoryview(body).cast("B")
        for at in range(0, len(view), BODY_BYTES_MAX):
            self._frame(DATA, view[at : at + BODY_BYTES_MAX])

    def result(self, content: dict[str, Any]) -> None:
        """The end: what was found or done."""
        self._frame(RESULT, memoryview(json.dumps(content, separators=(",", ":")).encode()))

    def refused(self, code: str, message: str, *, detail: str = "") -> None:
        """The end: why not. `detail` is for the log."""
        said = {"code": code, "message": message, "detail": detail}
        self._frame(REFUSED, memoryview(json.dumps(said).encode()))

    def _frame(self, kind: bytes, body: memoryview) -> None:
        self._all(memoryview(HEADER.pack(kind, len(body))))
        self._all(body)

    def _all(self, view: memoryview) -> None:
        while view:
            view = view[os.write(self._handle, view) :]
