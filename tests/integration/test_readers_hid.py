"""The keyboard-like reader on a machine without one: its status, its thread, its end. Real keys are typed in the guest tests."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

import pytest

from daemon.devices.readers import hid
from daemon.devices.readers.hid import EVENTS_MAX, EvdevOptions, open_evdev
from daemon.devices.readers.inotify import Watch
from daemon.devices.readers.reading import Hiccup, Missed, Read, ReaderState, ReaderStatus
from daemon.system import SystemClock

NOBODY = "no reader is called this"
EVENT_S = 5


def reader(**options):
    return open_evdev(EvdevOptions(**({"name": "desk", "match": NOBODY} | options)), SystemClock())


async def first(one):
    """The first event, and the iterator."""
    events = one.events()
    return await asyncio.wait_for(anext(events), EVENT_S), events


async def test_without_its_device_a_reader_is_away():
    """Told at once; it waits without using the processor and ends within a tenth of a second, its thread with it."""
    event, events = await first(reader())
    assert event == ReaderStatus("desk", "evdev", ReaderState.AWAY, "unplugged")
    used_s = time.process_time()
    await asyncio.sleep(0.5)
    assert time.process_time() - used_s < 0.1
    started_s = time.monotonic()
    await events.aclose()
    assert time.monotonic() - started_s < 0.1
    assert not [thread for thread in threading.enumerate() if thread.name == "hid-desk"]


async def test_cancelled_it_leaves_no_thread():
    """Cancelling whoever follows it is enough."""
    one = reader()

    async def follow():
        async for _ in one.events():
            pass

    task = asyncio.create_task(follow())
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait({task}, timeout=EVENT_S)
    assert task.cancelled()
    assert not [thread for thread in threading.enumerate() if thread.name == "hid-desk"]


async def test_without_the_binding_it_is_told(monkeypatch):
    """No python-evdev: refused and not installed, not an error."""
    monkeypatch.setitem(sys.modules, "evdev", None)
    event, events = await first(reader())
    assert event == ReaderStatus("desk", "evdev", ReaderState.REFUSED, "not-installed")
    await events.aclose()


async def test_a_thread_that_fails_is_not_silent(monkeypatch):
    """Whatever goes wrong in the thread reaches whoever waits for cards."""

    def broken(**_):
        raise ZeroDivisionError

    monkeypatch.setattr("daemon.devices.readers.hid_thread.nodes", broken)
    with pytest.raises(ZeroDivisionError):
        await first(reader())


async def test_it_can_be_followed_again():
    """After an end, the same reader starts anew: its status comes first again."""
    one = reader()
    for _ in range(2):
        event, events = await first(one)
        assert event.code == "unplugged"
        await events.aclose()


async def test_taps_nobody_takes_are_forgotten_the_oldest_first():
    """A tap is not for later; what the reader is, is never forgotten."""
    one = reader()
    one._put(ReaderStatus("desk", "evdev", ReaderState.READY))
    for number in range(2 * EVENTS_MAX):
        one._take(f"{number:04d}")
    one._take(Hiccup.TORN)
    kept = [one._events.get_nowait() for _ in range(one._events.qsize())]
    assert len(kept) == EVENTS_MAX
    assert kept[0] == ReaderStatus("desk", "evdev", ReaderState.READY)
    assert kept[-2:] == [Read("desk", f"{2 * EVENTS_MAX - 1:04d}"), Missed("desk", Hiccup.TORN)]


async def test_a_signal_without_a_device_is_no_fault():
    """Before it starts and while nothing is plugged in."""
    one = reader()
    await one.signal(is_good=True)
    _, events = await first(one)
    await one.signal(is_good=False)
    await events.aclose()
    await one.signal(is_good=True)
    assert one.kind == hid.EvdevReader.kind


def test_a_new_entry_is_noticed(tmp_path):
    """A file that comes, changes its rights or goes wakes the watch; a directory that is missing is said so."""
    watch = Watch()
    try:
        assert not watch.add(tmp_path / "missing")
        assert watch.add(tmp_path)
        for change in (
            lambda: (tmp_path / "event0").touch(mode=0o600),
            lambda: (tmp_path / "event0").chmod(0o640),
            lambda: (tmp_path / "event0").unlink(),
        ):
            with pytest.raises(BlockingIOError):
                os.read(watch.fd, 1024)
            change()
            assert os.read(watch.fd, 1024)
            watch.drain()
    finally:
        watch.close()
