"""Sessions against postfix's smtp-sink, which nobody here wrote, in its modes of failure."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ekiden.engine.connect import ConnectSpec, open_session
from ekiden.engine.session import Session
from ekiden.smtp.outcome import Cause, Stage
from scripted_peer import CONTENT, LOOPBACK, SOURCE, YES, Shape, broke, doubt, no, on, send, shape

SINK = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(SINK is None, reason="postfix's smtp-sink is not installed")
LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def sink(*options: str) -> AsyncIterator[int]:
    assert SINK is not None
    port = free_port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen(  # noqa: ASYNC220 - it is started, not waited for
        [SINK, *user, *options, f"127.0.0.1:{port}", "64"], stderr=subprocess.PIPE
    )
    try:
        async with asyncio.timeout(10):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    break
        yield port
    finally:
        process.kill()
        process.communicate()


def spec(port: int) -> ConnectSpec:
    return ConnectSpec("sink.test", SOURCE, ("127.0.0.1",), port=port, policy=LOOPBACK)


@LOOPS
def test_a_thousand_messages_on_one_session(loop: str) -> None:
    async def main() -> None:
        async with sink("-c") as port:
            session = await open_session(spec(port))
            assert isinstance(session, Session)
            assert session.extensions.pipelining
            for _ in range(1000):
                assert shape(await send(session)) == YES
            assert session.transactions == 1000
            await session.close()

    on(loop, main)


@LOOPS
def test_without_pipelining(loop: str) -> None:
    async def main() -> None:
        async with sink("-p") as port:
            session = await open_session(spec(port))
            assert isinstance(session, Session)
            assert not session.extensions.pipelining
            for _ in range(20):
                assert shape(await send(session)) == YES
            await session.close()

    on(loop, main)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("-q", "mail"), broke(Stage.MAIL, Cause.CLOSED)),
        (("-q", "rcpt"), broke(Stage.RCPT, Cause.CLOSED)),
        (("-q", "data"), broke(Stage.DATA, Cause.CLOSED)),
        (("-q", "."), doubt(Cause.CLOSED)),
        (("-Q", "mail"), no(Stage.MAIL, 421)),
        (("-Q", "rcpt"), no(Stage.RCPT, 421)),
        (("-Q", "data"), no(Stage.DATA, 421)),
        (("-Q", "."), no(Stage.BODY, 421)),
        (("-r", "mail"), no(Stage.MAIL, 450)),
        (("-r", "rcpt"), no(Stage.RCPT, 450)),
        (("-r", "data"), no(Stage.DATA, 450)),
        (("-r", "."), no(Stage.BODY, 450)),
        (("-f", "mail"), no(Stage.MAIL, 500)),
        (("-f", "rcpt"), no(Stage.RCPT, 500)),
        (("-f", "data"), no(Stage.DATA, 500)),
        (("-f", "."), no(Stage.BODY, 500)),
        (("-A", "0"), no(Stage.BODY, 550)),
        (("-p", "-W", "rcpt:1"), YES),  # it answers out of order when delayed and pipelined
        (("-8",), YES),
        (("-e",), YES),
    ],
    ids=str,
)
async def test_modes(options: tuple[str, ...], expected: Shape) -> None:
    async with sink(*options) as port:
        session = await open_session(spec(port))
        assert isinstance(session, Session), session
        outcome = await send(session)
        got = shape(outcome)
        if options[0] == "-A" and got[0] == "broke":
            # The 550 and the reset of the unread content race; without the reply it broke.
            assert got[1] is Stage.BODY
        else:
            assert got == expected
        if options[0] in {"-r", "-f"}:  # the session survives, and RSET is taken
            assert session.usable
            assert shape(await send(session)) == expected
        await session.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("-q", "connect"), broke(Stage.CONNECT, Cause.CLOSED)),
        (("-Q", "connect"), no(Stage.CONNECT, 421)),
        (("-r", "connect"), no(Stage.CONNECT, 450)),
        (("-f", "connect"), no(Stage.CONNECT, 500)),
        (("-q", "ehlo"), broke(Stage.EHLO, Cause.CLOSED)),
        (("-Q", "ehlo"), no(Stage.EHLO, 421)),
        (("-r", "ehlo"), no(Stage.EHLO, 450)),
        (("-f", "ehlo,helo"), no(Stage.EHLO, 500)),
    ],
    ids=str,
)
async def test_opening(options: tuple[str, ...], expected: Shape) -> None:
    async with sink(*options) as port:
        assert shape(await open_session(spec(port))) == expected


def test_content_arrives_byte_for_byte(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:3]:
        parent.chmod(0o755)
    content = b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\nb.\r\n\r\n.\r\n"

    async def main() -> None:
        async with sink("-d", f"{tmp_path}/%M.") as port:
            session = await open_session(spec(port))
            assert isinstance(session, Session)
            for message in (content, CONTENT):
                assert shape(await send(session, message)) == YES
            await session.close()

    on("asyncio", main)
    dumps = [file.read_bytes() for file in tmp_path.iterdir()]
    # smtp-sink writes LF line ends, and its own header fields first.
    for message in (content, CONTENT):
        assert any(message.replace(b"\r\n", b"\n") in dump for dump in dumps)
