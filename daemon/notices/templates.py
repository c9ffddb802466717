"""Subject and text of every mail in the person's language. What people typed is filled in, never interpreted."""

from __future__ import annotations

import tomllib
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from daemon.kernel.clock import US_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES = ("en", "de", "fr", "es")
DEFAULT_LANGUAGE = "en"
VALUE_CHARS_MAX = 500
SHORTENED = {"title": 80, "where": 80, "person": 80, "why": 300, "label": 70}
"""Characters of what people typed that a mail repeats."""
TIMES = {"held_until_us": "until", "decide_at_us": "until", "expires_at_us": "until", "at_us": "at"}
"""Which fact is written as which time."""


@dataclass(frozen=True, slots=True)
class Written:
    """A mail as it will be read."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What every mail of the house knows: its name, its page for passwords, its time zone (IANA)."""

    house: str
    page: str
    timezone: str = "UTC"


@cache
def texts(language: str) -> Mapping[str, Any]:
    """Everything said in one language."""
    source = resources.files("daemon.notices.texts") / f"{language}.toml"
    return tomllib.loads(source.read_text("utf-8"))


def language_of(wanted: str) -> str:
    """The language we have for a person's (`de-AT` is served by `de`), else English."""
    primary = wanted.replace("_", "-").partition("-")[0].lower()
    return primary if primary in LANGUAGES else DEFAULT_LANGUAGE


def write(kind: str, *, person: str, language: str, facts: Mapping[str, object], letterhead: Letterhead) -> Written:
    """The mail of this kind. Facts ending in `_us` are times; the rest is text.

    Raises:
        KeyError: no such kind, or a fact its text needs is missing: a bug.
    """
    spoken = language_of(language)
    said = texts(spoken)
    if kind == "account-locked":
        kind = f"account-{facts['state']}"
    values = {"person": person, "house": letterhead.house, "page": letterhead.page}
    values |= {key: str(value) for key, value in facts.items() if key not in TIMES}
    for key, name in TIMES.items():
        if isinstance(at_us := facts.get(key), int):
            values[name] = _time(at_us, spoken, letterhead.timezone)
    values = {key: _plain(value, SHORTENED.get(key, VALUE_CHARS_MAX)) for key, value in values.items()}
    body = said[kind]["text"].strip().format_map(values)
    text = f"{said['greeting'].format_map(values)}\n\n{body}\n\n-- \n{said['closing'].format_map(values)}\n"
    return Written(subject=said[kind]["subject"].format_map(values), text=text)


def _time(at_us: int, language: str, timezone: str) -> str:
    moment = datetime.fromtimestamp(at_us / US_PER_S, UTC)
    zone = ZoneInfo(timezone)
    return f"{format_datetime(moment, 'medium', tzinfo=zone, locale=language)} ({timezone})"


def _plain(value: str, most: int) -> str:
    """One line without control, format or direction characters, shortened."""
    text = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in value)
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "\u2026"
