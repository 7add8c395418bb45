"""STARTTLS, AUTH and certificates, against aiosmtpd (not ours) and peers that cheat."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from aiosmtpd.smtp import Session as Theirs

from ekiden.engine import connect
from ekiden.engine.connect import ConnectSpec, open_session
from ekiden.engine.deadlines import Deadlines
from ekiden.engine.protocol import SessionProtocol
from ekiden.engine.routes import Credentials
from ekiden.engine.session import Session
from ekiden.engine.tls import TlsContexts, TlsPolicy
from ekiden.smtp.outcome import Broke, Cause, Stage
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
    no,
    on,
    opened,
    send,
    shape,
    spec_for,
)

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
OFFERED = b"250-peer.test\r\n250 STARTTLS\r\n"


@dataclass
class Mailbox:
    """An aiosmtpd handler that keeps what it was given."""

    contents: list[bytes] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Theirs, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        assert isinstance(envelope.content, bytes)
        self.contents.append(envelope.content)
        return "250 2.0.0 Kept"


@dataclass
class Receiver:
    """A running aiosmtpd server."""

    mailbox: Mailbox
    port: int
    cafile: str


def _authenticate(
    _server: SMTP, _session: Theirs, _envelope: Envelope, _mechanism: str, data: object
) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"me", b"secret")
    return AuthResult(success=right, handled=False)


@asynccontextmanager
async def receiver(
    folder: Path, host: str = "peer.test", **options: Any
) -> AsyncIterator[Receiver]:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host).configure_cert(context)
    cafile = folder / "ca.pem"
    authority.cert_pem.write_to_path(cafile)
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()

    def factory() -> SMTP:
        return SMTP(mailbox, tls_context=context, loop=loop, hostname="peer.test", **options)

    server = await loop.create_server(factory, "127.0.0.1", 0)
    try:
        yield Receiver(mailbox, server.sockets[0].getsockname()[1], str(cafile))
    finally:
        server.close()
        await asyncio.sleep(0.01)  # aiosmtpd's connection tasks end


def spec(there: Receiver, **changes: object) -> ConnectSpec:
    plain = ConnectSpec("peer.test", SOURCE, ("127.0.0.1",), port=there.port, policy=LOOPBACK)
    plain = replace(plain, contexts=TlsContexts(there.cafile))
    return replace(plain, **changes)  # type: ignore[arg-type]  # tests name real fields


@LOOPS
@pytest.mark.parametrize(
    "policy", [TlsPolicy.OPPORTUNISTIC, TlsPolicy.REQUIRED, TlsPolicy.VERIFIED, TlsPolicy.OFF]
)
def test_mail_goes_through_every_policy(loop: str, policy: TlsPolicy, tmp_path: Path) -> None:
    big = b"Subject: big\r\n\r\n" + b"".join(b".%061d\r\n" % at for at in range(20_000))

    async def main() -> None:
        async with receiver(tmp_path) as there:
            session = await open_session(spec(there, tls=policy))
            assert isinstance(session, Session), session
            assert session.tls.startswith("TLSv1.") is (policy is not TlsPolicy.OFF)
            for content in (CONTENT, big, CONTENT):
                assert shape(await send(session, content)) == YES
            await session.close()
            assert there.mailbox.contents == [CONTENT, big, CONTENT]

    on(loop, main)


@LOOPS
def test_the_second_session_resumes_the_first(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with receiver(tmp_path) as there:
            asked = spec(there, tls=TlsPolicy.REQUIRED)
            reused = []
            for _ in range(3):
                session = await open_session(asked)
                assert isinstance(session, Session)
                wire = session._wire
                assert isinstance(wire, SessionProtocol)
                reused.append(wire._transport.get_extra_info("ssl_object").session_reused)
                assert shape(await send(session)) == YES
                await session.close()
            assert reused == [False, True, True]

    on(loop, main)


async def test_verified_needs_the_right_name_and_authority(tmp_path: Path) -> None:
    async with receiver(tmp_path, "other.test") as there:
        got = await open_session(spec(there, tls=TlsPolicy.VERIFIED))
        assert shape(got) == broke(Stage.STARTTLS, Cause.TLS)
        assert isinstance(got, Broke)
        assert "mismatch" in got.detail
    (tmp_path / "b").mkdir()
    async with receiver(tmp_path) as there, receiver(tmp_path / "b") as elsewhere:
        foreign = spec(there, tls=TlsPolicy.VERIFIED, contexts=TlsContexts(elsewhere.cafile))
        assert shape(await open_session(foreign)) == broke(Stage.STARTTLS, Cause.TLS)


async def test_a_context_per_policy_is_shared() -> None:
    contexts = TlsContexts()
    assert contexts.get(TlsPolicy.REQUIRED) is contexts.get(TlsPolicy.OPPORTUNISTIC)
    assert contexts.get(TlsPolicy.VERIFIED) is not contexts.get(TlsPolicy.REQUIRED)
    assert contexts.get(TlsPolicy.VERIFIED).verify_mode is ssl.CERT_REQUIRED


# --- peers that cheat -----------------------------------------------------------------------------

CHEATS: list[tuple[str, Script, Shape | None, Shape]] = [
    # name, script, what opportunistic gets (None = a session in the clear), what required gets
    ("not offered", {"EHLO": PLAIN}, None, broke(Stage.STARTTLS, Cause.TLS)),
    ("454", {"STARTTLS": b"454 not now\r\n"}, None, no(Stage.STARTTLS, 454)),
    ("502", {"STARTTLS": b"502 what\r\n"}, None, no(Stage.STARTTLS, 502)),
    (
        "garbage",
        {"STARTTLS": b"220 go\r\n"},
        None,
        broke(Stage.STARTTLS, Cause.TLS),
    ),
    ("closes", {"STARTTLS": (b"220 go\r\n", Do.CLOSE)}, None, broke(Stage.STARTTLS, Cause.TLS)),
    ("resets", {"STARTTLS": (b"220 go\r\n", Do.RESET)}, None, broke(Stage.STARTTLS, Cause.TLS)),
    ("silent", {"STARTTLS": (b"220 go\r\n", Do.STALL)}, None, broke(Stage.STARTTLS, Cause.TLS)),
    ("closes at once", {"STARTTLS": Do.CLOSE}, None, broke(Stage.STARTTLS, Cause.TLS)),
    (
        "injected command reply",
        {"STARTTLS": b"220 go\r\n250 evil\r\n"},
        broke(Stage.STARTTLS, Cause.PROTOCOL),
        broke(Stage.STARTTLS, Cause.PROTOCOL),
    ),
    (
        "injected bytes",
        {"STARTTLS": b"220 go\r\n2"},
        broke(Stage.STARTTLS, Cause.PROTOCOL),
        broke(Stage.STARTTLS, Cause.PROTOCOL),
    ),
    (
        "421",
        {"STARTTLS": (b"421 bye\r\n", Do.CLOSE)},
        no(Stage.STARTTLS, 421),
        no(Stage.STARTTLS, 421),
    ),
    (
        "250",
        {"STARTTLS": b"250 sure\r\n"},
        broke(Stage.STARTTLS, Cause.PROTOCOL),
        broke(Stage.STARTTLS, Cause.PROTOCOL),
    ),
    (
        "nonsense",
        {"STARTTLS": b"2_0 go\r\n"},
        broke(Stage.STARTTLS, Cause.PROTOCOL),
        broke(Stage.STARTTLS, Cause.PROTOCOL),
    ),
]


@LOOPS
@pytest.mark.parametrize(
    ("script", "opportunistic", "required"),
    [row[1:] for row in CHEATS],
    ids=[row[0] for row in CHEATS],
)
def test_cheats(loop: str, script: Script, opportunistic: Shape | None, required: Shape) -> None:
    async def main() -> None:
        async with Peer({"EHLO": OFFERED, **script}) as peer:
            silent = "STALL" in str(script)
            deadlines = Deadlines(tls=SOON) if silent else Deadlines()
            got = await open_session(spec_for(peer, deadlines=deadlines))
            if opportunistic is None:
                assert isinstance(got, Session), got
                assert got.tls == ""
                assert shape(await send(got)) == YES
                assert peer.messages == [CONTENT]
                await got.close()
            else:
                assert shape(got) == opportunistic
            sent = len(peer.messages)
            asked = spec_for(peer, tls=TlsPolicy.REQUIRED, deadlines=deadlines)
            assert shape(await open_session(asked)) == required
            assert len(peer.messages) == sent

    on(loop, main)


async def test_why_a_session_is_in_the_clear_is_kept() -> None:
    async with Peer({"EHLO": OFFERED, "STARTTLS": b"454 not now\r\n"}) as peer:
        session = await opened(peer)
        assert session.tls_failure == "STARTTLS was answered 454"
        assert peer.connections == 1
        await session.close()
    async with Peer({"EHLO": OFFERED, "STARTTLS": (b"220 go\r\n", Do.CLOSE)}) as peer:
        session = await opened(peer)
        assert "handshake failed" in session.tls_failure
        assert peer.connections == 2
        await session.close()


# --- smarthosts -----------------------------------------------------------------------------------

RIGHT = Credentials("me", "secret")
WRONG = Credentials("me", "guess")


async def test_auth(tmp_path: Path) -> None:
    async with receiver(tmp_path, authenticator=_authenticate, auth_required=True) as there:
        for policy in (TlsPolicy.OPPORTUNISTIC, TlsPolicy.REQUIRED):
            session = await open_session(spec(there, tls=policy, credentials=RIGHT))
            assert isinstance(session, Session), session
            assert session.tls
            assert shape(await send(session)) == YES
            await session.close()
        got = await open_session(spec(there, tls=TlsPolicy.REQUIRED, credentials=WRONG))
        assert shape(got) == no(Stage.AUTH, 535)


async def test_a_password_never_goes_in_the_clear_by_itself() -> None:
    offer = b"250-peer.test\r\n250 AUTH PLAIN LOGIN\r\n"
    async with Peer({"EHLO": offer}) as peer:
        got = await open_session(spec_for(peer, credentials=RIGHT))
        assert shape(got) == broke(Stage.STARTTLS, Cause.TLS)
        assert set(peer.verbs) == {"EHLO"}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ({}, broke(Stage.AUTH, Cause.PROTOCOL)),  # not offered
        ({"EHLO": b"250-x\r\n250 AUTH GSSAPI\r\n"}, broke(Stage.AUTH, Cause.PROTOCOL)),
        ({"AUTH": b"535 5.7.8 no\r\n"}, no(Stage.AUTH, 535)),
        ({"AUTH": b"454 later\r\n"}, no(Stage.AUTH, 454)),
        ({"AUTH": (b"421 bye\r\n", Do.CLOSE)}, no(Stage.AUTH, 421)),
        ({"AUTH": Do.CLOSE}, broke(Stage.AUTH, Cause.CLOSED)),
        ({"AUTH": b"2_5 ok\r\n"}, broke(Stage.AUTH, Cause.PROTOCOL)),
    ],
)
async def test_auth_that_fails(script: Script, expected: Shape) -> None:
    offer = b"250-x\r\n250 AUTH PLAIN\r\n"
    wanted = {"EHLO": offer, **script} if script else {}
    async with Peer(wanted) as peer:
        got = await open_session(spec_for(peer, tls=TlsPolicy.OFF, credentials=RIGHT))
        assert shape(got) == expected
        assert "secret" not in str(got)


@LOOPS
def test_tls_from_the_start(loop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        authority = trustme.CA()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("peer.test").configure_cert(context)
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        mailbox = Mailbox()
        running = asyncio.get_running_loop()
        server = await running.create_server(
            lambda: SMTP(mailbox, loop=running, hostname="peer.test"), "127.0.0.1", 0, ssl=context
        )
        there = Receiver(mailbox, server.sockets[0].getsockname()[1], str(tmp_path / "ca.pem"))
        monkeypatch.setattr(connect, "_SUBMISSIONS_PORT", there.port)  # 465 needs privileges
        session = await open_session(spec(there, tls=TlsPolicy.VERIFIED))
        assert isinstance(session, Session), session
        assert session.tls.startswith("TLSv1.")
        assert shape(await send(session)) == YES
        await session.close()
        server.close()
        await asyncio.sleep(0.01)
        assert mailbox.contents == [CONTENT]

    on(loop, main)


@LOOPS
def test_a_certificate_is_proven_where_some_mail_asks_for_it(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with receiver(tmp_path) as there:
            asked = spec(there, tls=TlsPolicy.OPPORTUNISTIC, prove=True)
            session = await open_session(asked)
            assert isinstance(session, Session), session
            assert (session.verified, session.tls_failure) == (True, "")
            assert shape(await send(session, CONTENT)) == YES
            await session.close()
            plain = await open_session(replace(asked, prove=False))
            assert isinstance(plain, Session)
            assert (plain.verified, plain.tls[:5]) == (False, "TLSv1")
            await plain.close()

    on(loop, main)


@LOOPS
@pytest.mark.parametrize("policy", [TlsPolicy.OPPORTUNISTIC, TlsPolicy.REQUIRED])
def test_a_host_without_a_valid_certificate_is_used_as_its_policy_says(
    loop: str, policy: TlsPolicy, tmp_path: Path
) -> None:
    async def main() -> None:
        async with receiver(tmp_path, "another.test") as there:
            asked = spec(there, tls=policy, prove=True)
            for _ in range(2):  # the second time it is not asked for
                session = await open_session(asked)
                assert isinstance(session, Session), session
                assert (session.verified, session.tls[:5]) == (False, "TLSv1")
                assert not asked.contexts.may_prove("peer.test", asyncio.get_running_loop().time())
                await session.close()
            assert asked.contexts.may_prove("peer.test", asyncio.get_running_loop().time() + 3601)

    on(loop, main)
