"""The thread that reads keyboard-like readers: it finds them, takes each for itself alone, and decodes their keys. I/O.

A thread of its own, because the kernel keeps 64 events a device, some ten digits of a USB reader: an event loop that is
busy while a card types would lose it. It waits in select only, which lets go of the interpreter's lock; a blocking read
of python-evdev does not. Everything it learns it gives to `tell`; nothing here knows the event loop.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import selectors
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from daemon.devices.readers.inotify import Watch
from daemon.devices.readers.input_nodes import DEV_INPUT, LINK_DIRECTORIES, InputNode, is_match, nodes
from daemon.devices.readers.keystrokes import Decoder, Outcome, Terminator
from daemon.devices.readers.reading import ReaderState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.kernel.clock import Clock

RETRY_S = 1.0
"""A device that is there but cannot be taken (held by another program, not readable yet) is tried again after this."""
BLINK_S = 0.12
BLINKS_GOOD, BLINKS_BAD = 1, 3
TONE_GOOD_HZ, TONE_BAD_HZ = 2000, 400
US_PER_S = 1_000_000

_EVIOCSCLOCKID = 0x400445A0  # linux/input.h: _IOW('E', 0xa0, int)
_GONE = frozenset({errno.ENODEV, errno.ENOENT, errno.ENXIO, errno.EBADF})


@dataclass(frozen=True, slots=True)
class Standing:
    """How the devices behind one name are, together."""

    state: ReaderState
    code: str = ""
    model: str = ""


@dataclass(slots=True)
class _Device:
    """A device that is ours alone."""

    node: InputNode
    handle: Any
    decoder: Decoder
    has_event_time: bool


@dataclass(slots=True)
class _Signal:
    """Lights and tones still to be switched: (when, on or off)."""

    is_good: bool = True
    steps: list[tuple[float, bool]] = field(default_factory=list)


class HidThread(threading.Thread):
    """Reads every device `match` means until `stop`; tells changes of `Standing`, reads and hiccups as they come."""

    def __init__(
        self, *, name: str, match: str, layout: str, terminator: Terminator, idle_s: float, feedback: bool,
        clock: Clock, tell: Callable[[Standing | Outcome | BaseException], None],
    ) -> None:  # fmt: skip
        super().__init__(name=f"hid-{name}", daemon=True)
        self._match, self._clock, self._tell, self._feedback = match, clock, tell, feedback
        self._layout, self._terminator, self._idle_s = layout, terminator, idle_s
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._is_stopping = False
        self._wanted_signal: bool | None = None
        self._signal = _Signal()
        self._devices: dict[int, _Device] = {}
        self._standing: Standing | None = None
        self._retry_at_s: float | None = None
        self._denied_since_s: dict[Path, float] = {}

    def stop(self) -> None:
        """End the thread; every device is let go."""
        self._is_stopping = True
        self._wake()

    def signal(self, *, is_good: bool) -> None:
        """Blink or beep, where the devices can; returns at once."""
        self._wanted_signal = is_good
        self._wake()

    def run(self) -> None:
        watch, selector = None, selectors.DefaultSelector()
        try:
            watch = Watch()
            selector.register(watch.fd, selectors.EVENT_READ)
            selector.register(self._wake_fd, selectors.EVENT_READ)
            self._look(watch, selector)
            while not self._is_stopping:
                self._turn(watch, selector)
        except Exception as error:
            self._tell(error)  # whoever waits for events fails with it: a reader must not die unnoticed
        finally:
            for device in list(self._devices.values()):
                self._let_go(device, selector)
            selector.close()
            if watch is not None:
                watch.close()
            os.close(self._wake_fd)

    def _wake(self) -> None:
        try:
            os.eventfd_write(self._wake_fd, 1)
        except OSError:
            return  # the thread has ended

    def _turn(self, watch: Watch, selector: selectors.BaseSelector) -> None:
        """Wait for whatever comes next, and deal with it."""
        ready = [key.fd for key, _ in selector.select(self._timeout_s())]
        must_look = False
        for fd in ready:
            if fd == self._wake_fd:
                os.eventfd_read(fd)
            elif fd == watch.fd:
                watch.drain()
                must_look = True
            elif fd in self._devices and not self._read(self._devices[fd]):
                self._let_go(self._devices[fd], selector)
                must_look = True
        self._hear_silence()
        self._switch()
        if must_look or (self._retry_at_s is not None and self._clock.monotonic_s() >= self._retry_at_s):
            self._look(watch, selector)

    def _timeout_s(self) -> float | None:
        due = [device.decoder.due_s for device in self._devices.values()]
        steps = self._signal.steps
        waits = [at for at in (*due, self._retry_at_s, steps[0][0] if steps else None) if at is not None]
        return max(0.0, min(waits) - self._clock.monotonic_s()) if waits else None

    def _read(self, device: _Device) -> bool:
        """What the device has typed; False when it went away: what it had typed so far goes with it."""
        from evdev import ecodes

        try:
            events = list(device.handle.read())
        except BlockingIOError:
            return True
        except OSError:
            return False
        for event in events:
            at_s = event.sec + event.usec / US_PER_S if device.has_event_time else self._clock.monotonic_s()
            outcomes: list[Outcome] = []
            if event.type == ecodes.EV_KEY:
                outcomes = device.decoder.feed(event.code, event.value, at_s)
            elif event.type == ecodes.EV_SYN and event.code == ecodes.SYN_DROPPED:
                outcomes = device.decoder.dropped(at_s)
            for outcome in outcomes:
                self._tell(outcome)
        return True

    def _hear_silence(self) -> None:
        for device in self._devices.values():
            due_s = device.decoder.due_s
            if due_s is None or self._clock.monotonic_s() < due_s:
                continue
            # Keys may have come while this thread did not run: then they, not this moment, say what was silent.
            is_more_waiting = bool(select.select([device.handle.fd], [], [], 0)[0])
            for outcome in device.decoder.silence(self._clock.monotonic_s(), is_more_waiting=is_more_waiting):
                self._tell(outcome)

    def _look(self, watch: Watch, selector: selectors.BaseSelector) -> None:
        """Take what is there and is not ours yet, and tell how things stand."""
        # No input device at all: the directory comes with the first one.
        is_watching = watch.add(DEV_INPUT) or watch.add(DEV_INPUT.parent)
        for name in LINK_DIRECTORIES:
            watch.add(DEV_INPUT / name)
        ours = {device.node.path for device in self._devices.values()}
        wanted = [node for node in nodes() if is_match(self._match, node)]
        there = {node.path for node in wanted}
        self._denied_since_s = {path: at for path, at in self._denied_since_s.items() if path in there}
        problems: list[tuple[str, str]] = []
        for node in wanted:
            if not node.types_digits or node.path in ours:
                continue
            code = self._take(node, selector)
            if code:
                problems.append((code, node.name))
        self._retry_at_s = self._clock.monotonic_s() + RETRY_S if problems or not is_watching else None
        standing = _standing([device.node.name for device in self._devices.values()], problems, wanted)
        if standing != self._standing:
            self._standing = standing
            self._tell(standing)

    def _take(self, node: InputNode, selector: selectors.BaseSelector) -> str:
        """Open a device for this program alone; what stands in the way, or nothing."""
        import evdev

        handle = None
        try:
            handle = evdev.InputDevice(str(node.path), readonly=not self._feedback)
            handle.grab()
            has_event_time = _use_monotonic_time(handle.fd)
            selector.register(handle.fd, selectors.EVENT_READ)
        except OSError as error:
            if handle is not None:
                handle.close()
            if isinstance(error, PermissionError):
                return self._denied(node.path)
            if error.errno in _GONE:
                return "unplugged"
            return "held-elsewhere" if error.errno == errno.EBUSY else "failed"
        self._denied_since_s.pop(node.path, None)
        decoder = Decoder(layout=self._layout, terminator=self._terminator, idle_s=self._idle_s)
        decoder.opened(self._clock.monotonic_s())
        self._devices[handle.fd] = _Device(node, handle, decoder, has_event_time)
        return ""

    def _denied(self, path: Path) -> str:
        """A new node is root's until udev has looked at it: that is no refusal yet."""
        now_s = self._clock.monotonic_s()
        since_s = self._denied_since_s.setdefault(path, now_s)
        return "no-permission" if now_s - since_s >= RETRY_S else "unplugged"

    def _let_go(self, device: _Device, selector: selectors.BaseSelector) -> None:
        del self._devices[device.handle.fd]
        selector.unregister(device.handle.fd)
        device.handle.close()

    def _switch(self) -> None:
        """Lights and tones that are due."""
        if self._wanted_signal is not None:
            blinks = BLINKS_GOOD if self._wanted_signal else BLINKS_BAD
            now_s = self._clock.monotonic_s()
            steps = [(now_s + index * BLINK_S, index % 2 == 0) for index in range(2 * blinks)]
            self._signal, self._wanted_signal = _Signal(self._wanted_signal, steps), None
        while self._signal.steps and self._signal.steps[0][0] <= self._clock.monotonic_s():
            _, is_on = self._signal.steps.pop(0)
            for device in self._devices.values():
                _light(device.handle, is_on=is_on, is_good=self._signal.is_good)


def _standing(ours: list[str], problems: list[tuple[str, str]], wanted: list[InputNode]) -> Standing:
    """One word for all devices of a name: ready when one is; else the gravest thing that stands in the way."""
    if ours:
        return Standing(ReaderState.READY, model=", ".join(sorted(set(ours))))
    ranks = {"no-permission": ReaderState.REFUSED, "held-elsewhere": ReaderState.AWAY, "failed": ReaderState.AWAY}
    for code, state in ranks.items():
        names = sorted({name for problem, name in problems if problem == code})
        if names:
            return Standing(state, code, ", ".join(names))
    if wanted and not any(node.types_digits for node in wanted):
        return Standing(ReaderState.REFUSED, "not-a-keyboard", ", ".join(sorted({node.name for node in wanted})))
    return Standing(ReaderState.AWAY, "unplugged")


def _use_monotonic_time(fd: int) -> bool:
    """Have the kernel stamp this device's events with the clock that never steps."""
    try:
        fcntl.ioctl(fd, _EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))
    except OSError:
        return False
    return True


def _light(handle: Any, *, is_on: bool, is_good: bool) -> None:
    """Scroll Lock's lamp or a tone. Never Caps or Num Lock's: readers look at those and type differently."""
    from evdev import EvdevError, ecodes

    able = handle.capabilities(absinfo=False)
    try:
        for led in (ecodes.LED_MISC, ecodes.LED_SCROLLL):
            if led in able.get(ecodes.EV_LED, ()):
                handle.write(ecodes.EV_LED, led, int(is_on))
        if ecodes.SND_TONE in able.get(ecodes.EV_SND, ()):
            tone = TONE_GOOD_HZ if is_good else TONE_BAD_HZ
            handle.write(ecodes.EV_SND, ecodes.SND_TONE, tone if is_on else 0)
        elif ecodes.SND_BELL in able.get(ecodes.EV_SND, ()):
            handle.write(ecodes.EV_SND, ecodes.SND_BELL, int(is_on))
        handle.write(ecodes.EV_SYN, ecodes.SYN_REPORT, 0)
    except (OSError, EvdevError):
        return  # read-only here, or just unplugged: a missing light stops nobody
