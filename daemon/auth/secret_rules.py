"""Which secrets may be set: length and blocklist, nothing about composition (SP 800-63B-4 3.1.1.2). Pure.

A full password opens console, API, IPP and kiosk: at least 15 code points, or 8 where a second factor is asked too.
A keypad password is digits for the kiosk only, made by the house unless a site lets people choose.
"""

from __future__ import annotations

import itertools
import unicodedata
from typing import TYPE_CHECKING

from daemon.kernel.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

PASSWORD_CHARS_MIN = 15
INITIAL_CHARS_MIN = 8
PASSWORD_BYTES_MAX = 1024
KEYPAD_DIGITS_MIN = 6
KEYPAD_DIGITS_MAX = 12
CONTEXT_CHARS_MIN = 4
"""Shorter names inside a password say nothing about it."""
DISTINCT_CHARS_MIN = 5
REST_CHARS_MIN = 4
"""A password must keep this many characters once well-known words, context words and counting are taken out of it."""

_WELL_KNOWN = (
    "password", "passwort", "kennwort", "motdepasse", "contrasena", "passphrase", "letmein", "welcome", "willkommen",
    "bienvenue", "bienvenido", "administrator", "admin", "administrador", "secret", "geheim", "changeme", "default",
    "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "qwerty", "qwertz", "azerty", "asdfgh", "zxcvbnm", "yxcvbnm",
    "iloveyou", "ichliebedich", "jetaime", "teamo", "princess", "dragon", "monkey", "football", "fussball", "baseball",
    "sunshine", "superman", "batman", "starwars", "michael", "jennifer", "shadow", "master", "hello", "hallo",
    "bonjour",
    "login", "user", "test", "guest", "summer", "sommer", "winter", "spring", "autumn", "herbst", "monday", "montag",
    "january", "februar", "company", "firma", "office", "printer", "drucker", "imprimante", "impresora", "holdfast",
    "kiosk", "print", "trustno1", "whatever", "computer", "internet", "access", "service", "abcdefghijklmnopqrstuvwxyz",
)  # fmt: skip
_RUNS = ("0123456789", "9876543210", "abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba")
_RUN_CHARS_MIN = 4
_LEET = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"})


class PasswordRefused(Refusal):
    """This cannot be a password; `data["reason"]`: too-short, too-long, too-common, too-simple, personal."""

    code = "password-refused"


def check_password(secret: str, *, context: Iterable[str] = (), least: int = PASSWORD_CHARS_MIN) -> str:
    """The password, NFC. `context`: the person's and the house's names, which must not carry it.

    `least`: code points; 8 is right only where a second factor is asked too.

    Raises:
        PasswordRefused: with the reason, which is told.
    """
    text = unicodedata.normalize("NFC", secret)
    if len(text) < least:
        raise PasswordRefused(f"a password has at least {least} characters", reason="too-short", least=least)
    if len(text.encode("utf-8", "surrogatepass")) > PASSWORD_BYTES_MAX:
        raise PasswordRefused(f"a password has at most {PASSWORD_BYTES_MAX} bytes", reason="too-long")
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
        raise PasswordRefused("a password has no control characters", reason="too-simple")
    folded = text.casefold()
    if len(set(folded)) < DISTINCT_CHARS_MIN or _period(folded) <= len(folded) // 3:
        raise PasswordRefused("that repeats itself; string a few unrelated words together", reason="too-simple")
    own = [word.casefold() for word in context if len(word) >= CONTEXT_CHARS_MIN]
    if _rest(folded, _WELL_KNOWN) < REST_CHARS_MIN:
        raise PasswordRefused("that is among the first anyone tries", reason="too-common")
    if _rest(folded, (*_WELL_KNOWN, *own)) < REST_CHARS_MIN:
        raise PasswordRefused("that is made of your own name or address", reason="personal")
    return text


def check_initial(secret: str) -> str:
    """A password an administrator gives somebody to begin with, NFC: too long to guess at the lockout's pace.

    The full rule (`check_password`) holds for what people choose themselves.

    Raises:
        PasswordRefused: with the reason, which is told.
    """
    text = unicodedata.normalize("NFC", secret)
    if len(text) < INITIAL_CHARS_MIN:
        message = f"a password has at least {INITIAL_CHARS_MIN} characters"
        raise PasswordRefused(message, reason="too-short", least=INITIAL_CHARS_MIN)
    if len(text.encode("utf-8", "surrogatepass")) > PASSWORD_BYTES_MAX:
        raise PasswordRefused(f"a password has at most {PASSWORD_BYTES_MAX} bytes", reason="too-long")
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
        raise PasswordRefused("a password has no control characters", reason="too-simple")
    if len(set(text.casefold())) < DISTINCT_CHARS_MIN:
        raise PasswordRefused("that repeats itself", reason="too-simple")
    return text


def check_keypad(secret: str, *, pin: str, least: int = KEYPAD_DIGITS_MIN) -> str:
    """The keypad password: 6 to 12 digits that are no pattern, no date, and not the person's PIN.

    Raises:
        PasswordRefused: with the reason.
    """
    text = secret.strip()
    if not (text.isascii() and text.isdigit()) or not least <= len(text) <= KEYPAD_DIGITS_MAX:
        raise PasswordRefused(f"a keypad password has {least} to {KEYPAD_DIGITS_MAX} digits", reason="too-short")
    if pin and (text in pin or pin in text or text == pin[::-1]):
        raise PasswordRefused("that is your PIN", reason="personal")
    if _is_pattern(text):
        raise PasswordRefused("that is a pattern", reason="too-simple")
    if _is_date(text):
        raise PasswordRefused("that reads as a date", reason="too-common")
    return text


def _period(text: str) -> int:
    """Length of the shortest block that repeated gives `text`."""
    return (text + text).find(text, 1)


def _rest(folded: str, words: Iterable[str]) -> int:
    """How many different characters stay when known words and counting runs are cut out of `folded`."""
    spellings = [(folded, False), (folded.translate(_LEET), True)]
    return min(len(set(_without_runs(_without(text, words)))) for text, _ in spellings)


def _without(text: str, words: Iterable[str]) -> str:
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, " ")
    return text


def _without_runs(text: str) -> str:
    kept = []
    at = 0
    while at < len(text):
        size = _run_at(text, at)
        if size < _RUN_CHARS_MIN:
            if text[at].isalnum():
                kept.append(text[at])
            at += 1
        else:
            at += size
    return "".join(kept)


def _run_at(text: str, at: int) -> int:
    """How many characters from `at` count up, count down, or repeat."""
    best = 1
    while at + best < len(text) and text[at + best] == text[at]:
        best += 1
    for run in _RUNS:
        start = run.find(text[at])
        size = 0
        while start >= 0 and at + size < len(text) and text[at + size] == run[(start + size) % len(run)]:
            size += 1
        best = max(best, size)
    return best


def _is_pattern(digits: str) -> bool:
    if len(set(digits)) <= 2 or _period(digits) <= len(digits) // 2:
        return True
    steps = {(int(after) - int(before)) % 10 for before, after in itertools.pairwise(digits)}
    if len(steps) == 1:
        return True
    half = len(digits) // 2
    if digits == digits[::-1] or (len(digits) % 2 == 0 and _is_run(digits[:half]) and _is_run(digits[half:])):
        return True
    return all(first == second for first, second in zip(digits[::2], digits[1::2], strict=False))


def _is_run(digits: str) -> bool:
    steps = {int(after) - int(before) for before, after in itertools.pairwise(digits)}
    return steps in ({1}, {-1}, {0})


def _is_date(digits: str) -> bool:
    """DDMMYY or MMDDYY of 1950-2015 as six digits; those and YYYYMMDD with a whole year as eight."""
    if len(digits) == 6:
        first, second, year = int(digits[:2]), int(digits[2:4]), int(digits[4:])
        is_day_month = 1 <= min(first, second) <= 12 and max(first, second) <= 31 and first * second > 0
        return is_day_month and (year >= 50 or year <= 15)
    if len(digits) == 8:
        forms = (
            (digits[:2], digits[2:4], digits[4:]),
            (digits[2:4], digits[:2], digits[4:]),
            (digits[6:], digits[4:6], digits[:4]),
        )
        return any(
            1 <= int(day) <= 31 and 1 <= int(month) <= 12 and 1900 <= int(year) <= 2099 for day, month, year in forms
        )
    return False
