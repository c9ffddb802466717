"""The wire's proofs: what is signed, what may be replayed, how a code introduces two strangers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.wire.signing import (
    WINDOW_BITS,
    ReplayWindow,
    code_key,
    daemon_proof,
    make_code,
    parse_code,
    signing_input,
    terminal_proof,
)

BASE = {
    "method": "POST",
    "target": "/terminal/v1/release",
    "body": b"{}",
    "time_us": 1_700_000_000_000_000,
    "counter": 7,
}


def test_signed_bytes_are_exactly_the_documented_ones() -> None:
    """Scheme, method, path with query, hex sha256 of the body, time and counter, one per line."""
    made = signing_input(method="get", target="/terminal/v1/jobs?printer_id=p", body=b"", time_us=5, counter=9)
    empty = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert made == b"holdfast-1\nGET\n/terminal/v1/jobs?printer_id=p\n" + empty + b"\n5\n9"


@pytest.mark.parametrize(
    "change", [{"method": "GET"}, {"target": "/terminal/v1/delete"}, {"body": b"{ }"}, {"time_us": 1}, {"counter": 8}]
)
def test_nothing_of_a_request_can_be_changed(change: dict) -> None:
    """Every part is under the signature."""
    assert signing_input(**BASE) != signing_input(**BASE | change)


@given(st.lists(st.integers(1, 200), max_size=60))
def test_replay_window_takes_each_counter_at_most_once(counters: list[int]) -> None:
    """Whatever the order of arrival, no counter passes twice, and nothing older than the window passes."""
    window, taken = ReplayWindow(), []
    for counter in counters:
        after = window.accept(counter)
        should = counter not in taken and counter > window.highest - WINDOW_BITS
        assert (after is not None) == should
        if after is not None:
            window = after
            taken.append(counter)


def test_replay_window_refuses_zero_and_negative() -> None:
    """Counters start at one."""
    assert ReplayWindow().accept(0) is None
    assert ReplayWindow().accept(-3) is None


def test_a_code_is_read_as_people_type_it() -> None:
    """Any case, spaces, hyphens, and the letters people mistake."""
    assert parse_code(" 7kq4 m2xn-8rtv ").text == "7KQ4-M2XN-8RTV"
    assert parse_code("7KQ4-M2XN-8RTI") == parse_code("7KQ4-M2XN-8RTL") == parse_code("7KQ4-M2XN-8RT1")


@pytest.mark.parametrize("text", ["", "7KQ4", "7KQ4-M2XN-8RTVV", "7KQ4-M2XN-8RT!", "7KQ4-M2XN-8RTU"])
def test_what_cannot_be_a_code_is_refused(text: str) -> None:
    """Too short, too long, letters the alphabet does not have."""
    with pytest.raises(ValueError, match="12 letters"):
        parse_code(text)


@given(st.binary(min_size=12, max_size=12))
def test_a_made_code_reads_back(random: bytes) -> None:
    """What is printed for people is what they type."""
    code = make_code(random)
    assert parse_code(code.text) == code


def test_too_little_randomness_is_an_error() -> None:
    """A code is never shorter than it looks."""
    with pytest.raises(ValueError, match="random"):
        make_code(b"short")


def test_proofs_bind_the_server_key_seen() -> None:
    """A machine in the middle shows another key: its proof is another, in both directions."""
    key = code_key(parse_code("7KQ4-M2XN-8RTV"))
    ours = terminal_proof(key, public_key=b"p" * 32, server_key_sha256=b"a" * 32)
    assert ours != terminal_proof(key, public_key=b"p" * 32, server_key_sha256=b"b" * 32)
    theirs = daemon_proof(key, public_key=b"p" * 32, server_key_sha256=b"a" * 32, ca_pem="CA", terminal_id="t")
    assert theirs != daemon_proof(key, public_key=b"p" * 32, server_key_sha256=b"a" * 32, ca_pem="CB", terminal_id="t")
    assert theirs != ours
