"""Looking after terminals: what they say of themselves, when they count as away, and forged messages in numbers."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.auth.forgeries import NOBODY, REFUSALS_MAX, WINDOW_US, Forgeries
from daemon.auth.outages import ITSELF, Graces, Outage, Sight, Verdict, is_away, judge
from daemon.auth.terminal_reports import READERS_MAX, Report, SeenReader, readers_of, report_of
from daemon.auth.terminal_rules import POLICIES, TERMINAL_POLICIES, effective_policy
from daemon.kernel.clock import US_PER_S

NOW = 1_790_000_000 * US_PER_S
GRACES = Graces(away_after_s=60, reader_away_after_s=30)
DESK = {"name": "desk", "kind": "pcsc", "state": "ready", "code": "", "model": "ACR122U"}


def ago(seconds: float) -> int:
    return NOW - int(seconds * US_PER_S)


# ----- policies -----
def test_a_terminal_follows_the_site_unless_it_has_its_own_policy():
    """`site` is the site's word, everything else its own."""
    for own in POLICIES:
        assert effective_policy(own, site_policy="none") == own
    assert effective_policy("site", site_policy="daily") == "daily"
    assert set(TERMINAL_POLICIES) == {"site", "card", "card+password", "daily", "none"}


# ----- reports -----
def test_a_heartbeat_is_believed_as_far_as_it_makes_sense():
    """Good parts are kept, rubbish is left out, nothing raises."""
    body = {"version": "1.2", "readers": [DESK, {"name": ""}, 5, "simulated"], "screen": {"width": 800, "height": 480}}
    report = report_of(body)
    assert report.version == "1.2"
    assert [one.name for one in report.readers or ()] == ["desk", "simulated"]
    assert report.screen == (800, 480, 0.0)
    for nonsense in ({}, {"version": 5, "readers": 5, "screen": 5}, {"screen": {"width": -1, "height": True}}):
        assert report_of(nonsense) == Report()
    many = report_of({"readers": [DESK | {"name": f"r{n}"} for n in range(100)]})
    assert len(many.readers or ()) == READERS_MAX


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(["version", "readers", "screen", "other"]), JSON)
    | st.fixed_dictionaries(
        {
            "readers": st.lists(
                st.dictionaries(st.sampled_from(["name", "kind", "state", "code", "model"]), JSON), max_size=20
            ),
            "screen": st.dictionaries(st.sampled_from(["width", "height", "dpi"]), JSON),
        }
    )
)
def test_no_heartbeat_breaks_anything(body):
    """Whatever a terminal says, what is kept can be read again, is bounded, and is the same when it is said twice."""
    report = report_of(body)
    kept = report.readers_after("[]", NOW)
    assert len(readers_of(kept)) <= READERS_MAX
    assert report.readers_after(kept, NOW + 1) == kept
    screen = report.screen_after("{}")
    assert set(json.loads(screen)) <= {"width", "height", "dpi"}
    assert report.screen_after(screen) == screen
    assert "NaN" not in screen
    assert "Infinity" not in screen
    assert len(kept) < READERS_MAX * 1000


def test_texts_of_a_terminal_are_cut_and_cleaned():
    """Control characters and novels never reach the table or an operator's screen."""
    (reader,) = report_of({"readers": [DESK | {"model": "x" * 1000, "name": "a\x1b[31mb"}]}).readers or ()
    assert len(reader.model) == 128
    assert reader.name == "a?[31mb"
    assert len(report_of({"version": "9" * 1000}).version) == 64


def test_a_readers_state_keeps_the_time_it_began():
    """Heard again as before nothing changes; another state or another reason begins anew."""
    first = report_of({"readers": [DESK]}).readers_after("[]", ago(100))
    assert report_of({"readers": [DESK]}).readers_after(first, NOW) == first
    away = report_of({"readers": [DESK | {"state": "away", "code": "unplugged"}]}).readers_after(first, ago(50))
    (reader,) = readers_of(away)
    assert (reader.state, reader.since_us) == ("away", ago(50))
    other = report_of({"readers": [DESK | {"state": "away", "code": "service-down"}]}).readers_after(away, NOW)
    assert readers_of(other)[0].since_us == NOW
    assert report_of({}).readers_after(away, NOW) == away
    assert report_of({"readers": []}).readers_after(away, NOW) == "[]"


def test_a_screen_is_kept_as_heard():
    """Width, height and density; a heartbeat without it changes nothing."""
    kept = report_of({"screen": {"width": 1280, "height": 800, "dpi": 149.6}}).screen_after("{}")
    assert json.loads(kept) == {"width": 1280, "height": 800, "dpi": 149.6}
    assert report_of({}).screen_after(kept) == kept


# ----- outages -----
def sight(*, heard_s=1.0, is_open=True, opened_s=10_000.0, readers=()) -> Sight:
    return Sight(ago(heard_s), is_open, ago(opened_s), readers)


def reader(name="desk", state="away", since_s=100.0, code="unplugged") -> SeenReader:
    return SeenReader(name, "pcsc", state, code, "", ago(since_s))


@pytest.mark.parametrize(
    ("seen", "known", "verdict"),
    [
        (sight(), set(), Verdict()),
        (sight(heard_s=59), set(), Verdict()),
        (sight(heard_s=61), set(), Verdict(begins=(Outage(ITSELF, "silent", ago(61)),))),
        (sight(heard_s=61), {ITSELF}, Verdict()),
        (sight(heard_s=5000, is_open=False), set(), Verdict()),
        (sight(heard_s=5000, opened_s=30), set(), Verdict()),
        (sight(heard_s=5000, opened_s=61), set(), Verdict(begins=(Outage(ITSELF, "silent", ago(5000)),))),
        (sight(), {ITSELF}, Verdict(ends=(ITSELF,))),
        (sight(is_open=False), {ITSELF}, Verdict(ends=(ITSELF,))),
        (sight(readers=[reader()]), set(), Verdict(begins=(Outage("desk", "unplugged", ago(100)),))),
        (sight(readers=[reader(code="")]), set(), Verdict(begins=(Outage("desk", "away", ago(100)),))),
        (sight(readers=[reader(since_s=29)]), set(), Verdict()),
        (sight(readers=[reader()], is_open=False), set(), Verdict()),
        (sight(readers=[reader()], opened_s=20), set(), Verdict()),
        (sight(readers=[reader()]), {"desk"}, Verdict()),
        (sight(readers=[reader(state="ready", code="")]), {"desk"}, Verdict(ends=("desk",))),
        (sight(), {"desk"}, Verdict(ends=("desk",))),
        (sight(heard_s=61, readers=[reader()]), {ITSELF}, Verdict()),
        (sight(heard_s=61, readers=[reader(state="ready")]), {ITSELF, "desk"}, Verdict()),
    ],
)
def test_who_is_away_and_who_is_back(seen, known, verdict):
    """Silence beyond its grace while open; a reader only while its terminal is there; closed raises no alarm."""
    assert judge(seen, known, NOW, GRACES) == verdict


def test_away_counts_from_the_last_word():
    """Never heard of is away."""
    assert is_away(None, NOW, GRACES)
    assert is_away(ago(61), NOW, GRACES)
    assert not is_away(ago(60), NOW, GRACES)


# ----- forged messages -----
def test_a_few_refusals_are_counted_and_many_are_told_once_a_window():
    """Every refusal counts; the twentieth in ten minutes is told, the next only ten minutes later."""
    forgeries = Forgeries()
    told = [forgeries.refused("signature", terminal="t1", at_us=NOW + n) for n in range(3 * REFUSALS_MAX)]
    assert told.index(True) == REFUSALS_MAX - 1
    assert told.count(True) == 1
    assert forgeries.totals == {"signature": 3 * REFUSALS_MAX}
    later = NOW + WINDOW_US + US_PER_S
    again = [forgeries.refused("replayed", terminal="t1", at_us=later + n) for n in range(REFUSALS_MAX)]
    assert again == [False] * (REFUSALS_MAX - 1) + [True]


def test_slow_refusals_are_no_attack_and_names_do_not_mix():
    """One every minute is a clock or a cable; another terminal's refusals are its own."""
    forgeries = Forgeries()
    minute = 60 * US_PER_S
    assert not any(forgeries.refused("clock-skew", terminal="t1", at_us=NOW + n * minute) for n in range(100))
    assert not any(forgeries.refused("unknown", terminal=f"t{n}", at_us=NOW + n) for n in range(2, 60))
    assert any(forgeries.refused("unsigned", terminal=NOBODY, at_us=NOW + n) for n in range(REFUSALS_MAX))
