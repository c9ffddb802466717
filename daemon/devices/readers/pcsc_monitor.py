"""The thread that waits for readers and cards: one context, one endless wait, ended only from outside. I/O.

What was learnt about PC/SC lite (1.9.9 and 2.3.3), each by experiment:
- The waiting context belongs to this thread. From outside only `SCardCancel` may be called on it; any other call, even
  to release it, takes the library's one lock for good.
- `SCardCancel` does nothing when nothing waits, and around a time-out it fails or is lost. So the wait has no time-out,
  and the cancelling is repeated until this thread has ended.
- When pcscd dies the wait returns at once with a communication error; the context is then dead and a new one is made.
- pyscard's own CardMonitor prints tracebacks and ends for good when pcscd restarts: it is not used.
- A frozen pcscd blocks every call, but none holds Python's lock: only threads wait, never the process.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from daemon.devices.readers.pcsc_calls import Code, plain
from daemon.devices.readers.pcsc_states import DEVICES_MAX, PNP, UNAWARE, Change, change, next_state

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

BACKOFF_S, BACKOFF_MAX_S = 0.1, 3.0
"""Between tries to reach the service: doubled each time. A restart is noticed soon, an absence costs nothing."""
AGAIN_S = 0.05
"""After a reader vanished between being listed and being looked at; doubled like the other."""
CANCEL_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Up:
    """The service answers and these readers match; told again whenever they change."""

    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Down:
    """The service does not answer: a PC/SC result code."""

    code: int


Told = Up | Down | Change


class Monitor:
    """Runs from `start` to `stop`; `tell` is called in its thread with everything that happens."""

    def __init__(self, scard: Any, *, tell: Callable[[Told], None], is_wanted: Callable[[str], bool]) -> None:
        self._scard, self._tell, self._is_wanted = scard, tell, is_wanted
        self._stopping, self._ended = threading.Event(), threading.Event()
        self._context: Any = None

    def start(self) -> None:
        # A daemon thread: a pcscd that hangs for ever must not keep the process from ending.
        threading.Thread(target=self._run, name="pcsc-monitor", daemon=True).start()

    def stop(self, limit_s: float) -> bool:
        """End the thread; False when it is still stuck in a call after `limit_s`. Blocks: call it in a thread."""
        self._stopping.set()
        rounds = max(1, int(limit_s / CANCEL_EVERY_S))
        for _ in range(rounds):
            context = self._context
            if context is not None:
                self._scard.SCardCancel(context)
            if self._ended.wait(CANCEL_EVERY_S):
                return True
        return False

    def _run(self) -> None:
        backoff_s, told, before = BACKOFF_S, 0, 0
        while not self._stopping.is_set():
            try:
                code, has_worked = self._round()
            except Exception as error:
                # Whatever a binding raises, the readers come back: a monitor that ends is a terminal without cards.
                log.exception("pcsc.monitor_failed", error=type(error).__name__)
                code, has_worked = Code.SERVICE_STOPPED, False
            if has_worked:
                backoff_s, told = BACKOFF_S, 0
            # "Not allowed" is also what a service looks like that dies while it greets: only the second time is it so.
            code, before = (Code.NO_SERVICE if code == Code.SECURITY_VIOLATION != before else code), code
            if not self._stopping.is_set() and code != told:
                self._tell(Down(code))
                told = code
            self._stopping.wait(backoff_s)
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
        self._ended.set()

    def _round(self) -> tuple[int, bool]:
        """One context's life: why it ended, and whether it had worked at all."""
        result, context = self._scard.SCardEstablishContext(self._scard.SCARD_SCOPE_SYSTEM)
        if plain(result) != Code.SUCCESS:
            return plain(result), False
        self._context = context
        try:
            return self._watch(context)
        finally:
            self._context = None
            self._scard.SCardReleaseContext(context)

    def _watch(self, context: Any) -> tuple[int, bool]:
        """Until the service fails or `stop`: the result code, and whether it had worked at all."""
        states: dict[str, int] = {PNP: UNAWARE}
        told: tuple[str, ...] | None = None
        again_s = AGAIN_S
        while not self._stopping.is_set():
            result, listed = self._scard.SCardListReaders(context, [])
            code = plain(result)
            if code not in (Code.SUCCESS, Code.NO_READERS):
                return code, told is not None
            devices = tuple(name for name in listed or () if self._is_wanted(name))[:DEVICES_MAX]
            states = {PNP: states[PNP]} | {name: states.get(name, UNAWARE) for name in devices}
            if devices != told:
                self._tell(Up(devices))
                told = devices
            result, seen = self._scard.SCardGetStatusChange(context, self._scard.INFINITE, list(states.items()))
            code = plain(result)
            if code in (Code.UNKNOWN_READER, Code.TIMEOUT):
                self._stopping.wait(again_s)
                again_s = min(again_s * 2, BACKOFF_MAX_S)
                continue
            if code != Code.SUCCESS:
                return code, True
            again_s = AGAIN_S
            self._take(states, seen)
        return Code.CANCELLED, True

    def _take(self, states: dict[str, int], seen: list[tuple[str, int, list[int]]]) -> None:
        """Remember the new states whole, counters and all, and tell what they mean."""
        for name, event_state, atr in seen:
            old = states.get(name, UNAWARE)
            states[name] = next_state(event_state)
            if name != PNP:
                happened = change(name, old, event_state, bytes(atr))
                if happened is not None:
                    self._tell(happened)
