"""The network reader's lines: what is proved is taken, everything else is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.devices.readers.network_protocol import (
    LINE_BYTES_MAX,
    Fault,
    Refused,
    challenge_in,
    greeting,
    hello,
    hello_in,
    parse_keys,
    prove,
    proved,
    said,
    seal,
    session_key,
)
from daemon.devices.readers.reading import RAW_CHARS_MAX

KEY = bytes(range(32))
SESSION = session_key(KEY, challenge="00" * 16, client="desk", nonce="11" * 16)


def fault_of(call, *arguments) -> Fault:
    with pytest.raises(Refused) as caught:
        call(*arguments)
    return caught.value.fault


def test_the_specification_example() -> None:
    """The session printed in docs/network-reader.md, byte for byte: other implementations check themselves by it."""
    assert SESSION.hex() == "435a34c14199819368894bc31b5b49d375d306814d76c39edfdda1265e1d6880"
    assert hello(SESSION, client="desk", nonce="11" * 16).endswith(
        " a29f7378bdcc70e7583361cfa898e9b51adeeb20937e8cdb94260f4c7bf0bebf"
    )
    assert prove(SESSION, "server", "welcome").endswith(
        " 3d7f435f885b3407a1d7bcb9131183b85e70cde18c862edd7c70354198996abc"
    )
    assert seal(SESSION, 1, b"04A1B2C3").hex() == "e3054dc49e945129"


@given(st.text(min_size=1, max_size=RAW_CHARS_MAX), st.integers(1, 10**9), st.integers(0, 10**7))
def test_a_read_comes_through(raw: str, counter: int, age_s: int) -> None:
    """Any text, sealed and proved, is what the other side opens; the line fits, and the text does not show in it."""
    plain = raw.encode("utf-8", "replace")
    sealed = seal(SESSION, counter, plain)
    line = prove(SESSION, "client", f"read {counter} {age_s} {sealed.hex()}")
    assert len(line) < LINE_BYTES_MAX
    word = said(SESSION, line)
    assert (word.verb, word.counter, word.age_s) == ("read", counter, age_s)
    assert seal(SESSION, word.counter, word.sealed) == plain
    assert len(plain) < 4 or plain.hex() not in line
    assert "sealed" not in repr(word)


@given(st.integers(0, 200), st.integers(0, 7))
def test_a_changed_line_is_forged(place: int, bit: int) -> None:
    """One bit turned anywhere: malformed or forged, never taken."""
    line = bytearray(prove(SESSION, "client", f"read 1 0 {seal(SESSION, 1, b'04A1B2C3').hex()}").encode())
    line[place % len(line)] ^= 1 << bit
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        return
    assert fault_of(said, SESSION, text) in (Fault.MALFORMED, Fault.FORGED)


@given(st.text(max_size=300))
def test_no_line_breaks_anything(text: str) -> None:
    """Any text is refused by name in every place, with no other error."""
    for call in (lambda: said(SESSION, text), lambda: hello_in(text), lambda: challenge_in(text)):
        assert fault_of(call) in (Fault.MALFORMED, Fault.FORGED)


def test_a_hello_says_who_and_shows_no_proof() -> None:
    """Client, nonce and MAC are taken apart; the MAC is in no repr."""
    line = hello(SESSION, client="front-desk.2", nonce="11" * 16)
    first = hello_in(line)
    assert (first.client, first.nonce, f"{first.mac}") == ("front-desk.2", "11" * 16, line[-64:])
    assert line[-64:] not in repr(first)


def test_lines_of_another_session_or_direction_are_forged() -> None:
    """A line proved with another session's key, or sent back as the other side's, does not fit."""
    other = session_key(KEY, challenge="01" * 16, client="desk", nonce="11" * 16)
    assert fault_of(said, other, prove(SESSION, "client", "ping 1 0")) is Fault.FORGED
    assert fault_of(proved, SESSION, "server", prove(SESSION, "client", "ping 1 0")) is Fault.FORGED
    assert fault_of(said, SESSION, prove(SESSION, "server", "ping 1 0")) is Fault.FORGED


@pytest.mark.parametrize(
    "words",
    ["read 1 0", "ping 1 0 00", "read 0 0 00", "read 01 0 00", "read 1 -1 00", "read 1 0 0", "read 1 0 GG", "say 1 0 00",
     "read 99999999999999999 0 00", "read 1 0 00 00", "read  1 0 00", "ping 1 00"],
)  # fmt: skip
def test_proved_nonsense_is_malformed(words: str) -> None:
    """Even with the right key only the grammar's words count."""
    assert fault_of(said, SESSION, prove(SESSION, "client", words)) is Fault.MALFORMED


def test_a_greeting_names_protocol_and_version() -> None:
    """Another version, or another service on that port, is noticed at once."""
    assert challenge_in(greeting("ab" * 16)) == "ab" * 16
    assert fault_of(challenge_in, "holdfast-reader 2 " + "ab" * 16) is Fault.MALFORMED
    assert fault_of(challenge_in, "SSH-2.0-OpenSSH_9.2") is Fault.MALFORMED


def test_key_files_tell_every_problem() -> None:
    """All lines at once, by number; good ones are still understood."""
    keys, problems = parse_keys(
        f"# clients\ndesk {KEY.hex()}\n\nlobby abc\nDesk {KEY.hex()}\ndesk {KEY.hex()}\nx y z\nhall {KEY.hex()} # ours\n"
    )
    assert keys == {"desk": KEY, "hall": KEY}
    assert [line for line, _ in problems] == [4, 5, 6, 7]


@given(st.text(max_size=200))
def test_no_key_file_breaks_anything(text: str) -> None:
    """Any text is keys and problems."""
    keys, problems = parse_keys(text)
    assert all(len(key) == 32 for key in keys.values())
    assert all(line >= 1 for line, _ in problems)
