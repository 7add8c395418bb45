"""The sink: a mailbox simulator that listens, plays providers, and records what it took.

It is a local receiver for the demo, for staging and for tests, not a mail server: it never relays
and keeps nothing but its record and, if asked, the messages. One `Sink` may listen on many
addresses; each can play one provider (`Place.profile`), or the recipient's domain decides.

It makes no decision of its own beyond connection counting: `conversation.py` talks, `ledger.py`
remembers, `profiles.toml` says what providers say.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ekiden import limits
from ekiden.errors import EkidenError, UnavailableError
from ekiden.sink.behaviours import Timing
from ekiden.sink.certificate import server_context
from ekiden.sink.conversation import Conversation
from ekiden.sink.ledger import Ledger, ProviderCount
from ekiden.sink.profiles import Profiles, load_profiles
from ekiden.sink.reception import Shared
from ekiden.sink.record import Line, Record


@dataclass(frozen=True, slots=True)
class Place:
    """One address the sink listens on.

    Args:
        host: A local address; the sink refuses none, but is meant for loopback.
        port: 0 takes a free one (`Sink.addresses` tells which).
        profile: The provider that answers there; empty when the recipient's domain decides.
        name: The host name it gives itself; empty for the sink's own.
        site: Places with the same site share its caps; empty: all places of one profile do.
    """

    host: str = "127.0.0.1"
    port: int = 0
    profile: str = ""
    name: str = ""
    site: str = ""


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """What a sink is made with.

    Args:
        places: Where it listens.
        record: The record file, appended to; None for none.
        store: A directory that gets every message as `SESSION-N.eml`; None for none.
        tls: Offer STARTTLS, with a certificate made at start.
        hostname: What it calls itself.
        hosted: Domain to profile name, beyond the profiles' own patterns.
        timing: How long the behaviours take.
        relay_check: At a provider's own address, refuse the domains of others.
        connections: The most at once, over all places.
        idle: Seconds of silence after which a session is closed.
        clock: UNIX seconds; tests pass their own.
        listener: Called with every line of the record, in order.
    """

    places: Sequence[Place] = (Place(),)
    record: Path | None = None
    store: Path | None = None
    tls: bool = True
    hostname: str = "sink.test"
    hosted: Mapping[str, str] = field(default_factory=dict)
    timing: Timing = field(default_factory=Timing)
    relay_check: bool = True
    connections: int = limits.SINK_CONNECTIONS
    idle: float = limits.SINK_IDLE_TIMEOUT
    clock: Callable[[], float] = time.time
    listener: Callable[[Line], None] | None = None


class Sink:
    """A running mailbox simulator.

    Args:
        options: See `SinkOptions`.

    Raises:
        EkidenError: An option names a profile that does not exist.
    """

    def __init__(self, options: SinkOptions | None = None) -> None:
        self.options = options or SinkOptions()
        self.ledger = Ledger()
        shipped = load_profiles()
        named = {place.profile for place in self.options.places if place.profile}
        unknown = sorted((named | set(self.options.hosted.values())) - set(shipped))
        if unknown:
            raise EkidenError(
                f"There is no provider profile named {unknown[0]!r}",
                remedy=f"Use one of {', '.join(sorted(shipped))}.",
            )
        hosted = {name.casefold(): profile for name, profile in self.options.hosted.items()}
        self._profiles = Profiles(shipped, hosted)
        self._servers: list[asyncio.Server] = []
        self._running: set[asyncio.Task[None]] = set()
        self._record: Record | None = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The host and port of each place, in the order of the options."""
        return [server.sockets[0].getsockname()[:2] for server in self._servers]

    @property
    def counts(self) -> Mapping[str, ProviderCount]:
        """What each provider has seen so far."""
        return self.ledger.providers

    @property
    def open_sessions(self) -> int:
        """Connections open now, over all places."""
        return len(self._running)

    async def start(self) -> None:
        """Listen on every place.

        Raises:
            UnavailableError: An address is taken or not ours.
            EkidenError: The record or the store cannot be written.
        """
        options = self.options
        if options.store is not None:
            options.store.mkdir(parents=True, exist_ok=True)
        self._record = Record(options.record, options.listener)
        numbers = itertools.count(1)
        run = f"{time.time_ns() // 1_000_000:x}"
        names = [place.name for place in options.places if place.name] or [options.hostname]
        shared = Shared(
            profiles=self._profiles,
            ledger=self.ledger,
            record=self._record,
            timing=options.timing,
            clock=options.clock,
            number=lambda: f"{run}-{next(numbers)}",
            keep=self._keep if options.store is not None else None,
            tls=server_context(list(dict.fromkeys(names))) if options.tls else None,
            hostname=options.hostname,
            relay_check=options.relay_check,
            idle=options.idle,
            running=self._running,
            connections=options.connections,
        )
        try:
            for place in options.places:
                self._servers.append(await self._listen(place, shared))
        except BaseException:
            await self.stop()
            raise

    async def _listen(self, place: Place, shared: Shared) -> asyncio.Server:
        profile = self._profiles.by_name[place.profile] if place.profile else None

        try:
            return await asyncio.get_running_loop().create_server(
                lambda: Conversation(shared, profile, place.name, place.site),
                place.host,
                place.port,
                backlog=1024,
            )
        except OSError as error:
            raise UnavailableError(
                f"The sink cannot listen: {error.strerror or error}",
                where=f"{place.host}:{place.port}",
                remedy="Choose a free port and an address of this machine.",
            ) from error

    def _keep(self, session: str, number: int, message: bytes) -> None:
        assert self.options.store is not None  # noqa: S101  # only then is it passed on
        (self.options.store / f"{session}-{number}.eml").write_bytes(message)

    async def stop(self) -> None:
        """Stop listening, cut what is open, close the record."""
        for server in self._servers:
            server.close()
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for server in self._servers:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(server.wait_closed(), 1.0)
        self._servers.clear()
        if self._record is not None:
            self._record.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
