"""Whether the host of an opt-out address answers: nothing but HEAD of / is ever sent."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from broken_mails import GOOD
from commands import runner
from ekiden.check.reach import origins, unreachable
from ekiden.message.lint.check import ways_out
from ekiden.networks import AddressPolicy, networks

HERE = AddressPolicy(networks(["127.0.0.0/8", "::1/128"]))
AUTHORITY = trustme.CA()


@asynccontextmanager
async def host(
    answer: bytes, *, name: str = "localhost", asked: list[bytes] | None = None
) -> AsyncIterator[str]:
    """A host that answers everything alike, and keeps what it was asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if asked is not None:
                asked.append(head)
            if not answer:
                await asyncio.sleep(60)
            writer.write(answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert(name).configure_cert(context)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


def trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


def answer(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


@pytest.fixture(autouse=True)
def only_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def found(name: str, port: int, *rest: int, **more: int) -> object:
        return real("127.0.0.1" if name == "localhost" else name, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.mark.parametrize("status", ["200 OK", "302 Found", "404 Not Found", "405 No HEAD here"])
async def test_any_answer_of_a_host_that_is_there_will_do(status: str) -> None:
    asked: list[bytes] = []
    async with host(answer(status), asked=asked) as origin:
        assert await unreachable(origin, HERE, 5.0, trust=trust()) == ""
    (head,) = asked
    assert head.startswith(b"HEAD / HTTP/1.1\r\n")
    assert b"host: localhost:" in head


async def test_what_is_wrong_is_told() -> None:
    async with host(answer("503 Down")) as origin:
        assert await unreachable(origin, HERE, 5.0, trust=trust()) == "it answers 503"
        assert "certificate" in (await unreachable(origin, HERE, 5.0)).lower()
        private = await unreachable(origin, AddressPolicy(), 5.0, trust=trust())
        assert "loopback" in private
    async with host(answer("200 OK"), name="other.example") as origin:
        assert "certificate" in (await unreachable(origin, HERE, 5.0, trust=trust())).lower()
    async with host(b"") as origin:
        assert "no answer within 0.2 s" in await unreachable(origin, HERE, 0.2, trust=trust())
    assert await unreachable(origin, HERE, 5.0, trust=trust()), "nobody listens there"
    gone = await unreachable("https://no.such.name.invalid/", HERE, 5.0)
    assert gone == "its name has no address"


def test_origins() -> None:
    urls = [
        "https://a.example/u/TOKEN?x=1", "https://A.example/other", "https://[2001:db8::1]:8443/x",
        "http://a.example/", "mailto:a@b.example", "https://a.example:99999/", "https://[::1",
    ]  # fmt: skip
    assert origins(urls) == ["https://a.example/", "https://[2001:db8::1]:8443/"]


def test_the_ways_out_of_a_message() -> None:
    found = origins(ways_out(GOOD.encode()))
    assert found
    assert all(one.startswith("https://") for one in found)


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = runner(monkeypatch, capsys)
    Path("config.toml").write_text("")
    message = GOOD.replace("news.example.com", "no.such.name.invalid")
    Path("a.eml").write_text(message)
    assert run("lint", "a.eml", "--no-dns").code == 0, "nobody is asked unless it is said"

    async def never(*_: object, **__: object) -> str:
        await asyncio.sleep(0)
        return "its name has no address"

    monkeypatch.setattr("ekiden.check.reach.unreachable", never)
    told = run("lint", "a.eml", "--no-dns", "--network")
    assert (told.code, "unsubscribe-unreachable" in told.out) == (1, True)
