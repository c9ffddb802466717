"""The verbs of a running daemon, and the tasks that keep them going."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.jobs.analysis import Analyser, AnalysisOptions
from daemon.jobs.convert import Converter
from daemon.jobs.worker_pool import Workshop, WorkshopLimits
from daemon.workflows.auto_release import AutoRelease
from daemon.workflows.cancel import Cancel
from daemon.workflows.deliver import Deliver
from daemon.workflows.hold import Hold
from daemon.workflows.housekeep import Housekeep
from daemon.workflows.jobs import Jobs
from daemon.workflows.looks import Looks
from daemon.workflows.read import Read
from daemon.workflows.recall import Recall
from daemon.workflows.recover import Recover
from daemon.workflows.release import Release
from daemon.workflows.settle import Settle
from daemon.workflows.submit import Submit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.app.parts import Parts
    from daemon.settings import Settings


@dataclass(frozen=True, slots=True)
class Verbs:
    """What the fronts call."""

    workshop: Workshop
    converter: Converter
    read: Read
    submit: Submit
    jobs: Jobs
    cancel: Cancel
    hold: Hold
    release: Release
    deliver: Deliver
    settle: Settle
    recover: Recover
    housekeep: Housekeep
    auto: AutoRelease
    looks: Looks
    personal_queue: str


def build_verbs(parts: Parts) -> Verbs:
    """The verbs over the parts; nothing runs yet."""
    house, settings = parts.house, parts.settings
    workshop = Workshop(_limits(settings))
    analyser = Analyser(
        workshop,
        AnalysisOptions(
            pages_max=settings.analysis.pages_max,
            color_tolerance=settings.analysis.color_tolerance,
            color_dots_min=settings.analysis.color_dots_min,
        ),
    )
    converter = Converter(workshop)
    settle = Settle(house, parts.prices)
    deliver = Deliver(house, printers=parts.printers, settle=settle, converter=converter)
    read = Read(house, analyser, parts.prices)
    cancel = Cancel(house, stopper=deliver)
    jobs = Jobs(house, cancel)
    release = Release(house, jobs=jobs, prices=parts.prices, printers=parts.printers, read=read, start=deliver.start)
    recover = Recover(house, deliver=deliver, settle=settle)
    extra = (
        recover.orphans,
        settle.decide_uncertain,
        settle.expire_reservations,
        Recall(house, printers=parts.printers).once,
        *_chores(parts),
    )
    return Verbs(
        workshop=workshop,
        converter=converter,
        read=read,
        submit=Submit(house, arrived=read.wake),
        jobs=jobs,
        cancel=cancel,
        hold=Hold(house),
        release=release,
        deliver=deliver,
        settle=settle,
        recover=recover,
        housekeep=Housekeep(house, cancel, extra=extra),
        auto=AutoRelease(house, printers=parts.printers, release=release),
        looks=Looks(house, parts.printer_store, parts.printers, interval_s=settings.printers.check_interval_s),
        personal_queue=_personal_queue(settings),
    )


def _chores(parts: Parts) -> tuple[Callable[[], Awaitable[None]], ...]:
    """What the parts themselves have to do because time passes."""
    return (
        parts.grants.catch_up,
        parts.credentials.prune,
        parts.terminal_care.commands.prune,
        parts.terminal_care.watch.prune,
        parts.outbox.prune,
        parts.cards.keys.catch_up,
        parts.cards.desk.tell_expired,
        parts.cards.desk.prune_proofs,
    )


def _limits(settings: Settings) -> WorkshopLimits:
    rules = settings.analysis
    return WorkshopLimits(
        workers=rules.workers,
        memory_bytes=rules.memory_bytes_max,
        cpu_s=rules.cpu_s_max,
        wall_s=float(rules.wall_s_max),
        document_bytes_max=settings.spool.bytes_max,
        allow_unconfined=rules.allow_without_sandbox,
    )


def _personal_queue(settings: Settings) -> str:
    """The queue whose hold time and title personal addresses have: the first of that rule, else the first of all."""
    personal = [name for name, queue in settings.queues.items() if queue.rule == "personal"]
    return next(iter(personal or settings.queues))
