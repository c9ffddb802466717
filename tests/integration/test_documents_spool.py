"""The spool on a real disk: durable, sealed, constant in memory, empty-handed after a failure."""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from daemon.jobs.spool import DocumentDamaged, DocumentGone, DocumentTooLarge, Spool, SpoolEntry
from daemon.jobs.spool_seal import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES
from daemon.kernel.errors import StorageFull
from daemon.system import SystemClock, SystemDice

MIB = 1 << 20
DAY_US = 86_400_000_000


class StepClock(SystemClock):
    """The system's clock, moved by whole days."""

    days = 0

    def now_us(self) -> int:
        return super().now_us() + self.days * DAY_US

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.days * 86_400.0


async def stream(data: bytes, size: int = 65_536):
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def whole(spool: Spool, entry: SpoolEntry) -> bytes:
    return b"".join([chunk async for chunk in spool.read(entry)])


@pytest.fixture
async def clock():
    return StepClock()


@pytest.fixture
async def spool(tmp_path, clock):
    made = Spool(tmp_path / "spool", tmp_path / "keys", clock, SystemDice())
    yield made
    await made.close()


def files(tmp_path) -> list:
    return [p for p in (tmp_path / "spool").rglob("*") if p.is_file()]


@pytest.mark.parametrize("octets", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * MIB + 77])
async def test_what_was_written_is_read(spool, octets):
    """A document of any size, also around chunk borders, comes back byte for byte."""
    data = os.urandom(octets)
    entry = await spool.write(stream(data), bytes_max=1 << 30)
    assert (entry.octets, entry.head) == (octets, data[:1024])
    assert await whole(spool, entry) == data


async def test_nothing_readable_on_disk_and_nothing_for_others(spool, tmp_path):
    """Neither the document nor its key is on the disk in the clear; files are for the owner alone."""
    marker = b"A-VERY-SECRET-MARKER" * 100
    entry = await spool.write(stream(marker), bytes_max=MIB)
    for path in [p for p in tmp_path.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o077 == 0, path
        if path.is_file():
            assert b"SECRET-MARKER" not in path.read_bytes()
    assert len(entry.wrapped_key) == 12 + 32 + 16


async def test_damage_is_refused_before_the_first_byte(spool, tmp_path):
    """Flipped, cut at a chunk border, reordered, lengthened: refused, and no byte is given out first."""
    data = os.urandom(3 * CHUNK_BYTES + 5)
    entry = await spool.write(stream(data), bytes_max=1 << 30)
    (path,) = files(tmp_path)
    good = path.read_bytes()
    sealed = CHUNK_BYTES + TAG_BYTES
    first, second = good[HEADER_BYTES : HEADER_BYTES + sealed], good[HEADER_BYTES + sealed : HEADER_BYTES + 2 * sealed]
    rest = good[HEADER_BYTES + 2 * sealed :]
    head = good[:HEADER_BYTES]
    damaged = {
        "flipped": good[:-100] + bytes([good[-100] ^ 1]) + good[-99:],
        "reordered": head + second + first + rest,
        "repeated": head + first + first + rest,
        "header": b"HFSPOOL2" + good[8:],
        "longer": good + b"x",
        "empty": b"",
    }
    for what, content in damaged.items():
        path.write_bytes(content)
        got = []

        async def take_all(into=got):
            async for chunk in spool.read(entry):
                into.append(chunk)  # noqa: PERF401 -- what came before the error counts

        with pytest.raises(DocumentDamaged):
            await take_all()
        assert got == [], what
    cut = good[: HEADER_BYTES + 2 * sealed]
    path.write_bytes(cut)
    with pytest.raises(DocumentDamaged):
        await whole(spool, replace(entry, octets=2 * CHUNK_BYTES))
    path.write_bytes(good)
    assert await whole(spool, entry) == data


async def test_a_file_opens_only_under_its_own_name_and_key(spool, tmp_path):
    """Two documents swapped on disk open neither; a wrapped key of another job does not fit."""
    one = await spool.write(stream(b"one" * 10), bytes_max=MIB)
    two = await spool.write(stream(b"two" * 10), bytes_max=MIB)
    with pytest.raises(DocumentDamaged):
        await whole(spool, replace(one, wrapped_key=two.wrapped_key))
    a, b = tmp_path / "spool" / one.day / one.name, tmp_path / "spool" / two.day / two.name
    content = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(content)
    with pytest.raises(DocumentDamaged):
        await whole(spool, one)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a" * 26 + "/..", "A" * 26, "a\0" * 13])
async def test_names_are_server_made(spool, name):
    """A name that this spool cannot have made never reaches the file system."""
    entry = await spool.write(stream(b"x"), bytes_max=MIB)
    with pytest.raises(DocumentDamaged):
        await whole(spool, replace(entry, name=name))


async def test_too_large_leaves_nothing(spool, tmp_path):
    """One byte too many is refused and no file stays behind."""
    with pytest.raises(DocumentTooLarge) as caught:
        await spool.write(stream(bytes(3 * MIB + 1)), bytes_max=3 * MIB)
    assert caught.value.data["bytes_max"] == 3 * MIB
    await asyncio.sleep(0.05)
    assert files(tmp_path) == []


async def test_a_broken_upload_leaves_nothing(spool, tmp_path):
    """When the client goes away, or the task is cancelled in the middle, the partial file goes too."""

    async def broken():
        yield bytes(2 * MIB)
        raise ConnectionResetError("client gone")

    async def endless():
        while True:
            yield bytes(MIB)

    with pytest.raises(ConnectionResetError):
        await spool.write(broken(), bytes_max=1 << 30)
    task = asyncio.create_task(spool.write(endless(), bytes_max=1 << 40))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.1)
    assert files(tmp_path) == []


async def test_full_disk_is_said_and_recovers(tmp_path, clock):
    """Without room it says so before and at a write, retryable, and logs it once; with room again the spool works."""
    spool = Spool(tmp_path / "spool", tmp_path / "keys", clock, SystemDice(), free_bytes_min=1 << 60)
    assert not await spool.has_room()
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(StorageFull):
                await spool.write(stream(b"x" * 100), bytes_max=MIB)
        assert files(tmp_path) == []
        spool._free_bytes_min = 0
        assert await spool.has_room()
        entry = await spool.write(stream(b"x" * 100), bytes_max=MIB)
    assert await whole(spool, entry) == b"x" * 100
    assert [line["event"] for line in logs if line["event"].startswith("spool.")] == ["spool.full", "spool.has-room"]
    await spool.close()


async def test_enospc_in_the_middle_removes_the_partial_file(spool, tmp_path, monkeypatch):
    """When the disk fills up during a write, the partial file is removed."""
    real, calls = os.write, []

    def filling(handle, data):
        calls.append(len(data))
        if sum(calls) > 2 * MIB:
            raise OSError(28, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr("daemon.jobs.spool_file.os.write", filling)
    with pytest.raises(StorageFull):
        await spool.write(stream(bytes(8 * MIB)), bytes_max=1 << 30)
    assert files(tmp_path) == []


async def test_a_days_key_dies_with_its_last_document(spool, tmp_path, clock):
    """Yesterday's key outlives its first document's deletion and not its last's; today's key stays."""
    one = await spool.write(stream(b"one"), bytes_max=MIB)
    two = await spool.write(stream(b"two"), bytes_max=MIB)
    key = tmp_path / "keys" / f"spool-{one.day}.key"
    assert key.stat().st_size == 32
    clock.days = 1
    three = await spool.write(stream(b"three"), bytes_max=MIB)
    await spool.delete(one)
    assert key.exists()
    with pytest.raises(DocumentGone):
        await whole(spool, one)
    await spool.delete(two)
    assert not key.exists()
    await spool.delete(two)
    assert three.day != one.day
    assert await whole(spool, three) == b"three"
    with pytest.raises(DocumentDamaged):
        await whole(spool, two)


async def test_sweep_removes_orphans_and_names_the_missing(spool, tmp_path, clock):
    """After a crash: files without a row go, rows without a file are named, keys nobody needs are destroyed."""
    kept = await spool.write(stream(b"kept"), bytes_max=MIB)
    orphan = await spool.write(stream(b"orphan"), bytes_max=MIB)
    result = await spool.sweep({kept.name, "b" * 26}, {kept.day})
    assert (result.removed, result.missing) == ((), ("b" * 26,))
    after_restart = Spool(tmp_path / "spool", tmp_path / "keys", clock, SystemDice())
    result = await after_restart.sweep({kept.name}, {kept.day})
    assert result.removed == (orphan.name,)
    assert await whole(after_restart, kept) == b"kept"
    clock.days = 2
    result = await after_restart.sweep(set(), set())
    assert result.removed == (kept.name,)
    assert result.days_destroyed == (kept.day,)
    assert list((tmp_path / "keys").iterdir()) == []
    await after_restart.close()


async def test_many_at_once(spool):
    """Forty documents written at the same time are forty documents."""
    entries = await asyncio.gather(*(spool.write(stream(bytes([i]) * 1000), bytes_max=MIB) for i in range(40)))
    assert len({e.name for e in entries}) == 40
    for i, entry in enumerate(entries):
        assert await whole(spool, entry) == bytes([i]) * 1000
