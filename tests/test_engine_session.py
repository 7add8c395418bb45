"""Sessions: what is written when, flow control, idleness, cancellation, addresses."""

import asyncio
from dataclasses import replace

import pytest

from ekiden import limits
from ekiden.engine.connect import ConnectSpec, open_session
from ekiden.engine.deadlines import Deadlines
from ekiden.engine.session import Session
from ekiden.engine.sources import Source
from ekiden.engine.tls import TlsPolicy
from ekiden.networks import AddressPolicy
from ekiden.smtp.outcome import Cause, Stage
from scripted_peer import (
    CONTENT,
    LOOPBACK,
    PLAIN,
    SOON,
    SOURCE,
    YES,
    Do,
    Peer,
    Script,
    Shape,
    broke,
    doubt,
    on,
    opened,
    send,
    shape,
    spec_for,
    until,
)

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])

# --- order on the wire ----------------------------------------------------------------------------


async def test_rset_follows_a_failed_transaction_and_only_that() -> None:
    async with Peer({"RCPT 2": b"550 no\r\n", "DATA 2": b"503 no\r\n"}) as peer:
        session = await opened(peer)
        for _ in range(4):
            await send(session)
        await session.close()
    assert peer.verbs == [
        "EHLO",
        *("MAIL", "RCPT", "DATA"),
        *("MAIL", "RCPT", "DATA"),
        *("RSET", "MAIL", "RCPT", "DATA"),
        *("MAIL", "RCPT", "DATA"),
        "QUIT",
    ]
    assert session.transactions == 4


async def test_a_message_that_cannot_be_sent_leaves_the_session_alone() -> None:
    async with Peer({"EHLO": PLAIN}) as peer:
        session = await opened(peer)
        smuggled = await send(session, b"a\r\n\n.\r\nMAIL FROM:<x@y.test>\r\n")
        utf8 = await session.send("", "é@b.test", CONTENT)
        assert shape(smuggled) == broke(Stage.MAIL, Cause.LOCAL)
        assert shape(utf8) == broke(Stage.MAIL, Cause.UNSUPPORTED)
        assert session.usable
        assert shape(await send(session)) == YES
        await session.close()
    assert peer.verbs == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert peer.messages == [CONTENT]


async def test_mailmax_is_obeyed() -> None:
    offer = b"250-peer.test\r\n250 LIMITS MAILMAX=2\r\n"
    async with Peer({"EHLO": offer}) as peer:
        session = await opened(peer)
        usable = []
        for _ in range(2):
            await send(session)
            usable.append(session.usable)
        await session.close()
    assert usable == [True, False]
    assert peer.verbs[-1] == "QUIT"


# --- flow control, idleness, cancellation ---------------------------------------------------------


@LOOPS
def test_a_large_message_to_a_slow_reader_arrives_whole(loop: str) -> None:
    content = b"Subject: big\r\n\r\n" + b"".join(b".%061d\r\n" % at for at in range(80_000))
    assert len(content) > 60 * limits.WRITE_PORTION_BYTES

    async def main() -> None:
        big = b"250-peer.test\r\n250-SIZE 99000000\r\n250 PIPELINING\r\n"
        async with Peer({"EHLO": big}) as peer:
            session = await opened(peer)
            assert shape(await send(session, content)) == YES
            assert shape(await send(session)) == YES
            assert peer.messages == [content, CONTENT]
            await session.close()

    on(loop, main)


@LOOPS
def test_a_reader_that_stops_is_given_up_without_doubt(loop: str) -> None:
    async def main() -> None:
        taken = asyncio.Event()

        async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 x\r\n")
            await reader.readline()
            writer.write(b"250 x\r\n")
            for _ in range(3):
                line = await reader.readline()
                writer.write(b"354 x\r\n" if line == b"DATA\r\n" else b"250 x\r\n")
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a ReadTransport too
            await taken.wait()
            writer.transport.abort()

        server = await asyncio.start_server(deaf, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        spec = ConnectSpec("peer.test", SOURCE, ("127.0.0.1",), port=port, policy=LOOPBACK)
        session = await open_session(replace(spec, deadlines=Deadlines(block=SOON)))
        assert isinstance(session, Session)
        outcome = await send(session, b"x" * 70 + b"\r\n" + b"y\r\n" * 10_000_000)
        assert shape(outcome) == broke(Stage.BODY, Cause.TIMED_OUT)
        assert not session.usable
        taken.set()
        server.close()
        await asyncio.sleep(0)

    on(loop, main)


@LOOPS
@pytest.mark.parametrize("farewell", [b"421 4.4.2 idle too long\r\n", b"250 what\r\n", b"junk\r\n"])
def test_what_is_said_to_an_idle_session_ends_it(loop: str, farewell: bytes) -> None:
    async def main() -> None:
        async with Peer() as peer:
            session = await opened(peer)
            assert shape(await send(session)) == YES
            for writer in peer._writers:
                writer.write(farewell)
            await until(lambda: not session.usable)
            if farewell.startswith(b"421"):
                assert session.farewell is not None
                assert session.farewell.code == 421
            assert shape(await send(session)) == broke(Stage.MAIL, Cause.CLOSED)
            await session.close()
            assert len(peer.messages) == 1

    on(loop, main)


@LOOPS
def test_an_idle_connection_that_closes_is_noticed(loop: str) -> None:
    async def main() -> None:
        async with Peer() as peer:
            session = await opened(peer)
            for writer in peer._writers:
                writer.close()
            await until(lambda: not session.usable)

    on(loop, main)


@LOOPS
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ({"MAIL": Do.STALL}, broke(Stage.MAIL, Cause.LOCAL)),
        ({"DATA": Do.STALL}, broke(Stage.DATA, Cause.LOCAL)),
        ({"DOT": Do.STALL}, doubt(Cause.LOCAL)),
    ],
)
def test_a_cancelled_send_says_what_became_of_it(
    loop: str, script: Script, expected: Shape
) -> None:
    async def main() -> None:
        async with Peer(script) as peer:
            session = await opened(peer)
            task = asyncio.ensure_future(send(session))
            wanted = 1 if "DOT" in script else 0
            await until(lambda: len(peer.messages) >= wanted and len(peer.heard) > 1)
            await asyncio.sleep(0.05)  # the replies before the stall arrive
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert session.outcome is not None
            assert shape(session.outcome) == expected
            assert not session.usable

    on(loop, main)


@pytest.mark.parametrize("octets", [60, 3 * limits.WRITE_PORTION_BYTES])
async def test_the_last_octet_is_announced_before_it_goes(octets: int) -> None:
    content = b"x" * 58 + b"\r\n"
    content *= octets // len(content)
    async with Peer({"RCPT 1": b"550 no\r\n", "DATA 1": b"503 no\r\n"}) as peer:
        session = await opened(peer)
        taken: list[int] = []
        for _ in range(2):
            await session.send(
                "a@example.com",
                "b@example.net",
                content,
                last_octet=lambda: taken.append(len(peer.messages)),
            )
        assert taken == [0]  # not for the refused one, and before the peer had the content
        assert peer.messages == [content]
        await session.close()


async def test_abort_ends_a_running_send() -> None:
    async with Peer({"DOT": Do.STALL}) as peer:
        session = await opened(peer)
        task = asyncio.ensure_future(send(session))
        await until(lambda: peer.messages)
        session.abort()
        assert shape(await task) == doubt(Cause.LOCAL)


async def test_two_sends_at_once_are_our_own_mistake() -> None:
    async with Peer({"DOT": Do.STALL}) as peer:
        session = await opened(peer)
        task = asyncio.ensure_future(send(session))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError):
            await send(session)
        session.abort()
        await task


@pytest.mark.parametrize("bye", [Do.STALL, Do.CLOSE, Do.RESET, b"nonsense\r\n", b"500 no\r\n"])
async def test_close_never_waits_long_nor_raises(bye: bytes | Do) -> None:
    async with Peer({"QUIT": bye}) as peer:
        session = await opened(peer, deadlines=Deadlines(quit=SOON))
        await session.close()
        assert not session.usable
        await session.close()


# --- addresses ------------------------------------------------------------------------------------


async def test_private_addresses_are_refused_unless_allowed() -> None:
    async with Peer() as peer:
        for address in ("127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "10.0.0.1", "::1"):
            source = replace(SOURCE, ip6="::1")
            spec = spec_for(peer, addresses=(address,), policy=AddressPolicy(), source=source)
            got = await open_session(spec)
            assert shape(got) == broke(Stage.CONNECT, Cause.FORBIDDEN_ADDRESS)
        assert peer.connections == 0


async def test_the_next_address_is_tried() -> None:
    async with Peer() as peer:
        addresses = ("10.0.0.1", "2001:db8::1", "127.0.0.9", "127.0.0.1")
        session = await opened(peer, addresses=addresses)
        assert session.address == "127.0.0.1"
        await session.close()


async def test_a_refused_connection() -> None:
    async with Peer() as peer:
        port = peer.port
    spec = ConnectSpec("peer.test", SOURCE, ("127.0.0.1",), port=port, policy=LOOPBACK)
    assert shape(await open_session(spec)) == broke(Stage.CONNECT, Cause.REFUSED)


async def test_a_source_address_that_is_not_ours() -> None:
    async with Peer() as peer:
        source = Source("gone", "mail.example.com", "192.0.2.55")
        got = await open_session(spec_for(peer, source=source))
        assert shape(got) == broke(Stage.CONNECT, Cause.LOCAL)


async def test_the_source_is_bound_and_named() -> None:
    async with Peer() as peer:
        source = Source("other", "other.example.com", "127.0.0.7")
        session = await opened(peer, source=source)
        assert peer._writers[0].get_extra_info("peername")[0] == "127.0.0.7"
        assert peer.heard == ["EHLO other.example.com"]
        await session.close()


async def test_required_tls_is_never_in_the_clear() -> None:
    async with Peer() as peer:
        for policy in (TlsPolicy.REQUIRED, TlsPolicy.VERIFIED):
            got = await open_session(spec_for(peer, tls=policy))
            assert shape(got) == broke(Stage.STARTTLS, Cause.TLS)
        assert set(peer.verbs) == {"EHLO"}
