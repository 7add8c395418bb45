"""A campaign as it is lived: people leave, open, click and complain while it goes out; all counted.

    python -m bench.campaign                      # 100,000 people
    python -m bench.campaign --size 2000
    python -m bench.campaign --ratio 4000         # tracked against untracked, in turns

A list with three topics (news and offers for everybody who has not left them, club for those who
chose it), three jobs of one template with merge fields, tracking and an attachment, queued at once;
the receivers are the sink. Every third row chooses a configuration set of its own; what people do
follows from their number. Then every count is compared, per person, with what was done: the event
log, the job's totals, the list, the suppressions, the reports and the receivers' own record; and
nobody may have got a mail that was not on the wire yet when their leaving was answered. Exit
code 0: all of it holds.
"""

import argparse
import asyncio
import json
import re
import smtplib
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import httpx
import uvloop

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from bench.endurance import start
from ekiden.lists.contacts import Contacts
from ekiden.lists.model import NewContact, Preference, Topic
from ekiden.lists.suppression import Suppressions
from ekiden.queue.queue import Queue
from ekiden.store.database import Database
from returned_mail import complaint
from stage import SENDER, Stage, free_port

TOPICS = ("news", "offers", "club")
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
RETURN = f"back.{SENDER}"
READ_AFTER = 2.5  # seconds; whoever reacts within two is taken for a machine
ON_THE_WIRE = 2.0  # seconds that a claimed delivery may take after somebody has left
HTML = (
    "<html><body><h1>{{ name }}様</h1><p>{{ points }} points</p>"
    '<p><a href="https://shop.example/all?x=1&amp;y=2">all</a>'
    '<a href="https://shop.example/for?p={{ points }}">yours</a>'
    '<a href="{{ unsubscribe_url }}">leave</a></p></body></html>'
)
_TO = re.compile(rb"(?mi)^To: *([^\r\n]+)")
_SUBJECT = re.compile(rb"(?mi)^X-Topic: *([^\r\n]+)")
_REFERENCE = re.compile(rb"(?mi)^X-Ekiden-Ref: *([^\r\n]+)")


THIRD = "third"  # the set that every third row chooses


def configuration(port: int, inbound: int) -> str:
    return f"""
[web]
public_url = "http://127.0.0.1:{port}"
public_listen = ["127.0.0.1:{port}"]
requests = 1000000
[inbound]
listen = ["127.0.0.1:{inbound}"]
return_domain = "{RETURN}"
feedback = ["fbl@{RETURN}"]
[reputation]
warn_complaints = 0.9
stop_complaints = 1.0
[limits]
sessions_per_destination = 5
sessions_per_site = 10
[check]
watch = false
[log]
level = "warning"
[configuration_set.{THIRD}]
lifetime = "1h"
"""


def acts(number: int) -> set[str]:
    """What a person does with the news."""
    found = set()
    for act, every, place in (
        ("one-click", 100, 0),
        ("leave all", 100, 1),
        ("open", 20, 2),
        ("click", 30, 3),
        ("complain", 500, 4),
    ):
        if number % every == place:
            found.add(act)
    return found


@dataclass
class Done:
    """What people did, and when it was answered."""

    opened: Counter[str] = field(default_factory=Counter)
    clicked: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_news: dict[str, float] = field(default_factory=dict)
    left_all: dict[str, float] = field(default_factory=dict)
    complained: dict[str, float] = field(default_factory=dict)


class Readers:
    """Everybody who reads: looks at what the receivers took, and acts."""

    def __init__(self, stage: Stage, people: Sequence[str], port: int, inbound: int) -> None:
        self.stage = stage
        self.numbers = {person: number for number, person in enumerate(people)}
        self.done = Done()
        self.read = 0
        self._inbound = inbound
        self._client = httpx.AsyncClient(
            headers={"user-agent": AGENT}, trust_env=False, timeout=60.0
        )
        self._room = asyncio.Semaphore(10)
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = port

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(0.3)

    async def look(self) -> None:
        for file in await asyncio.to_thread(self._new):
            raw = file.read_bytes()
            file.unlink()
            self.read += 1
            person = _first(_TO, raw)
            wanted = acts(self.numbers[person])
            if wanted and _first(_SUBJECT, raw) == "news":
                task = asyncio.create_task(self._act(person, wanted, raw, time.time()))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _new(self) -> list[Path]:
        """Messages that are a moment old: none of them is still being written."""
        before = time.time() - 0.2
        return [one for one in self.stage.store.iterdir() if one.stat().st_mtime < before]

    async def finish(self) -> None:
        """Read what is left, and let everybody act."""
        await asyncio.sleep(0.3)
        await self.look()
        await asyncio.gather(*self._tasks)
        await self._client.aclose()

    async def _act(self, person: str, wanted: set[str], raw: bytes, at: float) -> None:
        await asyncio.sleep(max(0.0, at + READ_AFTER - time.time()))
        async with self._room:
            message = await asyncio.to_thread(_parsed, raw)
            body = message.get_body(("html",))
            assert body is not None
            html = body.get_content()
            attachment = next(message.iter_attachments())
            assert attachment.get_filename() == "案内.txt"
            links = re.findall(r'href="([^"]*)"', html)
            if "open" in wanted:
                (pixel,) = re.findall(r'src="(http[^"]*)"', html)
                for _ in range(2):
                    (await self._client.get(pixel)).raise_for_status()
                    self.done.opened[person] += 1
            if "click" in wanted:
                answer = await self._client.get(links[1])
                where = f"https://shop.example/for?p={self.numbers[person]}"
                assert answer.headers["location"] == where, answer
                self.done.clicked[person, where] += 1
            if "one-click" in wanted:
                leave = re.search(r"<(http[^>]*)>", str(message["List-Unsubscribe"]))
                assert leave is not None
                form = {"List-Unsubscribe": "One-Click"}
                (await self._client.post(leave[1], data=form)).raise_for_status()
                self.done.left_news[person] = time.time()
            if "leave all" in wanted:
                (await self._client.post(links[2], data={"act": "all"})).raise_for_status()
                self.done.left_all[person] = time.time()
            if "complain" in wanted:
                report = complaint(person, reference=_first(_REFERENCE, raw))
                await asyncio.to_thread(self._complain, report)
                self.done.complained[person] = time.time()

    def _complain(self, report: bytes) -> None:
        with smtplib.SMTP("127.0.0.1", self._inbound) as client:
            client.sendmail("fbl@provider.example", [f"fbl@{RETURN}"], report)


def _first(pattern: re.Pattern[bytes], raw: bytes) -> str:
    found = pattern.search(raw)
    assert found is not None, pattern
    return found[1].decode().strip()


def _parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def drop(stage: Stage, name: str, topic: str, people: Sequence[str], **more: object) -> None:
    """Write a job with an attachment into the spool."""
    for folder in (stage.spool, stage.spool / "tmp", stage.spool / "new"):
        folder.mkdir(mode=0o755, exist_ok=True)
    building = stage.spool / "tmp" / name
    building.mkdir(mode=0o755)
    with (building / "recipients.csv").open("w", encoding="utf-8") as file:
        file.write("email,name,points,configuration_set\n")
        chosen = (
            {0: THIRD} if topic else {}
        )  # every third person of a campaign has a set of its own
        file.writelines(
            f"{one},読者{n},{n},{chosen.get(n % 3, '')}\n" for n, one in enumerate(people)
        )
    (building / "body.html").write_text(HTML, encoding="utf-8")
    (building / "about.txt").write_text("店舗のご案内\n" * 60, encoding="utf-8")
    settings = {
        "name": name,
        "from": f"Ekiden <news@{SENDER}>",
        "subject": "{{ name }}様へ",
        "html": "body.html",
        "recipients": "recipients.csv",
        **more,
    }
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    lines.append('attachments = [{ file = "about.txt", name = "案内.txt", type = "text/plain" }]')
    if topic:
        lines += ['list = "letters"', f'topic = "{topic}"']
    lines.append(f'[headers]\nX-Topic = "{topic or name}"')
    (building / "job.toml").write_text("\n".join(lines), encoding="utf-8")
    building.rename(stage.spool / "new" / name)


async def fill(stage: Stage, people: Sequence[str]) -> dict[str, set[str]]:
    """Make the list; returns who would be mailed about each topic before anybody reacts."""
    database = await Database.open(stage.directory / "queue.db")
    contacts, now = Contacts(database), time.time()
    await contacts.add_list("letters", at=now)
    for name in TOPICS:
        default = Preference.OPT_OUT if name == "club" else Preference.OPT_IN
        await contacts.add_topic("letters", Topic(name, name.title(), default=default))
    wanted: dict[str, set[str]] = {name: set() for name in TOPICS}
    rows = []
    for number, person in enumerate(people):
        chosen: dict[str, Preference] = {}
        gone = number % 50 == 10
        if number % 25 == 11:
            chosen["offers"] = Preference.OPT_OUT
        if number % 20 == 12:
            chosen["club"] = Preference.OPT_IN
        rows.append(NewContact(person, chosen, gone))
        if not gone:
            wanted["news"].add(person)
            if "offers" not in chosen:
                wanted["offers"].add(person)
            if "club" in chosen:
                wanted["club"].add(person)
    for at in range(0, len(rows), 2000):
        await contacts.import_contacts("letters", rows[at : at + 2000], at=now)
    await database.close()
    return wanted


async def campaign(directory: Path, size: int, destinations: int = 300) -> list[str]:
    """Run it; prints the comparison, and returns what does not agree."""
    port, inbound = free_port(), free_port()
    stage = Stage(
        directory, destinations, min(60, destinations), extra=configuration(port, inbound)
    )
    stage.write()
    people = [f"success+{n}@{stage.destination(n)}" for n in range(size)]
    wanted = await fill(stage, people)
    readers = Readers(stage, people, port, inbound)
    for name in TOPICS:
        # The news first; the others wait behind it and meet those who have left meanwhile.
        later = {} if name == "news" else {"send_at": f"+{min(15, 7 + size // 2000)}s"}
        drop(stage, name, name, people, **later)
    async with stage.receivers(store=True), stage.dns():
        began = time.monotonic()
        process = await start(stage)
        reading = asyncio.create_task(readers.run())
        while not all(stage.result(name).exists() for name in TOPICS):
            if process.returncode is not None or reading.done():
                print((stage.directory / "daemon.log").read_text())
                reading.result()
                raise SystemExit("the daemon has ended")
            await asyncio.sleep(0.2)
        seconds = time.monotonic() - began
        reading.cancel()
        await readers.finish()
        await asyncio.sleep(1.0)  # opens and clicks are written in batches
        process.terminate()
        if await process.wait() != 0:
            raise SystemExit("the daemon did not end with 0")
    took = Counter((line.recipient, _topic(stage, line.message_id)) for line in accepted(stage))
    print(f"{size:,} people, {took.total():,} messages in {seconds:.1f} s")
    return await compare(stage, people, wanted, readers.done)


def accepted(stage: Stage) -> Iterator:  # type: ignore[type-arg]  # lines of the sink's record
    return (line for line in stage.transactions() if line.accepted)


_topics: dict[Path, dict[str, str]] = {}


def _topic(stage: Stage, message_id: str) -> str:
    """Which job a message was of: its key stands in the Message-ID."""
    known = _topics.get(stage.directory)
    if known is None:
        from ekiden.message.tokens import job_key  # noqa: PLC0415 - for this one

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
    check = Comparison()
    events = [
        json.loads(line)
        for file in sorted((stage.directory / "events").glob("*.jsonl"))
        for line in file.read_bytes().splitlines()
    ]
    got: dict[str, Counter[str]] = {name: Counter() for name in TOPICS}
    late: list[tuple[float, str]] = []
    for line in accepted(stage):
        person, topic = line.recipient, _topic(stage, line.message_id)
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

    database = await Database.open(stage.directory / "queue.db")
    await in_database(check, Queue(database), Contacts(database), done, got)
    kept = {
        one.address
        for one in await Suppressions(database).list(limit=len(people))
        if one.reason == "complaint"
    }
    await database.close()
    check.equal("suppressed for a complaint", set(done.complained), kept, len(kept))
    return check.wrong


async def in_database(
    check: Comparison, queue: Queue, contacts: Contacts, done: Done, got: dict[str, Counter[str]]
) -> None:
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


async def ratio(directory: Path, size: int, rounds: int) -> float:
    """Tracked against untracked, in turns: messages a second from rename to the last delivery."""
    port, inbound = free_port(), free_port()
    untracked_set = "[configuration_set.plain]\ntrack_opens = false\ntrack_clicks = false\n"
    stage = Stage(directory, 50, 20, extra=configuration(port, inbound) + untracked_set)
    stage.write()
    people = [f"success+{n}@{stage.destination(n)}" for n in range(size)]
    speeds: dict[bool, list[float]] = {True: [], False: []}
    async with stage.receivers(), stage.dns():
        process = await start(stage)
        await asyncio.sleep(2.0)
        for turn in range(2 * rounds + 1):
            tracked = turn % 2 == 1
            name = f"{'tracked' if tracked else 'untracked'}-{turn}"
            began = time.monotonic()
            drop(stage, name, "", people, **({} if tracked else {"configuration_set": "plain"}))
            while not stage.result(name).exists():
                if (stage.spool / "failed" / f"{name}.error.txt").exists():
                    raise SystemExit((stage.directory / "daemon.log").read_text())
                await asyncio.sleep(0.02)
            if turn:  # the first one warms up
                speeds[tracked].append(size / (time.monotonic() - began))
        process.terminate()
        await process.wait()
    tracked_speed, untracked = (statistics.median(speeds[one]) for one in (True, False))
    print(f"tracked {tracked_speed:,.0f}/s, untracked {untracked:,.0f}/s: ", end="")
    print(f"{tracked_speed / untracked:.0%}")
    return tracked_speed / untracked


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--destinations", type=int, default=300)
    parser.add_argument("--ratio", type=int, default=0, metavar="MESSAGES")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if given.ratio:
            share = uvloop.run(ratio(Path(directory) / "s", given.ratio, given.rounds))
            sys.exit(share < 0.8)
        wrong = uvloop.run(campaign(Path(directory) / "s", given.size, given.destinations))
    print("all of it holds" if not wrong else f"does not hold: {', '.join(wrong)}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
