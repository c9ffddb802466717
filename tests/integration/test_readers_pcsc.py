"""Cards on PC/SC readers: real pcscd, real driver, cards of our own that behave and that do not."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

from daemon.devices.readers.pcsc import PcscOptions, PcscReader, open_pcsc
from daemon.devices.readers.reading import Hiccup, Missed, Read, ReaderState, ReaderStatus
from tests.helpers.pcscd import Desk, inside, pcsc_room  # noqa: F401  -- a fixture
from tests.helpers.vcard import ATR_CONTACT

HOLD_EXCLUSIVELY = """
import sys, time
from smartcard.scard import *
_, context = SCardEstablishContext(SCARD_SCOPE_SYSTEM)
for _ in range(200):
    result, card, _ = SCardConnect(context, sys.argv[1], SCARD_SHARE_EXCLUSIVE, SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1)
    if result == 0:
        break
    time.sleep(0.005)
print("held", flush=True)
sys.stdin.readline()
SCardDisconnect(card, SCARD_LEAVE_CARD)
print("let go", flush=True)
"""
LOOP_LAG_S_MAX = 0.8
"""How late the event loop may ever be while a reader hangs, on a busy machine; a frozen process is late by seconds."""
CLOSE_S_MAX = 0.5


@inside
async def test_numbers_of_every_length_are_read_as_they_are(desk: Desk) -> None:
    """Four, seven, eight and ten bytes come as upper-case hexadecimal in the reader's order, leading zeros kept."""
    await desk.watch()
    for uid in ("00a1b2c3", "04a1b2c3d4e5f6", "e0040150deadbeef", "04010203040506070809"):
        async with desk.tap(uid):
            assert await desk.read() == uid.upper()
    await desk.silence(0.5)


@inside
async def test_the_status_says_what_is_there(desk: Desk) -> None:
    """The first event is the status: ready, and the model without the place it is plugged in."""
    await desk.watch(first=None)
    assert await desk.status() == ReaderStatus("desk", "pcsc", ReaderState.READY, "", "Virtual PCD")


@inside
async def test_numbers_that_do_not_stay_are_refused_by_name(desk: Desk) -> None:
    """A random number (08...), a cut one (88...) and nothing but zeros are told by name and never handed on."""
    await desk.watch()
    for uid, why in (("08aabbcc", "card-random-uid"), ("8804a1b2", "card-no-number"), ("00000000", "card-no-number")):
        async with desk.tap(uid):
            assert await desk.missed() == why
    await desk.silence(0.3)


@inside
async def test_a_card_without_a_number_is_told(desk: Desk) -> None:
    """A contact card that knows no such command, in any of the usual words, is "no number", at once."""
    await desk.watch()
    for words in (b"\x6d\x00", b"\x6e\x00", b"\x6a\x81"):
        async with desk.tap("04a1b2c3", atr=ATR_CONTACT, answer=lambda _, words=words: words):
            assert await desk.missed(2) == "card-no-number"


@inside
async def test_a_card_that_wants_to_be_asked_differently_is(desk: Desk) -> None:
    """`6C nn` is asked again for nn bytes, `61 nn` is fetched; without end it is given up."""
    answers = {"ffca000000": b"\x6c\x04", "ffca000004": bytes.fromhex("04a1b2c39000")}
    await desk.watch()
    async with desk.tap("00", answer=lambda apdu: answers.get(apdu.hex(), b"\x6d\x00")):
        assert await desk.read() == "04A1B2C3"
    fetched = {"ffca000000": b"\x61\x07", "00c0000007": bytes.fromhex("04a1b2c3d4e5f69000")}
    async with desk.tap("00", answer=lambda apdu: fetched.get(apdu.hex(), b"\x6d\x00")):
        assert await desk.read() == "04A1B2C3D4E5F6"
    async with desk.tap("00", answer=lambda _: b"\x6c\x09") as card:
        assert await desk.missed() == "card-mute"
        assert len(card.apdus) < 20


@inside
async def test_garbage_from_a_card_is_bounded_and_never_a_number(desk: Desk) -> None:
    """64 KB, 300 bytes or one byte: a name for it within seconds, no read, and the next card works."""
    noises = (b"\x41" * 65533 + b"\x90\x00", os.urandom(300) + b"\x90\x00", b"\x90")
    await desk.watch()
    for noise in noises:
        async with desk.tap("00", answer=lambda _, noise=noise: noise):
            assert await desk.missed() in {"card-mute", "card-too-long", "card-no-number"}
        async with desk.tap("04a1b2c3"):
            assert await desk.read() == "04A1B2C3"
    assert desk.lag_s < LOOP_LAG_S_MAX


@inside
async def test_mute_cards_are_told_and_forgotten(desk: Desk) -> None:
    """No ATR, a garbage ATR or an oversized one: "hold it longer", and the next card is read."""
    await desk.watch()
    for atr in (b"", b"\xff" * 20, b"\x3b" + b"\xff" * 60):
        async with desk.tap("04a1b2c3", atr=atr):
            if atr:
                assert await desk.missed() == "card-mute"
            else:
                await asyncio.sleep(0.6)
        async with desk.tap("04d1d2d3"):
            assert await desk.read() == "04D1D2D3"


@inside
async def test_a_card_pulled_while_it_speaks_is_told(desk: Desk) -> None:
    """Gone in the middle of the answer: "hold it longer", once; then the card itself."""
    await desk.watch()
    async with desk.tap("04a1b2c3", answer=lambda _: None):
        assert await desk.missed() == "card-mute"
    async with desk.tap("04a1b2c3"):
        assert await desk.read() == "04A1B2C3"
    await desk.silence(0.5)


@inside
async def test_a_card_that_never_answers_stops_nobody(desk: Desk) -> None:
    """One reader hangs in its card: the person there is told, the other reader and the program go on."""
    await desk.watch()
    async with desk.tap("04a1b2c3", delay_s=20):
        async with desk.tap("04d1d2d3", slot=1):
            told = [await desk.event(), await desk.event()]
        assert Read("desk", "04D1D2D3") in told
        assert Missed("desk", Hiccup.MUTE) in told
    async with desk.tap("04a1b2c3"):
        assert await desk.read() == "04A1B2C3"
    assert desk.lag_s < LOOP_LAG_S_MAX


@inside
async def test_a_reader_used_elsewhere_is_waited_for_then_told(desk: Desk) -> None:
    """Another program holds the card: read when it lets go within two seconds, else "another program has it"."""
    await desk.watch("nothing fits this", first=ReaderState.AWAY)
    async with desk.tap("04a1b2c3"):
        holder = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOLD_EXCLUSIVELY, "Virtual PCD 00 00",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert await asyncio.wait_for(holder.stdout.readline(), 10) == b"held\n"
        await desk.unwatch()
        await desk.watch()
        assert await desk.missed() == "reader-busy"
        await desk.unwatch()
        await desk.watch()
        await asyncio.sleep(0.5)
        holder.stdin.write(b"\n")
        assert await desk.read() == "04A1B2C3"
        await holder.wait()


@inside
async def test_two_readers_are_read_at_once(desk: Desk) -> None:
    """Two cards within a moment on two readers are both read."""
    await desk.watch()
    async with desk.tap("04000001"), desk.tap("04000002", slot=1):
        assert {await desk.read(), await desk.read()} == {"04000001", "04000002"}
    await desk.silence(0.5)


@inside
async def test_a_card_held_is_one_read(desk: Desk) -> None:
    """A card that lies there stays one read, even while another program uses and resets it."""
    await desk.watch()
    async with desk.tap("04a1b2c3"):
        assert await desk.read() == "04A1B2C3"
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c",
            "from smartcard.scard import *\n"
            "_, c = SCardEstablishContext(SCARD_SCOPE_SYSTEM)\n"
            "for _ in range(3):\n"
            "    r, h, p = SCardConnect(c, 'Virtual PCD 00 00', SCARD_SHARE_SHARED, SCARD_PROTOCOL_T0 | SCARD_PROTOCOL_T1)\n"
            "    assert r == 0, r\n"
            "    SCardDisconnect(h, SCARD_RESET_CARD)\n",
        )  # fmt: skip
        assert await other.wait() == 0
        await desk.silence(2)


@inside
async def test_quick_taps_are_read_or_told_never_lost_in_silence(desk: Desk) -> None:
    """Five taps of half a second: each is a read or a word; taps too short for the driver may be unseen."""
    await desk.watch()
    told = []
    for number in range(5):
        async with desk.tap(f"0400{number:04x}"):
            await asyncio.sleep(0.5)
        told.append(await desk.event())
        await asyncio.sleep(0.45)
    reads = [event.raw for event in told if hasattr(event, "raw")]
    assert len(reads) >= 4
    assert reads == sorted(reads)


@inside
async def test_pcscd_killed_and_started_again(desk: Desk) -> None:
    """Kill -9, TERM, back again, three times: away, ready by itself, cards read; no thread is left over."""
    await desk.watch()
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        await desk.end_service(how)
        assert (await desk.until(ReaderState.AWAY)).code == "service-down"
        await asyncio.sleep(0.3)
        await desk.start_service()
        await desk.until(ReaderState.READY)
        async with desk.tap("04a1b2c3"):
            assert await desk.read() == "04A1B2C3"
    assert desk.threads("pcsc") == ["pcsc-monitor"]


@inside
async def test_pcscd_dies_under_a_card(desk: Desk) -> None:
    """The service is killed while a card is being asked: told as away, and everything works again after."""
    await desk.watch()
    async with desk.tap("04a1b2c3", delay_s=5):
        await asyncio.sleep(1)
        await desk.end_service(signal.SIGKILL)
        assert (await desk.until(ReaderState.AWAY)).code == "service-down"
    await desk.start_service()
    await desk.until(ReaderState.READY)
    async with desk.tap("04a1b2c3"):
        assert await desk.read() == "04A1B2C3"


@inside
async def test_a_service_that_comes_late_is_found(desk: Desk) -> None:
    """No pcscd at first, then one without readers, then one with: each is told, and the card is read."""
    await desk.end_service()
    await desk.watch(first=None)
    assert await desk.status() == ReaderStatus("desk", "pcsc", ReaderState.AWAY, "service-down")
    await desk.start_service(with_readers=False)
    status = await desk.status()
    assert (status.state, status.code) == (ReaderState.AWAY, "unplugged")
    await desk.end_service(signal.SIGKILL)
    assert await desk.status() == ReaderStatus("desk", "pcsc", ReaderState.AWAY, "service-down")
    await desk.start_service()
    await desk.until(ReaderState.READY)
    async with desk.tap("04a1b2c3"):
        assert await desk.read() == "04A1B2C3"


@inside
async def test_a_frozen_pcscd_freezes_nobody(desk: Desk) -> None:
    """Stopped, not dead: the event loop stays awake, a card waits, closing takes a second at most; then all is well."""
    await desk.watch()
    desk.pcscd.send_signal(signal.SIGSTOP)
    await asyncio.sleep(1)
    assert await desk.unwatch() < 1.5
    await desk.watch(first=ReaderState.AWAY)
    assert desk.lag_s < LOOP_LAG_S_MAX
    desk.pcscd.send_signal(signal.SIGCONT)
    await desk.until(ReaderState.READY)
    async with desk.tap("04a1b2c3"):
        assert await desk.read() == "04A1B2C3"


@inside
async def test_only_the_matching_reader_counts(desk: Desk) -> None:
    """A pattern picks one of two readers; the other's cards are nobody's business."""
    await desk.watch("virtual pcd * 01")
    async with desk.tap("04000001"):
        await desk.silence(1)
    async with desk.tap("04000002", slot=1):
        assert await desk.read() == "04000002"


@inside
async def test_a_reader_that_two_entries_fit_belongs_to_the_first(desk: Desk) -> None:
    """The entry opened first has the reader its pattern picks, a wider one after it the rest: each card is read once."""
    first = open_pcsc(PcscOptions(name="right", match="* 00 01"), desk.clock)
    rest = open_pcsc(PcscOptions(name="left"), desk.clock)
    told: asyncio.Queue = asyncio.Queue()

    async def listen(reader: PcscReader) -> None:
        async for event in reader.events():
            if isinstance(event, Read):
                told.put_nowait((event.reader, event.raw))

    tasks = [asyncio.create_task(listen(reader)) for reader in (first, rest)]
    try:
        async with desk.tap("04000001"), desk.tap("04000002", slot=1):
            async with asyncio.timeout(5):
                assert {await told.get(), await told.get()} == {("left", "04000001"), ("right", "04000002")}
            await asyncio.sleep(0.5)
            assert told.empty()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@inside
async def test_closing_is_quick_and_complete(desk: Desk) -> None:
    """While waiting, while a card is asked and right after opening: closed within half a second, no thread stays."""
    for pause_s in (0.0, 0.3, 1.0):
        await desk.watch(first=None)
        await asyncio.sleep(pause_s)
        assert await desk.unwatch() < CLOSE_S_MAX
    await desk.watch(first=None)
    async with desk.tap("04a1b2c3", delay_s=2):
        await asyncio.sleep(1)
        assert await desk.unwatch() < CLOSE_S_MAX
    began = time.monotonic()
    while desk.threads("pcsc") and time.monotonic() - began < 5:
        await asyncio.sleep(0.05)
    assert desk.threads("pcsc") == []


@inside
async def test_a_closed_reader_can_be_opened_again(desk: Desk) -> None:
    """The same object is used anew after it was closed: its status comes first again, and cards are read."""
    await desk.watch()
    await desk.unwatch()
    for _ in range(2):
        await desk.watch_again()
        async with desk.tap("04a1b2c3"):
            assert await desk.read() == "04A1B2C3"
        await asyncio.sleep(0.6)  # until the driver has seen that the card is gone
        await desk.unwatch()


@inside
async def test_what_a_card_says_is_in_no_log(desk: Desk) -> None:
    """Numbers appear in no line of the log and in no repr, for cards read, refused and noisy."""
    with desk.log() as lines:
        await desk.watch()
        for uid in ("04a1b2c3", "08a1b2c3"):
            async with desk.tap(uid):
                event = await desk.event()
                assert "A1B2C3" not in repr(event).upper()
        async with desk.tap("04a1b2c3", delay_s=5):
            await asyncio.sleep(0.7)
            await desk.end_service(signal.SIGKILL)
            await desk.until(ReaderState.AWAY)
        await asyncio.sleep(0.2)
    assert not [line for line in lines if "A1B2C3" in str(line).upper()]


@inside
async def test_a_reader_that_cannot_beep_stays_silent(desk: Desk) -> None:
    """An unknown make gets no command of ours, good or bad, and nothing is raised or waited for."""
    await desk.watch()
    async with desk.tap("04a1b2c3") as card:
        await desk.read()
        began = time.monotonic()
        await desk.reader.signal(is_good=True)
        await desk.reader.signal(is_good=False)
        assert time.monotonic() - began < 0.1
        assert set(card.apdus) == {bytes.fromhex("FFCA000000")}


@inside
async def test_a_reader_that_can_beep_does(desk: Desk) -> None:
    """On a reader of a known make the good and the bad signal reach it as its maker's commands, card or no card."""
    await desk.end_service()
    await desk.start_service(name="ACS ACR122U PICC Interface")
    await desk.watch()
    async with desk.tap("04a1b2c3") as card:
        await desk.read()
        await desk.reader.signal(is_good=True)
        await desk.reader.signal(is_good=False)
        assert [apdu.hex() for apdu in card.apdus[-2:]] == ["ff00400a0401000101", "ff0040500401010301"]
    await asyncio.sleep(0.5)
    await desk.reader.signal(is_good=True)
