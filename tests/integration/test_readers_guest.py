"""Keyboard-like readers in a guest: what uinput types there, and a real USB keyboard plugged in and out."""

from __future__ import annotations

import pytest

from tests.helpers.guest import Guest

TESTS_S = 600


@pytest.mark.slow
@pytest.mark.timeout(TESTS_S + 100)
def test_what_is_typed_on_a_real_input_device():
    """Everything in `tests/guest/test_evdev.py` holds on Debian's kernel: speeds, layouts, grab, loss, unplugging, rights."""
    with Guest("python", "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "tests/guest/test_evdev.py") as guest:
        code = guest.finish(timeout_s=TESTS_S)
        assert code == 0, guest.log()[-6000:] + guest.console()[-2000:]
        print("\n".join(line for line in guest.log().splitlines() if "latency" in line or "idle:" in line))
