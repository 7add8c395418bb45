"""The HTTP server on a socket: deadlines that no client can stretch, bounded heads and numbers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from ekiden.errors import UnavailableError
from ekiden.web.options import ServerOptions
from ekiden.web.server import HttpServer
from test_app_delivery import until

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]
LONG = 60.0  # a bound for a hung test


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    size = 20_000_000 if scope["path"] == "/large" else 2
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * size})


@asynccontextmanager
async def serving(**options: float) -> AsyncIterator[tuple[HttpServer, int]]:
    server = HttpServer(app, ServerOptions([("127.0.0.1", 0)], **options))  # type: ignore[arg-type]  # test data
    async with server:
        yield server, server.ports[0]


async def closed(pair: Pair) -> bytes:
    """Read until the other side ends the connection; what it said."""
    said = b""
    try:
        async with asyncio.timeout(LONG):
            while data := await pair[0].read(65_536):
                said += data
    except OSError:
        pass
    finally:
        pair[1].close()
    return said


async def trickle(pair: Pair, text: bytes) -> None:
    """Send a byte now and then, as slowloris does."""
    try:
        for byte in text * 10_000:
            pair[1].write(bytes([byte]))
            await pair[1].drain()
            await asyncio.sleep(0.01)
    except OSError:
        return


@pytest.mark.parametrize(
    "start",
    [
        b"",  # nothing at all
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ",  # a head that never ends
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n",  # a body, likewise
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX-B: ",  # after a good request
    ],
)
async def test_a_client_that_trickles_is_cut_off(start: bytes) -> None:
    async with serving(head=0.3, request=0.3) as (server, port):
        pair = await asyncio.open_connection("127.0.0.1", port)
        pair[1].write(start)
        slow = asyncio.create_task(trickle(pair, b"a" if start else b"G"))
        await closed(pair)
        slow.cancel()
        await asyncio.sleep(0)
        assert not server.peers


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    async with serving(head=0.3, request=0.3) as (server, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: server.peers.total() == 1)
        await until(lambda: not server.peers)
        writer.close()


async def test_a_head_has_a_size() -> None:
    async with serving() as (_, port):
        pair = await asyncio.open_connection("127.0.0.1", port)
        pair[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"a" * 100_000)
        assert b" 400 " in (await closed(pair)).split(b"\r\n")[0]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS where none is spoken
        b"EHLO x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused(nonsense: bytes) -> None:
    async with serving(head=1.0, request=1.0) as (_, port):
        pair = await asyncio.open_connection("127.0.0.1", port)
        pair[1].write(nonsense)
        said = await closed(pair)
        assert not said or b" 400 " in said.split(b"\r\n")[0]


async def test_requests_one_behind_the_other() -> None:
    async with serving() as (_, port):
        pair = await asyncio.open_connection("127.0.0.1", port)
        pair[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        pair[1].write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await closed(pair)).count(b"HTTP/1.1 200 OK") == 21


async def test_so_many_connections_from_one_peer() -> None:
    async with serving(per_peer=3) as (server, port):
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert await closed(await asyncio.open_connection("127.0.0.1", port)) == b""
        pairs[0][1].close()
        await until(lambda: server.peers.total() == 2)
        pair = await asyncio.open_connection("127.0.0.1", port)
        pair[1].write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"200 OK" in await closed(pair)
        for one in pairs[1:]:
            one[1].close()


async def test_the_server_ends_while_clients_hang_on() -> None:
    async with serving() as (_, port):
        pair = await asyncio.open_connection("127.0.0.1", port)
        pair[1].write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        await asyncio.sleep(0.05)
        began = time.monotonic()
    assert time.monotonic() - began < LONG
    await closed(pair)


async def test_a_place_that_is_taken() -> None:
    async with serving() as (_, port):
        second = HttpServer(app, ServerOptions([("127.0.0.1", port)]))
        with pytest.raises(UnavailableError, match="cannot listen"):
            async with second:
                pass
