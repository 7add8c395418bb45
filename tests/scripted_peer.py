"""An SMTP peer whose behaviour is data: what it answers to each command, or how it misbehaves.

A script maps a moment (`CONNECT`, a verb, `DOT` for the end of the content) to what happens then:
bytes are sent; `CLOSE`, `RESET` and `STALL` are done; a sequence is done in order. `"RCPT 2"` is
the second RCPT of the connection. What is missing is answered as a well-behaved receiver would.
"""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Self

import uvloop

from ekiden.engine.connect import ConnectSpec, open_session
from ekiden.engine.session import Session
from ekiden.engine.sources import Source
from ekiden.networks import AddressPolicy, networks
from ekiden.smtp.outcome import Accepted, Broke, Cause, Outcome, Rejected, Stage

SOURCE = Source("test", "mail.example.com", "127.0.0.1")
LOOPBACK = AddressPolicy(networks(["127.0.0.0/8", "::1"]))
CONTENT = b"Subject: x\r\n\r\n.dot\r\nline\r\n"
SOON = 0.1  # seconds; only where the peer never answers

Main = Callable[[], Coroutine[None, None, None]]
Shape = tuple[object, ...]


class Do(Enum):
    CLOSE = auto()
    RESET = auto()
    STALL = auto()  # say nothing, keep the connection
    DRIP = auto()  # one byte of an endless reply at a time


Act = bytes | Do | Sequence[bytes | Do]
Script = Mapping[str, Act]

PIPELINING = b"250-peer.test\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250 PIPELINING\r\n"
PLAIN = b"250-peer.test\r\n250 8BITMIME\r\n"
CHUNKING = b"250-peer.test\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 PIPELINING\r\n"

GOOD: Script = {
    "CONNECT": b"220 peer.test ESMTP\r\n",
    "EHLO": PIPELINING,
    "HELO": b"250 peer.test\r\n",
    "MAIL": b"250 2.1.0 Ok\r\n",
    "RCPT": b"250 2.1.5 Ok\r\n",
    "DATA": b"354 Go ahead\r\n",
    "DOT": b"250 2.0.0 Queued\r\n",
    "BDAT": b"250 2.0.0 Queued\r\n",
    "RSET": b"250 2.0.0 Reset\r\n",
    "QUIT": (b"221 2.0.0 Bye\r\n", Do.CLOSE),
}


class GoneError(Exception):
    """The script ended the connection."""


@dataclass
class Peer:
    """A listening scripted peer; `heard` holds its command lines, `messages` the contents."""

    script: Script = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    @property
    def verbs(self) -> list[str]:
        return [line.split(" ", 1)[0].split(":", 1)[0].upper() for line in self.heard]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.append(writer)
        self.connections += 1
        with suppress(GoneError, ConnectionError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen: Counter[str] = Counter()
        await self._act("CONNECT", seen, writer)
        while line := await reader.readline():
            text = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
            self.heard.append(text)
            verb = text.split(" ", 1)[0].split(":", 1)[0].upper()
            if verb == "BDAT":
                self.messages.append(await reader.readexactly(int(text.split()[1])))
            said = await self._act(verb, seen, writer)
            if verb == "DATA" and said.startswith(b"354"):
                self.messages.append(await self._content(reader))
                await self._act("DOT", seen, writer)

    async def _content(self, reader: asyncio.StreamReader) -> bytes:
        lines: list[bytes] = []
        while (line := await reader.readline()) != b".\r\n":
            if not line.endswith(b"\n"):
                raise GoneError
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    async def _act(self, moment: str, seen: Counter[str], writer: asyncio.StreamWriter) -> bytes:
        seen[moment] += 1
        act = self.script.get(f"{moment} {seen[moment]}", self.script.get(moment))
        if act is None:
            act = GOOD.get(moment, b"500 5.5.1 What?\r\n")
        said = b""
        for step in [act] if isinstance(act, bytes | Do) else act:
            if isinstance(step, bytes):
                said += step
                writer.write(step)
                await writer.drain()
            else:
                await self._do(step, writer)
        return said

    async def _do(self, step: Do, writer: asyncio.StreamWriter) -> None:
        match step:
            case Do.CLOSE:
                writer.close()
                raise GoneError
            case Do.RESET:
                connection = writer.get_extra_info("socket")
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
                raise GoneError
            case Do.STALL:
                await asyncio.Event().wait()
            case Do.DRIP:
                while True:
                    writer.write(b"2")
                    await writer.drain()
                    await asyncio.sleep(0.01)


# --- our side, as tests need it -------------------------------------------------------------------


def spec_for(peer: Peer, **changes: object) -> ConnectSpec:
    spec = ConnectSpec("peer.test", SOURCE, ("127.0.0.1",), port=peer.port, policy=LOOPBACK)
    return replace(spec, **changes)  # type: ignore[arg-type]  # tests name real fields


async def opened(peer: Peer, **changes: object) -> Session:
    session = await open_session(spec_for(peer, **changes))
    assert isinstance(session, Session), session
    return session


def send(session: Session, content: bytes = CONTENT) -> Coroutine[None, None, Outcome]:
    return session.send("bounce@example.com", "someone@example.net", content)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what the peer's side of the loop does."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition is anything a test can look at
            await asyncio.sleep(0.002)


def on(loop: str, main: Main) -> None:
    """Run `main` on asyncio's loop or on uvloop."""
    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


# --- outcomes without their texts -----------------------------------------------------------------

YES: Shape = ("accepted", 250)


def no(stage: Stage, code: int) -> Shape:
    return ("rejected", stage, code)


def broke(stage: Stage, cause: Cause) -> Shape:
    return ("broke", stage, cause)


def doubt(cause: Cause) -> Shape:
    return ("doubt", Stage.BODY, cause)


def shape(outcome: object) -> Shape:
    match outcome:
        case Accepted(reply):
            return ("accepted", reply.code)
        case Rejected(stage, reply):
            return ("rejected", stage, reply.code)
        case Broke(stage, cause, _, in_doubt):
            return ("doubt" if in_doubt else "broke", stage, cause)
        case other:
            return (type(other).__name__,)
