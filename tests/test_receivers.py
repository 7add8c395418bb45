"""Postfix, Exim and OpenSMTPD as receivers: what arrives is what was sent; refusals are read."""

import asyncio
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import pytest_asyncio

from dkim_oracle import verdicts
from ekiden.engine.connect import ConnectSpec, open_session
from ekiden.engine.session import Session
from ekiden.smtp.outcome import Accepted, Rejected, Stage
from foreign import Foreign, content_of, exim, opensmtpd, postfix
from scripted_peer import LOOPBACK, SOURCE
from stage import Stage as World
from test_app_delivery import daemon, until

LINE = "吾輩は猫である。名前はまだ無い。"
# With all the fields that a server would add where they are missing.
HEAD = (
    b"From: a@x.example\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
    b"Message-ID: <1@x.example>\r\nSubject: x\r\n\r\n"
)
CONTENTS = {
    "dots": HEAD + b".\r\n..\r\n.x\r\n\r\n.\r\n.end\r\n",
    "blank ends": HEAD + b"x\r\n\r\n\r\n\r\n",
    "eight bit": HEAD + f"{LINE * 9}\r\n".encode(),
    "long": HEAD + b"".join(b".%0900d\r\n" % n for n in range(3000)),
    "no last line end": HEAD + b"last",
}


# OpenSMTPD has one queue whatever it is told, so no two may run: it must not be the last one here,
# which lives until the module's end.
SERVERS = {"postfix": postfix, "opensmtpd": opensmtpd, "exim": exim}


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=SERVERS)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Foreign]:
    async with SERVERS[request.param]() as running:
        yield running


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("chunking", [False, True])
async def test_what_arrives_is_what_was_sent(server: Foreign, chunking: bool) -> None:
    spec = ConnectSpec(
        "mx.foreign.example",
        SOURCE,
        (server.host,),
        port=server.port,
        policy=LOOPBACK,
        chunking=chunking,
    )
    session = await open_session(spec)
    assert isinstance(session, Session), session
    if server.name == "opensmtpd":  # its TLS is broken: opportunistic means in clear, then
        assert session.tls == ""
    else:
        assert session.tls.startswith("TLSv1.3")
        assert (session.extensions.pipelining, session.extensions.chunking) == (True, True)
    before = len(server.stored())
    for name, content in CONTENTS.items():
        outcome = await session.send("b@x.example", f"{name.replace(' ', '.')}@d0.example", content)
        assert isinstance(outcome, Accepted), (name, outcome)
    outcome = await session.send("b@x.example", "unknown@d0.example", CONTENTS["dots"])
    assert isinstance(outcome, Rejected)
    assert (outcome.stage, outcome.reply.code) == (Stage.RCPT, 550)
    outcome = await session.send("b@x.example", "after@d0.example", CONTENTS["dots"])
    assert isinstance(outcome, Accepted), outcome
    await session.close()
    stored = await server.arrived(before + len(CONTENTS) + 1)
    found = [content_of(one, b"From: a@x") for one in stored]
    wanted = [one if one.endswith(b"\r\n") else one + b"\r\n" for one in CONTENTS.values()]
    assert set(found) == set(wanted)


@pytest.mark.parametrize("receiver", SERVERS)
async def test_a_campaign_and_a_message_through_the_daemon(tmp_path: Path, receiver: str) -> None:
    world = World(tmp_path / "s", destinations=4, sites=1)
    world.write()
    people = [f"p{n}@{world.destination(n)}" for n in range(40)] + ["unknown1@d1.example"]
    mail = (
        f"From: news@stage.example\r\nTo: eml@d2.example\r\nSubject: .eml\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: 8bit\r\n\r\n.{LINE * 8}\r\n.\r\n..\r\n"
    ).encode()
    async with SERVERS[receiver](port=world.port) as server, world.dns(), daemon(world) as app:
        world.drop("news", people)
        folder = world.spool
        (folder / "tmp/one.eml").write_bytes(mail)
        (folder / "tmp/one.eml").rename(folder / "new/one.eml")
        await until(lambda: world.result("news").exists() and world.result("one").exists(), 30)
        assert await app.base.suppressions.contains("unknown1@d1.example")
        stored = await server.arrived(41)
    fates = {one: fate for one, fate, _ in world.fates("news")}
    assert fates.pop("unknown1@d1.example") == "bounced"
    assert set(fates.values()) == {"delivered"}
    raw = [content_of(one, b"DKIM-Signature:") for one in stored]
    assert len(raw) == 41
    assert all(verdicts(one, world.keys()) == [True, True] for one in raw)
    (eml,) = (one for one in raw if b"Subject: .eml" in one)
    assert eml.endswith(mail.partition(b"\r\n\r\n")[2])
    campaign = [message_from_bytes(one, policy=policy.default) for one in raw if one is not eml]
    names = {str(one["Subject"]) for one in campaign}
    assert names == {f"読者{n}様へ" for n in range(40)}


async def test_a_greylist_and_a_full_server_are_waited_out(tmp_path: Path) -> None:
    world = World(tmp_path / "s", destinations=2, sites=1)
    world.write()
    async with postfix(
        port=world.port, restrictions="check_recipient_access regexp:{root}/access"
    ) as server:
        access = server.root / "access"
        access.write_text("/^grey/ 450 4.2.0 Greylisted, see you soon\n")
        async with world.dns(), daemon(world) as app:
            world.drop("news", ["grey@d0.example", "free@d1.example"])
            await server.arrived(1)
            await until(lambda: "Greylisted" in server.log)
            access.write_text("")
            await asyncio.to_thread(server.reload)
            await until(world.result("news").exists, 30)
            records = await app.queue.attempts_after(0, 20)
    assert {fate for _, fate, _ in world.fates("news")} == {"delivered"}
    grey = [one.attempt for one in records if one.recipient == "grey@d0.example" and one.attempt]
    assert [one.code for one in grey][-1] == 250
    assert {one.code for one in grey[:-1]} == {450}
    assert grey[0].klass == "greylisted"
