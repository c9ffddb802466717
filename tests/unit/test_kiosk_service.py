"""The terminal program tells the service manager that it serves and that its loop is alive."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from kiosk import service


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """The manager's end of the notify socket, named in the environment."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", channel.getsockname())
        yield channel


def test_a_state_arrives(manager):
    """One state is one datagram."""
    service.notify("READY=1")
    assert manager.recv(100) == b"READY=1"


def test_an_abstract_socket_is_understood(monkeypatch):
    """`@name` is Linux's abstract namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        name = f"holdfast-kiosk-test-{os.getpid()}"
        channel.bind(f"\0{name}")
        channel.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        service.notify("READY=1")
        assert channel.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "vsock:2:1", "/nowhere/notify"])
def test_without_a_manager_nothing_happens(monkeypatch, address):
    """No manager, one of another kind, or one that is gone: the terminal goes on."""
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert service.notify("READY=1") is None


async def test_the_watchdog_is_fed_until_cancelled(manager, monkeypatch):
    """Twice per interval, from the loop."""
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    feeding = asyncio.create_task(service.feed_watchdog())
    told = [await asyncio.to_thread(manager.recv, 100) for _ in range(2)]
    feeding.cancel()
    assert told == [b"WATCHDOG=1", b"WATCHDOG=1"]


@pytest.mark.parametrize(("allowed", "watched"), [("", ""), ("0", ""), ("many", ""), ("4000000", "1")])
async def test_nobody_watches(monkeypatch, allowed, watched):
    """Without a watchdog, or with one for another process, feeding ends at once."""
    monkeypatch.setenv("WATCHDOG_USEC", allowed)
    if watched:
        monkeypatch.setenv("WATCHDOG_PID", watched)
    assert await service.feed_watchdog() is None
