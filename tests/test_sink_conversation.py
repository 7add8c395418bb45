"""The sink as clients see it: behaviours, profiles, caps, pipelining, BDAT, and the record.

The clients are smtplib, swaks where it is installed, and raw sockets; TLS has a file of its own.
"""

import asyncio
import contextlib
import hashlib
import shutil
import smtplib
from collections.abc import Callable
from pathlib import Path

import pytest

from ekiden.errors import EkidenError, UnavailableError
from ekiden.sink.behaviours import Timing
from ekiden.sink.record import read_record
from ekiden.sink.server import Place, Sink, SinkOptions
from sink_world import MESSAGE, Raw, World, running, settled, talk

# --- taking messages ----------------------------------------------------------------------------


async def test_a_pipelined_transaction_is_taken_and_recorded() -> None:
    async with running(World()) as world:
        replies = await talk(world, "taro@ocn.demo.test")
        assert [one[:3] for one in replies] == [b"250", b"250", b"354", b"250"]
        await settled(world)
    (line,) = world.transactions()
    assert line.accepted
    assert (line.provider, line.sender, line.recipient) == ("ocn", "a@b.test", "taro@ocn.demo.test")
    assert (line.size, line.dkim, line.message_id) == (len(MESSAGE), 1, "<1@x.test>")
    assert line.sha256 == hashlib.sha256(MESSAGE).hexdigest()
    assert [one.kind for one in world.lines] == ["open", "transaction", "close"]
    assert world.sink.counts["ocn"].accepted == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a\r\n",
        b"\r\n",
        b"\r\n\r\n\r\n",
        b".\r\n..\r\n.a\r\n",
        b"a\r\n.\r\n\r\n",
        b"Subject: x\r\n\r\n" + b"x" * 300_000 + b"\r\n",
        b"Subject: x\r\n\r\n" + b"line.\r\n" * 20_000,
    ],
)
async def test_content_arrives_byte_for_byte(content: bytes, tmp_path: Path) -> None:
    world = World()
    world.sink = Sink(SinkOptions(store=tmp_path, listener=world.lines.append, tls=False))
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    stuffed = b"." + stuffed if stuffed.startswith(b".") else stuffed
    async with running(world):
        client = await Raw.to(world.port)
        start = b"MAIL FROM:<>\r\nRCPT TO:<a@x.test>\r\nDATA\r\n"
        assert await client.codes(start, 3) == [250, 250, 354]
        # The next transaction is in the same write as the content (RFC 2920 section 3.1).
        more = b"MAIL FROM:<b@b.test>\r\nRCPT TO:<b@x.test>\r\nQUIT\r\n"
        assert await client.codes(stuffed + b".\r\n" + more, 4) == [250, 250, 250, 221]
        await client.close()
    assert stored(tmp_path) == [content]


def stored(path: Path) -> list[bytes]:
    return [one.read_bytes() for one in sorted(path.iterdir())]


async def test_content_in_single_bytes() -> None:
    async with running(World()) as world:
        client = await Raw.to(world.port)
        await client.say(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<a@x.test>\r\nDATA\r\n", 3)
        for byte in b"S: x\r\n\r\n..a\r\n.":
            client.writer.write(bytes([byte]))
            await client.writer.drain()
        assert await client.codes(b"\r\n", 1) == [250]
        await client.close()
    assert world.transactions()[0].size == len(b"S: x\r\n\r\n.a\r\n")


async def test_bdat_in_one_round_trip() -> None:
    async with running(World(Place(profile="outlook"))) as world:
        client = await Raw.to(world.port)
        start = b"MAIL FROM:<a@b.test> BODY=8BITMIME\r\nRCPT TO:<a@outlook.com>\r\n"
        chunk = b"BDAT %d\r\n%sBDAT 5 LAST\r\nend\r\n" % (len(MESSAGE), MESSAGE)
        assert await client.codes(start + chunk, 4) == [250, 250, 250, 250]
        refused = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<bounce@outlook.com>\r\nBDAT 3 LAST\r\nx\r\n"
        assert await client.codes(refused + b"NOOP\r\n", 4) == [250, 550, 554, 250]
        await client.close()
    taken = [line for line in world.transactions() if line.accepted]
    assert [line.size for line in taken] == [len(MESSAGE) + 5]


async def test_what_a_killed_client_had_sent_is_taken() -> None:
    async with running(World()) as world:
        client = await Raw.to(world.port)
        await client.say(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<a@x.test>\r\nDATA\r\n", 3)
        client.writer.write(MESSAGE + b".\r\n")
        await client.writer.drain()
        client.writer.transport.abort()
        await settled(world)
    assert [line.accepted for line in world.transactions()] == [True]


async def test_half_a_message_is_not_taken() -> None:
    async with running(World()) as world:
        client = await Raw.to(world.port)
        await client.say(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<a@x.test>\r\nDATA\r\n", 3)
        client.writer.write(MESSAGE + b".\r")
        await client.close()
        await settled(world)
    assert world.transactions() == []
    assert world.sink.ledger.open_at("x.test", "127.0.0.1") == 0


# --- behaviours ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipient", "stage", "reply"),
    [
        ("bounce@docomo.ne.jp", "rcpt", "550 Unknown user bounce@docomo.ne.jp"),
        ("filtered+1@docomo.ne.jp", "body", "550 Unknown user filtered+1@docomo.ne.jp"),
        ("BOUNCE+x@ezweb.ne.jp", "rcpt", "550 <BOUNCE+x@ezweb.ne.jp>: User unknown"),
        ("filtered@ezweb.ne.jp", "body", "550 : User unknown"),
        ("bounce@softbank.ne.jp", "rcpt", "550 Invalid recipient: <bounce@softbank.ne.jp>"),
        ("badsender@softbank.ne.jp", "rcpt", "553 b.test does not exist"),
        ("bounce@rakuten.jp", "rcpt", "550 User not found"),
        (
            "mailboxfull@icloud.com",
            "rcpt",
            "552 5.2.2 <mailboxfull@icloud.com>: user is over quota",
        ),
        ("mailboxfull@docomo.ne.jp", "rcpt", "552 Too much mail data mailboxfull@docomo.ne.jp"),
        ("blocklisted@yahoo.co.jp", "rcpt", "553 Mail from 127.0.0.1 not allowed - VS98-IP0"),
        ("throttle@yahoo.com", "rcpt", "421 4.7.0 [TSS04] Messages from 127.0.0.1 temporarily"),
        ("tempfail@x.test", "rcpt", "451 4.3.0 <tempfail@x.test>: Temporary lookup failure"),
        ("authfail@outlook.com", "body", "550 5.7.515 Access denied, sending domain b.test does"),
        ("toolarge@ezweb.ne.jp", "body", "552 5.3.4 Message size exceeds fixed limit"),
    ],
)
async def test_refusals_in_the_providers_words(recipient: str, stage: str, reply: str) -> None:
    async with running(World()) as world:
        replies = await talk(world, recipient)
    said = replies[1 if stage == "rcpt" else 3].decode()
    assert said.startswith(reply)
    (line,) = world.transactions()
    assert (line.stage, line.accepted, line.recipient) == (stage, False, recipient)
    assert line.reply == said.rstrip("\r\n")


async def test_several_lines_carry_the_code_on_each() -> None:
    async with running(World(tls=False)) as world:
        replies = await talk(world, "bounce@company.example")
    lines = replies[1].split(b"\r\n")[:-1]
    assert len(lines) == 4
    assert all(line.startswith(b"550-5.1.1") for line in lines[:-1])
    assert lines[-1].startswith(b"550 5.1.1")


@pytest.mark.parametrize("name", ["greylist", "throttle"])
async def test_refused_until_the_time_has_come(name: str) -> None:
    async with running(World(timing=Timing(greylist=3.0, throttle=3.0))) as world:
        first = (await talk(world, f"{name}+a@x.test"))[1]
        world.clock.now += 2.9
        second = (await talk(world, f"{name}+a@x.test"))[1]
        other = (await talk(world, f"{name}+a@x.test", sender="other@b.test"))[1]
        world.clock.now += 0.1
        third = (await talk(world, f"{name}+a@x.test"))[1]
    assert first.startswith(b"450")
    assert b"try again in 4 seconds" in first
    assert b"try again in 1 seconds" in second
    assert other.startswith(b"450")
    assert third.startswith(b"250")


async def test_tempfail_once() -> None:
    async with running(World()) as world:
        codes = [(await talk(world, "tempfail-once+a@x.test"))[1][:3] for _ in range(3)]
    assert codes == [b"451", b"250", b"250"]


async def test_ratelimit_and_the_profiles_own_rate() -> None:
    async with running(World(timing=Timing(ratelimit=2.0))) as world:
        codes = [(await talk(world, f"ratelimit+{n}@x.test"))[1][:3] for n in range(4)]
        world.clock.now += 1.0
        codes.append((await talk(world, "ratelimit+9@x.test"))[1][:3])
        fast = [(await talk(world, f"u{n}@yahoo.co.jp"))[1] for n in range(12)]
    assert codes == [b"250", b"250", b"451", b"451", b"250"]
    assert [one[:3] for one in fast] == [b"250"] * 10 + [b"421"] * 2
    assert b"[IPTS04]" in fast[-1]


async def test_drop_after_dot_takes_the_message_and_says_nothing() -> None:
    async with running(World()) as world:
        replies = await talk(world, "drop-after-dot@x.test")
    assert replies[-1] == b""
    (line,) = world.transactions()
    assert (line.accepted, line.answered) == (True, False)


@pytest.mark.parametrize("name", ["disconnect", "reset"])
async def test_gone_at_rcpt(name: str) -> None:
    async with running(World()) as world:
        client = await Raw.to(world.port)
        with contextlib.suppress(ConnectionError):
            found = await client.say(
                b"MAIL FROM:<a@b.test>\r\nRCPT TO:<%s@x.test>\r\n" % name.encode(), 2
            )
            assert found[1] == b""
        await client.close()
        await settled(world)
    (line,) = world.transactions()
    assert (line.stage, line.reply, line.accepted, line.answered) == ("rcpt", "", False, False)


async def test_replies_that_are_none() -> None:
    async with running(World()) as world:
        assert (await talk(world, "malformed@x.test"))[1].startswith(b"2_5 OK")
        assert (await talk(world, "endless@x.test"))[1].count(b"\r\n") == 2001
        assert (await talk(world, "binary@x.test"))[
            3
        ] == b"250 2.0.0 \xff\xfe \x1b[31mtaken\x00\r\n"


async def test_one_refused_recipient_of_several() -> None:
    async with running(World()) as world:
        replies = await talk(world, "a@x.test", "bounce@x.test", "b@x.test")
    assert [one[:3] for one in replies] == [b"250", b"250", b"550", b"250", b"354", b"250"]
    assert sorted(one.recipient for one in world.transactions() if one.accepted) == [
        "a@x.test",
        "b@x.test",
    ]


async def test_all_recipients_refused() -> None:
    async with running(World()) as world:
        replies = await talk(world, "bounce@x.test")
    assert [one[:3] for one in replies] == [b"250", b"550", b"554"]


# --- providers ----------------------------------------------------------------------------------


async def test_session_cap_at_every_instant() -> None:
    async with running(World(Place(profile="yahoo-jp"))) as world:
        open_ = [await Raw.to(world.port) for _ in range(2)]
        third = await Raw.to(world.port, ehlo=False)
        assert (await third.reply()).startswith(b"421")
        # The place is free before the client hears the answer to QUIT.
        leaving = open_.pop()
        assert (await leaving.say(b"QUIT\r\n"))[0].startswith(b"221")
        open_.append(await Raw.to(world.port))
        await leaving.close()
        for client in (*open_, third):
            await client.close()
        await settled(world)
    assert [line.kind for line in world.lines].count("refused") == 1
    assert max(line.open_peer for line in world.lines) == 2
    counts = world.sink.counts["yahoo-jp"]
    assert (counts.peak, counts.open, counts.refused_sessions, counts.sessions) == (2, 0, 1, 3)


async def test_messages_per_session() -> None:
    async with running(World(Place(profile="icloud"))) as world:
        client = await Raw.to(world.port)
        for number in range(5):
            start = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<u%d@icloud.com>\r\nDATA\r\n" % number
            assert await client.codes(start, 3) == [250, 250, 354]
            assert await client.codes(MESSAGE + b".\r\n", 1) == [250]
        assert await client.codes(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<x@icloud.com>\r\n", 1) == [421]
        assert await client.reply() == b""
        await client.close()
    assert [line.accepted for line in world.transactions()] == [True] * 5 + [False]


async def test_another_providers_domain_is_refused_at_a_providers_address() -> None:
    async with running(World(Place(profile="docomo"))) as world:
        replies = await talk(world, "x@docomo.ne.jp", "x@gmail.com")
    assert replies[2].startswith(b"554")
    assert world.transactions()[0].recipient == "x@gmail.com"


async def test_too_many_recipients() -> None:
    async with running(World(Place(profile="docomo"))) as world:
        replies = await talk(world, *[f"u{n}@docomo.ne.jp" for n in range(101)])
    assert replies[101] == b"552 Too many recipients\r\n"


async def test_extensions_differ() -> None:
    async with running(World(Place(profile="ocn"), Place(profile="gmail"), tls=True)) as world:
        offered = []
        for _, port in world.sink.addresses:
            client = await Raw.to(port, ehlo=False)
            await client.reply()
            offered.append((await client.say(b"EHLO x\r\n"))[0])
            await client.close()
    assert b"PIPELINING" not in offered[0]
    assert b"CHUNKING" in offered[1]
    assert b"STARTTLS" in offered[1]


async def test_size_is_refused_at_mail_and_after_the_message() -> None:
    async with running(World(Place(profile="softbank"))) as world:
        client = await Raw.to(world.port)
        assert await client.codes(b"MAIL FROM:<a@b.test> SIZE=2000000\r\n", 1) == [552]
        start = b"MAIL FROM:<a@b.test>\r\nRCPT TO:<u@softbank.ne.jp>\r\nDATA\r\n"
        assert await client.codes(start, 3) == [250, 250, 354]
        assert await client.codes(b"x" * 70_000 * 16 + b"\r\n.\r\n", 1) == [552]
        assert await client.codes(b"NOOP\r\n", 1) == [250]
        await client.close()
    assert not world.transactions()[-1].accepted


# --- the wire -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "codes"),
    [
        (b"MAIL FROM:<a@b.test>\n", [500]),
        (b"NOOP\r\nRSET\r\nVRFY x\r\n", [250, 250, 252]),
        (b"FOO\r\n\r\n", [500, 500]),
        (b"MAIL FROM:a@b.test\r\nMAIL FROM:<a b@x>\r\n", [501, 501]),
        (b"MAIL FROM:<a@b.test> FOO=1\r\n", [555]),
        (b"RCPT TO:<a@x.test>\r\nDATA\r\n", [503, 554]),
        (b"MAIL FROM:<>\r\nMAIL FROM:<>\r\n", [250, 503]),
        (b'MAIL FROM:<"a b>c"@x.test> SIZE=10 BODY=8BITMIME SMTPUTF8\r\n', [250]),
        (b"MAIL FROM:<>\r\nRCPT TO:<>\r\nRCPT TO:<a..b@docomo.ne.jp>\r\n", [250, 501, 250]),
        (b"NOOP " + b"x" * 3000 + b"\r\n", [500]),
        (b"BDAT x\r\n", [501]),
        (b"HELO\r\nEHLO\r\nHELO x\r\n", [501, 501, 250]),
    ],
)
async def test_commands_whole_and_in_single_bytes(said: bytes, codes: list[int]) -> None:
    async with running(World()) as world:
        for pieces in ([said], [said[n : n + 1] for n in range(len(said))]):
            client = await Raw.to(world.port)
            for piece in pieces:
                client.writer.write(piece)
            assert [int((await client.reply())[:3]) for _ in codes] == codes
            await client.close()


async def test_bare_line_feeds_in_a_message_are_refused() -> None:
    async with running(World()) as world:
        client = await Raw.to(world.port)
        await client.say(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<a@x.test>\r\nDATA\r\n", 3)
        smuggled = b"S: x\r\n\r\na\n.\nMAIL FROM:<evil@b.test>\r\n.\r\n"
        assert (await client.say(smuggled))[0].startswith(b"550 5.6.11")
        await client.close()
    assert [line.sender for line in world.transactions()] == ["a@b.test"]


async def test_endless_nonsense_ends_the_session() -> None:
    async with running(World()) as world:
        client = await Raw.to(world.port)
        client.writer.write(b"FOO\r\n" * 50)
        found = await asyncio.wait_for(client.reader.read(), 5)
        assert found.count(b"500 ") == 20
        assert found.endswith(b"421 4.7.0 Error: too many commands\r\n")
        await client.close()
        client = await Raw.to(world.port)
        client.writer.write(b"x" * 66_000)
        assert b"500 5.5.2" in await asyncio.wait_for(client.reader.read(), 5)
        await client.close()


async def test_connections_are_capped() -> None:
    world = World()
    world.sink = Sink(SinkOptions(connections=2, tls=False))
    async with running(world):
        clients = [await Raw.to(world.port) for _ in range(2)]
        third = await Raw.to(world.port, ehlo=False)
        assert (await third.reply()).startswith(b"421 4.3.2")
        for client in (*clients, third):
            await client.close()


async def test_silence_ends_a_session() -> None:
    world = World()
    world.sink = Sink(SinkOptions(idle=0.05, tls=False))
    async with running(world):
        client = await Raw.to(world.port)
        assert await asyncio.wait_for(client.reader.read(), 5) == b""
        await client.close()


async def test_stop_cuts_what_is_open() -> None:
    world = World(timing=Timing(slow=60.0))
    async with running(world):
        client = await Raw.to(world.port)
        client.writer.write(b"MAIL FROM:<>\r\nRCPT TO:<slow@x.test>\r\n")
        assert (await client.reply()).startswith(b"250")
    with contextlib.suppress(ConnectionError):
        assert await client.reader.read() == b""
    assert world.sink.open_sessions == 0
    await client.close()


# --- clients of others --------------------------------------------------------------------------


async def test_smtplib() -> None:
    def send(port: int) -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
            return client.sendmail("a@b.test", ["u@x.test", "bounce@x.test"], MESSAGE)

    async with running(World()) as world:
        refused = await asyncio.to_thread(send, world.port)
    assert list(refused) == ["bounce@x.test"]


@pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
async def test_swaks_pipelines() -> None:
    async with running(World(Place(profile="docomo"))) as world:
        process = await asyncio.create_subprocess_exec(
            "swaks", "--pipeline", "--server", f"127.0.0.1:{world.port}", "--from", "a@b.test",
            "--to", "u@docomo.ne.jp,bounce@docomo.ne.jp", "--silent", "3",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await asyncio.wait_for(process.wait(), 20)
    assert [line.accepted for line in world.transactions()] == [False, True]


# --- options and files --------------------------------------------------------------------------


async def test_the_record_survives_a_kill(tmp_path: Path) -> None:
    record = tmp_path / "r.jsonl"
    async with Sink(SinkOptions(record=record, tls=False)) as sink:
        world = World()
        world.sink = sink
        await talk(world, "a@x.test")
        before = list(read_record(record))
        with record.open("ab") as file:
            file.write(b'{"kind":"transac')
        assert [line.kind for line in read_record(record)][: len(before)] == [
            line.kind for line in before
        ]
    assert [line.recipient for line in before if line.accepted] == ["a@x.test"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: SinkOptions(places=(Place(profile="gmial"),)), "no provider profile"),
        (lambda path: SinkOptions(record=path / "no" / "r.jsonl"), "cannot be written"),
        (lambda _: SinkOptions(places=(Place("192.0.2.1"),)), "cannot listen"),
    ],
)
async def test_wrong_options_are_told(
    make: Callable[[Path], SinkOptions], words: str, tmp_path: Path
) -> None:
    with pytest.raises(EkidenError, match=words):
        await Sink(make(tmp_path)).start()


async def test_a_taken_port_is_told() -> None:
    async with running(World()) as world:
        taken = Sink(SinkOptions(places=(Place(port=world.port),)))
        with pytest.raises(UnavailableError, match="cannot listen"):
            await taken.start()
