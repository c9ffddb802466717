"""Events: what happened, written in the same unit as the change, read after commit by whoever watches."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """`topic` is past tense (`job.held`, `printer.stopped`); `subject` the public id it happened to."""

    topic: str
    subject: str
    user_id: int | None = None
