"""What systemd hears."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ekiden.control.notify import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def test_the_life_of_a_daemon(manager: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname()})
    notifier.ready("serving\n3 jobs")
    notifier.reloading(12.5)
    notifier.ready()
    notifier.status("draining")
    notifier.stopping()
    assert [manager.recv(4096) for _ in range(5)] == [
        b"READY=1\nSTATUS=serving 3 jobs",
        b"RELOADING=1\nMONOTONIC_USEC=12500000",
        b"READY=1",
        b"STATUS=draining",
        b"STOPPING=1",
    ]


def test_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0ekiden-test-notify")
        Notifier({"NOTIFY_SOCKET": "@ekiden-test-notify"}).ready()
        assert listening.recv(100) == b"READY=1"


def test_without_a_manager_nothing_is_sent(tmp_path: Path) -> None:
    Notifier({}).ready()
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()  # logged, not raised


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_is_read_from_the_environment(environ: dict[str, str], seconds: float) -> None:
    assert Notifier(environ).watchdog_seconds == seconds


async def test_signs_of_life(manager: socket.socket) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "20000"})
    task = asyncio.create_task(notifier.keep_alive())
    await asyncio.sleep(0.1)
    task.cancel()
    assert manager.recv(100) == b"WATCHDOG=1"
    assert manager.recv(100) == b"WATCHDOG=1"
    await Notifier({}).keep_alive()  # nobody asks: it ends at once
