"""The sink's STARTTLS: handshakes that fail, a client that insists, and the same on uvloop."""

import asyncio
import contextlib
import socket
import ssl
import struct
import sys
from pathlib import Path

import aiosmtplib
import pytest

from ekiden.sink.server import Place
from sink_world import MESSAGE, World, running, talk


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n\r\n"], ids=["reset", "plain text"])
async def test_a_handshake_that_fails_ends_that_session_and_troubles_nobody(said: bytes) -> None:
    async with asyncio.timeout(30), running(World(tls=True)) as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(b"EHLO client.example\r\nSTARTTLS\r\n")
        await reader.readuntil(b"220 Ready to start TLS\r\n")
        tasks = asyncio.all_tasks()
        writer.write(said)
        if said:
            with contextlib.suppress(ConnectionError):
                await reader.read()
        else:
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        while world.sink.open_sessions:  # noqa: ASYNC110 - the sink tells nobody
            await asyncio.sleep(0.01)
        # What a task ends with and nobody asks for would be told by a traceback in the log.
        ended = [task for task in tasks if task.done()]
        assert [task.exception() for task in ended] == [None]


async def test_aiosmtplib_with_starttls() -> None:
    async with running(World(Place(profile="gmail"), tls=True)) as world:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        client = aiosmtplib.SMTP(
            hostname="127.0.0.1", port=world.port, start_tls=True, tls_context=context
        )
        async with client:
            _, said = await client.sendmail("a@b.test", ["u@gmail.com"], MESSAGE)
        assert "gsmtp" in said
        plain = await talk(world, "u@gmail.com")
    assert plain[0].startswith(b"530 5.7.0")
    assert world.transactions()[0].tls.startswith("TLSv1.3 ")


async def test_on_uvloop() -> None:
    code = (
        "import uvloop, sys\n"
        "sys.path[:0] = ['tests', 'src']\n"
        "from test_sink_tls import test_aiosmtplib_with_starttls as test\n"
        "uvloop.run(test())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=Path(__file__).parent.parent
    )
    assert await asyncio.wait_for(process.wait(), 30) == 0
