"""A sink with a clock of its own, and a client that writes bytes and reads replies."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from ekiden.sink.behaviours import Timing
from ekiden.sink.record import Line
from ekiden.sink.server import Place, Sink, SinkOptions

MESSAGE = b"Subject: hi\r\nMessage-ID: <1@x.test>\r\nDKIM-Signature: v=1\r\n\r\nBody\r\n"


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class World:
    """A sink with its lines and its clock."""

    def __init__(self, *places: Place, tls: bool = False, timing: Timing | None = None) -> None:
        self.lines: list[Line] = []
        self.clock = Clock()
        self.sink = Sink(
            SinkOptions(
                places=places or (Place(),),
                tls=tls,
                clock=self.clock,
                listener=self.lines.append,
                timing=timing or Timing(slow=0.0),
                hosted={"company.example": "gmail"},
            )
        )

    def transactions(self) -> list[Line]:
        return [line for line in self.lines if line.kind == "transaction"]

    @property
    def port(self) -> int:
        return self.sink.addresses[0][1]


@contextlib.asynccontextmanager
async def running(world: World) -> AsyncIterator[World]:
    async with world.sink:
        yield world


class Raw:
    """A client that writes bytes and reads replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int, *, ehlo: bool = True) -> "Raw":
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        if ehlo:
            assert (await client.reply()).startswith(b"220")
            await client.say(b"EHLO me.test\r\n")
        return client

    async def reply(self) -> bytes:
        found = b""
        while True:
            line = await asyncio.wait_for(self.reader.readline(), 5)
            found += line
            if not line or line[3:4] == b" ":
                return found

    async def say(self, data: bytes, replies: int = 1) -> list[bytes]:
        self.writer.write(data)
        return [await self.reply() for _ in range(replies)]

    async def codes(self, data: bytes, replies: int) -> list[int]:
        return [int(one[:3]) for one in await self.say(data, replies)]

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


async def talk(world: World, *recipients: str, sender: str = "a@b.test") -> list[bytes]:
    """Send one message as Ekiden does: three commands in one write, then the content."""
    client = await Raw.to(world.port)
    commands = f"MAIL FROM:<{sender}>\r\n"
    commands += "".join(f"RCPT TO:<{one}>\r\n" for one in recipients) + "DATA\r\n"
    found = await client.say(commands.encode(), 2 + len(recipients))
    if found[-1].startswith(b"354"):
        found += await client.say(MESSAGE + b".\r\n")
    await client.close()
    return found


async def settled(world: World) -> None:
    """Wait until every conversation has ended."""
    async with asyncio.timeout(5):
        while world.sink.open_sessions:  # noqa: ASYNC110 - the sink tells nobody
            await asyncio.sleep(0.001)
