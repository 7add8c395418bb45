"""The daemon's side of the control socket.

Who may speak: the daemon's own user and root, as the kernel says (SO_PEERCRED), whatever the file
modes are. What they may send: lines of bounded length, within a bounded time, on a bounded number
of connections. A peer that breaks the format is told so once and disconnected; a bug in a handler
is logged and answered, and ends nothing but its own request.
"""

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol, Self

import structlog

from ekiden import limits
from ekiden.control import wire
from ekiden.control.methods import request_of
from ekiden.control.peer import peer_uid
from ekiden.control.requests import Listing, Question, T
from ekiden.errors import ConfigError, EkidenError, UnavailableError

log = structlog.get_logger(__name__)


class Answers(Protocol):
    """Whoever answers requests: `control.service.Control`."""

    async def ask(self, request: Question[T]) -> T:
        """Answer a question."""
        ...

    def stream(self, request: Listing[T]) -> AsyncIterator[T]:
        """Answer a listing, one item at a time."""
        ...


class ControlServer:
    """A listening control socket; an async context manager.

    Args:
        path: Where the socket is; its directory is made (mode 0700) when it is missing.
        answers: Who answers.
        read_timeout: Seconds a connection may take to send a whole line, idleness included.
        write_timeout: Seconds a peer may take to read a line.
    """

    def __init__(
        self,
        path: Path,
        answers: Answers,
        *,
        read_timeout: float = limits.CONTROL_READ_TIMEOUT,
        write_timeout: float = limits.CONTROL_WRITE_TIMEOUT,
    ) -> None:
        self.path = path
        self._answers = answers
        self._read_timeout = read_timeout
        self._write_timeout = write_timeout
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Begin to listen.

        Raises:
            ConfigError: The directory is not safe, or something else stands at the path.
            UnavailableError: Another daemon listens there.
        """
        listening = bind(self.path)
        self._server = await asyncio.start_unix_server(
            self._connected, sock=listening, limit=wire.LINE_BYTES
        )

    async def close(self) -> None:
        """Stop listening, end the open connections and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None
        with contextlib.suppress(OSError):
            self.path.unlink()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - start_unix_server runs this in a task
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError):
            log.debug("control.peer_gone")
        except asyncio.CancelledError:
            pass  # the daemon is stopping; asyncio's own callback would log this as an error
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        refusal = self._refusal(writer)
        if refusal is not None:
            log.warning("control.refused", why=refusal.what)
            await self._part(refusal, reader, writer)
            return
        while True:
            try:
                async with asyncio.timeout(self._read_timeout):
                    line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return  # the end, or half a line: nothing was asked
            except asyncio.LimitOverrunError:
                too_long = wire.WireError(f"a request has at most {wire.LINE_BYTES} bytes")
                await self._part(too_long, reader, writer)
                return
            try:
                await self._handle(line, writer)
            except wire.WireError as error:
                await self._part(error, reader, writer)
                return

    async def _part(
        self, error: EkidenError, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Say why, and hang up.

        What the peer is still sending is read and dropped for a moment: closing a Unix socket with
        unread bytes resets it, and the peer could lose the answer.
        """
        await self._write(writer, wire.encode_error(0, error))
        writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.CONTROL_PART_TIMEOUT):
                while await reader.read(wire.LINE_BYTES):
                    pass

    def _refusal(self, writer: asyncio.StreamWriter) -> EkidenError | None:
        uid = peer_uid(writer.get_extra_info("socket"))
        if uid not in {0, os.geteuid()}:
            return UnavailableError(
                f"user {uid} may not control this daemon", remedy="use the daemon's user, or root"
            )
        if len(self._connections) > limits.CONTROL_CONNECTIONS:
            return UnavailableError("too many commands at once", remedy="try again in a moment")
        return None

    async def _handle(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        """Answer one line.

        Raises:
            WireError: The peer does not keep to the format.
        """
        number = 0
        try:
            call = wire.decode_call(line)
            number = call.id
            await self._answer(number, request_of(call), writer)
        except (wire.WireError, OSError, TimeoutError):
            raise
        except EkidenError as error:
            await self._write(writer, wire.encode_error(number, error))
        except Exception:
            log.exception("control.bug", request=line[:200].decode("ascii", "backslashreplace"))
            bug = EkidenError("the daemon failed to answer", remedy="its log has the details")
            await self._write(writer, wire.encode_error(number, bug))

    async def _answer(
        self, number: int, request: Question[Any] | Listing[Any], writer: asyncio.StreamWriter
    ) -> None:
        if isinstance(request, Question):
            await self._write(writer, wire.encode_ok(number, await self._answers.ask(request)))
            return
        async for item in self._answers.stream(request):
            await self._write(writer, wire.encode_item(number, item))
        await self._write(writer, wire.encode_ok(number, None))

    async def _write(self, writer: asyncio.StreamWriter, line: bytes) -> None:
        writer.write(line)
        async with asyncio.timeout(self._write_timeout):
            await writer.drain()


def bind(path: Path) -> socket.socket:
    """Return a bound socket at `path`, which only its owner may use.

    Raises:
        ConfigError: The directory is not safe, or something else stands at the path.
        UnavailableError: Another daemon listens there.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_directory(path.parent)
        _remove_stale(path)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        before = os.umask(0o177)  # the socket is never, not even for a moment, open to others
        try:
            listening.bind(os.fspath(path))
        except OSError:
            listening.close()
            raise
        finally:
            os.umask(before)
    except OSError as error:
        raise ConfigError(
            f"the control socket cannot be made: {error.strerror}",
            where=str(path),
            remedy="set control.socket to a path that the daemon's user may write",
        ) from error
    listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listening


def _check_directory(directory: Path) -> None:
    facts = directory.stat()
    if facts.st_uid not in {0, os.geteuid()}:
        raise ConfigError(
            f"the control socket's directory belongs to user {facts.st_uid}",
            where=str(directory),
            remedy=f"chown {os.geteuid()} {directory}, or set control.socket to another place",
        )
    if facts.st_mode & stat.S_IWOTH:
        raise ConfigError(
            "everybody may write to the control socket's directory and put another in its place",
            where=str(directory),
            remedy=f"chmod o-w {directory}, or set control.socket to another place",
        )


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on; a killed daemon leaves one behind."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(
            "something that is not a socket is in the control socket's place",
            where=str(path),
            remedy="move it away, or set control.socket to another place",
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError:
            pass  # a full backlog or a time-out: somebody is there
    raise UnavailableError(
        "another daemon uses this control socket",
        where=str(path),
        remedy="stop it first, or give this one its own control.socket",
    )
