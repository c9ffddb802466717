"""The words terminal and daemon exchange: paths, header values, error codes, and the shapes of the JSON. Pure.

Times are RFC 3339 UTC, amounts `{"unit","amount","scale"}`, ids strings. Shapes are documentation that mypy reads:
either side ignores keys it does not know, so that a newer daemon serves an older terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict

if TYPE_CHECKING:
    from daemon.kernel.money import AmountJson

PREFIX = "/terminal/v1"
BODY_BYTES_MAX = 64 * 1024
"""Nothing a terminal asks is longer."""
COMMAND_ANSWER_BYTES_MAX = 64 * 1024
"""What a terminal answers a command with, as UTF-8; its POST may be longer, for JSON spells some of it out."""
COMMAND_BODY_BYTES_MAX = 6 * COMMAND_ANSWER_BYTES_MAX + 1024
ANSWER_BYTES_MAX = 4 * 1024 * 1024
"""Nothing the daemon answers is longer (previews included)."""
PING_S = 10
"""An event stream carries at least a comment this often; twice as long without one means the line is dead."""
PULSE_S = 1.0
"""The terminal's own stream, without a session, carries one this often: so it knows at once that the daemon lives."""

SESSION_ENDED = "session-ended"
CLOCK_SKEW = "clock-skew"


class Enrol(TypedDict):
    """POST enrol, unsigned. Base64 for `public_key` (32 raw bytes) and `proof`."""

    locator: str
    public_key: str
    proof: str
    version: str


class Enrolled(TypedDict):
    """The daemon's answer; `proof` as `signing.daemon_proof`, checked before `ca_pem` is believed."""

    terminal_id: str
    name: str
    ca_pem: str
    proof: str


class UserJson(TypedDict):
    """Who is signed in, as the screen greets them."""

    name: str
    display_name: str
    language: str


class MayJson(TypedDict):
    """What this session may do: with its own jobs, and with its person's cards and wishes."""

    release: bool
    delete: bool
    change: bool
    claim: NotRequired[bool]
    titles: NotRequired[bool]
    link: NotRequired[bool]
    prefer: NotRequired[bool]


class PrefersJson(TypedDict):
    """What the person (else the site) wants of every tap."""

    release_on_tap: bool


class SessionJson(TypedDict):
    """POST session, POST step-up. With `password_needed` only `ticket` is present besides it.

    `method`: pin, card, card+password or code. `release_on_tap`: in this session everything printable is released
    after a moment. `cost_cap`: what a card alone may spend. `printer_id`: the reader tapped stands for this printer.
    """

    session: NotRequired[str]
    user: NotRequired[UserJson]
    expires_at: NotRequired[str]
    idle_s: NotRequired[int]
    may: NotRequired[MayJson]
    method: NotRequired[str]
    prefers: NotRequired[PrefersJson]
    release_on_tap: NotRequired[bool]
    cost_cap: NotRequired[AmountJson | None]
    printer_id: NotRequired[str]
    password_needed: bool
    ticket: NotRequired[str]


class ProblemJson(TypedDict):
    """Why this printer cannot print this job as asked."""

    code: str
    message: str


class JobMayJson(TypedDict):
    """Which downgrades are open for one job."""

    monochrome: bool
    two_sided: bool
    fewer_copies: bool


class JobJson(TypedDict):
    """One held (or running) job as the screen lists it. `preparing`: not counted yet, so no price."""

    job_id: str
    title: str
    pages: int
    impressions: int
    color_impressions: int
    sheets: int
    copies: int
    sides: str
    print_color_mode: str
    media: str
    price: AmountJson | None
    state: str
    reasons: list[str]
    created_at: str
    held_until: str | None
    preparing: bool
    problem: ProblemJson | None
    needs_code: bool
    may: JobMayJson
    uncertain: bool
    preview: bool


class PrinterJson(TypedDict):
    """One printer bound to this terminal; a tap on `reader` means it (empty: any reader)."""

    printer_id: str
    name: str
    state: str
    reasons: list[str]
    accepting: bool
    location: NotRequired[str]
    reader: NotRequired[str]


class JobsJson(TypedDict):
    """GET jobs."""

    items: list[JobJson]
    total: AmountJson | None
    balance: AmountJson | None
    balance_after: AmountJson | None
    accounts: NotRequired[list[dict[str, object]]]
    printers: list[PrinterJson]
    refused: NotRequired[dict[str, str]]


class ChangeJson(TypedDict, total=False):
    """A downgrade of one job: grey, two-sided, fewer copies."""

    print_color_mode: str
    sides: str
    copies: int


class QuoteItemJson(TypedDict):
    """One job's price with the changes asked for; `saving` against the job as submitted."""

    job_id: str
    price: AmountJson
    saving: AmountJson | None
    sheets: int
    impressions: int
    color_impressions: int


class QuoteJson(TypedDict):
    """POST quote. `fits`: the job ids that the balance does cover when not `enough`."""

    items: list[QuoteItemJson]
    total: AmountJson | None
    balance: AmountJson | None
    balance_after: AmountJson | None
    enough: bool
    needed: NotRequired[AmountJson]
    available: NotRequired[AmountJson]
    fits: NotRequired[list[str]]


class PrintedJson(TypedDict):
    """Marked sides and pieces of paper that came out so far."""

    impressions: int
    sheets: int


class JobEventJson(TypedDict):
    """Event `job`: what the printer really does with a released job."""

    job_id: str
    state: str
    reasons: list[str]
    printed: PrintedJson
    of: NotRequired[dict[str, int]]
    price: AmountJson | None
    charged: AmountJson | None
    uncertain: NotRequired[bool]
    estimated: NotRequired[bool]
    message: str


class ReaderJson(TypedDict):
    """A reader as the terminal tells of it: state ready, away or refused, and why in one stable word."""

    name: str
    kind: str
    state: str
    code: str
    model: str


class ScreenJson(TypedDict):
    """The screen's pixels and density; 0 dpi: not known."""

    width: int
    height: int
    dpi: float


class PulseJson(TypedDict):
    """POST heartbeat: what the terminal says of itself."""

    version: str
    readers: list[ReaderJson]
    screen: NotRequired[ScreenJson]


class EnrolmentJson(TypedDict):
    """What the site lets people do at a terminal with a card nobody knows."""

    link: bool
    mailed_code: bool


class HeartbeatJson(TypedDict):
    """POST heartbeat's answer: time, what may be done here, the printers, and the screen's limits in seconds.

    `policy` is the one that holds: card, card+password, daily or none. While not `open` nobody signs in until
    `opens_at`. `notice` is a sentence for the screen, or empty. A stream opened with `event_id` as its Last-Event-ID
    misses nothing that changed since this answer.
    """

    now: str
    name: str
    policy: str
    printers: list[PrinterJson]
    languages: list[str]
    idle_s: int
    countdown_s: int
    enrolment: EnrolmentJson
    open: bool
    opens_at: str | None
    notice: str
    event_id: str


class CommandJson(TypedDict):
    """Event `command`: identify, restart or log; told again after each reconnect until it is answered."""

    command_id: str
    kind: str


class CommandAnswerJson(TypedDict):
    """POST command."""

    command_id: str
    answer: str


class ErrorJson(TypedDict):
    """`{"error": ...}`. `charged` is present, and false, wherever money could have moved and did not."""

    code: str
    message: str
    details: NotRequired[list[dict[str, object]]]
    charged: NotRequired[bool]
