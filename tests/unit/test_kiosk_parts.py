"""Small parts of the terminal program: the event stream's parser, its identity on disk, its view, its reader."""

import asyncio
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.devices.readers.reading import (
    DEBOUNCE_S,
    RAW_CHARS_MAX,
    Debounce,
    Read,
    ReaderState,
    ReaderStatus,
    is_plausible,
)
from daemon.devices.readers.simulated import TAPS_WAITING_MAX, SimulatedReader
from daemon.kernel.errors import BadInput
from kiosk import identity
from kiosk.reader_config import ReaderConfig
from kiosk.state import Notice, State
from kiosk.stream import BUFFER_BYTES_MAX, ServerEvent, StreamParser, StreamTooLong
from kiosk.view import view

STREAM = b': hello\n\nevent: job\nid: 7\ndata: {"a":1}\ndata: more\n\nretry: 5\nfoo\n\ndata: plain\r\n\r\n'
EVENTS = [ServerEvent("job", '{"a":1}\nmore', "7"), ServerEvent("message", "plain", "7")]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_the_stream_is_the_same_however_it_is_cut(cuts: list[int]) -> None:
    """Events do not depend on how the network cut the bytes."""
    edges = [0, *sorted(cuts), len(STREAM)]
    parser = StreamParser()
    events = [event for start, end in zip(edges, edges[1:], strict=False) for event in parser.feed(STREAM[start:end])]
    assert events == EVENTS
    assert parser.last_event_id == "7"


def test_an_endless_event_is_refused() -> None:
    """A stream cannot fill the terminal's memory."""
    parser = StreamParser()
    with pytest.raises(StreamTooLong):
        for _ in range(10):
            parser.feed(b"data: " + b"x" * (BUFFER_BYTES_MAX // 4) + b"\n")


def enrolled(directory):
    key = identity.new_key()
    path = identity.save(
        directory / "k",
        daemon_url="https://127.0.0.1:8632",
        ca_pem="CA\n",
        terminal_id="t1",
        name="Copy room",
        key=key,
        reader="simulated",
    )
    return path, key


def test_an_identity_is_private_and_reads_back(tmp_path) -> None:
    """Key and files are the owner's alone; what was saved is what is loaded."""
    path, key = enrolled(tmp_path)
    config = identity.load(path)
    assert (config.terminal_id, config.name, config.screen_port, config.readers) == (
        "t1",
        "Copy room",
        8633,
        (ReaderConfig("simulated", "simulated"),),
    )
    assert identity.public_bytes(identity.load_key(config.key_file)) == identity.public_bytes(key)
    assert stat.S_IMODE(config.key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_key_others_can_read_is_refused(tmp_path) -> None:
    """A leaked key is worse than no start."""
    path, _ = enrolled(tmp_path)
    key_file = path.parent / identity.KEY_NAME
    key_file.chmod(0o644)
    with pytest.raises(BadInput, match="chmod"):
        identity.load_key(key_file)


def test_a_broken_config_names_every_problem(tmp_path) -> None:
    """All at once, with file, line and key."""
    path, _ = enrolled(tmp_path)
    text = (
        path.read_text()
        .replace('host = "127.0.0.1"', 'host = "0.0.0.0"')
        .replace('kind = "simulated"', 'kind = "laser"')
        .replace("https://", "http://")
    )
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        identity.load(path)
    details = caught.value.data["details"]
    assert {(item["key"], item["line"] > 0) for item in details} == {
        ("daemon.url", True),
        ("screen.host", True),
        ("readers.kind", True),
    }


@pytest.mark.parametrize("text", ["", "[daemon]\nurl = 5\n", "nonsense", "[surprise]\na = 1\n"])
def test_a_config_that_is_none_is_refused(tmp_path, text: str) -> None:
    """Missing, mistyped, unknown: never a start with half an identity."""
    path = tmp_path / "kiosk.toml"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        identity.load(path)
    assert caught.value.data["details"]


def test_the_counter_never_gives_a_number_twice(tmp_path) -> None:
    """Not after a restart, not after a crash."""
    path = tmp_path / "counter"
    first = identity.Counter(path)
    given_out = [first.next() for _ in range(5)]
    again = identity.Counter(path)
    given_out += [again.next() for _ in range(5)]
    path.write_text("not a number")
    assert given_out == sorted(set(given_out))
    assert identity.Counter(path).next() == 1


def test_screen_port_counts_on_from_the_daemons() -> None:
    """Base ports count up; a daemon on 443 leaves the default."""
    assert identity.screen_port_for("https://h:9002") == 9003
    assert identity.screen_port_for("https://h") == identity.DEFAULT_SCREEN_PORT


def test_the_view_shows_only_what_is_named() -> None:
    """Nothing of a refusal's data but the named keys, no codes, no token."""
    notice = Notice("refusal", "x", {"charged": False, "secret": "s3cr3t", "jobs": ["j"]})
    shown = view(State(notice=notice, person={"name": "a", "token": "s3cr3t"}, codes={"j": "s3cr3t"}), 0.0)
    assert "s3cr3t" not in str(shown)
    assert shown["notice"]["data"] == {"charged": False}


async def test_a_simulated_reader_drops_nonsense_and_floods() -> None:
    """As a real reader: implausible frames never get out, and nobody can fill its memory."""
    reader = SimulatedReader()
    assert not reader.tap("")
    assert not reader.tap("a\nb")
    assert not reader.tap("x" * (RAW_CHARS_MAX + 1))
    assert [reader.tap(f"card{n}") for n in range(TAPS_WAITING_MAX + 1)] == [True] * TAPS_WAITING_MAX + [False]
    async with asyncio.timeout(1):
        heard = []
        async for event in reader.events():
            heard.append(event)
            if len(heard) == 2:
                break
    assert heard == [
        ReaderStatus("simulated", "simulated", ReaderState.READY, model="Simulated reader"),
        Read("simulated", "card0"),
    ]
    assert "card0" not in repr(heard)


def test_a_resting_card_is_one_tap() -> None:
    """The same read within the quiet time is not new; another card always is."""
    debounce = Debounce()
    card, other = Read("r", "1"), Read("r", "2")
    assert debounce.is_new(card, 0.0)
    assert not debounce.is_new(card, DEBOUNCE_S / 2)
    assert not debounce.is_new(card, DEBOUNCE_S)
    assert debounce.is_new(card, 3 * DEBOUNCE_S)
    assert debounce.is_new(other, 3 * DEBOUNCE_S)
    assert is_plausible("04A1B2")


def test_a_home_gets_another_key_and_keeps_what_people_wrote(tmp_path) -> None:
    """Key, daemon, id and name are new; readers, screen and comments stay; a file that is no kiosk.toml is left alone."""
    key = identity.new_key()
    path = identity.save(
        tmp_path / "k",
        daemon_url="https://old:8632",
        ca_pem="old",
        terminal_id="t1",
        name="door",
        key=key,
        reader="none",
    )
    written = path.read_text() + '\n# the one by the window\n[[readers]]\nname = "desk"\nkind = "pcsc"\n'
    path.write_text(written.replace('language = "en"', 'language = "fr"').replace('name = "door"\n', ""))
    fresh = identity.new_key()
    identity.renew(path, daemon_url="https://new:1234", ca_pem="new", terminal_id="t2", name='the "gate"', key=fresh)
    config = identity.load(path)
    assert (config.daemon_url, config.ca_pem, config.terminal_id, config.name) == (
        "https://new:1234", "new", "t2", 'the "gate"',
    )  # fmt: skip
    assert identity.public_bytes(identity.load_key(config.key_file)) == identity.public_bytes(fresh)
    assert (config.language, [one.name for one in config.readers]) == ("fr", ["desk"])
    assert "# the one by the window" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    inline = 'daemon = {url = "https://a", ca_file = "ca.pem"}\nterminal = {id = "t", key_file = "terminal.key"}\n'
    for broken in ("nonsense", inline):
        path.write_text(broken)
        with pytest.raises(BadInput):
            identity.renew(path, daemon_url="https://x", ca_pem="x", terminal_id="x", name="x", key=key)
        assert path.read_text() == broken
        assert (path.parent / "ca.pem").read_text() == "new"
