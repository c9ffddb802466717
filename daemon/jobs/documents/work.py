"""A worker's life: lock in, do one piece of work, say the result, end. Runs in a forked child of the server.

The libraries are imported here, in the server, before any fork: a worker could not open their files any more.
"""

from __future__ import annotations

import os
import traceback
from typing import Any

# Loaded before the fork on purpose, also where only a submodule uses it.
from daemon.jobs.documents import analyse, deliver, probe, sandbox, source
from daemon.jobs.documents.frames import FrameWriter, Refuse

CODE_DONE, CODE_REFUSED, CODE_UNCONFINED = 0, 3, 4


def run(kind: str, request: dict[str, Any], limits: dict[str, Any]) -> int:
    """Do the work and return the process's exit code; every end but a crash is told in a last frame."""
    out = FrameWriter(sandbox.RESULT_FD)
    try:
        size = os.fstat(sandbox.DOCUMENT_FD).st_size
        source.map_document(size)
        sandbox.confine(
            sandbox.Limits(memory_bytes=limits["memory_bytes"] + size, cpu_s=limits["cpu_s"]),
            allow_unconfined=limits["allow_unconfined"],
        )
    except (sandbox.NotConfined, OSError, ValueError):
        out.refused("sandbox-unavailable", "documents cannot be read here: this system offers no sandbox")
        return CODE_UNCONFINED
    try:
        out.result(_work(kind, request, out))
    except Refuse as refusal:
        out.refused(refusal.code, refusal.message)
        return CODE_REFUSED
    except (MemoryError, RecursionError, OverflowError):
        out.refused("document-too-complex", "the document needs more memory or time than one document may use")
        return CODE_REFUSED
    except Exception as error:  # what a library throws at a strange document; the place is told, for the log
        place = traceback.extract_tb(error.__traceback__)[-1]
        detail = f"{type(error).__name__} at {os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119 -- no pathlib here
        out.refused("document-format-error", "the document is damaged and cannot be read", detail=detail)
        return CODE_REFUSED
    return CODE_DONE


def _work(kind: str, request: dict[str, Any], out: FrameWriter) -> dict[str, Any]:
    if kind == "analyse":
        return analyse.facts(request)
    if kind == "deliver":
        return deliver.deliver(request, out)
    if kind == "preview":
        return deliver.preview(request, out)
    if kind == "probe":
        return probe.attempts(request)
    raise ValueError(kind)
