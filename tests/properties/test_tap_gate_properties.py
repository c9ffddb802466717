"""Whatever is tapped in whatever rhythm: guesses stay few, and nobody waits long."""

from hypothesis import given
from hypothesis import strategies as st

from daemon.auth.tap_gate import ALERT_GAP_S, STRANGER_GAP_S, STRANGERS_BURST, TapGate
from daemon.kernel.clock import US_PER_S

GAP_US = STRANGER_GAP_S * US_PER_S
TAPS = st.lists(st.tuples(st.integers(0, 20 * US_PER_S), st.integers(0, 50), st.booleans()), min_size=1, max_size=200)


@given(TAPS)
def test_unknown_cards_come_in_a_burst_and_then_slowly_and_the_wait_never_grows(taps):
    """In any stretch of time at most burst + time/gap strangers are looked at; whoever is told to wait may come then."""
    gate, now, looked, last = TapGate(), 0, [], None
    for pause, card, is_known in taps:
        now += pause
        wait = gate.admit(1, now)
        assert 0 <= wait <= STRANGER_GAP_S
        if wait:
            continue
        if not is_known and card != last:
            gate.stranger(1, bytes([card]), now)
            looked.append(now)
            last = card
    for start, first in enumerate(looked):
        for end, at in enumerate(looked[start:], start=1):
            assert end <= STRANGERS_BURST + (at - first) // GAP_US
    later = now + STRANGER_GAP_S * US_PER_S
    assert gate.admit(1, later) == 0


@given(TAPS)
def test_operators_hear_of_one_attack_once(taps):
    """Between two alerts for a terminal lie ten minutes at least, and other terminals never notice."""
    gate, now, told = TapGate(), 0, []
    for pause, card, _ in taps:
        now += pause
        if not gate.admit(1, now) and gate.stranger(1, bytes([card]), now):
            told.append(now)
    assert all(b - a >= ALERT_GAP_S * US_PER_S for a, b in zip(told, told[1:], strict=False))
    assert gate.admit(2, now) == 0
