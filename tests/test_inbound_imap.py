"""The bounce mailbox: a small IMAP server that remembers; what is left when something breaks."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from ekiden.errors import EkidenError, UnavailableError
from ekiden.inbound.imap import ImapOptions, Poller
from queue_world import NOW
from returned_mail import desk, dsn
from test_app_delivery import until

PASSWORD = 'a "quoted" \\ password'


class Mailbox:
    """Enough of RFC 3501 for one client: LOGIN, SELECT, UID SEARCH, FETCH, STORE, COPY, MOVE."""

    def __init__(self, mails: list[bytes], capabilities: str = "IMAP4rev1") -> None:
        self.folders: dict[str, dict[int, bytes]] = {"INBOX": dict(enumerate(mails, 11))}
        self.flags: dict[int, set[str]] = {}
        self.capabilities = capabilities
        self.logins = 0
        self.in_clear: list[str] = []  # commands that came before TLS
        self.starttls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def serving(
        self, path: Path, secure: ssl.SSLContext | None = None, **changes: object
    ) -> AsyncIterator[ImapOptions]:
        (path / "password").write_text(PASSWORD + "\nsecond line\n")
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=secure)
        port = server.sockets[0].getsockname()[1]
        fields = {"folder": "INBOX", "tls": "off", "host": "127.0.0.1", **changes}
        yield ImapOptions(
            port=port,
            user="bounces",
            password_file=path / "password",
            **fields,  # type: ignore[arg-type]  # its fields
        )
        server.close()
        await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"* OK [CAPABILITY {self.capabilities}] ready\r\n".encode())
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            tag, _, rest = line.partition(" ")
            if writer.get_extra_info("ssl_object") is None:
                self.in_clear.append(rest.partition(" ")[0].upper())
            if rest.upper() == "STARTTLS" and self.starttls is not None:
                writer.write(f"{tag} OK begin\r\n".encode())
                try:
                    await writer.start_tls(self.starttls)
                except OSError:  # the client does not trust us
                    return
                continue
            for answer in self.answer(rest):
                writer.write(answer + b"\r\n")
            writer.write(f"{tag} {self.verdict}\r\n".encode())
            if rest.upper().startswith("LOGOUT"):
                break
        writer.close()

    def answer(self, command: str) -> list[bytes]:
        self.verdict = "OK done"
        word = command.upper()
        inbox = self.folders["INBOX"]
        if word.startswith("CAPABILITY"):
            return [f"* CAPABILITY {self.capabilities}".encode()]
        if word.startswith("LOGIN"):
            self.logins += 1
            said = re.fullmatch(r'LOGIN (\S+) "(.*)"', command)
            password = said.group(2).replace('\\"', '"').replace("\\\\", "\\") if said else ""
            if not said or said.group(1).strip('"') != "bounces" or password != PASSWORD:
                self.verdict = "NO wrong password"
        elif word.startswith("SELECT"):
            return [f"* {len(inbox)} EXISTS".encode()]
        elif word.startswith("UID SEARCH"):
            new = [one for one in inbox if "\\Seen" not in self.flags.get(one, set())]
            return [("* SEARCH " + " ".join(map(str, new))).encode()]
        elif found := re.match(r"UID (FETCH|STORE|COPY|MOVE) (\d+) (.*)", command):
            return self._one(found.group(1), int(found.group(2)), found.group(3))
        return []

    def _one(self, verb: str, uid: int, rest: str) -> list[bytes]:
        inbox = self.folders["INBOX"]
        if verb == "FETCH":
            assert rest.startswith("(BODY.PEEK[]<0.")
            raw = inbox[uid]
            return [b"* 1 FETCH (UID %d BODY[]<0> {%d}\r\n%b)" % (uid, len(raw), raw)]
        if verb == "STORE":
            self.flags.setdefault(uid, set()).update(re.findall(r"\\\w+", rest))
        elif (folder := rest.strip('"')) == "Nowhere":
            self.verdict = "NO [TRYCREATE] no such folder"
        else:
            self.folders.setdefault(folder, {})[uid] = inbox[uid]
            if verb == "MOVE":
                del inbox[uid]
        return []


async def test_new_mail_is_taken_once_and_flagged(tmp_path: Path) -> None:
    async with desk(tmp_path, ["a@example.com", "b@example.com"]) as at:
        to = [at.identifiers.return_address(one, NOW) for one in at.ids]
        mails = [dsn("a@example.com", to=to[0]), dsn("b@example.com", to=to[1]), b"Subject: x\n\ny"]
        mailbox = Mailbox(mails)
        async with mailbox.serving(tmp_path) as options:
            poller = Poller(options, lambda raw: at.intake.take(raw, "", NOW))
            assert await poller.round() == 3
            assert await poller.round() == 0
        assert all("\\Seen" in mailbox.flags[uid] for uid in mailbox.folders["INBOX"])
        assert await at.counts() == {"hard_bounce": 2, "no_report": 1}


@pytest.mark.parametrize("capabilities", ["IMAP4rev1", "IMAP4rev1 MOVE"])
async def test_taken_mail_is_moved(tmp_path: Path, capabilities: str) -> None:
    mailbox = Mailbox([b"Subject: 1\r\n\r\n", b"Subject: 2\r\n\r\n"], capabilities)
    taken: list[bytes] = []

    async def take(raw: bytes) -> None:
        taken.append(raw)

    async with mailbox.serving(tmp_path, done="Taken") as options:
        assert await Poller(options, take).round() == 2
    assert taken == list(mailbox.folders["Taken"].values())


async def test_what_was_not_written_down_is_fetched_again(tmp_path: Path) -> None:
    mailbox = Mailbox([b"Subject: 1\r\n\r\n", b"Subject: 2\r\n\r\n"])
    taken: list[bytes] = []

    async def take(raw: bytes) -> None:
        if len(taken) == 1 and not mailbox.flags.get(99):
            mailbox.flags[99] = {"full once"}
            raise UnavailableError("the disk is full")
        taken.append(raw)

    async with mailbox.serving(tmp_path) as options:
        poller = Poller(options, take)
        with pytest.raises(UnavailableError, match="full"):
            await poller.round()
        assert await poller.round() == 1
    assert [raw[9:10] for raw in taken] == [b"1", b"2"]


async def test_refusals_are_errors_with_a_remedy(tmp_path: Path) -> None:
    mailbox = Mailbox([b"Subject: 1\r\n\r\n"])

    async def take(_: bytes) -> None: ...

    async with mailbox.serving(tmp_path, done="Nowhere") as options:
        with pytest.raises(UnavailableError, match="TRYCREATE"):
            await Poller(options, take).round()
        (tmp_path / "password").write_text("wrong\n")
        with pytest.raises(UnavailableError, match="wrong password"):
            await Poller(options, take).round()
        (tmp_path / "password").unlink()
        with pytest.raises(EkidenError, match="cannot be read"):
            await Poller(options, take).round()
    with pytest.raises(UnavailableError, match="mailbox cannot be read"):
        await Poller(options, take).round()


async def test_a_mailbox_in_trouble_is_asked_again(tmp_path: Path) -> None:
    mailbox = Mailbox([b"Subject: 1\r\n\r\n"])
    taken = asyncio.Event()

    async def take(_: bytes) -> None:
        taken.set()

    async with mailbox.serving(tmp_path, interval=0.01) as options:
        (tmp_path / "password").write_text("wrong\n")
        poller = Poller(options, take)
        task = asyncio.create_task(poller.run())
        await until(lambda: bool(poller.trouble))
        (tmp_path / "password").write_text(PASSWORD)
        await until(taken.is_set)
        await until(lambda: not poller.trouble)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def authority() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for `localhost`, and that of a client who trusts its authority."""
    made = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    made.configure_trust(client)
    return server, client


async def test_implicit_tls(tmp_path: Path) -> None:
    server, client = authority()
    async with desk(tmp_path, ["a@example.com"]) as at:
        rcpt = at.identifiers.return_address(at.ids[0], NOW)
        mailbox = Mailbox([dsn("a@example.com", to=rcpt)])
        ways = {"tls": "implicit", "host": "localhost", "context": client}
        async with mailbox.serving(tmp_path, server, **ways) as options:
            assert await Poller(options, lambda raw: at.intake.take(raw, "", NOW)).round() == 1
        assert mailbox.in_clear == []
        assert await at.counts() == {"hard_bounce": 1}


async def test_starttls_comes_before_the_password(tmp_path: Path) -> None:
    server, client = authority()
    mailbox = Mailbox([b"Subject: 1\r\n\r\n"], "IMAP4rev1 STARTTLS")
    mailbox.starttls = server
    taken: list[bytes] = []

    async def take(raw: bytes) -> None:
        taken.append(raw)

    ways = {"tls": "starttls", "host": "localhost", "context": client}
    async with mailbox.serving(tmp_path, None, **ways) as options:
        assert await Poller(options, take).round() == 1
    assert "LOGIN" not in mailbox.in_clear
    assert mailbox.in_clear[-1] == "STARTTLS"
    assert taken == [b"Subject: 1\r\n\r\n"]


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
async def test_a_password_never_goes_to_a_stranger(tmp_path: Path, tls: str) -> None:
    """A certificate that nobody vouches for, or for another name: nothing is sent."""
    server, client = authority()
    _, elsewhere = authority()
    for host, context in (("localhost", elsewhere), ("127.0.0.1", client)):
        mailbox = Mailbox([], "IMAP4rev1 STARTTLS")
        mailbox.starttls = server
        ways = {"tls": tls, "host": host, "context": context}
        first = server if tls == "implicit" else None
        async with mailbox.serving(tmp_path, first, **ways) as options:
            with pytest.raises(UnavailableError, match="certificate"):
                await Poller(options, lambda raw: asyncio.sleep(0, raw)).round()
        assert mailbox.logins == 0


async def test_a_server_that_takes_starttls_away_gets_nothing(tmp_path: Path) -> None:
    _, client = authority()
    mailbox = Mailbox([b"Subject: 1\r\n\r\n"])
    ways = {"tls": "starttls", "host": "localhost", "context": client}
    async with mailbox.serving(tmp_path, None, **ways) as options:
        with pytest.raises(UnavailableError, match="TLS"):
            await Poller(options, lambda raw: asyncio.sleep(0, raw)).round()
    assert mailbox.logins == 0
