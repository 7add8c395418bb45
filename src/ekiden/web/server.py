"""Uvicorn's HTTP protocol inside the daemon's loop, with deadlines that no client can stretch.

Uvicorn bounds neither the time a request's head may take nor the time an answer may take to be read
(docs/hostile.md H5). Here every connection has one timer: it runs while a head is expected
(`HTTP_HEAD_SECONDS`, from the moment one may come) and then while the request is answered; when it
rings, the connection is cut off. Bytes that trickle in do not wind it up again. Connections are
counted, over all and by peer; a proxy that is trusted may have as many as there are.
"""

import asyncio
import contextlib
from collections import Counter
from typing import Any, Self, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ekiden import limits
from ekiden.errors import UnavailableError
from ekiden.web.guard import trusted
from ekiden.web.options import ServerOptions
from ekiden.web.throttle import client_key

_GRACE = 5.0


class HttpServer:
    """Serves an application; an asynchronous context.

    Args:
        app: The application.
        options: See `ServerOptions`.
    """

    def __init__(self, app: ASGIApp, options: ServerOptions) -> None:
        self.options = options
        self.state = ServerState()
        self.peers: Counter[str] = Counter()
        self._config = uvicorn.Config(
            cast("Any", app),
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=limits.HTTP_HEAD_BYTES,
            timeout_keep_alive=int(options.head),
        )
        self._servers: list[asyncio.Server] = []

    @property
    def ports(self) -> list[int]:
        """The ports that are listened on."""
        return [sock.getsockname()[1] for one in self._servers for sock in one.sockets]

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            UnavailableError: An address cannot be listened on.
        """
        self._config.load()
        loop = asyncio.get_running_loop()
        for host, port in self.options.places:
            try:
                self._servers.append(await loop.create_server(self._protocol, host, port))
            except OSError as error:
                await self.__aexit__()
                raise UnavailableError(
                    f"the web cannot listen: {error.strerror}",
                    where=f"{host}:{port}",
                    remedy="stop what listens there, or name another place in [web]",
                ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take no more, let what is being answered end for a moment, and cut off the rest."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        connections = cast("set[Connection]", self.state.connections)
        for connection in list(connections):
            connection.shutdown()
        if self.state.tasks:
            await asyncio.wait(list(self.state.tasks), timeout=_GRACE)
        for connection in list(connections):
            connection.cut()
        for task in list(self.state.tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _protocol(self) -> asyncio.Protocol:
        return Connection(self, self._config, self.state)


class Connection(H11Protocol):
    """One connection, with its timer."""

    def __init__(self, server: HttpServer, config: uvicorn.Config, state: ServerState) -> None:
        super().__init__(config, state, {})
        self._own = server
        self._peer = ""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin to expect a request, unless there are too many connections."""
        super().connection_made(transport)
        name = transport.get_extra_info("peername") or ("",)
        address = str(name[0])
        self._peer = client_key(address)
        self._own.peers[self._peer] += 1
        options = self._own.options
        greedy = self._own.peers[self._peer] > options.per_peer
        if len(self.connections) > options.connections or (
            greedy and not trusted(address, options.proxies)
        ):
            transport.abort()
            return
        self._ring_in(options.head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        super().connection_lost(exc)
        self._own.peers[self._peer] -= 1
        if not self._own.peers[self._peer]:
            del self._own.peers[self._peer]
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take bytes; the timer goes on, but for a request whose head is now there."""
        busy = self._busy
        super().data_received(data)
        if self._busy and not busy:
            self._ring_in(self._own.options.request)

    def on_response_complete(self) -> None:
        """Expect the next request."""
        self._ring_in(self._own.options.head)
        super().on_response_complete()
        if self._busy:  # it had come already, behind the last one
            self._ring_in(self._own.options.request)

    def cut(self) -> None:
        """End the connection, whatever waits to be written."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _ring_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        # `is_closing` is no reason to leave it: a transport that waits to be read is closing, too.
        self.transport.abort()
