"""The control socket: a round trip, and peers that do not keep to the format."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ekiden import limits
from ekiden.control import requests, server, wire
from ekiden.control.client import Client
from ekiden.control.server import ControlServer
from ekiden.errors import (
    ConfigError,
    EkidenError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)

SUPPRESSED = [
    requests.SuppressionView(address=f"a{number}@example.com", reason="manual")
    for number in range(500)
]


class Fake:
    """Answers as a daemon would."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.listed = 0

    async def ask(self, request: Any) -> Any:
        self.asked.append(request)
        if isinstance(request, requests.Unsuspend):
            return request.pattern == "known.example"
        if isinstance(request, requests.PauseJob):
            raise {"gone": NotFoundError, "done": RefusedError, "full": UnavailableError}[
                request.job
            ]("no", where="here", remedy="do that")
        if isinstance(request, requests.Backlog):
            return 1 // 0
        if isinstance(request, requests.CancelJob):
            await asyncio.Event().wait()
        return [requests.SuspensionView(pattern="*", since=1.0, until=None, reason="r")]

    async def stream(self, request: Any) -> AsyncIterator[Any]:
        for one in SUPPRESSED[: request.limit]:
            self.listed += 1
            yield one


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "control.sock"


@pytest.fixture
async def fake(path: Path) -> AsyncIterator[Fake]:
    answers = Fake()
    async with ControlServer(path, answers, read_timeout=0.3, write_timeout=0.3):
        yield answers


async def connected(path: Path) -> Client:
    client = await Client.connect(path)
    assert client is not None
    return client


async def raw(path: Path, sent: bytes, *, end: bool = True) -> bytes:
    """Return all that the server answers to some bytes before it hangs up."""
    reader, writer = await asyncio.open_unix_connection(os.fspath(path))
    writer.write(sent)
    if end:
        writer.write_eof()
    got = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return got


async def test_questions_and_listings(fake: Fake, path: Path) -> None:
    client = await connected(path)
    assert await client.ask(requests.Unsuspend(pattern="known.example")) is True
    assert await client.ask(requests.Unsuspend(pattern="other.example")) is False
    assert (await client.ask(requests.Suspensions()))[0].reason == "r"
    listing = client.stream(requests.ListSuppressions())
    assert [one async for one in listing] == SUPPRESSED
    assert await client.ask(requests.Unsuspend(pattern="known.example")) is True
    assert fake.asked[0] == requests.Unsuspend(pattern="known.example")
    await client.close()


@pytest.mark.parametrize(
    ("job", "kind"), [("gone", NotFoundError), ("done", RefusedError), ("full", UnavailableError)]
)
async def test_errors_keep_their_class_and_words(
    fake: Fake, path: Path, job: str, kind: type[EkidenError]
) -> None:
    client = await connected(path)
    with pytest.raises(EkidenError) as caught:
        await client.ask(requests.PauseJob(job=job))
    assert type(caught.value) is kind
    assert str(caught.value) == "here: no -- do that"
    await client.close()


async def test_a_bug_ends_its_request_alone(fake: Fake, path: Path) -> None:
    client = await connected(path)
    with pytest.raises(EkidenError, match="the daemon failed to answer"):
        await client.ask(requests.Backlog())
    assert await client.ask(requests.Unsuspend(pattern="known.example")) is True
    await client.close()


def test_nobody_else_may_use_it(path: Path) -> None:
    server.bind(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_another_user_is_refused_by_the_kernels_word(
    path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "peer_uid", lambda _: 4321)
    got = json.loads(await raw(path, b'{"id":1,"method":"status"}\n'))
    assert got["error"]["what"] == "user 4321 may not control this daemon"
    assert fake.asked == []


@pytest.mark.parametrize(
    "sent",
    [
        b"\n",
        b"\x00\xff\xfe\n",
        b"[]\n",
        b"null\n",
        b"GET / HTTP/1.1\r\n",
        b'{"id":"x","method":"status"}\n',
        b'{"id":1,"method":"job.pause"}\n',
        b'{"id":1,"method":"job.pause","args":{"job":1}}\n',
        b'{"id":1,"method":"status","args":{"extra":1}}\n',
        b'{"id":1,"method":"nothing"}\n',
        b'{"id":1,"method":"status","args":' + b"[" * 100_000 + b"\n",
    ],
)
async def test_garbage_is_told_once_and_ends_the_connection(
    fake: Fake, path: Path, sent: bytes
) -> None:
    got = await raw(path, sent + sent, end=False)
    assert got.count(b"\n") == 1
    assert "error" in json.loads(got)
    assert fake.asked == []


async def test_a_line_that_is_too_long(fake: Fake, path: Path) -> None:
    got = await raw(path, b"x" * (wire.LINE_BYTES + 1), end=False)
    assert json.loads(got)["error"]["what"] == f"a request has at most {wire.LINE_BYTES} bytes"


async def test_half_a_line_asks_nothing(fake: Fake, path: Path) -> None:
    assert await raw(path, b'{"id":1,"method":"suspensions"}') == b""
    assert fake.asked == []


async def test_byte_by_byte(fake: Fake, path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(os.fspath(path))
    for byte in b'{"id":5,"method":"suspensions"}\n':
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    assert json.loads(await reader.readline())["id"] == 5
    writer.close()
    await writer.wait_closed()


async def test_one_who_says_nothing_is_hung_up_on(fake: Fake, path: Path) -> None:
    assert await raw(path, b'{"id":1,', end=False) == b""


async def test_one_who_does_not_read_is_hung_up_on(
    path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.SUPPRESSED", SUPPRESSED * 200)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.setblocking(False)
        await asyncio.get_running_loop().sock_connect(mute, os.fspath(path))
        await asyncio.get_running_loop().sock_sendall(
            mute, b'{"id":1,"method":"suppressions.list"}\n'
        )
        await asyncio.sleep(1.0)
        assert 0 < fake.listed < 100_000  # it waited for the peer, then gave up
    client = await connected(path)
    assert await client.ask(requests.Unsuspend(pattern="known.example")) is True
    await client.close()


async def test_too_many_at_once(fake: Fake, path: Path) -> None:
    open_ones = [
        await asyncio.open_unix_connection(os.fspath(path))
        for _ in range(limits.CONTROL_CONNECTIONS)
    ]
    got = json.loads(await raw(path, b'{"id":1,"method":"suspensions"}\n'))
    assert got["error"]["what"] == "too many commands at once"
    for _, writer in open_ones:
        writer.close()
        await writer.wait_closed()


async def test_stopping_ends_what_is_asked(path: Path) -> None:
    async with ControlServer(path, Fake()):
        client = await connected(path)
        asking = asyncio.create_task(client.ask(requests.CancelJob(job="1")))
        await asyncio.sleep(0.05)
    with pytest.raises(UnavailableError, match="went away"):
        await asking
    await client.close()
    assert await Client.connect(path) is None
    server.bind(path).close()  # nothing was left in its place


async def test_no_daemon(path: Path) -> None:
    assert await Client.connect(path) is None
    path.parent.mkdir()
    server.bind(path).close()  # as a killed daemon leaves it
    assert await Client.connect(path) is None


async def test_a_socket_left_behind_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    server.bind(path).close()
    async with ControlServer(path, Fake()):
        await (await connected(path)).close()


async def test_a_second_daemon_is_refused(path: Path, fake: Fake) -> None:
    with pytest.raises(UnavailableError, match="another daemon"):
        await ControlServer(path, fake).open()


def test_nothing_else_is_removed(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("precious", encoding="utf-8")
    with pytest.raises(ConfigError, match="not a socket"):
        server.bind(path)
    assert path.read_text(encoding="utf-8") == "precious"


async def test_a_directory_that_everybody_may_write(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o777)
    with pytest.raises(ConfigError) as caught:
        await ControlServer(path, Fake()).open()
    assert caught.value.remedy.startswith(f"chmod o-w {path.parent}")


async def test_a_daemon_of_somebody_else_is_not_believed(
    path: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ekiden.control.client.peer_uid", lambda _: 4321)
    with pytest.raises(UnavailableError, match="served by user 4321"):
        await Client.connect(path)


@pytest.mark.parametrize(
    "answer",
    [
        b"{}\n",
        b"garbage\n",
        b'{"id":1}\n',
        b'{"id":9,"ok":true}\n',
        b'{"id":1,"ok":"yes"}\n',
        b"",
        b'{"id":1,"ok":tr',
    ],
)
async def test_a_daemon_that_answers_nonsense(path: Path, answer: bytes) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    path.parent.mkdir()
    async with await asyncio.start_unix_server(reply, os.fspath(path)):
        client = await connected(path)
        with pytest.raises(EkidenError):
            await client.ask(requests.Unsuspend(pattern="x"))
        await client.close()
