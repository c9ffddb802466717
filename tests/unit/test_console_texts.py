"""What the console says: the same in four languages, nothing missing, nothing unused, every need with its three parts."""

import re
from pathlib import Path

import pytest

import daemon.web.console
from daemon.auth.permissions import ROLES
from daemon.auth.terminal_rules import TERMINAL_POLICIES
from daemon.kernel.clock import US_PER_S
from daemon.kernel.money import Amount, unit_of
from daemon.web.console.app import NAV
from daemon.web.console.speech import LANGUAGES, Speech, language_of, words
from daemon.workflows.attention import ATTEMPTS

HERE = Path(daemon.web.console.__file__).parent
PLACEHOLDER = re.compile(r"\{\w+\}")
NOW = 1_790_000_000 * US_PER_S


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything(language):
    """Same keys and placeholders as English, none empty."""
    texts, english = words(language), words("en")
    assert sorted(set(texts) ^ set(english)) == []
    assert [key for key, text in texts.items() if not text.strip()] == []
    different = [
        key
        for key, text in texts.items()
        if sorted(PLACEHOLDER.findall(text)) != sorted(PLACEHOLDER.findall(english[key]))
    ]
    assert different == []


def test_every_literal_key_exists():
    """What pages and templates ask for by name is there."""
    asked = set()
    for path in (*HERE.glob("*.py"), *HERE.glob("templates/desk/*.html")):
        text = path.read_text("utf-8")
        asked |= set(
            re.findall(r"""(?:\bsay|speech|say\.count|speech\.count)\(\s*"([a-z0-9][a-z0-9_.-]*)"[,)]""", text)
        )
    known = set(words("en"))
    missing = {key for key in asked if key not in known and f"{key}.one" not in known}
    assert not {key for key in missing if not key.endswith(".")}
    assert len(asked) > 150


def test_every_need_role_policy_and_page_has_its_words():
    """A need says what it is and what to do; each role, card policy and page of the navigation has its name."""
    known = set(words("en"))
    kinds = {key.split(".")[1] for key in known if key.startswith("need.") and key.endswith(".title")}
    assert {kind for kind, _, _ in ATTEMPTS.values()} <= kinds
    for kind in kinds - {kind for kind in kinds if kind.startswith("part-")}:
        assert {f"need.{kind}.text", f"need.{kind}.do"} <= known, kind
    assert {f"role.{role}" for role in ROLES} <= known
    assert {f"policy.{policy}" for policy in TERMINAL_POLICIES} <= known
    assert {item.key for item in NAV} <= known


def test_numbers_money_and_time_as_the_language_writes_them():
    """Thousands, cents only where they matter, counts of one, times in the house's zone."""
    english, german = Speech("en", "Europe/Berlin", NOW), Speech("de", "Europe/Berlin", NOW)
    euro = unit_of("EUR")
    assert (english.number(12_345), german.number(12_345)) == ("12,345", "12.345")
    assert english.amount(Amount(euro, 3_500)) == "€0.35"
    assert german.amount(Amount(euro, 3_510)) == "0,351\u00a0EUR"
    assert english.amount(Amount(unit_of("pages"), 1)) == "1 page"
    assert english.amount({"unit": "pages", "amount": 2, "scale": 0}) == "2 pages"
    assert english.amount(None) == english.moment(None) == english.ago("") == ""
    assert english.ago(NOW - 3600 * US_PER_S) == "1 hour ago"
    assert german.ago(NOW + 120 * US_PER_S) == "in 2 Minuten"
    assert english.moment("2026-11-22T23:30:00Z") == "Nov 23, 2026, 12:30:00\u202fAM"
    assert english.media("iso_a4_210x297mm") == "A4"
    line = {
        "kind": "grey",
        "media": "iso_a4_210x297mm",
        "count": 4,
        "each": 500,
        "percent_parts": 9000,
        "parts": 18_000_000,
    }
    assert english.price_line(line, "EUR") == "4 \u00d7 grey side, A4: €0.05 \u00d7 90 % = €0.18"


def test_the_language_is_chosen_in_order():
    """What was chosen, then the person's own, then the browser's first that we have, then English."""
    assert language_of(chosen="es", own="de", accept="fr") == "es"
    assert language_of(chosen="", own="de-AT", accept="fr") == "de"
    assert language_of(chosen="xx", own="", accept="pt, fr-CH;q=0.8") == "fr"
    assert language_of(chosen="", own="", accept="") == "en"
