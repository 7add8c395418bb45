"""The listener: accepts connections for `conversation`, and closes them at the end."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Self

from ekiden.errors import UnavailableError
from ekiden.inbound.conversation import Conversation, Shared
from ekiden.inbound.doors import Doors
from ekiden.inbound.intake import Outcome
from ekiden.inbound.options import ListenerOptions


class Listener:
    """Listens for returned mail; an async context.

    Args:
        places: Hosts and ports; port 0 takes a free one.
        doors: Who takes mail.
        options: The limits.
        clock: UNIX seconds.
        refused: Counts a mail that was refused after RCPT.
    """

    def __init__(
        self,
        places: Sequence[tuple[str, int]],
        doors: Doors,
        options: ListenerOptions,
        *,
        clock: Callable[[], float],
        refused: Callable[[Outcome], None],
    ) -> None:
        self._places = places
        self._shared = Shared(options, doors, clock, refused)
        self._servers: list[asyncio.Server] = []

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, in the order of its places."""
        return [server.sockets[0].getsockname()[:2] for server in self._servers]

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            UnavailableError: An address is taken or not ours.
        """
        try:
            for host, port in self._places:
                self._servers.append(await self._listen(host, port))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _listen(self, host: str, port: int) -> asyncio.Server:
        try:
            return await asyncio.get_running_loop().create_server(
                lambda: Conversation(self._shared), host, port, backlog=128
            )
        except OSError as error:
            raise UnavailableError(
                f"cannot listen for returned mail: {error.strerror or error}",
                where=f"{host}:{port}",
                remedy="choose another inbound.listen, or allow port 25 (CAP_NET_BIND_SERVICE)",
            ) from error

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and cut what is open: the other side comes again."""
        for server in self._servers:
            server.close()
        running = list(self._shared.running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for server in self._servers:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), 1.0)
        self._servers.clear()
