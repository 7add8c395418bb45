"""Ten thousand sessions at once, to receivers that take their time over every step.

    python -m bench.slow [--sessions 10000] [--step 0.3] [--seconds 40] [--tls] [--rate 10/min]

The daemon runs in this process on its defaults, with caps, first windows and `delivery.idle` raised
and no smoothing of the hour; the receivers run in another and answer each command `--step` seconds
after it came. Printed: how many sessions were open in the seconds that were measured (least and
most), the resident memory that each has added, how late the event loop was while they were opened
and afterwards and what the latest moments were made of (bench/loop.py), how long the collector
takes to walk all objects, and what was delivered meanwhile. With `--tls` every session is secured
by STARTTLS; the receivers are then given the other core.

Ten thousand sessions that are all at work at 0.3 s a step would take 16,000 messages a second, more
than any machine of this kind makes: the engine then stays below. With `--rate` each session is one
site's, which takes no more than so many messages: between two of them its session is kept open.
There are a twentieth more sites than sessions.
"""

import argparse
import asyncio
import gc
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import trustme
import uvloop

from bench.far import far, open_files
from bench.loop import Observer
from bench.work import DOMAIN, Work, address, destination, job_toml, recipients_csv, templates
from ekiden.app import App, build
from ekiden.config import load
from ekiden.daemon import tune
from ekiden.dkim.keys import Algorithm, generate, save_key
from ekiden.queue.model import State

PER_SITE = 20
IDLE = "3m"  # that a session is kept open without work
PAGE = resource.getpagesize()


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


def lay_out(root: Path, work: Work, sessions: int, port: int, *, tls: bool, rate: str = "") -> Path:
    """Write configuration, key and job; return the configuration's path."""
    save_key(generate(DOMAIN, "bench", Algorithm.ED25519), root / "bench.pem")
    routes = "".join(
        f'[[route]]\npattern = "{destination(n)}"\nhost = "{address(n)}"\nport = {port}\n'
        for n in range(work.destinations)
    )
    paced = f'rates_per_site = ["{rate}"]\n' if rate else ""
    config = root / "config.toml"
    config.write_text(
        f'[control]\nsocket = "ekiden.sock"\n[delivery]\nhostname = "mail.sender.example"\n'
        f'allow_networks = ["127.0.0.0/8"]\nmax_sessions = {sessions}\n'
        f'idle = "{IDLE}"\n[hours]\nsmooth = "0s"\n'
        f'[tls]\npolicy = "{"opportunistic" if tls else "off"}"\n'
        f"[limits]\nsessions_per_destination = {PER_SITE}\nsessions_per_site = {PER_SITE}\n"
        f"sessions_per_source = {sessions}\n"
        f"messages_per_session = 10000\n{paced}[paths]\nwindow_start = {PER_SITE}\n"
        f'[[dkim.key]]\ndomain = "{DOMAIN}"\nselector = "bench"\nfile = "bench.pem"\n{routes}',
        "utf-8",
    )
    config.chmod(0o600)
    job = root / "campaign"
    job.mkdir()
    text, html = templates(work.size)
    (job / "job.toml").write_text(job_toml(), "utf-8")
    (job / "body.txt").write_text(text, "utf-8")
    (job / "body.html").write_text(html, "utf-8")
    (job / "recipients.csv").write_text(recipients_csv(work), "utf-8")
    return config


async def run(root: Path, config: Path, sessions: int, seconds: float) -> dict[str, object]:
    stop = asyncio.Event()
    async with build(load(config), config) as app:
        gc.collect()
        gc.freeze()  # as the daemon does when it runs
        running = asyncio.create_task(app.run(stop))
        try:
            await asyncio.sleep(1.0)
            (root / "campaign").rename(root / "spool" / "new" / "campaign")
            return await _measure(app, sessions, seconds)
        finally:
            stop.set()
            await running


async def _measure(app: App, sessions: int, seconds: float) -> dict[str, object]:
    observer = Observer()
    measuring = asyncio.create_task(observer.run())
    few = await _until_open(app, sessions // 10, limit=60.0)  # with the queue's windows full
    base = resident()
    await asyncio.sleep(0.01)  # that the loop was kept meanwhile is this bench's doing
    observer.reset()
    most = await _until_open(app, sessions, limit=180.0)
    opening = observer.report()
    observer.reset()
    before, cpu = (await app.queue.jobs())[0].counts, time.process_time()
    held = []
    for _ in range(round(seconds)):
        await asyncio.sleep(1.0)
        held.append(_open(app))
    after, cpu = (await app.queue.jobs())[0].counts, time.process_time() - cpu
    seen = observer.report()
    measuring.cancel()
    began = time.perf_counter()
    grown = resident() - base
    walked = time.perf_counter() - began
    delivered = after[State.DELIVERED] - before[State.DELIVERED]
    return {
        "sessions": [min(held), max(held)],
        "kib_per_session": round(grown / max(1, held[-1] - few) / 1024, 1),
        "opening": {"sessions": most} | _lag(opening),
        "open": _lag(seen),
        "late_in": seen["stacks"][:3],
        "walking_all_objects_ms": round(walked * 1000),
        "delivered_per_second": round(delivered / seconds),
        "cpu_ms_per_message": round(cpu * 1000 / max(1, delivered), 3),
    }


def _lag(seen: dict[str, Any]) -> dict[str, object]:
    """How late the loop was, what the three latest moments were made of, and the collector."""
    total = ("total", "own", "no_core", "waiting")
    return {
        **{f"lag_{part}_ms": seen[f"lag_{part}_ms"] for part in ("p50", "p99", "max")},
        "longest": [dict(zip(total, one[1:], strict=True)) for one in seen["longest"][:3]],
        "collector": {kind: one for kind, one in seen["gc"].items() if one["count"]},
    }


def _open(app: App) -> int:
    return app.delivery.scheduler.snapshot().sessions


async def _until_open(app: App, sessions: int, *, limit: float) -> int:
    """Wait until nearly all sessions are open; return how many are."""
    end = time.monotonic() + limit
    while True:
        found = _open(app)
        if found >= sessions * 0.99 or time.monotonic() > end:
            return found
        await asyncio.sleep(0.25)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--step", type=float, default=0.3)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--rate", default="", help="that each site takes, on one session")
    asked = parser.parse_args()
    open_files()
    tune()
    place = Path(__file__).resolve().parent / "out"
    place.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="slow-", dir=place) as folder:
        root, chain = Path(folder), ""
        if asked.tls:
            chain = str(root / "chain.pem")
            issued = trustme.CA().issue_cert("slow.example")
            issued.private_key_and_cert_chain_pem.write_to_path(chain)
        with far(asked.step, chain=chain) as port:
            sites = int(asked.sessions * 1.05) if asked.rate else asked.sessions // PER_SITE
            most = max(asked.sessions, sites)
            work = Work(sites * 20 if asked.rate else most * 40, 4096, sites, "ed25519")
            config = lay_out(root, work, most, port, tls=asked.tls, rate=asked.rate)
            found = uvloop.run(run(root, config, asked.sessions, asked.seconds))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
