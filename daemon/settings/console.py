"""Options of the console: how long somebody stays signed in, and when they are asked again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from daemon.settings.options import option


@dataclass(frozen=True, slots=True)
class Console:
    """Sessions in a browser."""

    idle_s: int = option(1800, "Seconds without use after which somebody is signed out.", low=60, high=3600)
    absolute_s: int = option(43_200, "Seconds after which somebody is signed out in any case.", low=300, high=86_400)
    proof_s: int = option(
        300, "Seconds a password given counts for dangerous changes; later ones ask for it again.", low=30, high=3600
    )

    def check(self) -> Iterator[tuple[str, str]]:
        if self.absolute_s < self.idle_s:
            yield "absolute_s", f"must be at least idle_s ({self.idle_s})"
