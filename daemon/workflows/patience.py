"""How long a delivery waits for its printer: for an answer, for movement, for the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.kernel.clock import Clock
    from daemon.workflows.house import ReleasePolicy

REST_S = 2.0


class Patience:
    """How long a printer may be silent, stand still, or take; and how soon to look again."""

    def __init__(self, policy: ReleasePolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._began_s = self._heard_s = clock.monotonic_s()
        self._stopped_s: float | None = None
        self._moved_s = self._began_s
        self._counts: tuple[int | None, int | None] = (None, None)
        self.pause_s = policy.poll_first_s

    def heard(self, *, changed: bool, is_stopped: bool, counts: tuple[int | None, int | None]) -> None:
        """The printer answered; `counts` are its impressions and sheets so far."""
        now = self._clock.monotonic_s()
        self._heard_s = now
        if counts != self._counts:
            self._counts, self._moved_s = counts, now
        if not is_stopped:
            self._stopped_s = None
        elif self._stopped_s is None:
            self._stopped_s = now
        policy = self._policy
        self.pause_s = policy.poll_first_s if changed else min(self.pause_s * 1.5, policy.poll_max_s)

    @property
    def is_at_rest(self) -> bool:
        """No side has come out for a moment: worth asking the printer itself why."""
        return self._clock.monotonic_s() - self._moved_s > REST_S

    @property
    def is_lost(self) -> bool:
        """It has been silent for too long."""
        return self._clock.monotonic_s() - self._heard_s > self._policy.lost_after_s

    @property
    def is_over(self) -> bool:
        """It stood still, or printed, for longer than the site allows: the job is to be canceled there."""
        now = self._clock.monotonic_s()
        stopped = self._stopped_s is not None and now - self._stopped_s > self._policy.stopped_timeout_s
        return stopped or now - self._began_s > self._policy.job_timeout_s
