"""How far a forecast is from the truth: kinds of jobs, foretold, then sent for real.

    python -m bench.forecast [--scale 1.0] [--only NAME] [--unlike]
    python -m bench.forecast --plan        # a million recipients over 20,000 destinations: the time

Each kind is sent twice by a daemon in this process to receivers in another that answer after a
while: first a small job, from which the engine measures its paths, then the one that is foretold.
The forecast is made from the facts of the queue just before that one is dropped, as `ekiden plan`
makes it, and compared with when its last delivery became final.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bench.far import far
from bench.forecast_kinds import Kind, kinds, unlike
from ekiden.app import App, build
from ekiden.config import load, loads
from ekiden.forecast.drafts import read_load
from ekiden.forecast.estimate import estimate
from ekiden.forecast.gather import found_at, gather
from ekiden.forecast.model import Facts, Load

DOMAIN = "sender.example"
PLANNED = """
[delivery]
hostname = "mail.sender.example"
[configuration_set.codes]
priority = "transactional"
[configuration_set.slow]
rates_per_site = ["1/s"]
"""


def lay_out(root: Path, kind: Kind, port: int) -> Path:
    places = {name: f"127.2.{n // 250}.{n % 250 + 1}" for n, name in enumerate(sorted(kind.every))}
    routes = "".join(
        f'[[route]]\npattern = "{name}"\nhost = "{place}"\nport = {port}\n'
        for name, place in places.items()
    )
    retry = f"retry = {kind.retry}\n" if kind.retry else ""
    config = root / "config.toml"
    config.write_text(
        '[control]\nsocket = "ekiden.sock"\n[delivery]\nhostname = "mail.sender.example"\n'
        f'allow_networks = ["127.0.0.0/8"]\n{retry}[tls]\npolicy = "off"\n[hours]\n'
        f'smooth = "0s"\njitter = "0s"\n{kind.hours}\n[log]\nlevel = "error"\n[limits]\n'
        f"{kind.limits}\n{kind.config}{routes}",
        "utf-8",
    )
    config.chmod(0o600)
    return config


def make(root: Path, name: str, lanes: dict[str, int], kind: Kind | None = None) -> Path:
    job = root / "spool" / "tmp" / name
    job.mkdir()
    settings = {
        "from": f"news@{DOMAIN}",
        "subject": name,
        "text": "body.txt",
        "recipients": "r.csv",
        "address": "email",
    }
    if kind is not None and kind.pace is not None:
        settings["pace"] = f"{kind.pace.messages} per {kind.pace.seconds:g}s"
        settings["send_at"] = f"+{kind.begins_in:g}s"
    lines = [f'{key} = "{value}"' for key, value in settings.items()]
    (job / "job.toml").write_text("\n".join(lines), "utf-8")
    (job / "body.txt").write_text("The relay starts at noon.\n" * 40, "utf-8")
    parts = {"": lanes, **(kind.sets if kind is not None else {})}
    rows = [
        f"{name}{chosen}{n}@{place},{chosen}"
        for chosen, some in parts.items()
        for place, count in some.items()
        for n in range(count)
    ]
    (job / "r.csv").write_text("email,configuration_set\n" + "\n".join(rows) + "\n", "utf-8")
    return job


def drop(root: Path, job: Path) -> None:
    job.rename(root / "spool" / "new" / job.name)


async def open_now(app: App, number: int) -> None:
    """Wait until so many jobs have come in."""
    while True:
        if len(await app.queue.jobs()) >= number:
            return
        await asyncio.sleep(0.02)


async def done(app: App, number: int) -> float:
    """Wait until a job and its siblings are; return when the last delivery became final."""
    while True:
        jobs = [job for job in await app.queue.jobs() if number in {job.id, job.head}]
        if jobs and all(job.pending == 0 for job in jobs):
            return time.time()
        await asyncio.sleep(0.05)


async def compare(root: Path, kind: Kind, config: Path) -> tuple[float, float]:
    """Return the seconds that were foretold, and those that it took."""
    stop = asyncio.Event()
    settings = load(config)
    async with build(settings, config) as app:
        running = asyncio.create_task(app.run(stop))
        await asyncio.sleep(0.5)
        few = {name: min(kind.before, count) for name, count in kind.lanes.items()}
        drop(root, make(root, "before", few))
        await done(app, 1)
        await asyncio.sleep(6.0)  # idle sessions end
        facts = await gather(app.live.answers, time.time())
        facts.sites |= {
            name: found_at(site) for name, site in app.delivery.dispatcher.located().items()
        }
        job = make(root, "job", kind.lanes, kind)
        meant = (await asyncio.to_thread(read_load, settings, job, now=time.time())).load
        drop(root, job)
        await open_now(app, 2)
        began = time.time()
        starts = began + kind.begins_in if kind.begins_in else 0.0
        meant = msgspec.structs.replace(meant, send_at=starts)
        asked = msgspec.structs.replace(facts, now=began)
        found = await asyncio.to_thread(estimate, settings, asked, meant, search=False)
        ended = await done(app, 2)
        stop.set()
        await running
    return (found.whole.end or 0.0) - began, ended - began


def plan() -> None:
    """Print how long a plan of a million takes: all of one set, and of three."""
    config = loads(PLANNED, Path("config.toml"))

    def million(each: int, **more: Any) -> Load:
        return Load(
            id=0, name="million", lanes={f"d{n}.example": each for n in range(20_000)}, **more
        )

    siblings = (
        million(15, configuration_set="codes", bulk=False),
        million(15, configuration_set="slow"),
    )
    for sets, load_ in (("one set", million(50)), ("three sets", million(20, siblings=siblings))):
        began, cpu = time.perf_counter(), time.process_time()
        found = estimate(config, Facts(now=time.time()), load_, search=False)
        spent, used = time.perf_counter() - began, time.process_time() - cpu
        print(f"1,000,000 over 20,000, {sets}: {spent:.1f} s, {used:.1f} s of CPU; {found.words}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", default="")
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--unlike", action="store_true", help="the second family of kinds")
    asked = parser.parse_args()
    if asked.plan:
        plan()
        return
    place = Path(__file__).resolve().parent / "out"
    place.mkdir(exist_ok=True)
    worst = 0.0
    family = unlike if asked.unlike else kinds
    for name in [kind.name for kind in family(asked.scale)]:
        if asked.only not in name:
            continue
        kind = next(one for one in family(asked.scale) if one.name == name)  # its minute is now
        with (
            tempfile.TemporaryDirectory(prefix="forecast-", dir=place) as folder,
            far(kind.step, grey=kind.grey, most=kind.most) as port,
        ):
            root = Path(folder)
            foretold, true = uvloop.run(compare(root, kind, lay_out(root, kind, port)))
        error = foretold / true - 1
        worst = max(worst, abs(error))
        print(
            f"{kind.name:16} foretold {foretold:6.1f} s, took {true:6.1f} s: {100 * error:+.0f} %"
        )
    sys.exit(worst > 0.1)


if __name__ == "__main__":
    main()
