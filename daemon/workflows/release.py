"""Release: the moment somebody at a printer says *print*.

Order: look (jobs, printer, price), then ONE write that moves the jobs, reserves their price in every pot and writes
the deliveries, then the deliveries are handed to `workflows.deliver`. Nothing is sent before that write is durable.
The whole selection is reserved together, or nothing of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import structlog

from daemon.accounting.allowance import InsufficientFunds, plan_selection
from daemon.db.unit import Unit
from daemon.jobs.delivery_store import DeliveryLeg, NewDelivery
from daemon.jobs.lifecycle import Happening, advance
from daemon.kernel.clock import US_PER_S
from daemon.kernel.errors import BadInput, Conflict, Forbidden, Refusal, Unavailable
from daemon.kernel.events import Event
from daemon.kernel.ids import derived_key, new_id, request_digest
from daemon.kernel.money import Amount
from daemon.workflows.rates import ref_of
from daemon.workflows.selection import check_code, check_releasable, plan_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from daemon.accounting.account_store import AccountView
    from daemon.accounting.allowance import Leg, Selection
    from daemon.devices.printer import Printer
    from daemon.jobs.job import Job
    from daemon.people.person import Person
    from daemon.workflows.house import House
    from daemon.workflows.jobs import Jobs
    from daemon.workflows.price import Prices
    from daemon.workflows.printers import Printers
    from daemon.workflows.read import Read
    from daemon.workflows.selection import Planned

log = structlog.get_logger(__name__)

SELECTION_MAX = 200
"""Jobs one release may name."""
QUEUE_ACTOR = "system"
"""Who releases the jobs of a queue that goes to a printer by itself."""
PRICE_TRIES = 5
"""How often a release is priced anew because another one of the same person came first."""
PROMISED = "promised"
"""What became of a release that was not refused, as `Release.observe` tells it."""


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """Who wants which jobs on which printer. `key` is the caller's idempotency key; `actor` goes into the audit.

    `expected_total`: the price its person was shown; another price by now is told before anything is reserved.
    """

    person_id: int
    job_ids: tuple[str, ...]
    printer_id: int
    key: str
    actor: str
    terminal_id: int | None = None
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict, repr=False)
    cost_cap: int | None = None
    expected_total: Amount | None = None
    needs_codes: bool = True
    waits_for_media: bool = False


@dataclass(frozen=True, slots=True)
class QuotedJob:
    """One line of a quote: its price here, what the changes save, what it puts on paper."""

    job_id: str
    price: Amount
    saving: Amount
    impressions: int
    color_impressions: int
    sheets: int


@dataclass(frozen=True, slots=True)
class SelectionQuote:
    """A selection's price before release. `fits` are the jobs to preselect when it is not enough."""

    items: tuple[QuotedJob, ...]
    total: Amount
    balance: Amount
    is_enough: bool
    needed: Amount
    available: Amount
    fits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReleaseResult:
    """What was promised: JSON-ready, the same for every repetition of the request."""

    release_id: str
    items: tuple[dict[str, Any], ...]
    total: dict[str, Any]


class CostCap(Forbidden):
    """More than a session of this kind may spend; sign in with the password for more."""

    code = "cost-cap"


class PriceChanged(Conflict):
    """Not the price the person was shown; `data["total"]` is the new one. Nothing was charged."""

    code = "price-changed"


class Release:
    """Quotes and releases."""

    def __init__(
        self,
        house: House,
        *,
        jobs: Jobs,
        prices: Prices,
        printers: Printers,
        read: Read,
        start: Callable[[str, int], None],
    ) -> None:
        self._house = house
        self._jobs = jobs
        self._prices = prices
        self._printers = printers
        self._read = read
        self._start = start
        self._observed: Callable[[str, str, float], None] = lambda _by, _result, _duration_s: None

    def observe(self, observed: Callable[[str, str, float], None]) -> None:
        """Tell `observed` of every answer: by `person` or `queue`, `PROMISED` or the refusal's code, seconds taken."""
        self._observed = observed

    async def quote(
        self,
        person_id: int,
        job_ids: Sequence[str],
        printer: Printer,
        changes: Mapping[str, Mapping[str, Any]],
    ) -> SelectionQuote:
        """What a selection would cost here and now. Promises nothing, writes nothing.

        Raises:
            NotFound, NotADowngrade, CannotPrint, StillReading: as `release` would.
        """
        person = await self._person(person_id)
        volume = await self._prices.volume(person.id)
        planned = self._plan(person, await self._load(person_id, job_ids), printer, changes, volume)
        accounts = await self._house.ledger.accounts(person_id)
        return self._quoted(person, planned, accounts)

    async def release(self, request: ReleaseRequest) -> ReleaseResult:
        """Reserves and starts a selection, all of it or nothing; repeated with the same key it answers the same.

        Raises:
            PriceChanged: it costs something else than `expected_total` says.
            InsufficientFunds: with needed, available and what fits; PrinterStopped, PrinterUnreachable: with
            alternatives; CannotPrint, WrongCode, HeldUntil, StillReading, CannotHappen, NotFound. Nothing is charged
            by any of them.
        """
        by = "queue" if request.actor == QUEUE_ACTOR else "person"
        began_s = self._house.clock.monotonic_s()
        result = "failed"
        try:
            answer = await self._release(request)
            result = PROMISED
        except (Refusal, Unavailable) as problem:
            result = problem.code
            raise
        finally:
            self._observed(by, result, self._house.clock.monotonic_s() - began_s)
        return answer

    # ----- inside -----
    async def _release(self, request: ReleaseRequest) -> ReleaseResult:
        key, digest = _identity(request)
        known = await self._house.db.replay(key, digest)
        if known is not None:
            return _result(known)
        if not request.job_ids or len(request.job_ids) > SELECTION_MAX:
            raise BadInput(f"Choose 1 to {SELECTION_MAX} jobs.", code="bad-selection")
        person = await self._person(request.person_id)
        jobs = await self._ready(request)
        printer = await self._printers.fresh(request.printer_id)
        for attempt in range(PRICE_TRIES):
            volume = await self._prices.volume(person.id)
            planned = self._plan(person, jobs, _ready_for(printer, request), request.changes, volume)
            unit = Unit(key=key, digest=digest)
            self._prices.require_volume(unit, person.id, tariff=printer.tariff, volume=volume)
            deliveries = await self._decide(unit, request, person, printer, planned)
            try:
                outcome = await self._house.db.commit(unit)
            except Refusal as refusal:  # another release of the person moved the base of the volume steps
                if refusal.code != PriceChanged.code or attempt == PRICE_TRIES - 1:
                    raise
            else:
                break
        if not outcome.replayed:
            for public_id in deliveries:
                self._start(public_id, printer.id)
            log.info("release.promised", printer_id=printer.public_id, jobs=len(planned), actor=request.actor)
        return _result(outcome.answer)

    async def _person(self, person_id: int) -> Person:
        person = await self._house.people.by_id(person_id)
        if person is None or not person.is_active:
            raise Forbidden("You may not print here. Ask your administrator.", code="not-authorized")
        return person

    async def _load(self, person_id: int, job_ids: Sequence[str]) -> list[Job]:
        return await self._jobs.of_person(person_id, job_ids)

    async def _ready(self, request: ReleaseRequest) -> list[Job]:
        jobs = await self._load(request.person_id, request.job_ids)
        unread = [job for job in jobs if job.is_held and job.facts is None]
        for job in unread:
            await self._read.wait_read(job.public_id, self._house.policy.read_wait_s)
        if unread:
            jobs = await self._load(request.person_id, request.job_ids)
        for job in jobs:
            check_releasable(job)
            if request.needs_codes:
                check_code(job, request.codes.get(job.public_id), self._house.code_key)
        return jobs

    def _plan(
        self,
        person: Person,
        jobs: Sequence[Job],
        printer: Printer,
        changes: Mapping[str, Mapping[str, Any]],
        volume: int,
    ) -> list[Planned]:
        station = self._printers.station(printer)
        return plan_all(jobs, person, station, self._prices, changes=changes, impressions_before=volume)

    def _quoted(self, person: Person, planned: Sequence[Planned], accounts: Sequence[AccountView]) -> SelectionQuote:
        items = tuple(
            QuotedJob(
                job_id=p.job.public_id,
                price=p.priced.price,
                saving=p.before.price - p.priced.price,
                impressions=p.counts.impressions,
                color_impressions=p.counts.color_impressions,
                sheets=p.counts.sheets,
            )
            for p in planned
        )
        unit = self._prices.unit_shown(person)
        total = Amount(unit, sum(item.price.value for item in items))
        balance = Amount(unit, sum(a.available for a in accounts if a.kind == "user" and a.unit == unit))
        selection = self._select(person, accounts, planned)
        short = selection.shortage
        return SelectionQuote(
            items=items,
            total=total,
            balance=balance,
            is_enough=short is None,
            needed=short.needed if short else total,
            available=short.available if short else balance,
            fits=selection.fits,
        )

    def _select(self, person: Person, accounts: Sequence[AccountView], planned: Sequence[Planned]) -> Selection:
        profile = self._house.rates.profile(person.profile)
        return plan_selection(profile, accounts, [(p.job.public_id, p.priced.charges) for p in planned])

    async def _decide(
        self, unit: Unit, request: ReleaseRequest, person: Person, printer: Printer, planned: Sequence[Planned]
    ) -> list[str]:
        """Appends the whole release, its answer included; the public ids of its deliveries."""
        house, now = self._house, self._house.clock.now_us()
        total = sum(p.priced.price.value for p in planned)
        due = Amount(self._prices.unit_shown(person), total)
        if request.expected_total not in (None, due):
            raise PriceChanged("The price has changed. Nothing was charged.", total=due.to_json())
        selection = self._select(person, await house.ledger.accounts(person.id), planned)
        if selection.shortage is not None:
            raise InsufficientFunds.of(selection.shortage, fits=selection.fits)
        if request.cost_cap is not None and total > request.cost_cap:
            raise CostCap("Sign in with your password for a release of this size.", cap=request.cost_cap)
        release_id = new_id(house.dice)
        items = [{"job_id": p.job.public_id, "price": p.priced.price.to_json(), "state": "processing"} for p in planned]
        unit.answer = json.dumps({"release_id": release_id, "items": items, "total": due.to_json()})
        if request.terminal_id is not None:
            house.deliveries.require_terminal(unit, request.terminal_id)
        deliveries = [
            self._promise(unit, request, printer, one, legs=legs, now=now)
            for one, legs in zip(planned, selection.legs, strict=True)
        ]
        house.people_store.mark_released(unit, person, at_us=now)
        house.rates.remember(unit, printer.tariff, at_us=now)
        return deliveries

    def _promise(
        self, unit: Unit, request: ReleaseRequest, printer: Printer, one: Planned, *, legs: Sequence[Leg], now: int
    ) -> str:
        """Appends everything one job's release promises; returns the delivery's public id."""
        house = self._house
        public_id = new_id(house.dice)
        step = advance(one.job.state, Happening.RELEASED)
        quote = one.priced.quote.to_json() | {
            "printer": printer.name,
            "units": sorted(one.priced.charges),
            "charges": one.priced.charges,
            "price": one.priced.price.to_json(),
        }
        house.jobs.move(
            unit,
            one.job,
            step,
            processing_at_us=now,
            printer_id=printer.id,
            price=json.dumps(one.priced.price.to_json()),
            message="",
        )
        house.deliveries.insert(
            unit,
            NewDelivery(
                public_id=public_id,
                job_public_id=one.job.public_id,
                printer_id=printer.id,
                terminal_id=request.terminal_id,
                person_id=request.person_id,
                actor=request.actor,
                daemon_id=house.daemon_id,
                lease_until_us=now + house.policy.lease_s * US_PER_S,
                ticket=one.plan.ticket,
                counts=one.counts,
                quote=quote,
                tariff=ref_of(one.priced.quote.tariff, one.priced.quote.digest),
                at_us=now,
            ),
        )
        self._reserve(unit, public_id, one.job, legs, now)
        unit.event(Event("job.released", one.job.public_id, request.person_id), now)
        return public_id

    def _reserve(self, unit: Unit, public_id: str, job: Job, legs: Sequence[Leg], now: int) -> None:
        """Appends what the delivery sets aside of its owner's pots."""
        house = self._house
        expires = now + house.policy.reservation_s * US_PER_S
        keys = house.ledger.reserve(
            unit, delivery_public_id=public_id, job_id=job.id, legs=legs, at_us=now, expires_at_us=expires
        )
        rows = [
            DeliveryLeg(index, leg.account_id, leg.unit_code, leg.amount, pending)
            for index, (leg, pending) in enumerate(zip(legs, keys, strict=True))
            if leg.amount > 0
        ]
        house.deliveries.insert_legs(unit, public_id, rows)


def _ready_for(printer: Printer, request: ReleaseRequest) -> Printer:
    """The printer as planning sees it: with `waits_for_media` it takes paper it has to be given first."""
    if not request.waits_for_media:
        return printer
    return replace(printer, capabilities=replace(printer.capabilities, media_ready=()))


def _identity(request: ReleaseRequest) -> tuple[bytes, bytes]:
    key = derived_key("release", str(request.person_id), request.key)
    changes = json.dumps(request.changes, sort_keys=True, default=dict)
    parts = [*sorted(request.job_ids), str(request.printer_id), changes]
    if request.expected_total is not None:
        parts.append(json.dumps(request.expected_total.to_json(), sort_keys=True))
    return key, request_digest(*parts)


def _result(answer: str) -> ReleaseResult:
    plain = json.loads(answer)
    return ReleaseResult(plain["release_id"], tuple(plain["items"]), plain["total"])
