"""A receiver far away: it answers what comes together `step` seconds after it came.

    python -m bench.far PORT [--step 0.3] [--chunking] [--chain FILE] [--grey 3] [--most 20]

The delay stands for the round trip. It takes PIPELINING always, CHUNKING (RFC 3030) and STARTTLS
when told to, keeps nothing, and accepts everything; but with `--grey` no recipient before so many
seconds have passed since its first try, and with `--most` no more than so many in a second at each
of its addresses: 421, and the session ends.
"""

import argparse
import asyncio
import resource
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import uvloop

from bench.sink import free_port


class Far(asyncio.Protocol):
    """A receiver that answers everything with what it should, later."""

    step = 0.3
    chunking = False
    tls: ssl.SSLContext | None = None
    grey = 0.0
    most = 0.0
    first: ClassVar[dict[bytes, float]] = {}  # tries, by recipient
    room: ClassVar[dict[str, tuple[float, float]]] = {}  # by address: what is left, and since when

    def __init__(self) -> None:
        self._refused = False  # the recipient of this transaction
        self._ending = False
        self._rest = b""
        self._content = False  # until a line with a dot
        self._chunk = 0  # bytes of it that are still to come

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._later(b"220 far\r\n")

    def _later(self, reply: bytes) -> None:
        self._loop.call_later(self.step, self._say, reply)

    def _say(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)  # type: ignore[attr-defined]  # uvloop's are no subclass

    def data_received(self, data: bytes) -> None:
        whole = self._rest + data
        replies = b""
        while True:
            if self._content:
                end = whole.find(b"\r\n.\r\n")
                if end < 0:
                    break
                whole, self._content = whole[end + 5 :], False
                replies += b"250 2.0.0 taken\r\n"
                continue
            if self._chunk:
                taken = min(self._chunk, len(whole))
                whole, self._chunk = whole[taken:], self._chunk - taken
                if self._chunk:
                    break
                replies += b"250 2.0.0 taken\r\n"
                continue
            line, found, rest = whole.partition(b"\r\n")
            if not found:
                break
            whole = rest
            replies += self._reply(line[:4].upper(), line)
            if self._ending:
                self._loop.call_later(self.step, self._close, replies)
                return
        self._rest = whole[-8:] if self._content else whole
        if replies:
            self._later(replies)

    def _reply(self, verb: bytes, line: bytes) -> bytes:
        match verb:
            case b"EHLO":
                secure = b"250-STARTTLS\r\n" if self.tls else b""
                chunks = b"250-CHUNKING\r\n" if self.chunking else b""
                return b"250-far\r\n250-PIPELINING\r\n" + secure + chunks + b"250 8BITMIME\r\n"
            case b"BDAT":
                self._chunk = int(line.split()[1])
                return b""
            case b"STAR":
                self._loop.call_later(self.step, self._secure)
                return b""
            case b"RCPT":
                return self._recipient(line)
            case b"DATA" if self._refused:
                return b"554 5.5.1 no valid recipients\r\n"
            case b"DATA":
                self._content = True
                return b"354 go on\r\n"
            case b"QUIT":
                return b"221 bye\r\n"
            case _:
                return b"250 ok\r\n"

    def _recipient(self, line: bytes) -> bytes:
        now = self._loop.time()
        if self.most and not self._has_room(now):
            self._ending = True
            return b"421 4.7.0 too many messages, try again later\r\n"
        self._refused = self.grey > 0 and now - self.first.setdefault(line, now) < self.grey
        if self._refused:
            return b"450 4.2.0 Recipient address rejected: Greylisted, please try again\r\n"
        return b"250 ok\r\n"

    def _has_room(self, now: float) -> bool:
        here = self._transport.get_extra_info("sockname")[0]
        left, since = self.room.get(here, (self.most, now))
        left = min(self.most, left + (now - since) * self.most)
        self.room[here] = max(0.0, left - 1), now
        return left >= 1

    def _close(self, replies: bytes) -> None:
        self._say(replies)
        self._transport.close()

    def _secure(self) -> None:
        self._say(b"220 go\r\n")
        self._task = self._loop.create_task(self._handshake())

    async def _handshake(self) -> None:
        assert self.tls is not None
        try:
            transport = await self._loop.start_tls(
                self._transport,  # type: ignore[arg-type]  # as above
                self,
                self.tls,
                server_side=True,
            )
        except (OSError, ssl.SSLError):
            return
        assert transport is not None
        self._transport = transport


async def receive(port: int, chain: str) -> None:
    if chain:
        Far.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        Far.tls.load_cert_chain(chain)
    server = await asyncio.get_running_loop().create_server(Far, "0.0.0.0", port, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


@contextmanager
def far(
    step: float, *, chunking: bool = False, chain: str = "", grey: float = 0.0, most: float = 0.0
) -> Iterator[int]:
    """Run a receiver in a process of its own; give its port."""
    port = free_port()
    options = ["--chunking"] if chunking else []
    peer = subprocess.Popen(
        [
            *(sys.executable, "-m", "bench.far", str(port), "--step", str(step)),
            *("--chain", chain, "--grey", str(grey), "--most", str(most), *options),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert peer.stdout is not None
        peer.stdout.readline()
        yield port
    finally:
        peer.kill()
        peer.wait()


def open_files() -> None:
    """Allow as many open files as the system lets us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("port", type=int)
    parser.add_argument("--step", type=float, default=0.3)
    parser.add_argument("--chunking", action="store_true")
    parser.add_argument("--chain", default="")
    parser.add_argument("--grey", type=float, default=0.0, help="seconds of greylisting")
    parser.add_argument("--most", type=float, default=0.0, help="messages a second")
    asked = parser.parse_args()
    open_files()
    Far.step, Far.chunking, Far.grey, Far.most = asked.step, asked.chunking, asked.grey, asked.most
    uvloop.run(receive(asked.port, asked.chain))


if __name__ == "__main__":
    main()
