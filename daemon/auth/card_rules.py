"""What a site decided about cards, and what follows from it for one tap. Pure.

The policy `daily` asks for the password at a card's first use at a terminal in a day and trusts the card alone after
it. The day is the site's: two taps either side of midnight in its time zone are on two days, wherever the server is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from daemon.auth.identity import RIGHTS, Rights
from daemon.kernel.clock import US_PER_S, from_rfc3339
from daemon.kernel.errors import BadInput, Conflict, Refusal

if TYPE_CHECKING:
    from daemon.auth.identity import Method

Verdict = Literal["good", "blocked", "expired", "disabled"]
"""What a known card is worth now; the person at the terminal hears the same for all that are not good."""

LABEL_CHARS_MAX = 60


class CardTaken(Conflict):
    """Somebody has this card already; who it is, is told only to those who may see it."""

    code = "card-taken"


class CardLimitReached(Refusal):
    """The person has as many working cards as the site allows."""

    code = "card-limit-reached"


class CardLinkExpired(Refusal):
    """The tap was too long ago, at another terminal, or is none of ours: tap again."""

    code = "card-link-expired"


@dataclass(frozen=True, slots=True)
class CardRules:
    """The site's decisions; `timezone` (IANA) says when a day begins."""

    policy: str = "daily"
    timezone: str = "UTC"
    self_enrolment: bool = True
    mailed_code: bool = False
    per_person_max: int = 3
    keep_reads: bool = True
    show_titles: bool = False
    release_on_tap: bool = False

    def day(self, at_us: int) -> str:
        """The site's day (`2026-11-22`) of a moment."""
        return datetime.fromtimestamp(at_us / US_PER_S, UTC).astimezone(ZoneInfo(self.timezone)).date().isoformat()

    def rights(self, method: Method) -> Rights:
        """What a session opened like this may do here."""
        held = RIGHTS[method]
        return Rights(**{**_as_dict(held), "titles": True}) if self.show_titles else held

    def releases_on_tap(self, method: Method, *, wish: bool | None) -> bool:
        """Whether everything that waits begins to print: after a tap only, as the person wishes, else as the site."""
        return method in TAPPED and (self.release_on_tap if wish is None else wish)


TAPPED = frozenset({"card", "card+password"})
"""Sessions that a card took part in."""


def asks_password(policy: str, *, is_proven_today: bool) -> bool:
    """Whether a good card needs the password too, at a terminal where `policy` (an effective one) holds."""
    return policy == "card+password" or (policy == "daily" and not is_proven_today)


def judge(*, is_active: bool, blocked_at_us: int | None, expires_at_us: int | None, now_us: int) -> Verdict:
    """What a known card is worth at a moment. A card is good until, not at, its end."""
    if not is_active:
        return "disabled"
    if blocked_at_us is not None:
        return "blocked"
    if expires_at_us is not None and now_us >= expires_at_us:
        return "expired"
    return "good"


def _as_dict(rights: Rights) -> dict[str, bool]:
    return {name: getattr(rights, name) for name in Rights.__slots__}


class ExpiryUnreadable(BadInput):
    """Not a day, a time or a span."""

    code = "expiry-unreadable"


_SPAN = re.compile(r"\+([1-9]\d{0,4})([hdw])")
_SPAN_S = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def expiry_of(text: str, *, now_us: int, timezone: str) -> int | None:
    """When a temporary card ends, as people write it; None for an empty text (it does not end).

    `2026-12-31` is good through that day in the site's zone, `2026-12-31T18:00:00+01:00` until that moment, `+8h`,
    `+3d` and `+2w` from now on.

    Raises:
        ExpiryUnreadable: none of these.
    """
    wanted = text.strip()
    if not wanted:
        return None
    if span := _SPAN.fullmatch(wanted):
        return now_us + int(span[1]) * _SPAN_S[span[2]] * US_PER_S
    try:
        if len(wanted) == len("2026-12-31"):
            after = date.fromisoformat(wanted) + timedelta(days=1)
            return int(datetime.combine(after, time(), ZoneInfo(timezone)).timestamp()) * US_PER_S
        return from_rfc3339(wanted)
    except (ValueError, OverflowError) as error:
        raise ExpiryUnreadable("an end is a day (2026-12-31), a time with zone (RFC 3339) or a span (+8h)") from error
