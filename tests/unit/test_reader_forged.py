"""Forged cards at a network reader reach those who look after the house: once, by name."""

from __future__ import annotations

import pytest

from daemon.auth.terminal_reports import newly_forged, report_of


def row(*codes: str, before: str = "[]") -> str:
    """A terminal's readers as kept, one for each code."""
    readers = [{"name": f"gate{i}", "kind": "network", "state": "ready", "code": code} for i, code in enumerate(codes)]
    return report_of({"readers": readers}).readers_after(before, 1)


@pytest.mark.parametrize("code", ["forged", "replayed"])
def test_a_forgery_is_news_once(code):
    """Told when it begins, not while it lasts, and again when it is of another kind."""
    quiet, loud = row("", "no-client"), row("", code)
    assert [(one.name, one.code) for one in newly_forged(quiet, loud)] == [("gate1", code)]
    assert newly_forged(loud, loud) == []
    assert newly_forged(loud, quiet) == []
    assert len(newly_forged(row("forged"), row("replayed"))) == 1


def test_other_troubles_are_no_forgery():
    """Unplugged, busy, unknown words: somebody else's list."""
    assert newly_forged("[]", row("unplugged", "no-permission", "FORGED", "forged ")) == []
