"""The whole daemon: a delivered message bounces to its listener; bad rates stop the sending."""

import asyncio
import json
import re
import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ekiden.app import App
from ekiden.control.requests import ResumeScope
from ekiden.control.service import Control
from ekiden.inbound.listener import Listener
from ekiden.queue.model import JobState
from ekiden.shaping.reputation import Judgement, Standing, Tally
from ekiden.sink.record import read_record
from returned_mail import complaint, dsn
from stage import Stage
from test_app_delivery import daemon, until

RETURN = "bounce.stage.example"
INBOUND = f"""
[inbound]
listen = ["127.0.0.1:0"]
return_domain = "{RETURN}"
feedback = ["fbl@{RETURN}"]
"""


def field(message: bytes, name: str) -> str:
    found = re.search(rf"(?m)^{name}: ([^\r\n]*)".encode(), message)
    assert found, name
    return found.group(1).decode()


def events(stage: Stage) -> Iterator[dict[str, Any]]:
    for line in (stage.directory / "events" / "events.jsonl").read_text().splitlines():
        yield json.loads(line)


def give_back(app: App, rcpt: str, message: bytes, sender: str = "") -> None:
    """What a receiver's mail server does."""
    listener = app.receiving.listener
    assert isinstance(listener, Listener)
    host, port = listener.addresses[0]
    with smtplib.SMTP(host, port) as client:
        client.sendmail(sender, [rcpt], message)


async def test_a_delivered_message_comes_back(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=4, sites=2, extra=INBOUND)
    stage.write()
    people = [f"success+{n}@d{n}.example" for n in range(4)]
    stage.drop("news", people)
    async with stage.receivers(store=True), stage.dns(), daemon(stage) as app:
        await until(stage.result("news").exists)
        senders = {
            line.recipient: line.sender
            for line in read_record(stage.record)
            if line.kind == "transaction"
        }
        assert len(set(senders.values())) == 4
        assert all(one.endswith(f"@{RETURN}") for one in senders.values())
        messages = {
            field(raw, "To"): raw for raw in (one.read_bytes() for one in stage.store.iterdir())
        }
        for raw in messages.values():
            assert field(raw, "Feedback-ID").startswith("news:default:bulk:")
            signed = re.search(rb"(?s)DKIM-Signature:.*?\r\n(?=\S)", raw)
            assert signed
            assert b"x-ekiden-ref" in re.sub(rb"\s", b"", signed.group()).lower()

        # The first mailbox turns out not to exist, the second one's owner complains.
        await asyncio.to_thread(give_back, app, senders[people[0]], dsn(people[0]))
        mark = field(messages[people[1]], "X-Ekiden-Ref")
        report = complaint(people[1], reference=mark)
        await asyncio.to_thread(give_back, app, f"fbl@{RETURN}", report, "fbl@provider.example")
        # Somebody bounces his own address in another's name, and tries one that he has made up.
        await asyncio.to_thread(give_back, app, senders[people[2]], dsn(people[3]))
        wrong = senders[people[2]].replace("b-", "b-x", 1)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            await asyncio.to_thread(give_back, app, wrong, dsn(people[2]))

        found = [(one.address, one.reason) for one in await app.base.suppressions.list()]
        assert found == [(people[0], "hard_bounce"), (people[1], "complaint")]
        assert await app.queue.came_back() == {"default to other": (1, 1)}  # for the warm-up
        stage.drop("again", people)
        await until(stage.result("again").exists)
    fates = {one: fate for one, fate, _ in stage.fates("again")}
    assert list(fates.values()) == ["suppressed", "suppressed", "delivered", "delivered"]
    told = [one for one in events(stage) if one.get("asynchronous")]
    assert [(one["type"], one["recipient"], one["class"]) for one in told] == [
        ("bounced", people[0], "bad_mailbox"),
        ("complaint", people[1], "complaint"),
    ]


async def test_a_job_whose_addresses_are_bought_is_stopped_and_resumed(tmp_path: Path) -> None:
    extra = "[reputation]\njob_first = 100\nleast = 1000\n"
    stage = Stage(tmp_path / "s", destinations=4, sites=4, extra=extra)
    stage.write()
    people = [f"bounce+{n}@d{n % 4}.example" for n in range(300)]
    stage.drop("bought", people, pace="60 per 1s")
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        await until((stage.spool / "done" / "bought").exists)
        job = await app.queue.job("bought")

        async def paused() -> bool:
            return (await app.queue.job(job.id)).state is JobState.PAUSED

        await until(paused)
        assert f"job:{job.id}" in app.duties.standings.stopped
        await until(lambda: app.delivery.scheduler.snapshot().in_hand == 0)
        assert (await app.queue.job(job.id)).pending > 0
        control = Control(app.queue, app.base.suppressions, live=app.live, clock=app.base.now)
        await control.ask(ResumeScope(scope=f"job:{job.id}"))
        assert not app.duties.standings.stopped
        assert (await app.queue.job(job.id)).state is JobState.OPEN
        await app.events.exporter.drain()
    alerts = [one for one in events(stage) if one["type"] == "alert"]
    assert alerts
    assert alerts[0]["scope"] == f"job:{job.id}"
    assert alerts[0]["job"] == "bought"
    assert "of the first" in alerts[0]["detail"]


@pytest.mark.parametrize("scope", ["sender:stage.example", "source:default", "provider:gmail"])
async def test_a_stopped_scope_holds_what_comes_later(tmp_path: Path, scope: str) -> None:
    stage = Stage(tmp_path / "s", destinations=2, sites=2)
    stage.write()
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        now = app.base.now()
        await app.queue.add_tallies({scope: Tally(2000, 400)}, 10_000, now)
        await app.duties.standings.round()
        assert scope in app.duties.standings.stopped
        assert await app.queue.pass_judgement({scope: Judgement(Standing.HEALTHY)}, now) == []
        stage.drop("later", ["success@d0.example", "success@d1.example"])
        await until((stage.spool / "done" / "later").exists)
        if scope.startswith("provider"):
            await until(stage.result("later").exists)  # it is about another provider
            return
        await asyncio.sleep(0.5)
        assert not stage.result("later").exists()
        control = Control(app.queue, app.base.suppressions, live=app.live, clock=app.base.now)
        await control.ask(ResumeScope(scope=scope))
        await until(stage.result("later").exists)
    assert [fate for _, fate, _ in stage.fates("later")] == ["delivered", "delivered"]


async def test_a_block_is_told_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=1, sites=1)
    stage.write()
    stage.drop("blocked", ["blocklisted@d0.example", "blocklisted+2@d0.example"])
    async with stage.receivers(), stage.dns(), daemon(stage) as app:

        async def told() -> bool:
            return bool(await app.queue.notices_after(0, 10))

        await until(told)
        assert await app.base.suppressions.list() == []
        notices = await app.queue.notices_after(0, 10)
        assert [one.scope for one in notices] == ["source:default"]
