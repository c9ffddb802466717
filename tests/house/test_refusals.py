"""Every refusal has a place to be told: words on the terminal in every language, a status over IPP and HTTP."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
from pathlib import Path

import pytest

import daemon
from daemon.kernel.errors import Refusal, Unavailable
from daemon.web.api.errors import status_of as http_status_of
from daemon.web.ipp.refusals import STATUS_OF_REFUSAL, STATUS_OF_UNAVAILABLE

ROOT = Path(__file__).parents[2]
LANGUAGES = {path.stem: json.loads(path.read_text("utf-8")) for path in (ROOT / "kiosk/texts").glob("*.json")}
PLACEHOLDER = re.compile(r"\{\w+\}")
MINIMUM_CLASSES = 40

NEVER_AT_A_TERMINAL = {
    "commands and start-up": {
        "usage", "address-taken", "bad-config", "daemon-not-running", "secret-missing", "state-locked", "schema-differs",
        "schema-too-new", "backup-refused", "restarted", "dns-sd-unavailable", "terminal-silent",
        "read-refused", "no-terminal",
    },
    "administrators and the API": {
        "bad-amount", "bad-name", "credential-moved", "idempotency-key-needed", "job-not-claimed", "link-spent",
        "card-expiry-past", "card-not-found", "card-twice", "expiry-unreadable", "keys-read-only",
        "locator-taken", "name-taken", "no-mail-address", "password-refused", "pin-refused", "pin-taken",
        "pins-exhausted", "pot-unknown", "profile-unknown", "reason-needed", "bad-count", "job-not-uncertain", "setup-done",
        "last-admin", "card-needed", "token-unknown",
        "role-unknown", "tariff-unknown", "unchanged", "user-unknown", "terminal-not-found", "hours-unreadable", "feed-closed",
    },
    "print clients": {
        "attributes-or-values-not-supported", "body-broken", "client-gone", "compression-error", "compression-not-supported", "ipp",
        "not-authenticated", "request-entity-too-large", "too-many-jobs",
    },
    "a terminal as a machine; its screen says it is out of service": {
        "body-too-large", "clock-skew", "command-not-found", "command-over", "command-refused", "enrolment-failed",
        "replayed", "revoked", "terminal-refused", "terminal-unknown",
    },
    "between the daemon's own parts": {
        "delivery-settled", "mail-refused", "mail-unavailable", "ledger:resolved", "ledger:unknown-reservation",
    },
    "operators who ask a device": {"snmp-denied", "snmp-no-answer"},
    "a picture that is simply not shown": {"no-preview", "documents-unavailable"},
}  # fmt: skip
"""Codes without words on the terminal, by the reason why."""

AT_THE_PRINT_DOOR = ("daemon.workflows.submit", "daemon.jobs.ticket", "daemon.web.ipp.")
MET_THERE_TOO = {
    "document-too-large",
    "bad-input",
    "conflict",
    "forbidden",
    "job-not-held",
    "not-authorized",
    "not-found",
}


def classes(kind: type[Exception]) -> list[type[Exception]]:
    """Every class of a kind in the program, itself included."""
    for module in pkgutil.walk_packages(daemon.__path__, "daemon."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, waiting = [], [kind]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += one.__subclasses__()
    return sorted((one for one in set(found) if one.__module__.startswith("daemon.")), key=lambda one: one.code)


def literal_codes() -> set[str]:
    """Codes that are given where a refusal is raised: `code="..."` and `refusal="..."`."""
    found = set()
    for path in sorted((ROOT / "daemon").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.keyword)
                and node.arg in ("code", "refusal")
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
                and re.fullmatch(r"[a-z][a-z0-9:-]+", node.value.value)
                and "daemon/cli/" not in str(path)
            ):
                found.add(node.value.value)
    return found


@pytest.fixture(scope="module")
def codes() -> set[str]:
    """Every code a person or program may be answered with."""
    found = {one.code for kind in (Refusal, Unavailable) for one in classes(kind)}
    assert len(found) > MINIMUM_CLASSES
    return found | literal_codes()


def test_every_refusal_has_words_on_the_terminal_or_never_gets_there(codes):
    """A code either has its words or a stated reason why no terminal shows it."""
    silent = set().union(*NEVER_AT_A_TERMINAL.values())
    told = {key.removeprefix("refusal.") for key in LANGUAGES["en"] if key.startswith("refusal.")}
    untold = sorted(codes - told - silent)
    assert not untold, f"no words for: {', '.join(untold)}"
    assert sorted(silent & told) == []


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_says_everything(language):
    """All languages have the same texts with the same placeholders, and each refusal says what to do next."""
    texts, english = LANGUAGES[language], LANGUAGES["en"]
    assert sorted(set(english) ^ set(texts)) == []
    for key, text in english.items():
        if isinstance(text, str):
            assert set(PLACEHOLDER.findall(texts[key])) == set(PLACEHOLDER.findall(text)), key
        if key.startswith("refusal.") and not key.endswith(".next"):
            assert texts.get(f"{key}.next"), key


def test_refusals_at_the_print_door_have_their_ipp_status():
    """What a submission can meet is in the IPP table, so that a client never retries for ever or stops its queue."""
    met = {
        one.code
        for one in classes(Refusal)
        if one.__module__.startswith(AT_THE_PRINT_DOOR) and not hasattr(one, "status") and one.code != "ipp"
    }
    assert sorted((met | MET_THERE_TOO) - set(STATUS_OF_REFUSAL)) == []
    assert all(0x0400 <= status < 0x0500 or status >= 0x0500 for status in STATUS_OF_REFUSAL.values())
    assert all(0x0500 <= status < 0x0600 for status in STATUS_OF_UNAVAILABLE.values())


def test_every_refusal_is_a_4xx_over_http():
    """No refusal looks like a fault of the server."""
    for one in classes(Refusal):
        refusal = one.__new__(one)
        Refusal.__init__(refusal)
        assert 400 <= http_status_of(refusal) < 500, one
