"""The network reader on loopback: scripts that may, strangers that may not, and everything between."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daemon.devices.readers import network, network_client, network_line
from daemon.devices.readers.network import NetworkOptions, NetworkReader, open_network
from daemon.devices.readers.network_client import Sender, session
from daemon.devices.readers.network_protocol import (
    Fault,
    Refused,
    challenge_in,
    hello,
    proved,
    seal,
    session_key,
)
from daemon.devices.readers.network_protocol import prove as proof
from daemon.devices.readers.reading import Read, ReaderState, ReaderStatus
from daemon.kernel.errors import BadInput, Unavailable
from daemon.system import SystemClock

KEY, OTHER_KEY = bytes(range(32)), bytes(32)
WAIT_S = 5.0
ROOT = Path(__file__).resolve().parents[2]


class Post:
    """A terminal's network reader, and what it has told."""

    def __init__(self, reader: NetworkReader, folder: Path) -> None:
        self.reader, self.folder = reader, folder
        self.events: asyncio.Queue = asyncio.Queue()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.reader.port}"

    def key_file(self, client: str = "desk", key: bytes = KEY) -> Path:
        """A client's own key file."""
        path = self.folder / f"{client}-{key[1]}.key"
        path.write_text(f"{client} {key.hex()}\n")
        path.chmod(0o600)
        return path

    def session(self, client: str = "desk", key: bytes = KEY):
        return session(self.address, self.key_file(client, key), SystemClock())

    async def read(self) -> str:
        """The next card; statuses in between are skipped."""
        while True:
            event = await asyncio.wait_for(self.events.get(), WAIT_S)
            if isinstance(event, Read):
                return event.raw

    async def status(self, code: str, state: ReaderState = ReaderState.READY) -> ReaderStatus:
        """The next status with that code."""
        while True:
            event = await asyncio.wait_for(self.events.get(), WAIT_S)
            if isinstance(event, ReaderStatus) and (event.code, event.state) == (code, state):
                return event

    async def raw(self) -> Line:
        """A connection without manners."""
        return Line(*await asyncio.open_connection("127.0.0.1", self.reader.port))


class Line:
    """One connection, spoken to by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.secret = b""

    async def hear(self) -> str:
        return (await asyncio.wait_for(self.reader.readline(), WAIT_S)).decode().rstrip("\n")

    def say(self, line: str | bytes) -> None:
        self.writer.write((line if isinstance(line, bytes) else line.encode()) + b"\n")

    async def greet(self, client: str = "desk", key: bytes = KEY) -> str:
        """Say hello; the answer."""
        nonce = "22" * 16
        self.secret = session_key(key, challenge=challenge_in(await self.hear()), client=client, nonce=nonce)
        self.say(hello(self.secret, client=client, nonce=nonce))
        return await self.hear()

    def prove(self, words: str) -> str:
        return proof(self.secret, "client", words)

    def card(self, counter: int, raw: bytes = b"04A1B2C3", age_s: int = 0) -> str:
        return self.prove(f"read {counter} {age_s} {seal(self.secret, counter, raw).hex()}")

    async def answer(self) -> str:
        return proved(self.secret, "server", await self.hear())


@asynccontextmanager
async def listening(folder: Path, keys: str = f"desk {KEY.hex()}\nhall {OTHER_KEY.hex()}\n"):
    """A reader on a port of the system's choice."""
    file = folder / "clients"
    file.write_text(keys)
    file.chmod(0o600)
    reader = open_network(NetworkOptions(name="lobby", key_file=file, listen="127.0.0.1:0"), SystemClock())
    post = Post(reader, folder)

    async def listen() -> None:
        async for event in reader.events():
            post.events.put_nowait(event)

    task = asyncio.create_task(listen())
    try:
        yield post
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ready(post: Post) -> Post:
    await post.status("no-client")
    return post


async def test_a_script_sends_cards(tmp_path) -> None:
    """Reads of a proved client arrive as they were sent; the status tells who is there."""
    async with listening(tmp_path) as post:
        await ready(post)
        async with post.session() as sender:
            assert (await post.status("")).model == "desk"
            for raw in ("04A1B2C3", ";1234567890?", "x" * 512, "Grüße"):
                assert await sender.send(raw) is None
                assert await post.read() == raw
            await sender.ping()
        assert (await post.status("no-client")).model == ""
        assert post.reader.counts == {"read": 4}


async def test_signals_go_to_the_client_that_sent(tmp_path) -> None:
    """Good and bad reach the one who sent the last card, and nobody else; without one nothing happens."""
    async with listening(tmp_path) as post:
        await ready(post)
        await post.reader.signal(is_good=True)
        async with post.session() as desk, post.session("hall", OTHER_KEY) as hall:
            await hall.send("04A1B2C3")
            await post.reader.signal(is_good=False)
            await hall.send("04A1B2C4")
            await post.reader.signal(is_good=True)
            await hall.ping()
            await desk.ping()
            assert (hall.signals, desk.signals) == ([False, True], [])


async def test_a_wrong_key_and_a_stranger_learn_nothing(tmp_path) -> None:
    """Both get the same word; inside they are told apart, counted, and a forger shows in the status."""
    async with listening(tmp_path) as post:
        await ready(post)
        for client, key in (("desk", OTHER_KEY), ("nobody", KEY)):
            with pytest.raises(Refused) as caught:
                async with post.session(client, key):
                    raise AssertionError("let in")
            assert caught.value.fault is Fault.REFUSED
        assert post.reader.counts == {"forged": 1, "unknown-client": 1}
        assert (await post.status("forged")).state is ReaderState.READY


async def test_replayed_lines_and_sessions_are_named(tmp_path) -> None:
    """A line sent twice, and a whole session played again on a new connection, are replays, counted and shown."""
    async with listening(tmp_path) as post:
        await ready(post)
        line = await post.raw()
        greeting = line.hear
        first = await greeting()
        secret = session_key(KEY, challenge=challenge_in(first), client="desk", nonce="22" * 16)
        recorded = hello(secret, client="desk", nonce="22" * 16)
        line.say(recorded)
        line.secret = secret
        assert await line.answer() == "welcome"
        line.say(line.card(1))
        assert await line.answer() == "ok 1"
        line.say(line.card(1))
        assert await line.answer() == "no 1 replayed"
        assert await line.hear() == ""
        again = await post.raw()
        await again.hear()
        again.say(recorded)
        assert await again.hear() == "no 0 refused"
        assert post.reader.counts["replayed"] == 2
        assert await post.read() == "04A1B2C3"
        await post.status("replayed")


async def test_a_forged_line_ends_the_session(tmp_path) -> None:
    """A changed number, or another session's proof, is forged: refused, counted, and the connection ends."""
    async with listening(tmp_path) as post:
        await ready(post)
        line = await post.raw()
        await line.greet()
        good = line.card(1)
        line.say(good.replace(good.split(" ")[3], "00" * 8))
        assert await line.answer() == "no 0 forged"
        assert await line.hear() == ""
        assert post.reader.counts == {"forged": 1}


async def test_a_line_held_back_is_stale(tmp_path) -> None:
    """A tap is for now: a line whose age does not fit is refused, the next one counts; three in a row end it."""
    async with listening(tmp_path) as post:
        await ready(post)
        line = await post.raw()
        await line.greet()
        line.say(line.card(1, age_s=60))
        assert await line.answer() == "no 1 stale"
        line.say(line.card(2))
        assert await line.answer() == "ok 2"
        for counter in (3, 4):
            line.say(line.card(counter, age_s=99))
            assert await line.answer() == f"no {counter} stale"
        line.say(line.card(5, age_s=99))
        assert await line.answer() == "no 5 stale"
        assert await line.hear() == ""
        assert post.reader.counts == {"read": 1, "stale": 4}


@pytest.mark.parametrize("raw", [b"", b"a\x00b", b"\x1b[31m", "\u202e12".encode(), b"\xff\xfe", b"x" * 513])
async def test_implausible_numbers_are_refused(tmp_path, raw: bytes) -> None:
    """Control characters, nothing, too much or no text: refused by name although proved; the session lives on."""
    async with listening(tmp_path) as post:
        await ready(post)
        line = await post.raw()
        await line.greet()
        line.say(line.card(1, raw) if raw else line.prove("read 1 0 "))
        answer = await line.answer()
        if raw:
            assert answer == "no 1 implausible"
            line.say(line.card(2))
            assert await line.answer() == "ok 2"
        else:
            assert answer == "no 0 malformed"


async def test_rubbish_before_a_hello_is_bounded(tmp_path) -> None:
    """HTTP, binary noise, an endless line: refused by name, closed, and never anything on the screen."""
    async with listening(tmp_path) as post:
        await ready(post)
        for rubbish, word in (
            (b"GET / HTTP/1.1", "malformed"),
            (b"\xff" * 50, "malformed"),
            (b"x" * 20000, "too-long"),
        ):
            line = await post.raw()
            await line.hear()
            line.say(rubbish)
            assert await line.hear() == f"no 0 {word}"
        assert post.reader.counts == {"malformed": 2, "too-long": 1}
        assert post.events.empty()


async def test_silent_strangers_are_dropped(tmp_path, monkeypatch) -> None:
    """Whoever says nothing is gone after the time for a hello; more strangers than fit push the oldest out."""
    monkeypatch.setattr(network_line, "HELLO_S", 0.3)
    async with listening(tmp_path) as post:
        await ready(post)
        lines = [await post.raw() for _ in range(network.STRANGERS_MAX + 1)]
        for line in lines:
            await line.hear()
        assert await lines[0].hear() == "no 0 too-many"
        assert await lines[-1].hear() == "no 0 idle"
        async with post.session() as sender:
            assert await sender.send("04A1B2C3") is None


async def test_a_hundred_strangers_do_not_keep_a_client_out(tmp_path) -> None:
    """A crowd that connects and waits: a client with its key is served at once all the same."""
    async with listening(tmp_path) as post:
        await ready(post)
        lines = [await post.raw() for _ in range(100)]
        began = time.monotonic()
        async with post.session() as sender:
            assert await sender.send("04A1B2C3") is None
        assert time.monotonic() - began < 1
        for line in lines:
            line.writer.close()


async def test_too_many_taps_are_refused_as_busy(tmp_path) -> None:
    """Taps that nobody looks at do not pile up: beyond the bound they are refused, the bound itself is kept."""
    reader = open_network(NetworkOptions(name="n", key_file=tmp_path / "none"), SystemClock())
    accepted = [reader.take(None, f"04A1B2{number:02X}") for number in range(20)]
    assert accepted == [None] * network.READS_WAITING_MAX + [Fault.BUSY] * (20 - network.READS_WAITING_MAX)


async def test_a_thousand_taps_in_a_row(tmp_path) -> None:
    """A crowd at one reader: every tap arrives, once, in order, at many times the speed of a thousand a minute."""
    async with listening(tmp_path) as post:
        await ready(post)
        async with post.session() as sender:
            began = time.monotonic()
            for number in range(1000):
                assert await sender.send(f"{number:08X}") is None
                assert await post.read() == f"{number:08X}"
            assert time.monotonic() - began < 15
        assert post.reader.counts == {"read": 1000}


async def test_a_script_that_waits_stays_connected(tmp_path, monkeypatch) -> None:
    """Nothing to send for a while: pings keep the session; one grown too old is begun anew and nothing is lost."""
    monkeypatch.setattr(network_client, "PING_EVERY_S", 0.05)
    monkeypatch.setattr(network_line, "IDLE_S", 1.0)
    raws: asyncio.Queue[str | None] = asyncio.Queue()
    told: list[Fault | None] = []
    async with listening(tmp_path) as post:
        await ready(post)
        sending = asyncio.create_task(
            network_client.send_all(post.address, post.key_file(), SystemClock(), next_raw=raws.get, tell=told.append)
        )
        await asyncio.sleep(1.5)
        await raws.put("04A1B2C3")
        assert await post.read() == "04A1B2C3"
        monkeypatch.setattr(network_line, "SESSION_S", 0.0)
        async with asyncio.timeout(WAIT_S):
            while not post.reader.counts["expired"]:
                await asyncio.sleep(0.02)
        monkeypatch.setattr(network_line, "SESSION_S", 60.0)
        await raws.put("04A1B2C4")
        assert await post.read() == "04A1B2C4"
        await raws.put(None)
        await asyncio.wait_for(sending, WAIT_S)
    assert told == [None, None]
    assert set(post.reader.counts) == {"read", "expired"}


async def test_a_client_that_comes_back_replaces_itself(tmp_path) -> None:
    """A box that lost its power has no two sessions: the older one ends."""
    async with listening(tmp_path) as post:
        await ready(post)
        first = await post.raw()
        assert (await first.greet()).startswith("welcome")
        async with post.session() as sender:
            assert await first.answer() == "no 0 replaced"
            assert await sender.send("04A1B2C3") is None


async def test_a_client_taken_out_is_gone_at_once(tmp_path, monkeypatch) -> None:
    """The key file is followed: a line taken out ends the session, a new line lets its client in."""
    monkeypatch.setattr(network, "LOOK_EVERY_S", 0.05)
    async with listening(tmp_path) as post:
        await ready(post)
        line = await post.raw()
        await line.greet()
        (tmp_path / "clients").write_text(f"hall {OTHER_KEY.hex()}\nnew {KEY.hex()}\n")
        assert await line.answer() == "no 0 unknown-client"
        async with post.session("new") as sender:
            assert await sender.send("04A1B2C3") is None


async def test_a_key_file_that_will_not_do_is_told(tmp_path, monkeypatch) -> None:
    """Missing, open to others, or wrong: refused by name, nothing listens; mended, it works without a restart."""
    monkeypatch.setattr(network, "LOOK_EVERY_S", 0.05)
    async with listening(tmp_path) as post:
        await ready(post)
        file = tmp_path / "clients"
        file.chmod(0o644)
        await post.status("key-file-open", ReaderState.REFUSED)
        assert post.reader.port == 0
        file.chmod(0o600)
        await post.status("no-client")
        file.write_text("desk not-a-key\n")
        await post.status("bad-key-file", ReaderState.REFUSED)
        file.unlink()
        await post.status("no-key-file", ReaderState.REFUSED)
        post.key_file().rename(file)
        await post.status("no-client")
        async with post.session() as sender:
            assert await sender.send("04A1B2C3") is None


async def test_a_taken_port_is_told_and_tried_again(tmp_path, monkeypatch) -> None:
    """Somebody else listens there: refused by name; once it is free, ready."""
    monkeypatch.setattr(network, "LOOK_EVERY_S", 0.05)
    other = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    file = tmp_path / "clients"
    file.write_text(f"desk {KEY.hex()}\n")
    file.chmod(0o600)
    reader = open_network(NetworkOptions(name="n", key_file=file, listen=f"127.0.0.1:{port}"), SystemClock())
    events = reader.events()
    try:
        assert (await anext(events)).code == "bad-address"
        other.close()
        assert (await asyncio.wait_for(anext(events), WAIT_S)).state is ReaderState.READY
    finally:
        await events.aclose()


async def test_a_mistake_of_ours_is_heard(tmp_path, monkeypatch) -> None:
    """An error nobody thought of ends the events with it, so that whoever listens starts the reader again, and may."""
    reader = open_network(NetworkOptions(name="n", key_file=tmp_path / "none"), SystemClock())
    for _ in range(2):
        monkeypatch.setattr(network, "_read_keys", None)
        with pytest.raises(TypeError):
            await asyncio.wait_for(anext(reader.events()), WAIT_S)
    monkeypatch.undo()
    events = reader.events()
    assert (await asyncio.wait_for(anext(events), WAIT_S)).code == "no-key-file"
    await events.aclose()


async def test_closing_ends_every_connection(tmp_path) -> None:
    """When the reader is closed its clients notice, no task stays, and the port is free."""
    async with listening(tmp_path) as post:
        await ready(post)
        line = await post.raw()
        await line.greet()
        stranger = await post.raw()
        await stranger.hear()
        began = time.monotonic()
    assert time.monotonic() - began < 1
    assert await line.hear() == ""
    assert await stranger.hear() == ""
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_the_sender_knows_its_terminal(tmp_path) -> None:
    """Somebody else on that port, who does not know the key, gets no number: the sender stops at the greeting."""
    heard = []

    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"holdfast-reader 1 " + b"ab" * 16 + b"\n")
        heard.append(await reader.readline())
        writer.write(b"welcome " + b"00" * 32 + b"\n")
        heard.append(await reader.readline())
        writer.close()

    server = await asyncio.start_server(impostor, "127.0.0.1", 0)
    post = Post(open_network(NetworkOptions(name="n", key_file=tmp_path / "x"), SystemClock()), tmp_path)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with pytest.raises(Refused):
        async with session(address, post.key_file(), SystemClock()) as sender:
            await sender.send("04A1B2C3")
    server.close()
    await asyncio.sleep(0.05)
    assert heard[1] == b""


async def test_the_sender_says_what_is_wrong(tmp_path) -> None:
    """No terminal there, no key file, one open to others, one with two clients, no address: each in words."""
    post = Post(open_network(NetworkOptions(name="n", key_file=tmp_path / "x"), SystemClock()), tmp_path)
    good = post.key_file()
    two = tmp_path / "two"
    two.write_text(good.read_text() + f"hall {KEY.hex()}\n")
    two.chmod(0o600)
    is_open = tmp_path / "open"
    is_open.write_text(good.read_text())
    is_open.chmod(0o644)
    for address, file, error in (
        ("127.0.0.1:9", good, Unavailable),
        ("127.0.0.1:9", tmp_path / "none", BadInput),
        ("127.0.0.1:9", two, BadInput),
        ("127.0.0.1:9", is_open, BadInput),
        ("nowhere", good, BadInput),
    ):
        with pytest.raises(error):
            async with session(address, file, SystemClock()) as sender:
                assert isinstance(sender, Sender)


def example(language: str) -> str:
    """The example program of the specification, as printed there."""
    page = (ROOT / "docs" / "network-reader.md").read_text("utf-8")
    found = re.search(rf"```{language}\n(#!.*?)```", page, re.DOTALL)
    assert found, language
    return found[1]


@pytest.mark.parametrize(("language", "interpreter"), [("python", sys.executable), ("bash", "bash")])
async def test_the_printed_examples_work(tmp_path, language: str, interpreter: str) -> None:
    """The programs of docs/network-reader.md, run as they stand there, send a card."""
    async with listening(tmp_path) as post:
        await ready(post)
        program = tmp_path / "example"
        program.write_text(example(language))
        done = await asyncio.to_thread(
            subprocess.run, [interpreter, str(program), "127.0.0.1", str(post.reader.port), str(post.key_file())],
            input="04A1B2C3\n", capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.split()[:2] == ["ok", "1"]
        assert await post.read() == "04A1B2C3"
