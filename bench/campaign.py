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
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from bench.campaign_counts import THIRD, TOPICS, accepted, compare, topic_of
from bench.endurance import start
from bench.readers import RETURN, Readers
from ekiden.lists.contacts import Contacts
from ekiden.lists.model import NewContact, Preference, Topic
from ekiden.store.database import Database
from stage import SENDER, Stage, free_port

HTML = (
    "<html><body><h1>{{ name }}様</h1><p>{{ points }} points</p>"
    '<p><a href="https://shop.example/all?x=1&amp;y=2">all</a>'
    '<a href="https://shop.example/for?p={{ points }}">yours</a>'
    '<a href="{{ unsubscribe_url }}">leave</a></p></body></html>'
)


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
    took = Counter((line.recipient, topic_of(stage, line.message_id)) for line in accepted(stage))
    print(f"{size:,} people, {took.total():,} messages in {seconds:.1f} s")
    return await compare(stage, people, wanted, readers.done)


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
