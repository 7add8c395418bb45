"""The whole daemon with contact lists: who leaves while a job is sent gets nothing any more."""

import json
from collections import Counter
from pathlib import Path

from ekiden.app import App
from ekiden.lists.model import Choice, NewContact, Preference, Topic
from ekiden.lists.suppression import Reason, Suppression
from ekiden.queue.model import Priority, State
from stage import Stage
from test_app_delivery import daemon, until

IN, OUT = Preference.OPT_IN, Preference.OPT_OUT


async def test_nobody_is_mailed_after_leaving(tmp_path: Path) -> None:
    """300 people, two topics; some had left, some leave while the job is being sent."""
    stage = Stage(tmp_path / "s", destinations=12, sites=4)
    stage.write()
    people = [f"success+{n}@{stage.destination(n)}" for n in range(300)]
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        left = await before(app, people)
        stage.drop("news", people, list="customers", topic="news", pace="40 per 200ms")
        in_time = await leave_meanwhile(app, stage, people, left)
        await until(stage.result("news").exists)
        took = accepted(stage)
        assert len(in_time) >= 5, "the job was over too soon to leave it"
        assert set(took) & (in_time | set(people[:12])) == set(), "mailed after leaving"
        assert Counter(took) == Counter(set(took))
        assert report(stage, "news") == {
            person: ("delivered", "") if person in took else ("suppressed", left[person])
            for person in people
        }
        # Who was not on the list is now, and nobody came back by being sent to.
        assert (await app.base.contacts.counts("customers", app.base.now())).contacts == 299
        for person in people[250:]:
            contact = await app.base.contacts.contact("customers", person)
            assert contact is not None
            assert contact.mails == int(person in took)

        # The other topic has another default.
        stage.drop("offers", people[:60], list="customers", topic="offers")
        await until(stage.result("offers").exists)
    mailed = {one for one, fate, _ in stage.fates("offers") if fate == "delivered"}
    assert mailed == set(people[13:60:2])
    result = json.loads(stage.result("offers").read_text())
    classes = {one["class"]: (one["count"], one["advice"]) for one in result["failures"]}
    assert {name: number for name, (number, _) in classes.items()} == {
        "unsubscribed": 10,
        "not_opted_in": 25,
        "erased": 1,
    }
    assert classes["unsubscribed"][1].startswith("They left the list")
    events = [
        json.loads(line)
        for file in (tmp_path / "s/events").glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    told = Counter(one["class"] for one in events if one["type"] == "suppressed")
    assert (told["not_opted_in"], told["erased"]) == (25, 2)
    assert told["opted_out"] + told["unsubscribed"] == len(left) - 1 + 10 - len(
        set(left) & set(took)
    )


async def before(app: App, people: list[str]) -> dict[str, str]:
    """Make the list; returns who has left before the job, and how."""
    now, contacts = app.base.now, app.base.contacts
    await contacts.add_list("customers", at=now())
    await contacts.add_topic("customers", Topic("news", default=IN))
    await contacts.add_topic("customers", Topic("offers", default=OUT))
    known = [NewContact(one, {"offers": IN} if n % 2 else {}) for n, one in enumerate(people[:250])]
    await contacts.import_contacts("customers", known, at=now())
    for one in people[:10]:
        await contacts.unsubscribe_all("customers", one, source="test", at=now())
    await contacts.set_topic("customers", people[10], "news", OUT, source="test", at=now())
    await contacts.erase(people[11], at=now())
    return dict.fromkeys(people[:10], "unsubscribed") | {
        people[10]: "opted_out",
        people[11]: "erased",
    }


async def leave_meanwhile(
    app: App, stage: Stage, people: list[str], left: dict[str, str]
) -> set[str]:
    """People leave while the job is sent, and stand in `left` then.

    Returns:
        Those whose mail nobody had in hand when their leaving was on disk.
    """
    in_time = set()
    waiting = people[60:]
    for step in range(1, 15):
        await until(lambda step=step: len(accepted(stage)) >= 15 * step)  # type: ignore[misc]
        person = next(one for one in reversed(waiting) if one not in accepted(stage))
        waiting.remove(person)
        if step % 2:
            await app.base.contacts.unsubscribe_all(
                "customers", person, source="one-click", at=app.base.now()
            )
        else:
            choice = Choice(app.base.now(), topics={"news": OUT}, source="page")
            await app.base.contacts.choose("customers", person, choice)
        left[person] = "unsubscribed" if step % 2 else "opted_out"
        (history,) = await app.queue.deliveries_for(person)
        if history.delivery.state in {State.READY, State.SUPPRESSED}:
            in_time.add(person)
    return in_time


def accepted(stage: Stage) -> list[str]:
    if not stage.record.exists():
        return []
    return [line.recipient for line in stage.transactions() if line.accepted]


def report(stage: Stage, name: str) -> dict[str, tuple[str, str]]:
    file = stage.spool / "done" / f"{name}.report.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {row["recipient"]: (row["fate"], row["class"]) for row in rows}


async def test_sets_fill_in_what_a_job_leaves_open(tmp_path: Path) -> None:
    extra = """
[[source]]
name = "a"
address = "127.0.0.1"
[[source]]
name = "b"
address = "127.0.0.2"
[[pool]]
name = "first"
sources = ["a"]
default = true
[[pool]]
name = "second"
sources = ["b"]
[configuration_set.codes]
pool = "second"
priority = "transactional"
list = "users"
topic = "codes"
suppression = ["hard_bounce"]
[identities]
require = true
"""
    stage = Stage(tmp_path / "s", destinations=2, sites=2, extra=extra)
    stage.write()
    person = "success@d0.example"
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        stage.drop("unverified", [person])
        failed = stage.spool / "failed/unverified.error.txt"
        await until(failed.exists)
        assert "the From address news@stage.example is not verified" in failed.read_text()
        await app.base.identities.add("stage.example", at=app.base.now())
        await app.base.identities.verified_by_dns("stage.example", at=app.base.now())

        stage.drop("nolist", [person], configuration_set="codes")
        failed = stage.spool / "failed/nolist.error.txt"
        await until(failed.exists)
        assert "there is no contact list 'users'" in failed.read_text()
        await app.base.contacts.add_list("users", at=app.base.now())
        await app.base.contacts.add_topic("users", Topic("codes", default=IN))

        for reason in (Reason.COMPLAINT, Reason.SOFT_BOUNCES):
            await app.base.suppressions.add(Suppression(person, reason, app.base.now()))
        await app.base.suppressions.add(Suppression("success@d1.example", Reason.HARD_BOUNCE, 0.0))
        stage.drop("codes", [person, "success@d1.example"], configuration_set="codes")
        await until(stage.result("codes").exists)
        job = await app.queue.job("codes")
        assert (job.pool, job.priority) == ("second", Priority.TRANSACTIONAL)
        assert (job.contact_list, job.topic) == ("users", "codes")
        assert report(stage, "codes") == {
            person: ("delivered", ""),
            "success@d1.example": ("suppressed", "hard_bounce"),
        }
        peers = {line.peer for line in stage.transactions()}
        assert {peer.partition(":")[0] for peer in peers} == {"127.0.0.2"}

        stage.drop("bulk", [person], configuration_set="codes", priority="bulk", pool="first")
        await until(stage.result("bulk").exists)
        job = await app.queue.job("bulk")
        assert (job.pool, job.priority) == ("first", Priority.BULK)
