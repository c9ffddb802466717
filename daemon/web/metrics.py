"""Figures for Prometheus at /metrics. No label ever names a person, a job or a mail address."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Gauge, Histogram, Info, generate_latest
from prometheus_client.process_collector import ProcessCollector

from daemon.kernel.clock import Clock

SAMPLE_S = 1.0
LAG_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted at the moment somebody looks."""

    jobs_by_state: Mapping[str, int] = field(default_factory=dict)
    printers_up: Mapping[str, bool] = field(default_factory=dict)
    mails_waiting: int = 0
    oldest_mail_s: float = 0.0
    is_storage_full: bool = False
    people: int = 0


class Metrics:
    """One registry; figures are read when they are asked for, the loop's lag is sampled all the time."""

    def __init__(self, read: Callable[[], Awaitable[Figures]], *, version: str, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        Info("holdfast_build", "The running release.", registry=self._registry).info({"version": version})
        self._jobs = self._gauge("holdfast_jobs", "Jobs by state.", "state")
        self._printers = self._gauge("holdfast_printer_up", "1 when the printer answered last.", "printer")
        self._waiting = self._gauge("holdfast_outbox_mails", "Mails not yet sent.")
        self._oldest = self._gauge("holdfast_outbox_oldest_seconds", "Age of the oldest mail not yet sent.")
        self._full = self._gauge("holdfast_storage_full", "1 while the disk is full and jobs are refused.")
        self._people = self._gauge("holdfast_people", "People known.")
        self._lag = Histogram(
            "holdfast_event_loop_lag_seconds",
            "How late the loop runs what is due.",
            buckets=LAG_BUCKETS_S,
            registry=self._registry,
        )

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)

    async def run(self) -> None:
        """Sample the loop's lag until cancelled."""
        while True:
            due = self._clock.monotonic_s() + SAMPLE_S
            await asyncio.sleep(SAMPLE_S)
            self._lag.observe(max(0.0, self._clock.monotonic_s() - due))

    async def render(self) -> bytes:
        """The figures as Prometheus text."""
        figures = await self._read()
        self._jobs.clear()
        for state, count in figures.jobs_by_state.items():
            self._jobs.labels(state).set(count)
        self._printers.clear()
        for printer, is_up in figures.printers_up.items():
            self._printers.labels(printer).set(int(is_up))
        self._waiting.set(figures.mails_waiting)
        self._oldest.set(figures.oldest_mail_s)
        self._full.set(int(figures.is_storage_full))
        self._people.set(figures.people)
        return generate_latest(self._registry)
