"""How things look in JSON: the keys that scripts rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from daemon.jobs.job import Job
from daemon.kernel.clock import rfc3339
from daemon.people.person import CardLabel, Person


def user(
    person: Person,
    *,
    roles: Sequence[str] | None = None,
    cards: Sequence[CardLabel] | None = None,
    aliases: Sequence[str] | None = None,
    has_password: bool | None = None,
    locks: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A person; what is only read for a single one is left out of lists."""
    shape: dict[str, Any] = {
        "user_id": person.public_id,
        "name": person.name,
        "display_name": person.display_name,
        "email": person.email,
        "pin": person.pin,
        "active": person.is_active,
        "profile": person.profile,
        "site": person.site,
        "language": person.language,
        "release_on_tap": person.release_on_tap,
        "origin": person.origin,
        "created_at": rfc3339(person.created_at_us),
        "last_submitted_at": rfc3339(person.last_submitted_at_us),
        "last_released_at": rfc3339(person.last_released_at_us),
    }
    if roles is not None:
        shape["roles"] = list(roles)
    if cards is not None:
        shape["cards"] = [{"card_id": card.card_id, "label": card.label} for card in cards]
    if aliases is not None:
        shape["aliases"] = list(aliases)
    if has_password is not None:
        shape["has_password"] = has_password
    if locks is not None:
        shape["locked"] = dict(locks)
    return shape


def job(one: Job, *, printer: str = "") -> dict[str, Any]:
    """A job as an operator sees it; `printer` is the name of where it went last."""
    counts = one.counts
    return {
        "job_id": one.public_id,
        "ipp_job_id": one.id,
        "queue": one.queue,
        "user": one.owner_name if one.person_id is not None else None,
        "requesting_user_name": one.claimed_name,
        "job_account_id": one.account_ref,
        "name": one.title,
        "state": one.state,
        "reasons": list(one.reasons),
        "message": one.message,
        "pages": one.facts.page_count if one.facts is not None else None,
        "impressions": counts.impressions if counts is not None else None,
        "color_impressions": counts.color_impressions if counts is not None else None,
        "sheets": counts.sheets if counts is not None else None,
        "copies": one.ticket.copies,
        "sides": one.ticket.sides,
        "print_color_mode": one.ticket.print_color_mode,
        "media": one.ticket.media or (counts.by_media[0].media if counts is not None and counts.by_media else ""),
        "price": one.price.to_json() if one.price is not None else None,
        "printed": {"impressions": one.printed_impressions or 0, "sheets": one.printed_sheets or 0},
        "printer": printer or None,
        "format": one.format,
        "octets": one.octets,
        "created_at": rfc3339(one.created_at_us),
        "processing_at": rfc3339(one.processing_at_us),
        "completed_at": rfc3339(one.completed_at_us),
        "held_until": rfc3339(one.held_until_us),
        "uncertain": one.is_uncertain,
        "estimated": one.is_estimated,
    }
