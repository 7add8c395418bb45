"""A small authoritative DNS server for a world that does not exist.

It answers from a mapping, over UDP and TCP on one port, with dnspython's message classes, and can
be told to fail as the real DNS does: SERVFAIL, silence, slowness, truncation, refusal. It knows
nothing of recursion, delegation or DNSSEC: it is the whole world to whoever asks it.

A name that is not in the mapping does not exist (NXDOMAIN), unless another name lies below it; a
name without the type asked for has no data (RFC 2308). A CNAME is followed inside the mapping.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Self, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from ekiden.errors import UnavailableError

Records = Mapping[str, Mapping[str, Sequence[str]]]
"""Name to type to data, in presentation format: `{"a.test": {"MX": ["10 mx.a.test."]}}`."""

_CHAIN: Final = 8  # CNAMEs followed
_SOA: Final = "{name} 3600 IN SOA ns.{name} postmaster.{name} 1 3600 600 86400 60"
_TCP_TIMEOUT: Final = 10.0
_UDP_PLAIN: Final = 512  # RFC 1035 section 4.2.1, without EDNS


class Fault(Enum):
    """How a name fails, for every type."""

    SERVFAIL = "servfail"
    REFUSED = "refused"
    SILENT = "silent"
    SLOW = "slow"  # answers after `slow` seconds
    TRUNCATED = "truncated"  # over UDP an empty answer with TC; over TCP the whole one
    GARBAGE = "garbage"  # bytes that are no DNS message


@dataclass(frozen=True, slots=True)
class DnsOptions:
    """What a server is made with.

    Args:
        records: The world.
        faults: Names that fail.
        host: The address to listen on.
        port: 0 takes one that is free for both UDP and TCP.
        ttl: Of every record, in seconds.
        slow: Seconds that a slow name takes.
    """

    records: Records = field(default_factory=dict)
    faults: Mapping[str, Fault] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 0
    ttl: int = 60
    slow: float = 1.0


class Names:
    """The world as a question is put to it; no sockets.

    Args:
        records: See `Records`.
        faults: Names that fail.
        ttl: Of every record, in seconds.
    """

    def __init__(self, records: Records, faults: Mapping[str, Fault], ttl: int) -> None:
        self._sets: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], dns.rrset.RRset] = {}
        self._names: set[dns.name.Name] = set()
        self._faults = {_name(name): fault for name, fault in faults.items()}
        for text, types in records.items():
            name = _name(text)
            for kind, data in types.items():
                made = dns.rrset.from_text_list(name, ttl, "IN", kind, list(data))
                self._sets[name, dns.rdatatype.from_text(kind)] = made
            while name not in self._names and len(name) > 1:
                self._names.add(name)  # and what lies above it: empty, but there (RFC 8020)
                name = name.parent()

    def fault(self, query: dns.message.Message) -> Fault | None:
        """Return how the question's name fails, if it does."""
        return self._faults.get(query.question[0].name) if query.question else None

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        """Return the authoritative answer to the first question of `query`."""
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if len(query.question) != 1:
            response.set_rcode(dns.rcode.FORMERR)
            return response
        name, kind = query.question[0].name, query.question[0].rdtype
        for _ in range(_CHAIN):
            found = self._sets.get((name, kind))
            if found is not None:
                response.answer.append(found)
                return response
            alias = self._sets.get((name, dns.rdatatype.CNAME))
            if alias is None:
                break
            response.answer.append(alias)
            name = alias[0].target
        if name not in self._names:
            response.set_rcode(dns.rcode.NXDOMAIN)
        top = name.split(2)[1] if len(name) > 1 else name
        soa = _SOA.format(name=top.to_text() if len(top) > 1 else "test.")
        owner, ttl, _, kind_text, data = soa.split(" ", 4)
        response.authority.append(dns.rrset.from_text(owner, int(ttl), "IN", kind_text, data))
        return response


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text.casefold())


class DnsServer:
    """A running server.

    Args:
        options: See `DnsOptions`.
    """

    def __init__(self, options: DnsOptions) -> None:
        self.options = options
        self.asked: Counter[str] = Counter()  # "name TYPE", for tests
        self.over_tcp = 0
        self._names = Names(options.records, options.faults, options.ttl)
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: host and port, the same for UDP and TCP."""
        assert self._tcp is not None, "start() first"  # noqa: S101
        return cast("tuple[str, int]", self._tcp.sockets[0].getsockname()[:2])

    async def start(self) -> None:
        """Listen.

        Raises:
            UnavailableError: The port is taken.
        """
        tries = 1 if self.options.port else 20
        for left in reversed(range(tries)):
            try:
                await self._listen()
            except OSError as error:
                await self.stop()
                if not left:
                    raise UnavailableError(
                        f"The DNS server cannot listen: {error.strerror or error}",
                        where=f"{self.options.host}:{self.options.port}",
                        remedy="Choose a free port and an address of this machine.",
                    ) from error
            else:
                return

    async def _listen(self) -> None:
        options = self.options
        self._tcp = await asyncio.start_server(self._serve_tcp, options.host, options.port)
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=self.address
        )

    async def stop(self) -> None:
        """Stop listening and forget what was being answered."""
        if self._tcp is not None:
            self._tcp.close()
            self._tcp = None
        if self._udp is not None:
            self._udp.close()
            self._udp = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # --- answering -----------------------------------------------------------------------------

    def received(self, data: bytes, peer: tuple[str, int]) -> None:
        """Answer a datagram, at once or as its fault wants."""
        task = asyncio.get_running_loop().create_task(self._answer_udp(data, peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_udp(self, data: bytes, peer: tuple[str, int]) -> None:
        reply = await self._reply(data, tcp=False)
        if reply and self._udp is not None:
            self._udp.sendto(reply, peer)

    async def _reply(self, data: bytes, *, tcp: bool) -> bytes:
        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return b""  # nobody to answer
        if query.question:
            one = query.question[0]
            name = one.name.to_text(omit_final_dot=True).casefold()
            self.asked[f"{name} {one.rdtype.name}"] += 1
        fault = self._names.fault(query)
        if fault is Fault.SILENT:
            return b""
        if fault is Fault.GARBAGE:
            return data[:2] + b"\xff" * 9
        if fault is Fault.SLOW:
            await asyncio.sleep(self.options.slow)
        response = self._names.answer(query)
        if fault in {Fault.SERVFAIL, Fault.REFUSED}:
            response = dns.message.make_response(query)
            response.set_rcode(dns.rcode.SERVFAIL if fault is Fault.SERVFAIL else dns.rcode.REFUSED)
        if tcp:
            return response.to_wire(max_size=65535)
        if fault is Fault.TRUNCATED:
            response = dns.message.make_response(query)
            response.flags |= dns.flags.AA | dns.flags.TC
        return response.to_wire(
            max_size=max(query.payload, _UDP_PLAIN) if query.edns >= 0 else _UDP_PLAIN,
            prefer_truncation=True,
        )

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TCP_TIMEOUT):
                while True:
                    length = int.from_bytes(await reader.readexactly(2), "big")
                    data = await reader.readexactly(length)
                    self.over_tcp += 1
                    reply = await self._reply(data, tcp=True)
                    if not reply:
                        break
                    writer.write(len(reply).to_bytes(2, "big") + reply)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    """Hands datagrams to the server."""

    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.received(data, addr)
