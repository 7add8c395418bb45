"""Every key of a configuration set does what it says, in the whole daemon."""

import asyncio
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import httpx

from ekiden.dkim.keys import Algorithm, generate, save_key
from ekiden.queue.model import JobState, State
from stage import SENDER, Stage, free_port
from test_app_delivery import daemon, until
from test_app_events import ekiden
from test_app_web import HTML, web


def with_key(stage: Stage, domain: str) -> None:
    """Give the stage a key of another domain."""
    save_key(generate(domain, "one", Algorithm.ED25519), stage.directory / "dkim" / "other.pem")


def messages(stage: Stage) -> list[EmailMessage]:
    found = []
    for file in sorted(stage.store.rglob("*.eml")):
        message = message_from_bytes(file.read_bytes(), policy=policy.default)
        assert isinstance(message, EmailMessage)
        found.append(message)
    return found


async def test_keys_that_change_the_message(tmp_path: Path) -> None:
    port = free_port()
    stage = Stage(
        tmp_path / "s",
        destinations=2,
        sites=1,
        extra=f"""
[[dkim.key]]
domain = "shop.example"
selector = "one"
file = "dkim/other.pem"
[inbound]
listen = ["127.0.0.1:{free_port()}"]
return_domain = "back.{SENDER}"
[configuration_set.shop]
dkim = ["shop.example"]
return_domain = "back.shop.example"
track_opens = false
track_clicks = true
[configuration_set.quiet]
track_opens = false
track_clicks = false
{web(port)}""",
    )
    stage.write()
    with_key(stage, "shop.example")
    raw = (
        f"From: news@{SENDER}\nTo: success@d1.example\nSubject: raw\n"
        "X-Ekiden-Configuration-Set: shop\n\nhello\n"
    )
    async with stage.receivers(store=True), stage.dns(), daemon(stage) as app:
        await app.base.contacts.add_list("l", at=app.base.now())
        for name in ("shop", "quiet"):
            stage.drop(name, [f"success+{name}@d0.example"], page=HTML, configuration_set=name)
        stage.drop("none", ["success+none@d0.example"], page=HTML)
        (stage.spool / "tmp" / "raw.eml").write_text(raw)
        (stage.spool / "tmp" / "raw.eml").rename(stage.spool / "new" / "raw.eml")
        for name in ("shop", "quiet", "none", "raw"):
            await until(stage.result(name).exists)
        # A bounce to either domain is believed.
        for line in stage.transactions():
            assert app.receiving.returned.expects(line.sender, app.base.now()), line.sender
        forged = next(one.sender for one in stage.transactions()).replace("back.", "x.")
        assert not app.receiving.returned.expects(forged, app.base.now())
    senders = {one.recipient: one.sender for one in stage.transactions()}
    assert senders["success+shop@d0.example"].endswith("@back.shop.example")
    assert senders["success@d1.example"].endswith("@back.shop.example")
    assert senders["success+none@d0.example"].endswith(f"@back.{SENDER}")
    by_person = {str(one["To"]): one for one in messages(stage)}
    signed = {
        person: {field.split(" d=")[1].split(";")[0] for field in one.get_all("DKIM-Signature", [])}
        for person, one in by_person.items()
    }
    assert signed["success+shop@d0.example"] == {"shop.example"}
    assert signed["success@d1.example"] == {"shop.example"}
    assert signed["success+none@d0.example"] == {SENDER}
    html = {
        name: by_person[f"success+{name}@d0.example"].get_body(("html",)).get_content()  # type: ignore[union-attr]  # it is there
        for name in ("shop", "quiet", "none")
    }
    assert {name: text.count(".gif") for name, text in html.items()} == {
        "shop": 0,
        "quiet": 0,
        "none": 1,
    }
    assert {name: text.count(f":{port}/c/") > 0 for name, text in html.items()} == {
        "shop": True,
        "quiet": False,
        "none": True,
    }


async def test_tls_and_the_time_to_deliver(tmp_path: Path) -> None:
    """The receivers speak no TLS: mail of the strict set waits, and its time runs out."""
    extra = '[configuration_set.strict]\ntls = "required"\nlifetime = "3s"\n'
    stage = Stage(tmp_path / "s", destinations=1, sites=1, extra=extra)
    stage.write()
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        stage.drop("strict", ["success@d0.example"], configuration_set="strict")
        stage.drop("usual", ["success+1@d0.example"])
        await until(stage.result("usual").exists)
        await until(stage.result("strict").exists)
        assert (await app.queue.job("strict")).counts[State.EXPIRED] == 1
        (history,) = await app.queue.deliveries_for("success@d0.example")
        assert history.attempts[0].attempt is not None
        assert "TLS" in history.attempts[0].attempt.reply
    assert [one.recipient for one in stage.transactions()] == ["success+1@d0.example"]


async def test_limits_of_its_own_and_the_switch(tmp_path: Path) -> None:
    extra = """
[reputation]
volume = 100
least = 20
[configuration_set.strict]
stop_bounces = 0.05
"""
    stage = Stage(tmp_path / "s", destinations=2, sites=1, extra=extra)
    stage.write()
    # 2 of 30: under the usual 10 %, over the 5 % of the set.
    people = [f"success+{n}@{stage.destination(n)}" for n in range(28)]
    gone = [f"bounce+{n}@{stage.destination(n)}" for n in range(2)]
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        stage.drop("usual", [*people, *gone])
        await until(stage.result("usual").exists)
        await app.duties.standings.round()
        assert app.duties.standings.stopped == {}
        gone = [f"bounce+again{n}@{stage.destination(n)}" for n in range(2)]
        stage.drop("strict", [*people, *gone], configuration_set="strict")
        await until(stage.result("strict").exists)
        await app.duties.standings.round()
        assert "6.67% bounces" in app.duties.standings.stopped["set:strict"]

        stage.drop("later", people[:3], configuration_set="strict")

        async def paused(name: str) -> bool:
            jobs = await app.queue.jobs([JobState.PAUSED], 10)
            return name in {job.name for job in jobs}

        await until(lambda: paused("later"))
        code, told = await ekiden(stage, "sets", "resume", "strict")
        assert code == 0, told
        await until(stage.result("later").exists)

        # The switch, by hand and at once.
        code, told = await ekiden(stage, "sets", "stop", "strict", "--reason", "a wrong price")
        assert code == 0, told
        stage.drop("held", people[:3], configuration_set="strict")
        await until(lambda: paused("held"))
        assert "strict\tstopped" in (await ekiden(stage, "sets", "list"))[1]
        await asyncio.sleep(0.3)
        assert not stage.result("held").exists()
        assert (await ekiden(stage, "sets", "resume", "strict"))[0] == 0
        await until(stage.result("held").exists)
        assert (await ekiden(stage, "sets", "resume", "strict"))[0] == 3


async def test_an_identity_is_confirmed_by_the_link_in_its_mail(tmp_path: Path) -> None:
    port = free_port()
    extra = f"""
[identities]
require = true
sender = "postmaster@{SENDER}"
{web(port)}"""
    stage = Stage(tmp_path / "s", destinations=2, sites=1, extra=extra)
    stage.write()
    address = "success+boss@d0.example"
    async with (
        stage.receivers(store=True),
        stage.dns(),
        daemon(stage) as app,
        httpx.AsyncClient() as client,
    ):
        assert (await ekiden(stage, "identities", "add", address))[0] == 0
        code, told = await ekiden(stage, "identities", "verify", address)
        assert code == 0, told
        await until(lambda: len(messages(stage)) == 1)
        (mail,) = messages(stage)
        assert mail["Auto-Submitted"] == "auto-generated"
        text = mail.get_content()
        link = next(word for word in text.split() if word.startswith("http"))

        # Refused until then, and the refusal says what to do.
        stage.drop("early", ["success@d1.example"], **{"from": address})
        failed = stage.spool / "failed" / "early.error.txt"
        await until(failed.exists)
        assert f"ekiden identities verify {address}" in failed.read_text()

        wrong = await client.get(f"{link}x")
        assert wrong.status_code == 404
        for _ in range(3):  # scanners
            shown = await client.get(link)
            assert address in shown.text
        assert (await app.base.identities.identity(address)).verified_at is None
        done = await client.post(link)
        assert done.status_code == 200
        assert address in done.text
        assert (await client.post(link)).status_code == 404  # once
        stage.drop("late", ["success@d1.example"], **{"from": address})
        await until(stage.result("late").exists)

        # The same by hand.
        other = "success+other@d0.example"
        await ekiden(stage, "identities", "add", other)
        await ekiden(stage, "identities", "verify", other)
        await until(lambda: any(other in str(one["To"]) for one in messages(stage)))
        mail = next(one for one in messages(stage) if other in str(one["To"]))
        token = next(word for word in mail.get_content().split() if "/identity/" in word)
        token = token.rpartition("/")[2]
        code, told = await ekiden(stage, "identities", "confirm", token)
        assert (code, told.split("\t")[:3]) == (0, [other, "verified", "mail"])
        assert (await ekiden(stage, "identities", "confirm", token))[0] == 3
