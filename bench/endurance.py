"""A large job against recording receivers: every cap, every turn, every signature, every recipient.

    python -m bench.endurance                         # 20,000 recipients, 300 destinations
    python -m bench.endurance --kills 10              # kill -9 at random moments, restart each time
    python -m bench.endurance --recipients 2000 --destinations 60 --kills 3

The receivers are the sink on loopback addresses, one per site; the daemon is `ekiden run` in a
process of its own. What is checked afterwards comes from the receivers' own record and the messages
they kept, never from the daemon's word alone. Exit code 0: all of it holds.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from dkim_oracle import verdicts
from ekiden.sink.record import Line, read_record
from stage import Stage, longest_run

SESSIONS_PER_DESTINATION = 3
SESSIONS_PER_SITE = 5
MESSAGES_PER_SESSION = 20
LIMITS = f"""
[limits]
sessions_per_destination = {SESSIONS_PER_DESTINATION}
sessions_per_site = {SESSIONS_PER_SITE}
messages_per_session = {MESSAGES_PER_SESSION}
[log]
level = "warning"
"""


async def run(stage: Stage, recipients: list[str], kills: int, rng: random.Random) -> float:
    """Send the job, killing the daemon `kills` times; return the seconds it took."""
    stage.write()
    stage.drop("job", recipients)
    async with stage.receivers(store=True), stage.dns():
        began = time.monotonic()
        for kill in range(kills):
            process = await start(stage)
            await asyncio.sleep(rng.uniform(0.5, 3.0))
            if stage.result("job").exists():
                print(f"  the job ended before kill {kill + 1}; raise --recipients")
            process.kill()
            await process.wait()
        process = await start(stage)
        while not stage.result("job").exists():
            if process.returncode is not None:
                raise SystemExit((stage.directory / "daemon.log").read_text())
            await asyncio.sleep(0.1)
        seconds = time.monotonic() - began
        process.terminate()
        if await process.wait() != 0:
            raise SystemExit("the daemon did not end with 0")
    return seconds


async def start(stage: Stage) -> asyncio.subprocess.Process:
    with (stage.directory / "daemon.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ekiden", "run", "--config", str(stage.config)),
            stdout=log,
            stderr=log,
        )


def caps_broken(lines: Iterator[Line]) -> list[str]:
    """What exceeded a cap at any instant of the receivers' record."""
    at_site: dict[str, set[str]] = {}
    destination_of: dict[str, str] = {}
    carried: Counter[str] = Counter()
    found = []
    for line in lines:
        at = at_site.setdefault(line.local, set())
        if line.kind == "open":
            at.add(line.session)
        elif line.kind == "close":
            at.discard(line.session)
            destination_of.pop(line.session, None)
        elif line.kind == "transaction":
            carried[line.session] += 1
            destination = line.recipient.rpartition("@")[2]
            destination_of[line.session] = destination
            busy = sum(1 for other in destination_of.values() if other == destination)
            if busy > SESSIONS_PER_DESTINATION:
                found.append(f"{busy} sessions to {destination}")
        if len(at) > SESSIONS_PER_SITE:
            found.append(f"{len(at)} sessions at {line.local}")
    found += [f"{n} messages in a session" for n in carried.values() if n > MESSAGES_PER_SESSION]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--destinations", type=int, default=300)
    parser.add_argument("--sites", type=int, default=60)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verify", type=int, default=0, help="verify so many messages; 0: all")
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="ekiden-endurance-") as directory:
        stage = Stage(Path(directory) / "s", asked.destinations, asked.sites, LIMITS)
        people = [f"success+{n}@{stage.destination(n)}" for n in range(asked.recipients)]
        rng.shuffle(people)
        seconds = uvloop.run(run(stage, people, asked.kills, rng))
        report(stage, people, asked.kills, seconds, asked.verify)


def report(stage: Stage, people: list[str], kills: int, seconds: float, verify: int) -> None:
    took = Counter(line.recipient for line in stage.transactions() if line.accepted)
    doubtful = {recipient for recipient, _, doubts in stage.fates("job") if doubts}
    twice = {recipient for recipient, times in took.items() if times > 1}
    order = [line.recipient.rpartition("@")[2] for line in stage.transactions()]
    messages = sorted(stage.store.glob("*.eml"))
    chosen = messages[:: max(1, len(messages) // verify)] if verify else messages
    keys = stage.keys()
    bad = [file.name for file in chosen if verdicts(file.read_bytes(), keys) != [True, True]]
    broken = caps_broken(read_record(stage.record))
    result = {
        "recipients": len(people),
        "seconds": round(seconds, 1),
        "per_second": round(len(people) / seconds),
        "kills": kills,
        "lost": len(set(people) - set(took)),
        "duplicates": sum(times - 1 for times in took.values()),
        "duplicates_not_announced": len(twice - doubtful),
        "in_doubt": len(doubtful),
        "caps_broken": len(broken),
        "longest_run": longest_run(order[: len(order) * 3 // 4]),
        "signatures_checked": 2 * len(chosen),
        "signatures_bad": len(bad),
        "disagreements": len(stage.disagreements("job")),
    }
    print(json.dumps(result, indent=1))
    for text in broken[:5]:
        print(" ", text)
    wrong = ("lost", "duplicates_not_announced", "caps_broken", "signatures_bad", "disagreements")
    sys.exit(any(result[key] for key in wrong))


if __name__ == "__main__":
    main()
