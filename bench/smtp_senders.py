"""Mailers that take mail over SMTP: what they share."""

import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from bench.inject import command
from bench.senders import Bench, Sender, wait_for
from bench.sink import free_port
from ekiden.dkim.keys import Algorithm, generate, save_key


class SmtpSender(Sender):
    """A mailer with a listener of its own.

    Attributes:
        sessions: Sessions that inject at once.
        pipelining: Whether the injector writes MAIL, RCPT and DATA in one piece.
    """

    sessions: ClassVar[int] = 20
    pipelining: ClassVar[bool] = True

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.port = free_port()
        self._injector: subprocess.Popen[bytes] | None = None

    def submit(self) -> None:
        log = (self.bench.directory / "inject.log").open("wb")
        self._injector = subprocess.Popen(
            command(
                f"127.0.0.1:{self.port}",
                self.sessions,
                self.bench.work,
                pipelining=self.pipelining,
            ),
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parent.parent,
        )
        log.close()

    def delivered(self) -> int:
        if self._injector is not None and self._injector.poll() not in {None, 0}:
            said = (self.bench.directory / "inject.log").read_text("utf-8", "replace")
            raise RuntimeError(f"{self.name} was not given its work: {said[-500:]}")
        return super().delivered()

    def listens(self) -> bool:
        """Whether it takes connections."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
            return True
        return False

    def wait_until_it_listens(self) -> None:
        """Return when it does."""
        wait_for(self.listens, seconds=60, what=f"{self.name}'s start", pause=0.1)

    def close(self) -> None:
        if self._injector is not None and self._injector.poll() is None:
            self._injector.kill()
            self._injector.wait()
        super().close()


def rsa_key(path: Path, domain: str) -> Path:
    """Write an RSA-2048 key for a peer and return its path."""
    save_key(generate(domain, "bench", Algorithm.RSA), path)
    return path


def python() -> str:
    """Return the interpreter that runs the bench."""
    return sys.executable
