"""The terminal's readers: told apart in kiosk.toml, heard all at once, outlived one by one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from daemon.devices.readers.reading import RAW_CHARS_MAX, Hiccup, Missed, Read, ReaderState, ReaderStatus
from daemon.devices.readers.simulated import SimulatedReader
from daemon.kernel.errors import BadInput
from daemon.system import SystemClock
from kiosk import hub as hubs
from kiosk import identity, reader_config
from kiosk.hub import Hub
from kiosk.reader_config import READERS_MAX, ReaderConfig

HEAD = (
    '[daemon]\nurl = "https://127.0.0.1:8632"\nca_file = "ca.pem"\n\n[terminal]\nid = "t1"\nkey_file = "terminal.key"\n'
)


def config(folder, text: str):
    (folder / "ca.pem").write_text("CA\n")
    path = folder / "kiosk.toml"
    path.write_text(HEAD + text)
    return identity.load(path)


def problems(folder, text: str) -> list[tuple[str, int, str]]:
    with pytest.raises(BadInput) as caught:
        config(folder, text)
    assert {item["file"] for item in caught.value.data["details"]} == {str(folder / "kiosk.toml")}
    return [(item["key"], item["line"] - HEAD.count("\n"), item["message"]) for item in caught.value.data["details"]]


def test_every_kind_of_reader_is_configured_by_its_own_keys(tmp_path) -> None:
    """Names, patterns, layouts, quiet times; paths stand beside kiosk.toml."""
    found = config(
        tmp_path,
        """
[[readers]]
name = "desk"
kind = "pcsc"
match = "OMNIKEY*"
[[readers]]
name = "door"
kind = "evdev"
match = "0c27:3bfa"
layout = "de"
terminator = "idle"
idle_ms = 300
quiet_ms = 2500
[[readers]]
name = "gate"
kind = "network"
key_file = "gate.keys"
[[readers]]
kind = "simulated"
""",
    )
    assert found.readers == (
        ReaderConfig("desk", "pcsc", {"match": "OMNIKEY*"}),
        ReaderConfig(
            "door", "evdev", {"match": "0c27:3bfa", "layout": "de", "terminator": "idle", "idle_ms": 300}, 2.5
        ),
        ReaderConfig("gate", "network", {"key_file": "gate.keys"}),
        ReaderConfig("simulated", "simulated"),
    )
    opened = reader_config.open_all(found.readers, clock=SystemClock(), directory=tmp_path)
    assert [(one.name, one.kind) for one in opened] == [
        ("desk", "pcsc"),
        ("door", "evdev"),
        ("gate", "network"),
        ("simulated", "simulated"),
    ]


def test_every_mistake_is_told_at_once_with_its_line(tmp_path) -> None:
    """Whichever reader, whichever key."""
    found = problems(
        tmp_path,
        """
[[readers]]
name = "desk"
kind = "laser"
[[readers]]
name = "desk"
kind = "evdev"
layout = "dvorak"
idle_ms = 5
wings = 2
[[readers]]
name = ""
kind = "network"
listen = 8634
quiet_ms = 1
[screen]
port = "x"
""",
    )
    assert [(key, line) for key, line, _ in found] == [
        ("screen.port", 17),
        ("readers.kind", 4),
        ("readers.name", 6),
        ("readers.layout", 8),
        ("readers.idle_ms", 9),
        ("readers.wings", 10),
        ("readers.match", 5),
        ("readers.name", 12),
        ("readers.quiet_ms", 15),
        ("readers.listen", 14),
        ("readers.key_file", 11),
    ]
    assert "name, kind, quiet_ms, match" in next(message for key, _, message in found if key == "readers.wings")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("readers = 5\n", "readers"),
        ("[readers]\nkind = 'pcsc'\n", "readers"),
        ("[[readers]]\nkind = 'simulated'\n" * 2, "readers.name"),
        ("".join(f"[[readers]]\nkind = 'simulated'\nname = 'r{n}'\n" for n in range(READERS_MAX + 1)), "readers"),
        ("[[readers]]\nkind = 'pcsc'\nmatch = true\n", "readers.match"),
        ("[[readers]]\nkind = 'pcsc'\nfeedback = 'yes'\n", "readers.feedback"),
        ("[reader]\nkind = 'simulated'\n[[readers]]\nkind = 'pcsc'\n", "reader"),
        ("[reader]\nkind = 'laser'\n", "reader.kind"),
        ("[screen]\ninches = 400\n", "screen.inches"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, text: str, key: str) -> None:
    """One wrong thing, one sentence."""
    text = text if not text.startswith("readers =") else text
    if text.startswith("readers ="):
        (tmp_path / "ca.pem").write_text("CA\n")
        (tmp_path / "kiosk.toml").write_text(text + HEAD)
        with pytest.raises(BadInput) as caught:
            identity.load(tmp_path / "kiosk.toml")
        assert [item["key"] for item in caught.value.data["details"]] == [key]
        return
    assert [found[0] for found in problems(tmp_path, text)] == [key]


@pytest.mark.parametrize(
    ("text", "kinds"), [("", []), ('[reader]\nkind = "none"\n', []), ('[reader]\nkind = "simulated"\n', ["simulated"])]
)
def test_the_older_way_to_write_a_reader_still_counts(tmp_path, text: str, kinds: list[str]) -> None:
    """Terminals set up before keep their reader."""
    assert [one.kind for one in config(tmp_path, text).readers] == kinds


@asynccontextmanager
async def heard(*readers: SimulatedReader, **quiet_s: float):
    """A hub at work and everything it told."""
    hub, told = Hub(readers, clock=SystemClock(), quiet_s=quiet_s), []
    running = asyncio.create_task(hub.run(told.append))
    await settled()
    try:
        yield hub, told
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_every_reader_is_heard_and_a_resting_card_once() -> None:
    """The same card on two readers is two taps; again on the same one within its quiet time it is none."""
    one, two = SimulatedReader("one"), SimulatedReader("two")
    async with heard(one, two, one=60.0, two=0.0) as (hub, told):
        for reader in (one, two, one, two):
            reader.tap("04A1B2")
            await settled()
        assert [event for event in told if isinstance(event, Read)] == [
            Read("one", "04A1B2"),
            Read("two", "04A1B2"),
            Read("two", "04A1B2"),
        ]
        assert (hub.counts["one"].read, hub.counts["one"].repeated) == (1, 1)
        assert [status.state for status in hub.statuses] == [ReaderState.READY] * 2
        assert "04A1B2" not in repr(told) + repr(hub.counts)


async def test_two_cards_in_one_pocket_are_one_tap_each() -> None:
    """A reader that reports them in turn for minutes opens two visits, not hundreds."""
    reader = SimulatedReader("one")
    async with heard(reader, one=60.0) as (hub, told):
        for _ in range(50):
            for raw in ("04A1B2", "04FFFF"):
                reader.tap(raw)
                await settled()
        assert len([event for event in told if isinstance(event, Read)]) == 2
        assert hub.counts["one"].repeated == 98


async def test_a_reader_that_fails_comes_back_and_the_others_never_notice(monkeypatch) -> None:
    """Its status says so meanwhile."""
    monkeypatch.setattr(hubs, "AGAIN_S", 0.01)
    bad, good = SimulatedReader("bad"), SimulatedReader("good")
    async with heard(bad, good) as (hub, told):
        bad.fail()
        bad.tap("04A1B2")
        await settled()
        assert hub.statuses[0] == ReaderStatus("bad", "simulated", ReaderState.AWAY, "failed")
        good.tap("04FFFF")
        await asyncio.sleep(0.05)
        assert hub.statuses[0].state is ReaderState.READY
        bad.tap("04EEEE")
        await settled()
        assert [event.reader for event in told if isinstance(event, Read)] == ["good", "bad"]


async def test_unplugging_and_troubles_are_passed_on() -> None:
    """As they come; the same status twice is told once."""
    reader = SimulatedReader("desk")
    async with heard(reader) as (hub, told):
        reader.plug(is_in=False)
        reader.plug(is_in=False)
        assert not reader.tap("04A1B2")
        await settled()
        reader.plug(is_in=True)
        reader.miss(Hiccup.MUTE)
        await settled()
        assert [(type(event).__name__, getattr(event, "code", "")) for event in told] == [
            ("ReaderStatus", ""), ("ReaderStatus", "unplugged"), ("ReaderStatus", ""), ("Missed", ""),
        ]  # fmt: skip
        assert hub.counts["desk"].missed == 1


class Nonsense(SimulatedReader):
    """A reader that checks nothing itself."""

    def tap(self, raw: str, *, reader: str = "") -> bool:
        return self._put(Read(reader or self.name, raw))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("x" * (RAW_CHARS_MAX + 1), Hiccup.TOO_LONG),
        ("04A1\x1b[2J", Hiccup.TORN),
        ("", Hiccup.TORN),
        ("x" * 65_536, Hiccup.TOO_LONG),
    ],
)
async def test_what_no_card_can_say_never_gets_past_the_hub(raw: str, why: Hiccup) -> None:
    """Whatever the reader itself lets through."""
    reader = Nonsense("desk")
    async with heard(reader) as (hub, told):
        reader.tap(raw)
        await settled()
        assert told[-1] == Missed("desk", why)
        assert hub.counts["desk"].implausible == 1


async def test_a_beep_that_hangs_or_fails_holds_up_nothing(monkeypatch) -> None:
    """Signals are on their own, bounded in time and number."""
    monkeypatch.setattr(hubs, "SIGNAL_S", 0.01)

    class Deaf(SimulatedReader):
        async def signal(self, *, is_good: bool) -> None:
            await asyncio.sleep(0 if is_good else 60)
            raise OSError("simulated")

    reader, good = Deaf("deaf"), SimulatedReader("good")
    async with heard(reader, good) as (hub, told):
        for is_good in (True, False) * 10:
            hub.signal("deaf", is_good=is_good)
        hub.signal("nobody", is_good=True)
        await asyncio.sleep(0.05)
        hub.signal("good", is_good=False)
        reader.tap("04A1B2")
        await settled()
        assert good.signals == [False]
        assert isinstance(told[-1], Read)
