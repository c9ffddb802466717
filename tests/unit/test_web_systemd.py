"""The daemon and the service manager understand each other: readiness, watchdog, handed-over sockets."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from daemon.web import systemd


@pytest.fixture
def manager(tmp_path):
    """The manager's end of the notify socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(5)
        yield channel


def test_states_arrive_in_one_message(manager):
    """Several states are one datagram of lines; a line break in a text cannot forge another state."""
    environment = {"NOTIFY_SOCKET": manager.getsockname()}
    assert systemd.notify("READY=1", "STATUS=two\nWATCHDOG=1", environment=environment)
    assert manager.recv(4096) == b"READY=1\nSTATUS=two WATCHDOG=1"


def test_an_abstract_socket_is_understood():
    """`@name` is Linux's abstract namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        name = f"holdfast-test-{os.getpid()}"
        channel.bind(f"\0{name}")
        channel.settimeout(5)
        assert systemd.notify("READY=1", environment={"NOTIFY_SOCKET": f"@{name}"})
        assert channel.recv(100) == b"READY=1"


def test_nobody_listens(tmp_path):
    """Without a manager, or with one that is gone, nothing happens and nothing fails."""
    assert not systemd.notify("READY=1", environment={})
    assert not systemd.notify("READY=1", environment={"NOTIFY_SOCKET": "vsock:2:1"})
    assert not systemd.notify("READY=1", environment={"NOTIFY_SOCKET": str(tmp_path / "gone")})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "many"}, None),
        ({"WATCHDOG_USEC": "4000000"}, 2.0),
        ({"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(os.getpid())}, 2.0),
        ({"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_per_interval(environment, expected):
    """Half of what the manager allows; nothing when it watches nobody or another process."""
    assert systemd.watchdog_interval_s(environment=environment) == expected


async def test_feeding_comes_from_the_loop(manager):
    """The watchdog is fed again and again until cancelled, and not at all when nobody watches."""
    environment = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "20000"}
    feeding = asyncio.create_task(systemd.feed_watchdog(environment=environment))
    first, second = [await asyncio.to_thread(manager.recv, 100) for _ in range(2)]
    feeding.cancel()
    assert (first, second) == (b"WATCHDOG=1", b"WATCHDOG=1")
    assert await systemd.feed_watchdog(environment={}) is None


@pytest.fixture
def handed_over():
    """Two listening sockets and a file at neighbouring descriptors, as a manager would leave them."""
    base = 200
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    for index, one in enumerate(listening):
        os.dup2(one.fileno(), base + index)
        one.close()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, base + 2)
    os.close(null)
    yield base
    for descriptor in range(base, base + 3):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_sockets_are_taken_by_name(handed_over):
    """Each listening socket comes under its name; a descriptor that is none is left out; children see nothing."""
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "3", "LISTEN_FDNAMES": "ipp:api:junk"}
    found = systemd.listen_fds(environment=environment, first=handed_over)
    assert {name: len(sockets) for name, sockets in found.items()} == {"ipp": 1, "api": 1}
    assert environment == {}
    assert not os.get_inheritable(found["ipp"][0].fileno())
    port = found["ipp"][0].getsockname()[1]
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        found["ipp"][0].setblocking(True)
        accepted, _ = found["ipp"][0].accept()
        accepted.close()
    for sockets in found.values():
        sockets[0].close()


@pytest.mark.parametrize("environment", [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "2"}, {"LISTEN_FDS": "x"}])
def test_sockets_of_others_are_not_touched(environment):
    """Variables that are meant for another process, or are nonsense, give nothing."""
    assert systemd.listen_fds(environment=dict(environment)) == {}
