"""Figures for Prometheus at /metrics. No label ever names a person, a job or a mail address."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from daemon.kernel.clock import Clock
from daemon.workflows.release import PROMISED

SAMPLE_S = 0.25
LAG_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)
RELEASE_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted at the moment somebody looks."""

    jobs_by_state: Mapping[str, int] = field(default_factory=dict)
    printers_up: Mapping[str, bool] = field(default_factory=dict)
    mails_waiting: int = 0
    oldest_mail_s: float = 0.0
    is_storage_full: bool = False
    people: int = 0
    login_failures: Mapping[str, int] = field(default_factory=dict)
    card_taps: Mapping[str, int] = field(default_factory=dict)
    terminals_up: Mapping[str, bool] = field(default_factory=dict)
    terminal_refusals: Mapping[str, int] = field(default_factory=dict)
    deliveries_uncertain: int = 0
    ledger_differences: int = 0
    is_ledger_ok: bool = True
    ledger_checked_s: float = 0.0


class _Totals:
    """Counts that others keep, told as counters; the values are those of the last look."""

    def __init__(self) -> None:
        self.login_failures: Mapping[str, int] = {}
        self.card_taps: Mapping[str, int] = {}
        self.terminal_refusals: Mapping[str, int] = {}
        self.ledger_differences = 0

    def collect(self) -> Iterable[Metric]:
        """What prometheus_client asks of a collector."""
        failures = CounterMetricFamily("holdfast_login_failures", "Sign-ins that failed, by way.", labels=["method"])
        for method, count in self.login_failures.items():
            failures.add_metric([method], count)
        yield failures
        taps = CounterMetricFamily("holdfast_card_taps", "Cards held against a reader, by result.", labels=["result"])
        for result, count in self.card_taps.items():
            taps.add_metric([result], count)
        yield taps
        refusals = CounterMetricFamily(
            "holdfast_terminal_refusals", "Terminal messages refused, by reason.", labels=["reason"]
        )
        for reason, count in self.terminal_refusals.items():
            refusals.add_metric([reason], count)
        yield refusals
        yield CounterMetricFamily(
            "holdfast_ledger_drift", "Differences found by the books' own checks.", value=self.ledger_differences
        )


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
        self._terminals = self._gauge("holdfast_terminal_up", "1 while the terminal is heard of.", "terminal")
        self._waiting = self._gauge("holdfast_outbox_mails", "Mails not yet sent.")
        self._oldest = self._gauge("holdfast_outbox_oldest_seconds", "Age of the oldest mail not yet sent.")
        self._full = self._gauge("holdfast_storage_full", "1 while the disk is full and jobs are refused.")
        self._people = self._gauge("holdfast_people", "People known.")
        self._uncertain = self._gauge("holdfast_deliveries_uncertain", "Deliveries nobody knows the end of.")
        self._ledger = self._gauge("holdfast_ledger_ok", "0 once a check of the books found a difference.")
        self._checked = self._gauge("holdfast_ledger_checked_timestamp_seconds", "When the books were last checked.")
        self._totals = _Totals()
        self._registry.register(self._totals)
        self._releases = Counter(
            "holdfast_releases",
            "Releases asked for, by who asked and what came of it.",
            ("by", "result"),
            registry=self._registry,
        )
        self._durations = Histogram(
            "holdfast_release_duration_seconds",
            "From a release's request to its durable promise.",
            buckets=RELEASE_BUCKETS_S,
            registry=self._registry,
        )
        self._lag = Histogram(
            "holdfast_event_loop_lag_seconds",
            "How late the loop runs what is due.",
            buckets=LAG_BUCKETS_S,
            registry=self._registry,
        )

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)

    def released(self, by: str, result: str, duration_s: float) -> None:
        """One release was answered: `promised`, or the code of its refusal. Only what was promised is timed."""
        self._releases.labels(by, result).inc()
        if result == PROMISED:
            self._durations.observe(duration_s)

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
        self._terminals.clear()
        for terminal, is_up in figures.terminals_up.items():
            self._terminals.labels(terminal).set(int(is_up))
        self._waiting.set(figures.mails_waiting)
        self._oldest.set(figures.oldest_mail_s)
        self._full.set(int(figures.is_storage_full))
        self._people.set(figures.people)
        self._uncertain.set(figures.deliveries_uncertain)
        self._ledger.set(int(figures.is_ledger_ok))
        self._checked.set(figures.ledger_checked_s)
        self._totals.login_failures = figures.login_failures
        self._totals.card_taps = figures.card_taps
        self._totals.terminal_refusals = figures.terminal_refusals
        self._totals.ledger_differences = figures.ledger_differences
        return generate_latest(self._registry)
