"""Keyboards made by uinput type cards; the real reader reads them, alone, whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import json
import os
import sys
import time

import evdev
import pytest
from evdev import ecodes

from daemon.devices.readers.hid import EvdevOptions, open_evdev
from daemon.devices.readers.reading import Hiccup, Missed, Read, ReaderState, ReaderStatus
from daemon.system import SystemClock
from tests.guest.typist import Typist
from tests.helpers.keyboard import by_alt_codes, end, key, typed

NAME = "RF IDeas USB Keyboard"
EVENT_S = 8
QUIET_S = 0.7
SETTLED_S = 0.4
"""A reader is trusted once it was silent for its idle time."""
TRACKS = "%B4000001234567899^DOE/JOHN^25121010000?;4000001234567899=25121010000?"


class Desk:
    """One configured reader at work, and its events in order."""

    def __init__(self, **options) -> None:
        self.reader = open_evdev(EvdevOptions(**({"name": "desk", "match": f"{NAME}*"} | options)), SystemClock())
        self.events: asyncio.Queue = asyncio.Queue()

    async def __aenter__(self):
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _follow(self):
        async for event in self.reader.events():
            self.events.put_nowait((event, time.monotonic()))

    async def next(self):
        event, self.at_s = await asyncio.wait_for(self.events.get(), EVENT_S)
        return event

    async def until(self, state, code=""):
        """Its status, once it is that; nothing else may come in between."""
        while True:
            event = await self.next()
            assert isinstance(event, ReaderStatus), event
            if (event.state, event.code) == (state, code):
                await asyncio.sleep(SETTLED_S)
                return event

    async def expect_quiet(self):
        await asyncio.sleep(QUIET_S)
        assert self.events.empty(), self.events.get_nowait()


@pytest.fixture(scope="module")
def typist():
    """A process that types; it starts once."""
    one = Typist()
    yield one
    one.end()


@pytest.fixture
async def keyboard(typist):
    """A reader that is plugged in."""
    one = await typist.plug_in(NAME)
    yield one
    await one.unplug()


@pytest.mark.parametrize(
    ("layout", "terminator", "gap_s", "text"),
    [
        ("us", "enter", 0.0, "0004123456"),
        ("us", "enter", 0.002, "04A1B2C3D4E5F6"),
        ("us", "tab", 0.008, "04a1b2c3d4e5f6"),
        ("us", "idle", 0.01, "118-04123"),
        ("us", "enter", 0.02, ";1234567890?"),
        ("us", "enter", 0.001, TRACKS),
        ("de", "enter", 0.002, "Zy-04:A1/ß?=@{[]}\\^~|"),
        ("de", "idle", 0.005, TRACKS),
        ("fr", "enter", 0.002, "1234567890-_aqzwm;.@{[]}\\^"),
        ("fr", "tab", 0.001, TRACKS),
    ],
)
async def test_cards_are_read_as_typed(keyboard, layout, terminator, gap_s, text):
    """Digits, hexadecimal, whole magnetic stripes; each layout and terminator; from machine speed to 40 ms a character.

    At machine speed without scan codes: ten digits and Enter with them are more than the kernel keeps.
    """
    async with Desk(layout=layout, terminator=terminator) as desk:
        await desk.until(ReaderState.READY)
        for number in (text, text[::-1]):
            strokes = typed(number, layout) + end(terminator)
            last_key_s = await keyboard.type(strokes, gap_s=gap_s, has_scan_codes=gap_s > 0)
            assert await desk.next() == Read("desk", number)
            print(f"latency {1000 * (desk.at_s - last_key_s):.1f} ms after the last key ({terminator})")


async def test_alt_codes_and_the_keypad_are_read(keyboard):
    """Both layout-proof ways of typing."""
    async with Desk(layout="fr") as desk:
        await desk.until(ReaderState.READY)
        await keyboard.type(by_alt_codes("04-Az") + end("enter"), gap_s=0.002)
        assert await desk.next() == Read("desk", "04-Az")
        await keyboard.type(typed("0123456789", on_keypad=True) + end("enter"), gap_s=0.002)
        assert await desk.next() == Read("desk", "0123456789")


async def test_a_key_that_is_held_types_once(keyboard):
    """The kernel's own repeats, after a quarter of a second, are no digits."""
    async with Desk() as desk:
        await desk.until(ReaderState.READY)
        await keyboard.type([(ecodes.KEY_7, 1)])
        await asyncio.sleep(0.6)
        await keyboard.type([(ecodes.KEY_7, 0), *typed("89"), *end("enter")], gap_s=0.002)
        assert await desk.next() == Read("desk", "789")


async def test_nobody_else_hears_the_card(keyboard):
    """A program that listened before us hears the keys before the grab and none after it; others cannot grab it."""
    code = (
        f"import evdev\ndevice = evdev.InputDevice({keyboard.path!r})\nprint('ready', flush=True)\n"
        "for event in device.read_loop():\n    event.type == 1 and print(event.code, flush=True)\n"
    )
    spy = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    try:
        assert await spy.stdout.readline() == b"ready\n"
        await keyboard.type(key(ecodes.KEY_A))
        assert [await spy.stdout.readline() for _ in range(2)] == [b"30\n", b"30\n"]
        async with Desk() as desk:
            await desk.until(ReaderState.READY)
            await keyboard.type(typed("0004123456") + end("enter"), gap_s=0.001)
            assert await desk.next() == Read("desk", "0004123456")
            with contextlib.closing(evdev.InputDevice(keyboard.path)) as other, pytest.raises(OSError) as refused:
                other.grab()
            assert refused.value.errno == errno.EBUSY
        await keyboard.type(key(ecodes.KEY_B))
        assert await spy.stdout.readline() == b"48\n"  # let go again, and nothing was heard in between
    finally:
        spy.kill()
        await spy.wait()


async def test_a_reader_held_by_another_program_is_told_and_taken_when_free(keyboard):
    """Held elsewhere: said so, tried again, ready within two seconds of its release."""
    holder = evdev.InputDevice(keyboard.path, readonly=True)
    holder.grab()
    async with Desk() as desk:
        assert (await desk.until(ReaderState.AWAY, "held-elsewhere")).model == NAME
        holder.ungrab()
        await desk.until(ReaderState.READY)
        await keyboard.type(typed("42") + end("enter"))
        assert await desk.next() == Read("desk", "42")
    holder.close()


def freeze(seconds: float) -> None:
    """Stop every thread of this process: the interpreter's lock is held while the C library sleeps."""
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))


@pytest.mark.parametrize("terminator", ["enter", "idle"])
async def test_lost_keys_are_told_and_never_become_a_number(keyboard, terminator):
    """The kernel's buffer runs over while the program stands still: torn, nothing read, and the next card is whole."""
    async with Desk(terminator=terminator) as desk:
        await desk.until(ReaderState.READY)
        typing = asyncio.create_task(keyboard.type(typed("1234567890" * 4) + end(terminator), gap_s=0.001))
        await asyncio.sleep(0.01)
        freeze(1.5)
        await typing
        assert await desk.next() == Missed("desk", Hiccup.TORN)
        await desk.expect_quiet()
        await keyboard.type(typed("0004123456") + end(terminator), gap_s=0.002)
        assert await desk.next() == Read("desk", "0004123456")


async def test_a_busy_loop_loses_nothing(keyboard):
    """The event loop does not run for a second and a half; the thread reads on: forty digits arrive whole."""
    async with Desk() as desk:
        await desk.until(ReaderState.READY)
        typing = asyncio.create_task(keyboard.type(typed("1234567890" * 4) + end("enter"), gap_s=0.002))
        await asyncio.sleep(0.01)
        time.sleep(1.5)  # noqa: ASYNC251  -- the stall is the test
        await typing
        assert await desk.next() == Read("desk", "1234567890" * 4)


async def test_an_idle_flush_looks_at_the_buffer_first(keyboard):
    """The program stands still in the middle of a card without terminator, longer than its idle time: whole, not torn."""
    async with Desk(terminator="idle", idle_ms=250) as desk:
        await desk.until(ReaderState.READY)
        typing = asyncio.create_task(keyboard.type(typed("123456"), gap_s=0.03))
        await asyncio.sleep(0.1)
        freeze(1.0)
        await typing
        assert await desk.next() == Read("desk", "123456")
        await desk.expect_quiet()


async def test_unplugged_while_it_types(typist, keyboard):
    """Half a number is none. The reader is away, and back with its next plug; the next card is whole."""
    async with Desk() as desk:
        await desk.until(ReaderState.READY)
        await keyboard.type(typed("00041"))
        await keyboard.unplug()
        await desk.until(ReaderState.AWAY, "unplugged")
        again = await typist.plug_in(NAME)
        await desk.until(ReaderState.READY)
        await again.type(typed("0004123456") + end("enter"), gap_s=0.002)
        assert await desk.next() == Read("desk", "0004123456")
        await again.unplug()


async def test_opened_while_it_types(keyboard):
    """A reader taken in the middle of a card: torn, not the second half."""
    typing = asyncio.create_task(keyboard.type(typed("1234567890" * 8) + end("enter"), gap_s=0.02))
    await asyncio.sleep(0.5)
    async with Desk() as desk:
        assert isinstance(await desk.next(), ReaderStatus)
        assert await desk.next() == Missed("desk", Hiccup.TORN)
        await typing
        await desk.expect_quiet()


async def test_the_right_one_of_two_nodes(typist, keyboard):
    """A reader that shows buttons beside its keys: only the node that types digits is taken."""
    buttons = await typist.plug_in(f"{NAME} Consumer Control", is_media=True)
    async with Desk() as desk:
        assert (await desk.until(ReaderState.READY)).model == NAME
        with contextlib.closing(evdev.InputDevice(buttons.path)) as free:
            free.grab()
        await keyboard.type(typed("42") + end("enter"))
        assert await desk.next() == Read("desk", "42")
    async with Desk(match="*Consumer Control") as desk:
        await desk.until(ReaderState.REFUSED, "not-a-keyboard")
    await buttons.unplug()


async def test_two_readers_at_once(typist, keyboard):
    """Each under its own name, told apart by vendor and product."""
    other = await typist.plug_in("Barcode", product=0x0009)
    async with Desk(name="badges", match="0C27:3bfa") as badges, Desk(name="codes", match="0c27:0009") as codes:
        await badges.until(ReaderState.READY)
        await codes.until(ReaderState.READY)
        await asyncio.gather(
            keyboard.type(typed("1111111111") + end("enter"), gap_s=0.005),
            other.type(typed("2222222222") + end("enter"), gap_s=0.005),
        )
        assert await badges.next() == Read("badges", "1111111111")
        assert await codes.next() == Read("codes", "2222222222")
    await other.unplug()


async def test_plugged_in_later(typist):
    """Nothing there at first: away. Ready within a second of the plug, without udev's library."""
    async with Desk() as desk:
        assert await desk.next() == ReaderStatus("desk", "evdev", ReaderState.AWAY, "unplugged")
        plugged_s = time.monotonic()
        keyboard = await typist.plug_in(NAME)
        await desk.until(ReaderState.READY)
        print(f"ready {desk.at_s - plugged_s:.2f} s after the plug")
        assert desk.at_s - plugged_s < 3
        await keyboard.unplug()


async def test_not_allowed_and_then_allowed(keyboard):
    """Without the right to read it: refused, in that word. Once the rights change, taken at once."""
    os.chmod(keyboard.path, 0o600)
    code = '{"name":"desk","match":"RF IDeas*","user_id":65534}'
    listener = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.guest.listen", code, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(EVENT_S * 3):
            while b'"no-permission"' not in await listener.stdout.readline():
                pass
            os.chmod(keyboard.path, 0o644)
            assert b'"ready"' in await listener.stdout.readline()
    finally:
        listener.kill()
        await listener.wait()


async def test_lights_say_good_or_bad(typist):
    """One blink of Scroll Lock's lamp for good, three for bad; Caps and Num Lock are never touched."""
    keyboard = await typist.plug_in(NAME, has_lights=True)
    async with Desk() as desk:
        await desk.until(ReaderState.READY)
        await keyboard.lights()
        for is_good, blinks in ((True, 1), (False, 3)):
            await desk.reader.signal(is_good=is_good)
            await asyncio.sleep(1.2)
            assert await keyboard.lights() == [(ecodes.LED_SCROLLL, 1), (ecodes.LED_SCROLLL, 0)] * blinks
    await keyboard.unplug()


async def test_reader_list_tells_what_to_write(typist, keyboard):
    """`holdfast reader list`: what types digits, with its numbers and the line for udev; buttons are no reader."""
    buttons = await typist.plug_in(f"{NAME} Consumer Control", is_media=True)
    asked = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "daemon", "reader", "list", "--json", stdout=asyncio.subprocess.PIPE
    )
    listed = json.loads((await asked.communicate())[0])
    assert [one for one in listed["items"] if one["kind"] == "evdev"] == [
        {
            "kind": "evdev", "name": NAME, "model": NAME, "match": "0c27:3bfa", "links": [], "given": False,
            "udev_line": 'SUBSYSTEM=="input", ENV{ID_VENDOR_ID}=="0c27", ENV{ID_MODEL_ID}=="3bfa", ENV{HOLDFAST_READER}="1"',
        }
    ]  # fmt: skip
    await buttons.unplug()


async def test_it_closes_at_once(keyboard):
    """Cancelled, the reader has let go of its device within a tenth of a second."""
    async with Desk() as desk:
        await desk.until(ReaderState.READY)
        started_s = time.monotonic()
    assert time.monotonic() - started_s < 0.1
    with contextlib.closing(evdev.InputDevice(keyboard.path)) as free:
        free.grab()


async def test_it_costs_nothing_while_nobody_taps(keyboard):
    """A grabbed reader uses no processor time: under one hundredth of a second in three."""
    async with Desk() as desk:
        await desk.until(ReaderState.READY)
        before = time.process_time()
        await asyncio.sleep(3)
        used_s = time.process_time() - before
        print(f"idle: {1000 * used_s:.1f} ms of processor time in 3 s")
        assert used_s < 0.03
