"""A person as one frozen value per row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Origin = Literal["admin", "first-print", "import", "invite"]


@dataclass(frozen=True, slots=True)
class Person:
    """`name` is the network name, NFC and case-folded; times are microseconds UTC; `pin` is a number, not a secret."""

    id: int
    public_id: str
    name: str
    display_name: str
    email: str
    is_active: bool
    pin: str
    profile: str
    site: str
    language: str
    origin: str
    session_epoch: int
    created_at_us: int
    last_submitted_at_us: int | None
    last_released_at_us: int | None
    release_on_tap: bool | None = None
    """Whether a tap begins to print everything that waits; None follows the site."""


@dataclass(frozen=True, slots=True)
class NewPerson:
    """What is written for somebody new; names are already normalised."""

    public_id: str
    name: str
    display_name: str
    email: str
    pin: str
    profile: str
    site: str
    language: str
    origin: Origin
    created_at_us: int


@dataclass(frozen=True, slots=True)
class CardLabel:
    """A card as lists show it: never its number."""

    card_id: str
    label: str
