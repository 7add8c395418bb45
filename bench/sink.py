"""postfix's smtp-sink: takes everything, keeps nothing, counts."""

import os
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path
from typing import Self

from bench.cage import processes

_COUNTS = re.compile(rb"sess=\s*(\d+).*?mesg=\s*(\d+)")


def program() -> str | None:
    """Return where smtp-sink is, if it is."""
    return shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Sink:
    """A running smtp-sink on every loopback address."""

    def __init__(self, *options: str) -> None:
        where = program()
        if where is None:
            raise FileNotFoundError("smtp-sink (it comes with postfix)")
        self.port = free_port()
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        self._process = subprocess.Popen(
            [where, "-c", "-m", "5000", *user, *options, f"0.0.0.0:{self.port}", "1000"],
            stdout=subprocess.PIPE,
            cwd="/",
        )
        self.count = 0  # messages
        self.sessions = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        out = self._process.stdout
        assert out is not None
        rest = b""
        pause = threading.Event()
        # In large pieces: a wake-up per message would be the harness's cost in everybody's figure.
        while piece := os.read(out.fileno(), 1 << 16):
            lines = (rest + piece).split(b"\r")
            rest = lines.pop()
            if lines:
                self._take(lines[-1])
            pause.wait(0.02)

    def _take(self, line: bytes) -> None:
        """Read a counter line."""
        if found := _COUNTS.search(line):
            self.sessions, self.count = int(found[1]), int(found[2])

    @property
    def cpu(self) -> float:
        """CPU seconds it has used."""
        found = processes().get(self._process.pid)
        return found.own if found else 0.0

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def log_tail(path: Path, lines: int = 20) -> str:
    """Return the end of a log, for when something went wrong."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:])
