"""A process of its own that types on a keyboard made by uinput, as a reader's firmware does.

Each line on stdin is one order as JSON, each line on stdout its answer.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from typing import Any

from evdev import UInput, ecodes

from daemon.devices.readers.layouts import LAYOUTS
from tests.helpers.keyboard import ENDINGS

MEDIA_KEYS = (ecodes.KEY_MUTE, ecodes.KEY_VOLUMEUP, ecodes.KEY_POWER)
TYPING_KEYS = sorted({*LAYOUTS["us"].keys, *ENDINGS.values(), *range(1, 128)})
VENDOR, PRODUCT = 0x0C27, 0x3BFA
STOP_S = 20


class Typist:
    """The test's side of the process: plugs keyboards in. One is enough for many tests, each with its own keyboards."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.guest.typist"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._turn = threading.Lock()

    async def plug_in(
        self, name: str, *, product: int = PRODUCT, is_media: bool = False, has_lights: bool = False
    ) -> Keyboard:
        """A keyboard of that name; with `is_media` the button-only second node many readers show."""
        made = await self.order(plug=name, product=product, is_media=is_media, has_lights=has_lights)
        return Keyboard(self, made["path"])

    async def order(self, **order: Any) -> dict[str, Any]:
        """Have it done, without stopping the event loop; its answer."""
        return await asyncio.to_thread(self._order, order)

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        with self._turn:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        """Every keyboard goes with it."""
        self._process.stdin.close()
        self._process.wait(STOP_S)


class Keyboard:
    """One keyboard that is plugged in."""

    def __init__(self, typist: Typist, path: str) -> None:
        self.path = path
        self._typist = typist

    async def type(self, strokes: list[tuple[int, int]], *, gap_s: float = 0.002, has_scan_codes: bool = True) -> float:
        """Type; the monotonic time at which the last key was down. USB keyboards send a scan code with each edge."""
        answer = await self._typist.order(path=self.path, strokes=strokes, gap_s=gap_s, has_scan_codes=has_scan_codes)
        return float(answer["at_s"])

    async def lights(self) -> list[tuple[int, int]]:
        """What was switched on it since it was last asked: LED and whether it is on."""
        return [tuple(pair) for pair in (await self._typist.order(path=self.path, lights=True))["lights"]]

    async def unplug(self) -> None:
        await self._typist.order(path=self.path, unplug=True)


def _keyboard(made: dict[str, Any]) -> UInput:
    able = {ecodes.EV_KEY: list(MEDIA_KEYS) if made["is_media"] else TYPING_KEYS, ecodes.EV_MSC: [ecodes.MSC_SCAN]}
    if made["has_lights"]:
        able[ecodes.EV_LED] = [ecodes.LED_NUML, ecodes.LED_CAPSL, ecodes.LED_SCROLLL]
    return UInput(able, name=made["plug"], vendor=VENDOR, product=made["product"], version=0x110)


def _type(keyboard: UInput, order: dict[str, Any]) -> float:
    at_s = 0.0
    for code, value in order["strokes"]:
        if order["has_scan_codes"]:
            keyboard.write(ecodes.EV_MSC, ecodes.MSC_SCAN, 0x70000 + code)
        keyboard.write(ecodes.EV_KEY, code, value)
        if value:
            at_s = time.monotonic()
        keyboard.syn()
        if order["gap_s"]:
            time.sleep(order["gap_s"])
    return at_s


def _lights(keyboard: UInput) -> list[tuple[int, int]]:
    switched = []
    while (event := keyboard.read_one()) is not None:
        if event.type == ecodes.EV_LED:
            switched.append((event.code, event.value))
    return switched


def _do(keyboards: dict[str, UInput], order: dict[str, Any]) -> dict[str, Any]:
    if "plug" in order:
        made = _keyboard(order)
        keyboards[made.device.path] = made
        return {"path": made.device.path}
    if "unplug" in order:
        if order["path"] in keyboards:
            keyboards.pop(order["path"]).close()
        return {}
    keyboard = keyboards[order["path"]]
    return {"lights": _lights(keyboard)} if "lights" in order else {"at_s": _type(keyboard, order)}


def main() -> None:
    """The typing side."""
    keyboards: dict[str, UInput] = {}
    for line in sys.stdin:
        print(json.dumps(_do(keyboards, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
