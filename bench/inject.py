"""Hands the work to a mailer over SMTP: `python -m bench.inject HOST:PORT SESSIONS WORK...`.

As lean as Python allows (whole messages made by replacing bytes, MAIL, RCPT and DATA in one write),
so that it takes a few hundredths of a millisecond a message from the machine that is measured.
"""

import argparse
import asyncio
import itertools
import sys
from typing import cast

import uvloop

from bench.work import SENDER, Maker, Work


class Injector(asyncio.Protocol):
    """One session: takes the next number from `numbers` until there is none."""

    def __init__(
        self, maker: Maker, numbers: "itertools.count[int]", most: int, *, pipelining: bool
    ) -> None:
        self._maker = maker
        self._numbers = numbers
        self._most = most
        self._pipelining = pipelining
        self._transport: asyncio.Transport
        self._buffer = b""
        self._todo: list[bytes] = []
        self._owed = 1
        self._content = b""
        self._greeted = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\r\n")
            if line[3:4] == b"-":
                continue
            if line[:1] not in b"23":
                self._fail(f"the mailer said {line.decode('ascii', 'replace')}")
                return
            self._owed -= 1
            if not self._owed:
                self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self._fail(f"the connection was lost: {exc}")

    def _fail(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_exception(ConnectionError(why))
        self._transport.close()

    def _next(self) -> None:
        if not self._greeted:
            self._greeted = 1
            self._write(b"EHLO injector.example\r\n")
        elif self._todo:
            self._write(self._todo.pop(0))
        elif self._content:
            content, self._content = self._content, b""
            self._write(content)
        else:
            self._message()

    def _message(self) -> None:
        number = next(self._numbers)
        if number >= self._most:
            self._transport.write(b"QUIT\r\n")
            self.ended.set_result(None)
            return
        recipient, message = self._maker.make(number)
        self._content = message + b".\r\n"
        commands = [
            f"MAIL FROM:<{SENDER}>\r\n".encode(),
            f"RCPT TO:<{recipient}>\r\n".encode(),
            b"DATA\r\n",
        ]
        if self._pipelining:
            self._write(b"".join(commands), 3)
        else:
            self._todo = commands
            self._next()

    def _write(self, data: bytes, owed: int = 1) -> None:
        self._owed = owed
        self._transport.write(data)


async def inject(host: str, port: int, sessions: int, work: Work, *, pipelining: bool) -> None:
    """Send all messages of the work over some sessions at once."""
    loop = asyncio.get_running_loop()
    maker, numbers = Maker(work), itertools.count()
    running = []
    for _ in range(sessions):
        _, protocol = await loop.create_connection(
            lambda: Injector(maker, numbers, work.messages, pipelining=pipelining), host, port
        )
        running.append(protocol.ended)
    await asyncio.gather(*running)


def command(place: str, sessions: int, work: Work, *, pipelining: bool = True) -> list[str]:
    """Return the command that injects the work in a process of its own."""
    numbers = [str(work.messages), str(work.size), str(work.destinations)]
    options = [] if pipelining else ["--no-pipelining"]
    return [sys.executable, "-m", "bench.inject", place, str(sessions), *numbers, *options]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("place")
    for name in ("sessions", "messages", "size", "destinations"):
        parser.add_argument(name, type=int)
    parser.add_argument("--no-pipelining", action="store_true")
    options = parser.parse_args()
    host, _, port = options.place.rpartition(":")
    work = Work(options.messages, options.size, options.destinations)
    pipelining = not options.no_pipelining
    uvloop.run(inject(host, int(port), options.sessions, work, pipelining=pipelining))


if __name__ == "__main__":
    main()
