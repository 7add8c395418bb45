"""Every count of a campaign against what people did: at the receivers, in the log, in the queue."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.readers import Done
from ekiden.lists.contacts import Contacts
from ekiden.lists.model import Preference
from ekiden.lists.suppression import Suppressions
from ekiden.message.tokens import job_key
from ekiden.queue.queue import Queue
from ekiden.store.database import Database
from stage import Stage

TOPICS = ("news", "offers", "club")
ON_THE_WIRE = 2.0  # seconds that a claimed delivery may take after somebody has left
THIRD = "third"  # the set that every third row chooses


def accepted(stage: Stage) -> Iterator:  # type: ignore[type-arg]  # lines of the sink's record
    return (line for line in stage.transactions() if line.accepted)


_topics: dict[Path, dict[str, str]] = {}


def topic_of(stage: Stage, message_id: str) -> str:
    """Which job a message was of: its key stands in the Message-ID."""
    known = _topics.get(stage.directory)
    if known is None:
        known = {}
        for name in TOPICS:
            uid = json.loads(stage.result(name).read_text())["uid"]
            known[job_key(uid)] = name
        _topics[stage.directory] = known
    return known[message_id.partition("@")[0].rpartition(".")[2]]


class Comparison:
    """Lines of what should be and what is."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def equal(self, what: str, should: object, found: object, number: int) -> None:
        """Print one line; remember it when it does not agree."""
        same = should == found
        print(f"  {'=' if same else 'DIFFERS'}  {what}: {number:,}")
        if not same:
            self.wrong.append(what)


async def compare(
    stage: Stage, people: Sequence[str], wanted: dict[str, set[str]], done: Done
) -> list[str]:
    """Print what should be and what is, and return what does not agree.

    Args:
        stage: Where it was played, its daemon ended.
        people: Everybody on the list, in order.
        wanted: Who would be mailed about each topic if nobody reacted.
        done: What people did.
    """
    check = Comparison()
    got = _at_receivers(check, stage, people, wanted, done)
    _in_events(check, stage, people, done, got)
    database = await Database.open(stage.directory / "queue.db")
    await _in_database(check, Queue(database), Contacts(database), done, got)
    kept = {
        one.address
        for one in await Suppressions(database).list(limit=len(people))
        if one.reason == "complaint"
    }
    await database.close()
    check.equal("suppressed for a complaint", set(done.complained), kept, len(kept))
    return check.wrong


def _at_receivers(
    check: Comparison,
    stage: Stage,
    people: Sequence[str],
    wanted: dict[str, set[str]],
    done: Done,
) -> dict[str, Counter[str]]:
    """Compare with the receivers' own record; return who got how many mails, by topic."""
    got: dict[str, Counter[str]] = {name: Counter() for name in TOPICS}
    late: list[tuple[float, str]] = []
    for line in accepted(stage):
        person, topic = line.recipient, topic_of(stage, line.message_id)
        got[topic][person] += 1
        gone = [done.left_all.get(person), done.complained.get(person)]
        gone += [done.left_news.get(person)] if topic == "news" else []
        late += [(line.time - at, person) for at in gone if at is not None and line.time > at]
    for name in TOPICS:
        fates = {one: fate for one, fate, _ in stage.fates(name)}
        delivered = {one for one, fate in fates.items() if fate == "delivered"}
        check.equal(f"{name}: report and receivers", delivered, set(got[name]), len(delivered))
        check.equal(f"{name}: nobody twice", 1, max(got[name].values(), default=1), 0)
        sets = json.loads(stage.result(name).read_text())["sets"]
        third = delivered & set(people[::3])
        check.equal(f"{name}: by their own set", len(third), sets[THIRD]["delivered"], len(third))
        missed = wanted[name] - delivered
        excused = set(done.left_all) | set(done.complained)
        check.equal(f"{name}: nobody uninvited", set(), delivered - wanted[name], 0)
        check.equal(f"{name}: who got none had left", set(), missed - excused, len(missed))
    worst = max(late, default=(0.0, ""))[0]
    print(f"  mailed after leaving: {len(late)} that were on the wire, at most {worst:.2f} s later")
    after = [person for seconds, person in late if seconds > ON_THE_WIRE]
    check.equal("nobody mailed after leaving", [], after, 0)
    return got


def _in_events(
    check: Comparison,
    stage: Stage,
    people: Sequence[str],
    done: Done,
    got: dict[str, Counter[str]],
) -> None:
    """Compare with the event log."""
    events = [
        json.loads(line)
        for file in sorted((stage.directory / "events").glob("*.jsonl"))
        for line in file.read_bytes().splitlines()
    ]
    chose = {
        one["recipient"]
        for one in events
        if one["type"] == "delivered" and one.get("configuration_set") == THIRD
    }
    third = set().union(*got.values()) & set(people[::3])
    check.equal("the set in the events of its rows", third, chose, len(third))

    told = Counter(one["recipient"] for one in events if one["type"] == "open")
    check.equal("opens, per person", done.opened, told, told.total())
    clicks = Counter((one["recipient"], one["url"]) for one in events if one["type"] == "click")
    check.equal("clicks, per person and link", done.clicked, clicks, clicks.total())
    left = Counter(
        (one["recipient"], bool(one.get("unsubscribed")))
        for one in events
        if one["type"] == "unsubscribe"
    )
    should = Counter(
        [(one, False) for one in done.left_news] + [(one, True) for one in done.left_all]
    )
    check.equal("leavings, per person", should, left, left.total())
    complaints = {one["recipient"] for one in events if one["type"] == "complaint"}
    check.equal("complaints, per person", set(done.complained), complaints, len(complaints))
    people_only = {one.get("agent") for one in events if one["type"] in {"open", "click"}}
    check.equal("all by people", {"person"}, people_only or {"person"}, 0)


async def _in_database(
    check: Comparison, queue: Queue, contacts: Contacts, done: Done, got: dict[str, Counter[str]]
) -> None:
    """Compare with the job's totals and the list."""
    news = await queue.job("news")
    totals = {
        (one.kind, one.url): (one.times, one.deliveries)
        for one in await queue.reaction_totals(news.id, 100_000)
        if one.human
    }
    opens = (done.opened.total(), len(done.opened))
    check.equal("the job's opens", opens, totals.get(("open", ""), (0, 0)), opens[0])
    clicks = (done.clicked.total(), len(done.clicked))
    check.equal("the job's clicks", clicks, totals.get(("click", ""), (0, 0)), clicks[0])
    leaving = len(done.left_news) + len(done.left_all)
    check.equal("the job's leavings", leaving, totals.get(("unsubscribe", ""), (0, 0))[0], leaving)
    mails = got["news"] + got["offers"] + got["club"]
    wrong = Counter[str]()
    number = 0
    async for one in contacts.every("letters"):
        number += 1
        person = one.address
        wrong["mails of a contact"] += one.mails != mails[person]
        wrong["opened"] += (one.opened_at is not None) != (person in done.opened)
        clicked = any(who == person for who, _ in done.clicked) if one.clicked_at else False
        wrong["clicked"] += (one.clicked_at is not None) != clicked
        if person in done.left_all:
            wrong["left the list"] += one.unsubscribed_at is None
        if person in done.left_news:
            wrong["left the topic"] += one.topics.get("news") != Preference.OPT_OUT
    check.equal("contacts with every field right", 0, wrong.total(), number)
    if wrong.total():
        print(f"    {dict(wrong)}")
