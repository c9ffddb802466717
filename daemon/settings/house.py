"""Options of the rules: queues, profiles, tariffs, people, signing in, kiosk, spool, analysis, release."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from daemon.kernel.money import parse_amount, unit_of
from daemon.settings.options import option, several

DAY_S = 86_400
NAME_PATTERN = r"[a-z0-9][a-z0-9_-]{0,62}"


@dataclass(frozen=True, slots=True)
class Queue:
    """One print queue at /ipp/print/NAME and the rule who is believed there."""

    rule: str = option(
        "claimed",
        "claimed believes the name a client sends (trusted network); authenticated asks for HTTP Basic over TLS; "
        "personal is a secret address per person; code takes jobs from anyone, claimed at the kiosk by a code.",
        choices=("claimed", "authenticated", "personal", "code"),
    )
    title: str = option("", "What people see as the printer's name; empty means the queue's name.")
    location: str = option("", "Where it is, as clients show it.")
    hold_s: int = option(DAY_S, "Seconds a job is held; a change affects later jobs only.", low=60, high=90 * DAY_S)
    warn_before_s: int = option(
        2 * 3600,
        "Seconds before expiry at which the owner is warned by mail; 0 or more than hold_s: never.",
        low=0,
        high=30 * DAY_S,
    )
    auto_release: str = option(
        "", "Name of a printer that jobs go to at once, without a kiosk; empty holds them.", pattern=r".{0,127}"
    )
    allow_auto_create: bool = option(True, "Let a first job create its owner, if [people] auto_create allows it.")


@dataclass(frozen=True, slots=True)
class Term:
    """A stretch of dates with an allowance of its own."""

    name: str = option("", "Name of the term, part of the grant's key: do not reuse it.", pattern=r"[\w .-]{1,40}")
    start: str = option("", "First day, YYYY-MM-DD.", pattern=r"\d{4}-\d{2}-\d{2}")
    end: str = option("", "Last day, YYYY-MM-DD.", pattern=r"\d{4}-\d{2}-\d{2}")

    def check(self) -> Iterator[tuple[str, str]]:
        for key in ("name", "start", "end"):
            if not getattr(self, key):
                yield key, "is required"
        days: list[date] = []
        for key in ("start", "end"):
            try:
                days.append(date.fromisoformat(getattr(self, key) or "2000-01-01"))
            except ValueError as error:
                yield key, f"not a day: {error}"
        if len(days) == 2 and days[1] < days[0]:
            yield "end", "is before start"


@dataclass(frozen=True, slots=True)
class Pot:
    """One pot of a profile; pots of one unit are spent in the order they stand here."""

    pot: str = option("allowance", "Name of the pot.", pattern=NAME_PATTERN)
    unit: str = option("pages", "pages, colour_pages or a currency such as EUR.")
    amount: Decimal = option(Decimal(0), "Granted each period, in whole units (200, 5.00).", low=0)
    period: str = option(
        "none",
        "When a new amount is granted; none grants it once.",
        choices=("none", "daily", "weekly", "monthly", "term"),
    )
    cap: Decimal = option(Decimal(-1), "Most that may lie in the pot after a grant; -1 means no cap.", low=-1)
    overdraft: Decimal = option(Decimal(0), "How far the pot may go below zero.", low=0)

    def check(self) -> Iterator[tuple[str, str]]:
        try:
            unit = unit_of(self.unit)
        except ValueError as error:
            yield "unit", str(error)
            return
        for key in ("amount", "cap", "overdraft"):
            try:
                parse_amount(str(getattr(self, key)), unit)
            except ValueError as error:
                yield key, str(error)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a kind of person is given and may spend."""

    title: str = option("", "What administrators see; empty means the profile's name.")
    restricted: bool = option(True, "Refuse a release the pots do not cover. False only counts.")
    timezone: str = option("UTC", "IANA zone whose days, weeks and months periods follow.")
    terms: tuple[Term, ...] = several('Term dates for pots with period = "term".')
    pots: tuple[Pot, ...] = several("The pots, in the order they are spent.")

    def check(self) -> Iterator[tuple[str, str]]:
        try:
            zoneinfo.ZoneInfo(self.timezone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            yield "timezone", f"{self.timezone!r} is not an IANA time zone such as Europe/Berlin"
        names = [p.pot for p in self.pots if p is not None]
        for name in sorted({n for n in names if names.count(n) > 1}):
            yield "pots", f"two pots are called {name!r}"
        if any(p is not None and p.period == "term" for p in self.pots) and not self.terms:
            yield "terms", 'a pot has period = "term" but no term is given'


@dataclass(frozen=True, slots=True)
class Tariffs:
    """What a page costs."""

    dir: Path = option(Path("tariffs"), "Directory of tariff files NAME.toml; relative to this file.")
    default: str = option("standard", "Tariff of printers that name none.", pattern=NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class People:
    """How people come to exist."""

    default_profile: str = option("standard", "Profile of people added without one.", pattern=NAME_PATTERN)
    auto_create: bool = option(False, "Create a person at the first print under an unknown name.")
    pin_digits: int = option(6, "Length of PINs the system chooses.", low=4, high=12)
    strip_domains: bool = option(True, "Take `anna` from `EXAMPLE\\anna` and `anna@example.org`.")
    mail_domain: str = option(
        "",
        "Domain in which people created at their first print have mail (anna has anna@example.org): a link to choose "
        "a password goes there. Empty: an administrator gives them PIN and password.",
        pattern=r"([A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{0,63}",
    )
    site: str = option("main", "Site of people, printers and terminals added without one.", pattern=NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class SignIn:
    """Passwords, sessions and what happens after wrong ones."""

    password_length_min: int = option(
        15,
        "Shortest password people may choose. Less than 15 is right only where a second factor is asked too; "
        "a password an administrator gives somebody to begin with has at least 8.",
        low=8,
        high=128,
    )
    keypad_password: bool = option(False, "Allow a digits-only password that opens the kiosk and nothing else.")
    keypad_length_min: int = option(6, "Shortest keypad password.", low=6, high=12)
    session_s: int = option(120, "Seconds a kiosk session lasts without use.", low=15, high=3600)
    session_max_s: int = option(900, "Seconds after which a kiosk session ends in any case.", low=30, high=7200)
    terminal_failures_max: int = option(
        20, "Failures at one terminal in ten minutes before it pauses.", low=3, high=1000
    )
    terminal_pause_s: int = option(60, "Seconds a terminal pauses.", low=5, high=3600)
    global_failures_max: int = option(
        30, "Accounts with a failure in ten minutes before everyone is slowed.", low=3, high=10_000
    )
    lock_after: int = option(
        20, "Consecutive failures that disable a password until an administrator acts.", low=5, high=100
    )
    keypad_lock_after: int = option(10, "The same for a keypad password.", low=3, high=100)
    link_s: int = option(7 * DAY_S, "Seconds a mailed password link is good for.", low=600, high=30 * DAY_S)
    hash_workers: int = option(
        2, "Passwords checked at once; each takes a core and 46 MiB of memory for some 50 ms.", low=1, high=16
    )

    def check(self) -> Iterator[tuple[str, str]]:
        if self.session_max_s < self.session_s:
            yield "session_max_s", f"must be at least session_s ({self.session_s})"


@dataclass(frozen=True, slots=True)
class Kiosk:
    """What terminals are told."""

    idle_s: int = option(60, "Seconds without a touch before the countdown starts.", low=10, high=600)
    countdown_s: int = option(20, "Seconds the countdown lasts, extendable.", low=5, high=120)
    preview: bool = option(False, "Show a small picture of the first page.")
    languages: tuple[str, ...] = option(
        ("en", "de", "fr", "es", "ar"),
        "Languages offered; the first is the default.",
        choices=("en", "de", "fr", "es", "ar"),
    )
    undo_s: int = option(30, "Seconds a deleted job can be brought back.", low=5, high=600)
    away_after_s: int = option(
        60,
        "Seconds without a word from a terminal, within its opening hours, after which it counts as away.",
        low=30,
        high=3600,
    )
    card_cost_cap: str = option(
        "",
        "Most a card without a password may release at once, in whole units of the price the person sees "
        "(50, 2.50); empty means no cap.",
        pattern=r"(\d{1,9}(\.\d{1,4})?)?",
    )

    def check(self) -> Iterator[tuple[str, str]]:
        if not self.languages:
            yield "languages", "needs at least one language"


@dataclass(frozen=True, slots=True)
class Spool:
    """Held documents, encrypted, in STATE/spool."""

    bytes_max: int = option(2 * 1024**3, "Largest single document in bytes.", low=1_000_000, high=1024**4)
    reserve_bytes: int = option(
        256 * 1024**2, "Free disk space in bytes below which jobs are refused for now.", low=0, high=1024**5
    )
    jobs_per_person_max: int = option(500, "Jobs one person may have held.", low=1, high=100_000)


@dataclass(frozen=True, slots=True)
class Analysis:
    """Reading documents in a confined process."""

    workers: int = option(2, "Documents read at once.", low=1, high=32)
    allow_without_sandbox: bool = option(
        False,
        "Read documents even where the kernel offers no seccomp or Landlock. Hostile files then meet the daemon.",
    )
    memory_bytes_max: int = option(1024**3, "Address space of a worker in bytes.", low=128 * 1024**2, high=64 * 1024**3)
    cpu_s_max: int = option(120, "CPU seconds for one document.", low=5, high=3600)
    wall_s_max: int = option(300, "Seconds for one document.", low=5, high=7200)
    pages_max: int = option(20_000, "Most pages of one document.", low=1, high=1_000_000)
    color_tolerance: int = option(
        8, "Difference between red, green and blue (0-255) up to which a dot counts as grey.", low=0, high=128
    )
    color_dots_min: int = option(1, "Coloured dots at 36 dpi that make a page a colour page.", low=1, high=10_000)


@dataclass(frozen=True, slots=True)
class Release:
    """Delivery to printers and what happens when it goes wrong."""

    reservation_s: int = option(
        4 * 3600, "Seconds a reservation is kept at most while a job prints.", low=300, high=30 * DAY_S
    )
    stopped_timeout_s: int = option(
        1800, "Seconds a job may wait in a stopped printer before it is canceled there and settled.", low=30, high=DAY_S
    )
    job_timeout_s: int = option(4 * 3600, "Seconds a job may take at the printer.", low=60, high=7 * DAY_S)
    lost_after_s: int = option(
        20,
        "Seconds a printer may be silent about a running job before the job is uncertain; it is asked on.",
        low=5,
        high=3600,
    )
    poll_s: int = option(1, "Seconds between questions to the printer about a running job.", low=1, high=60)
    uncertain_after_s: int = option(
        DAY_S, "Seconds an uncertain job keeps its reservation before uncertain_policy decides.", low=1, high=30 * DAY_S
    )
    uncertain_policy: str = option(
        "charge-reported",
        "charge-reported charges what the printer had reported when last heard of; charge-quote the price shown; "
        "void nothing.",
        choices=("charge-reported", "charge-quote", "void"),
    )

    def check(self) -> Iterator[tuple[str, str]]:
        if self.reservation_s < self.job_timeout_s:
            yield "reservation_s", f"must be at least job_timeout_s ({self.job_timeout_s})"
