"""The listener on a socket: who may send what to whom, and how much; swaks as a foreign client."""

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest
import trustme

from ekiden.bounce.identifiers import Identifiers
from ekiden.errors import UnavailableError
from ekiden.inbound.conversation import peer_key
from ekiden.inbound.doors import Doors
from ekiden.inbound.listener import Listener
from ekiden.inbound.options import ListenerOptions
from queue_world import NOW
from returned_mail import DOMAIN, LIFETIME, Desk, complaint, desk, dsn

FEEDBACK = f"FBL@{DOMAIN}"


@asynccontextmanager
async def listening(at: Desk, **changes: object) -> AsyncIterator[tuple[str, int]]:
    options = ListenerOptions("mx.example.net", **changes)  # type: ignore[arg-type]  # its fields
    doors = Doors(at.intake, [FEEDBACK])
    refused = at.intake.refused
    places = [("127.0.0.1", 0)]
    async with Listener(places, doors, options, clock=lambda: NOW, refused=refused) as listener:
        try:
            yield listener.addresses[0]
        finally:
            while Client.made:
                Client.made.pop().writer.close()
            await asyncio.sleep(0.01)


class Client:
    """A client that says exactly what it is told."""

    made: ClassVar[list["Client"]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, address: tuple[str, int]) -> "Client":
        cls.made.append(cls(*await asyncio.open_connection(*address)))
        return cls.made[-1]

    async def reply(self) -> str:
        lines = []
        while line := (await asyncio.wait_for(self.reader.readline(), 10)).decode():
            lines.append(line.rstrip())
            if line[3:4] != "-":
                break
        return "\n".join(lines)

    async def say(self, raw: bytes) -> str:
        self.writer.write(raw)
        return await self.reply()

    async def mail(self, rcpt: str, message: bytes, sender: str = "") -> str:
        """The reply to the message, or to the RCPT that was refused."""
        assert (await self.say(b"MAIL FROM:<%b>\r\n" % sender.encode())).startswith("250")
        answer = await self.say(b"RCPT TO:<%b>\r\n" % rcpt.encode())
        if not answer.startswith("250"):
            return answer
        assert (await self.say(b"DATA\r\n")).startswith("354")
        return await self.say(message.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")

    async def close(self) -> None:
        self.writer.close()
        await asyncio.sleep(0.05)


async def hello(address: tuple[str, int]) -> Client:
    client = await Client.connect(address)
    assert (await client.reply()).startswith("220 mx.example.net ESMTP")
    assert "ENHANCEDSTATUSCODES" in await client.say(b"EHLO there.example\r\n")
    return client


async def test_a_bounce_is_taken_before_it_is_answered(tmp_path: Path) -> None:
    async with desk(tmp_path, ["a@example.com"]) as at, listening(at) as address:
        client = await hello(address)
        rcpt = at.identifiers.return_address(at.ids[0], NOW)
        assert (await client.mail(rcpt.upper(), dsn("a@example.com"))).startswith("250")
        assert await at.suppressed() == [("a@example.com", "hard_bounce")]
        assert (await client.say(b"QUIT\r\n")).startswith("221")


async def test_feedback_addresses_take_reports_from_anybody(tmp_path: Path) -> None:
    async with desk(tmp_path, ["a@example.com"]) as at, listening(at) as address:
        client = await hello(address)
        raw = complaint("a@example.com", reference=at.identifiers.reference(at.ids[0], NOW))
        assert (await client.mail(FEEDBACK.lower(), raw, "x@fbl.example")).startswith("250")
        assert (await client.mail(FEEDBACK, complaint("b@example.com"))).startswith("250")
        assert await at.suppressed() == [("a@example.com", "complaint")]
        assert await at.counts() == {"complaint": 1, "unsigned": 1}


async def test_nobody_else_gets_mail_here(tmp_path: Path) -> None:
    async with desk(tmp_path, ["a@example.com"]) as at, listening(at) as address:
        stranger = Identifiers([b"x" * 32], DOMAIN, LIFETIME)
        client = await hello(address)
        wrong = {
            "someone@example.org": "refused",
            f"postmaster@{DOMAIN}": "refused",
            stranger.return_address(at.ids[0], NOW): "forged",
            at.identifiers.return_address(at.ids[0], NOW - 90 * 86_400): "expired",
        }
        for rcpt in wrong:
            assert (await client.mail(rcpt, b"")).startswith("550 5.1.1")
            assert (await client.say(b"DATA\r\n")).startswith("554")
            assert (await client.say(b"RSET\r\n")).startswith("250")
        await at.intake.flush(NOW)
        assert await at.counts() == {"refused": 2, "forged": 1, "expired": 1}


@pytest.mark.parametrize("bare", [b"a\nb", b"a\rb", b"a\n.\nb", b"\n", b"a\n\r\nb", b"a\r\r\nb"])
async def test_a_bare_cr_or_lf_is_refused(tmp_path: Path, bare: bytes) -> None:
    async with desk(tmp_path, ["a@example.com"]) as at, listening(at) as address:
        client = await hello(address)
        rcpt = at.identifiers.return_address(at.ids[0], NOW)
        answer = await client.mail(rcpt, dsn("a@example.com") + bare)
        assert answer.startswith("554 5.6.0")
        assert await at.suppressed() == []
        assert (await client.say(b"NOOP\n")).startswith("500")
        assert (await client.say(b"NOOP\rMAIL FROM:<>\r\n")).startswith("500")


async def test_a_bad_command_has_one_answer(tmp_path: Path) -> None:
    async with desk(tmp_path, ["a@example.com"]) as at, listening(at) as address:
        client = await hello(address)
        assert (await client.say(b"RSET \0\r\n")).startswith("500 5.5.2")
        assert (await client.say(b"NOOP\r\n")).startswith("250")


async def test_a_loop_is_ended_and_an_endless_message_too(tmp_path: Path) -> None:
    async with desk(tmp_path, ["a@example.com"]) as at, listening(at, size=70_000) as address:
        client = await hello(address)
        rcpt = at.identifiers.return_address(at.ids[0], NOW)
        hops = b"Received: from x by y; Mon, 1 Jan 2026 00:00:00 +0000\r\n"
        answer = await client.mail(rcpt, hops * 100 + dsn("a@example.com"))
        assert answer.startswith("554 5.4.6")
        assert (await client.mail(rcpt, hops * 2000)).startswith("552 5.3.4")
        assert (await client.say(b"MAIL FROM:<> SIZE=70001\r\n")).startswith("552 5.3.4")
        assert await at.suppressed() == []


async def test_connections_commands_and_time_have_caps(tmp_path: Path) -> None:
    async with (
        desk(tmp_path, ["a@example.com"]) as at,
        listening(at, connections_per_peer=2, session=1.0) as address,
    ):
        first, second = await hello(address), await hello(address)
        third = await Client.connect(address)
        assert (await third.reply()).startswith("421 4.3.2")
        await second.close()
        for _ in range(5):
            answer = await first.say(b"HELP ME\r\n")
        assert answer.startswith("500")
        assert (await first.reply()).startswith("421 4.7.0")
        await asyncio.sleep(0.05)
        slow = await hello(address)
        assert await slow.reader.read() == b""  # cut after its second, although it said nothing bad


async def test_a_full_disk_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk(tmp_path, ["a@example.com"]) as at, listening(at) as address:

        async def refuse(*_: object) -> None:
            raise UnavailableError("the disk is full")

        client = await hello(address)
        rcpt = at.identifiers.return_address(at.ids[0], NOW)
        with monkeypatch.context() as patch:
            patch.setattr(at.queue, "report", refuse)
            assert (await client.mail(rcpt, dsn("a@example.com"))).startswith("451")
        assert (await client.mail(rcpt, dsn("a@example.com"))).startswith("250")
        assert len(await at.suppressed()) == 1


async def test_starttls_forgets_what_came_before(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("mx.example.net").configure_cert(context)
    async with desk(tmp_path, ["a@example.com"]) as at, listening(at, tls=context) as address:
        rcpt = at.identifiers.return_address(at.ids[0], NOW)
        client = await hello(address)
        # Injected behind STARTTLS: must not be taken as if it had come inside.
        client.writer.write(b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n")
        assert (await client.reply()).startswith("220")
        trust = ssl.create_default_context()
        authority.configure_trust(trust)
        await client.writer.start_tls(trust, server_hostname="mx.example.net")
        assert (await client.say(b"MAIL FROM:<>\r\n")).startswith("503")
        assert "STARTTLS" not in await client.say(b"EHLO again.example\r\n")
        assert (await client.mail(rcpt, dsn("a@example.com"))).startswith("250")
        assert len(await at.suppressed()) == 1


@pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
async def test_swaks_delivers_a_bounce(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("mx.example.net").configure_cert(context)
    (tmp_path / "bounce.eml").write_bytes(dsn("a@example.com").replace(b"\r\n", b"\n"))

    async def swaks(address: tuple[str, int], rcpt: str, *more: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *("swaks", "--server", f"{address[0]}:{address[1]}", "--from", "<>", "--to", rcpt),
            *("--data", f"@{tmp_path / 'bounce.eml'}", *more),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    async with desk(tmp_path, ["a@example.com"]) as at, listening(at, tls=context) as address:
        rcpt = at.identifiers.return_address(at.ids[0], NOW)
        assert (await swaks(address, f"nobody@{DOMAIN}"))[0] == 24  # no recipient was accepted
        code, said = await swaks(address, rcpt)
        assert code == 0, said
        assert await at.counts() == {"hard_bounce": 1}
        code, said = await swaks(address, rcpt, "--tls")
        assert code in {0, 29}, said  # 29: no TLS in this swaks
        if code == 0:
            assert await at.counts() == {"hard_bounce": 1, "duplicate": 1}


def test_peers_are_counted_by_what_one_customer_has() -> None:
    assert peer_key("192.0.2.1") == peer_key("::ffff:192.0.2.1") == "192.0.2.1"
    assert peer_key("2001:db8::1") == peer_key("2001:db8::ffff:1%eth0") == "2001:db8::/64"
    assert peer_key("") == ""


async def test_a_taken_address_is_told(tmp_path: Path) -> None:
    async with desk(tmp_path, ["a@example.com"]) as at:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            place = taken.getsockname()
            listener = Listener(
                [place],
                Doors(at.intake, []),
                ListenerOptions("x"),
                clock=lambda: NOW,
                refused=at.intake.refused,
            )
            with pytest.raises(UnavailableError, match="cannot listen"):
                await listener.__aenter__()
