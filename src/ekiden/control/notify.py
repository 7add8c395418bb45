r"""What systemd is told about the daemon: ready, reloading, stopping, alive.

The protocol of sd_notify(3): datagrams of `NAME=VALUE` lines to the Unix socket that
`NOTIFY_SOCKET` names ("@" stands for an abstract one). Without that variable nothing is sent: the
same daemon runs in a terminal. A failed notification never disturbs the daemon.
"""

import asyncio
import os
import socket
from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)


class Notifier:
    """Speaks to the service manager.

    Args:
        environ: The environment, `os.environ` in life.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._path = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_seconds = _watchdog(environ)

    def ready(self, status: str = "") -> None:
        """Say that the daemon serves (after the start, and after each reload)."""
        self._send("READY=1", *([f"STATUS={_plain(status)}"] if status else []))

    def status(self, text: str) -> None:
        """Say in a line what the daemon does; `systemctl status` shows it."""
        self._send(f"STATUS={_plain(text)}")

    def reloading(self, monotonic: float) -> None:
        """Say that a reload has begun; `ready` must follow.

        Args:
            monotonic: The monotonic clock in seconds, by which systemd orders messages.
        """
        self._send("RELOADING=1", f"MONOTONIC_USEC={int(monotonic * 1_000_000)}")

    def stopping(self) -> None:
        """Say that the daemon is ending."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Say that the daemon is not stuck."""
        self._send("WATCHDOG=1")

    async def keep_alive(self) -> None:
        """Say so for ever, twice as often as asked; returns at once when nobody asks.

        It runs on the event loop on purpose: a loop that is stuck falls silent and is restarted.
        """
        while self.watchdog_seconds:
            self.alive()
            await asyncio.sleep(self.watchdog_seconds / 2)

    def _send(self, *lines: str) -> None:
        if not self._path:
            return
        address = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as outlet:
                outlet.setblocking(False)  # noqa: FBT003 - the standard library's signature
                outlet.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("notify.failed", error=str(error))


def _watchdog(environ: Mapping[str, str]) -> float:
    """Return the seconds in which systemd wants a sign of life; 0 when it wants none."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / 1_000_000 if text.isascii() and text.isdigit() else 0.0


def _plain(text: str) -> str:
    return " ".join(text.split())
