"""The site's decisions in the words of the parts they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from daemon.app.mail import HOUSE
from daemon.auth import lockout
from daemon.auth.credentials import CredentialRules
from daemon.jobs.queues import Believes, QueueRule
from daemon.workflows.house import ReleasePolicy, UncertainPolicy

if TYPE_CHECKING:
    from daemon.settings import Settings


def release_policy(settings: Settings) -> ReleasePolicy:
    """How deliveries go, and what happens when they do not."""
    release = settings.release
    return ReleasePolicy(
        uncertain=cast("UncertainPolicy", release.uncertain_policy),
        uncertain_after_s=release.uncertain_after_s,
        reservation_s=release.reservation_s,
        status_timeout_s=settings.printers.connect_timeout_s,
        undo_s=settings.kiosk.undo_s,
        poll_max_s=release.poll_s,
        lost_after_s=release.lost_after_s,
        stopped_timeout_s=release.stopped_timeout_s,
        job_timeout_s=release.job_timeout_s,
    )


def queue_rules(settings: Settings) -> dict[str, QueueRule]:
    """The queues by name."""
    return {
        name: QueueRule(
            name=name,
            title=queue.title or name,
            believes=cast("Believes", queue.rule),
            hold_s=queue.hold_s,
            warn_before_s=queue.warn_before_s,
            auto_release=queue.auto_release,
            may_create_people=queue.allow_auto_create and settings.people.auto_create,
        )
        for name, queue in settings.queues.items()
    }


def limits(settings: Settings) -> lockout.Limits:
    """What wrong secrets cost."""
    rules = settings.sign_in
    return lockout.Limits(
        disable_password_at=rules.lock_after,
        disable_keypad_at=rules.keypad_lock_after,
        source_failures_max=rules.terminal_failures_max,
        source_pause_s=rules.terminal_pause_s,
        house_people_max=rules.global_failures_max,
    )


def credential_rules(settings: Settings) -> CredentialRules:
    """What passwords and PINs must be."""
    rules = settings.sign_in
    return CredentialRules(
        password_chars_min=rules.password_length_min,
        keypad_allowed=rules.keypad_password,
        keypad_digits_min=rules.keypad_length_min,
        pin_digits=settings.people.pin_digits,
        link_s=rules.link_s,
        house_names=(HOUSE, settings.server.name, *settings.server.names, settings.people.site),
    )
