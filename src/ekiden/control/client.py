"""A command's side of the control socket: the same two verbs as `control.service.Control`."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from msgspec import UnsetType

from ekiden import limits
from ekiden.control import wire
from ekiden.control.peer import peer_uid
from ekiden.control.requests import Listing, Question, T
from ekiden.errors import UnavailableError


class Client:
    """A connection to a running daemon. One request at a time.

    Args:
        reader: The connection's reading side.
        writer: The connection's writing side.
        path: The socket, for messages.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: Path
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._path = path
        self._number = 0

    @classmethod
    async def connect(cls, path: Path) -> "Client | None":
        """Connect to the daemon at `path`; None when none runs there.

        Raises:
            UnavailableError: There is one, but it may not be used or does not answer.
        """
        try:
            async with asyncio.timeout(limits.CONTROL_CONNECT_TIMEOUT):
                reader, writer = await asyncio.open_unix_connection(
                    os.fspath(path), limit=limits.CONTROL_ANSWER_BYTES
                )
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return None
        except PermissionError:
            raise UnavailableError(
                "this user may not control the daemon",
                where=str(path),
                remedy="run the command as the daemon's user, or as root",
            ) from None
        except (OSError, TimeoutError) as error:
            raise UnavailableError(
                f"the daemon does not answer: {error or 'timed out'}", where=str(path)
            ) from None
        uid = peer_uid(writer.get_extra_info("socket"))
        if uid not in {0, os.geteuid(), path.parent.stat().st_uid}:
            writer.close()
            raise UnavailableError(
                f"the control socket is served by user {uid}, who is not the daemon's",
                where=str(path),
            )
        return cls(reader, writer, path)

    async def ask(self, request: Question[T]) -> T:
        """Return the daemon's answer.

        Raises:
            EkidenError: What the daemon refused with, of the same class.
            UnavailableError: It went away.
            WireError: It speaks another protocol.
        """
        await self._send(request)
        reply = await self._receive()
        answer: T = wire.decode_answer(_given(reply.ok), type(request).answer_type())
        return answer

    async def stream(self, request: Listing[T]) -> AsyncIterator[T]:
        """Yield the daemon's answers; errors as for `ask`."""
        kind = type(request).answer_type()
        await self._send(request)
        while True:
            reply = await self._receive()
            if not isinstance(reply.item, UnsetType):
                yield wire.decode_answer(reply.item, kind)
                continue
            _given(reply.ok)
            return

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return  # it had gone already

    async def _send(self, request: Question[Any] | Listing[Any]) -> None:
        self._number += 1
        self._writer.write(wire.encode_call(self._number, request))
        try:
            await self._writer.drain()
        except OSError:
            raise self._gone() from None

    async def _receive(self) -> wire.Reply:
        try:
            async with asyncio.timeout(limits.CONTROL_ANSWER_TIMEOUT):
                line = await self._reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, OSError):
            raise self._gone() from None
        except TimeoutError:
            raise UnavailableError("the daemon does not answer", where=str(self._path)) from None
        except asyncio.LimitOverrunError:
            raise wire.WireError("the daemon's answer is too long") from None
        reply = wire.decode_reply(line)
        if not isinstance(reply.error, UnsetType):
            raise wire.error_of(reply.error)
        if reply.id != self._number:
            raise wire.WireError("the daemon answered another question")
        return reply

    def _gone(self) -> UnavailableError:
        return UnavailableError(
            "the daemon went away before it answered",
            where=str(self._path),
            remedy="run the command again; its log says what happened",
        )


def _given(value: Any) -> Any:
    if isinstance(value, UnsetType):
        raise wire.WireError("the daemon's answer is empty")
    return value
