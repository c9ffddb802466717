"""Names of unix sockets in deep directories: the kernel takes 107 bytes, people's paths may be longer."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

NAME_BYTES_MAX = 100


@contextlib.contextmanager
def short_name(path: Path) -> Iterator[str]:
    """A name for `path` that fits: the path itself, or one through an open handle of its directory while inside."""
    text = str(path)
    if len(os.fsencode(text)) <= NAME_BYTES_MAX:
        yield text
        return
    handle = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{path.name}"
    finally:
        os.close(handle)
