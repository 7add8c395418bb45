"""Rows that choose their configuration set: every promise of a set holds for them, in one job."""

import asyncio
import csv
import json
import smtplib
import ssl
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from ekiden.app import App
from ekiden.errors import NotFoundError
from ekiden.events.model import Event, EventType
from ekiden.lists.model import Preference, Topic
from ekiden.lists.suppression import Reason, Suppression
from ekiden.queue.model import JobState, State
from ekiden.sink.server import Place, Sink, SinkOptions
from stage import PAGE, SENDER, Stage, free_port
from test_app_delivery import daemon, until
from test_app_events import ekiden
from test_app_sets import messages, with_key
from test_app_web import HTML, web


def drop(
    stage: Stage, name: str, rows: Iterable[tuple[str, str]], *, page: str = PAGE, **job: object
) -> None:
    """Drop a job of (address, set) rows."""
    for folder in (stage.spool, stage.spool / "tmp", stage.spool / "new"):
        folder.mkdir(mode=0o755, exist_ok=True)
    building = stage.spool / "tmp" / name
    building.mkdir(mode=0o755)
    with (building / "people.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("email", "configuration_set", "name", "points"))
        writer.writerows((one, chosen, f"読者{n}", n) for n, (one, chosen) in enumerate(rows))
    (building / "body.html").write_text(page, encoding="utf-8")
    keys = {
        "from": f"Ekiden <news@{SENDER}>",
        "subject": "{{ name }}様へ",
        "html": "body.html",
        "recipients": "people.csv",
        **job,
    }
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()]
    (building / "job.toml").write_text("\n".join(lines), encoding="utf-8")
    building.rename(stage.spool / "new" / name)


def told(file: Path) -> list[Event]:
    if not file.exists():
        return []
    return [msgspec.json.decode(line, type=Event) for line in file.read_bytes().splitlines()]


async def test_every_promise_of_a_set_holds_for_its_rows(tmp_path: Path) -> None:
    port = free_port()
    extra = f"""
[[dkim.key]]
domain = "shop.example"
selector = "one"
file = "dkim/other.pem"
[inbound]
listen = ["127.0.0.1:{free_port()}"]
return_domain = "back.{SENDER}"
[[source]]
name = "usual"
address = "127.0.0.1"
[[source]]
name = "other"
address = "127.0.0.2"
[[pool]]
name = "default"
sources = ["usual"]
[[pool]]
name = "shop"
sources = ["other"]
[[events.file]]
name = "crm"
directory = "crm"
default = false
[configuration_set.shop]
pool = "shop"
priority = "transactional"
dkim = ["shop.example"]
return_domain = "back.shop.example"
track_opens = false
track_clicks = true
suppression = []
event_destinations = ["crm"]
[configuration_set.plain]
pool = "default"
[configuration_set.listed]
list = "letters"
topic = "offers"
[configuration_set.strict]
tls = "required"
lifetime = "3s"
{web(port)}"""
    stage = Stage(tmp_path / "s", destinations=2, sites=1, extra=extra)
    stage.write()
    with_key(stage, "shop.example")
    shop, usual, strict = (f"success+{name}@d0.example" for name in ("shop", "usual", "strict"))
    gone, left, wrong = (f"success+{name}@d1.example" for name in ("gone", "left", "wrong"))
    rows = [
        (usual, ""),
        (shop, "shop"),
        (gone, "shop"),  # suppressed for others; not for this set
        ("success+gone2@d1.example", ""),
        (left, "listed"),  # left the topic
        ("success+stays@d1.example", "listed"),
        (strict, "strict"),  # the receivers speak no TLS
        (wrong, "nowhere"),
        (usual, "shop"),  # once is enough
    ]
    async with stage.receivers(store=True), stage.dns(), daemon(stage) as app:
        await app.base.contacts.add_list("letters", at=app.base.now())
        await app.base.contacts.add_topic(
            "letters", Topic("offers", "Offers", "", Preference.OPT_IN)
        )
        now = app.base.now()
        await app.base.suppressions.add_many(
            [
                Suppression(address, Reason.HARD_BOUNCE, at=now)
                for address in (gone, "success+gone2@d1.example")
            ]
        )
        await app.base.contacts.set_topic(
            "letters", left, "offers", Preference.OPT_OUT, source="", at=now
        )
        drop(stage, "news", rows, page=HTML, configuration_set="plain")
        await until(stage.result("news").exists)
        code, shown = await ekiden(stage, "job", "show", "news")
        assert code == 0
        head = await app.queue.job("news")
        strict_job = {one.configuration_set: one for one in await app.queue.siblings(head.id)}[
            "strict"
        ]
        assert strict_job.counts[State.EXPIRED] == 1
        await until(lambda: len(told(stage.directory / "crm" / "events.jsonl")) >= 4)
    by_person = {str(one["To"]): one for one in messages(stage)}
    assert sorted(by_person) == sorted([usual, shop, gone, "success+stays@d1.example"])
    # The keys, the return path, the marks, the source.
    signed = {
        person: {field.split(" d=")[1].split(";")[0] for field in one.get_all("DKIM-Signature", [])}
        for person, one in by_person.items()
    }
    assert (signed[shop], signed[usual]) == ({"shop.example"}, {SENDER})
    lines = {one.recipient: one for one in stage.transactions() if one.accepted}
    assert lines[shop].sender.endswith("@back.shop.example")
    assert lines[usual].sender.endswith(f"@back.{SENDER}")
    html = {person: one.get_body(("html",)).get_content() for person, one in by_person.items()}  # type: ignore[union-attr]  # it is there
    assert (html[shop].count(".gif"), html[usual].count(".gif")) == (0, 1)
    assert f":{port}/c/" in html[shop]
    log = told(stage.directory / "events" / "events.jsonl")
    sources = {one.recipient: one.source for one in log if one.type is EventType.DELIVERED}
    assert (sources[shop], sources[usual]) == ("other", "usual")
    # Whoever reads sees one job.
    assert {one.job_uid for one in log if one.recipient} == {head.uid}
    assert {(one.recipient, one.configuration_set) for one in log if one.recipient == shop} == {
        (shop, "shop")
    }
    # The set's destinations hear of its rows, and of no others.
    assert {one.recipient for one in told(stage.directory / "crm" / "events.jsonl")} == {shop, gone}
    fates = {recipient: fate for recipient, fate, _ in stage.fates("news")}
    assert fates == {
        usual: "delivered",
        shop: "delivered",
        gone: "delivered",
        "success+gone2@d1.example": "suppressed",
        left: "suppressed",
        "success+stays@d1.example": "delivered",
        strict: "expired",
        wrong: "refused",
    }
    result = json.loads(stage.result("news").read_text())
    assert (result["counts"]["rows"], result["counts"]["accepted"]) == (9, 7)
    assert (result["counts"]["refused"], result["counts"]["duplicates"]) == (1, 1)
    assert {name: one["accepted"] for name, one in result["sets"].items()} == {
        "shop": 2,
        "listed": 2,
        "strict": 1,
    }
    facts = dict(line.split("\t", 1) for line in shown.splitlines())
    assert (facts["recipients"], facts["delivered"], facts["state"]) == ("7", "4", "done")
    assert facts["rows of set shop"].startswith("2: 0 waiting, 2 delivered, 0 failed; job ")


async def states(app: App, name: str) -> dict[str, JobState]:
    """The states of a job and its siblings, by set; empty while there is no such job."""
    with suppress(NotFoundError):
        head = await app.queue.job(name)
        members = (head, *await app.queue.siblings(head.id))
        return {one.configuration_set: one.state for one in members}
    return {}


def holds(stage: Stage, name: str, most: dict[str, int]) -> bool:
    """Whether the job has ended with these counts."""
    counts = json.loads(stage.result(name).read_text())["counts"]
    return {key: number for key, number in counts.items() if number} == most


async def test_the_switch_and_the_limits_of_a_set_hold_its_rows(tmp_path: Path) -> None:
    extra = """
[reputation]
volume = 100
least = 20
[configuration_set.strict]
stop_bounces = 0.05
[configuration_set.codes]
"""
    stage = Stage(tmp_path / "s", destinations=2, sites=1, extra=extra)
    stage.write()
    people = [f"success+{n}@{stage.destination(n)}" for n in range(28)]
    gone = [f"bounce+{n}@{stage.destination(n)}" for n in range(2)]
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        rows = [(one, "strict") for one in (*people, *gone)]
        drop(stage, "first", [*rows, ("success+x@d0.example", "")])
        await until(stage.result("first").exists)
        await app.duties.standings.round()
        assert "6.67% bounces" in app.duties.standings.stopped["set:strict"]

        # The stopped set's rows wait, the others go.
        mixed = [(people[0], "strict"), (people[1], "codes"), (people[2], "")]
        drop(stage, "mixed", mixed)

        async def two_went() -> bool:
            if len(found := await states(app, "mixed")) < 3:
                return False
            head = await app.queue.job("mixed")
            members = (head, *await app.queue.siblings(head.id))
            went = sum(one.counts[State.DELIVERED] for one in members)
            return went == 2 and found["strict"] is JobState.PAUSED

        await until(two_went)
        assert not stage.result("mixed").exists()
        shown = (await ekiden(stage, "jobs", "--state", "paused"))[1]
        assert shown.splitlines()[0].split("\t")[3:5] == ["3", "1"]  # all of them, waiting
        assert (await ekiden(stage, "sets", "resume", "strict"))[0] == 0
        await until(stage.result("mixed").exists)
        assert holds(stage, "mixed", {"rows": 3, "accepted": 3, "delivered": 3})


async def test_a_person_stops_all_of_a_job_or_the_rows_of_a_set(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=2, sites=1, extra="[configuration_set.codes]\n")
    stage.write()
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        code, text = await ekiden(stage, "suspend", "d0.example", "--reason", "for a while")
        assert code == 0, text
        later = [(f"success+l{n}@d0.example", chosen) for n, chosen in enumerate(("", "codes"))]
        drop(stage, "later", later)

        async def taken() -> bool:
            return len(await states(app, "later")) == 2

        await until(taken)
        assert (await ekiden(stage, "job", "pause", "later"))[0] == 0
        assert set((await states(app, "later")).values()) == {JobState.PAUSED}
        code, text = await ekiden(stage, "job", "pause", "later")
        assert (code, "the job is paused" in text) == (1, True)
        assert (await ekiden(stage, "job", "resume", "later"))[0] == 0
        assert set((await states(app, "later")).values()) == {JobState.OPEN}
        (codes,) = await app.queue.siblings((await app.queue.job("later")).id)
        code, text = await ekiden(stage, "job", "cancel", str(codes.id), "--yes")
        assert code == 0, text
        assert await states(app, "later") == {"": JobState.OPEN, "codes": JobState.CANCELLED}
        assert (await ekiden(stage, "resume", "d0.example"))[0] == 0
        await until(stage.result("later").exists)
        assert holds(stage, "later", {"rows": 2, "accepted": 2, "delivered": 1, "cancelled": 1})

        many = [(f"success+n{n}@d0.example", "codes") for n in range(3)]
        drop(stage, "never", many, pace="1 per 1h")
        await until(lambda: any("+n" in one.recipient for one in stage.transactions()))
        assert (await ekiden(stage, "job", "cancel", "never", "--yes"))[0] == 0
        await until(stage.result("never").exists)
        assert holds(stage, "never", {"rows": 3, "accepted": 3, "delivered": 1, "cancelled": 2})


async def test_verified_tls_of_rows(tmp_path: Path) -> None:
    """One site with a certificate that is trusted, one with one that is not."""
    port = free_port()
    trusted = [f"127.0.1.{n + 1}" for n in range(2)]
    extra = '[tls]\nca_file = "ca.pem"\n'
    extra += '[configuration_set.strict]\ntls = "verified"\nlifetime = "3s"\n'
    extra += '[configuration_set.some]\ntls = "required"\n'
    stage = Stage(tmp_path / "s", destinations=2, sites=2, extra=extra, port=port)
    stage.write()
    sinks = [
        Sink(
            SinkOptions(
                places=[Place(host=host, port=port, site=f"s{n}", name=f"mx.s{n}.example")],
                record=stage.directory / f"record{n}.jsonl",
            )
        )
        for n, host in enumerate(trusted)
    ]
    async with sinks[0], sinks[1], stage.dns():
        pem = await asyncio.to_thread(certificate, trusted[0], port)
        (stage.directory / "ca.pem").write_text(pem)
        async with daemon(stage) as app:
            rows = [
                (f"success+{chosen}@d{n}.example", chosen)
                for n in range(2)
                for chosen in ("strict", "some", "")
            ]
            drop(stage, "news", rows)
            await until(stage.result("news").exists)
            (history,) = await app.queue.deliveries_for("success+strict@d1.example")
    fates = {recipient: fate for recipient, fate, _ in stage.fates("news")}
    late = "success+strict@d1.example"
    assert fates == dict.fromkeys([one for one, _ in rows], "delivered") | {late: "expired"}
    tried = history.attempts[0].attempt
    assert tried is not None
    assert tried.reply.endswith(
        "certificate of mx.s1.example is not valid, and the job requires it"
    )


def certificate(host: str, port: int) -> str:
    """What a receiver shows after STARTTLS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP(host, port) as client:
        client.starttls(context=context)
        assert isinstance(client.sock, ssl.SSLSocket)
        shown = client.sock.getpeercert(binary_form=True)
        assert shown is not None
        return ssl.DER_cert_to_PEM_cert(shown)
