"""What the terminal knows, what can happen to it, and what it can ask for. Pure data.

The session token, the card's raw read and the daemon's tickets are not here: the agent keeps them. What is here
may be shown, except `State.codes`, which `view` leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]
READY = "ready"
"""A reader's state that takes cards (`ReaderState`)."""


class Screen(StrEnum):
    """Where the person is. `away` and the countdown are laid over these by the view."""

    IDLE = "idle"
    SIGN_IN = "sign_in"
    CARD_PASSWORD = "card_password"  # noqa: S105  -- the name of a screen
    LINK = "link"
    JOBS = "jobs"
    PROGRESS = "progress"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Terminal:
    """What the daemon last said about this terminal (heartbeat), and the readers plugged into it.

    `readers`: {"name","kind","state","code"} each. `opens_at`: None while open, else when that changes ("" = unknown).
    """

    name: str = ""
    policy: str = "none"
    printers: tuple[Json, ...] = ()
    languages: tuple[str, ...] = ("en",)
    home_language: str = "en"
    idle_s: float = 30.0
    countdown_s: float = 20.0
    readers: tuple[Json, ...] = ()
    opens_at: str | None = None
    mails_codes: bool = False

    @property
    def takes_cards(self) -> bool:
        """A reader is ready and the policy allows cards."""
        return self.policy != "none" and any(one["state"] == READY for one in self.readers)

    @property
    def misses_reader(self) -> bool:
        """Cards would be taken here, were a reader that belongs here not away."""
        return self.policy != "none" and bool(self.readers) and not self.takes_cards


@dataclass(frozen=True, slots=True)
class Display:
    """How this person wants to see it, until they leave."""

    large_text: bool = False
    high_contrast: bool = False
    more_time: bool = False
    hide_titles: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence from the machine to the person: `kind` is refusal, info or alert; `code` names the text."""

    kind: str
    code: str
    data: Json = field(default_factory=dict)


class Link(StrEnum):
    """How far an unknown card is on its way to its owner."""

    NONE = ""
    OFFERED = "offered"  # unknown card: whoever signs in with a password may take it
    ASKED = "asked"  # signed in: is it yours?
    ASKING = "asking"
    LINKED = "linked"


@dataclass(frozen=True, slots=True)
class Auto:
    """Release by the tap itself, under `key`, once there was time to stop it: at `at_s` (0 = not yet running)."""

    key: str
    needs_printer: bool = False
    at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class State:
    """Everything. `visit` counts sign-ins so that an answer for the previous person is dropped."""

    terminal: Terminal = Terminal()
    screen: Screen = Screen.IDLE
    language: str = "en"
    display: Display = Display()
    is_linked: bool = False
    link_problem: str = ""
    visit: int = 0
    person: Json | None = None
    method: str = ""
    may: Json = field(default_factory=dict)
    cost_cap: Json | None = None
    release_on_tap: bool = False
    mailed: bool = False
    link: Link = Link.NONE
    linked: Json | None = None
    auto: Auto | None = None
    wish: Act | None = None
    jobs: tuple[Json, ...] = ()
    totals: Json = field(default_factory=dict)
    job_refusals: Json = field(default_factory=dict)
    chosen: frozenset[str] = frozenset()
    changes: Json = field(default_factory=dict)
    codes: Json = field(default_factory=dict)
    quote: Json | None = None
    priced: Json = field(default_factory=dict)
    quote_no: int = 0
    printer_id: str = ""
    borrowed: Json | None = None
    notice: Notice | None = None
    busy: str = ""
    deleted: tuple[str, ...] = ()
    undo_until_s: float = 0.0
    retry_at_s: float = 0.0
    pending: Release | None = None
    early: Json = field(default_factory=dict)
    running: Json = field(default_factory=dict)
    active_at_s: float = 0.0
    extended_at_s: float = 0.0
    done_at_s: float = 0.0
    shows_name_until_s: float = 0.0

    @property
    def is_card_session(self) -> bool:
        """The card alone opened this session."""
        return self.person is not None and self.method == "card"


@dataclass(frozen=True, slots=True)
class Act:
    """What the person did on the screen. Only the fields of that action are filled; `key` is made by the edge.

    `visit` is the one the screen showed, so that a late touch never acts for the next person; -1 = whoever is here.
    """

    do: str
    job_id: str = ""
    printer_id: str = ""
    language: str = ""
    option: str = ""
    on: bool = False
    code: str = ""
    pin: str = ""
    password: str = ""
    label: str = ""
    change: Json = field(default_factory=dict)
    key: str = ""
    visit: int = -1


@dataclass(frozen=True, slots=True)
class Tapped:
    """A card was read; the read itself stays with the agent. `is_same`: it is the one this visit began with."""

    is_same: bool = False


@dataclass(frozen=True, slots=True)
class NotRead:
    """A tap gave no read, because `why` (a code of `reading.Hiccup`)."""

    why: str


@dataclass(frozen=True, slots=True)
class Readers:
    """How the readers are now: {"name","kind","state","code"} each."""

    readers: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Identify:
    """Somebody far away asks which terminal this is: it shows its name, large."""


@dataclass(frozen=True, slots=True)
class Linked:
    """The daemon answered a heartbeat."""

    heartbeat: Json


@dataclass(frozen=True, slots=True)
class Unlinked:
    """The daemon cannot be reached, or refuses this terminal (`problem` = its code)."""

    problem: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """An event of the daemon's stream."""

    name: str
    data: Json


@dataclass(frozen=True, slots=True)
class Tick:
    """A second has passed."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """Open a session by PIN + password, PIN + mailed `code`, the read or the card ticket that the agent holds."""

    pin: str = ""
    password: str = ""
    code: str = ""
    is_card: bool = False
    is_ticket: bool = False


@dataclass(frozen=True, slots=True)
class MailCode:
    """Mail a single-use code to the person with this PIN, if there is one and the site allows it."""

    pin: str


@dataclass(frozen=True, slots=True)
class StepUp:
    """Add the password to a card session."""

    password: str


@dataclass(frozen=True, slots=True)
class LinkCard:
    """Make the unknown card of this visit (the agent holds its ticket) the person's own."""

    label: str


@dataclass(frozen=True, slots=True)
class Prefer:
    """Keep what the person wants from now on."""

    release_on_tap: bool


@dataclass(frozen=True, slots=True)
class FetchJobs:
    """The person's held and running jobs, with the problems this printer would have."""

    printer_id: str = ""


@dataclass(frozen=True, slots=True)
class FetchQuote:
    """The price of the chosen jobs with the changes; `number` tells a late answer from the current one."""

    number: int
    job_ids: tuple[str, ...]
    printer_id: str
    changes: Json


@dataclass(frozen=True, slots=True)
class Release:
    """Print these. The same key is sent again when the answer was lost."""

    key: str
    job_ids: tuple[str, ...]
    printer_id: str
    changes: Json
    codes: Json
    total: Json | None = None
    """The price on the screen when the person said yes."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete these held jobs; can be undone for some seconds."""

    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Undo:
    """Take the deletion back."""

    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """Make the job with this code mine."""

    code: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop printing this job."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Extend:
    """Tell the daemon the person is still here."""


@dataclass(frozen=True, slots=True)
class Logout:
    """End the session of the visit that just ended."""


Effect = (
    SignIn | MailCode | StepUp | LinkCard | Prefer | FetchJobs | FetchQuote | Release | Delete | Undo | Claim | Cancel
    | Extend | Logout
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """The daemon did it."""

    visit: int
    effect: Effect
    payload: Json


@dataclass(frozen=True, slots=True)
class Refused:
    """The daemon said no, because `code`; `data` is the rest of its error object."""

    visit: int
    effect: Effect
    code: str
    data: Json


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer came: done or not, nobody here knows."""

    visit: int
    effect: Effect


Event = Act | Tapped | NotRead | Readers | Identify | Linked | Unlinked | Told | Tick | Answer | Refused | Lost
