"""What a message costs beside the wire: rendering, signing, and how signing scales with threads.

    python -m bench.render_sign [--seconds 2] [--json FILE]

Every figure is the best of several rounds of the same work (a shared machine only ever adds time),
CPU milliseconds per message unless it says otherwise.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment

from ekiden.dkim.keys import Algorithm, generate
from ekiden.dkim.sign import Signer
from ekiden.engine.signing import Signed, SigningThreads
from ekiden.message.addresses import parse_address
from ekiden.message.compile import Compiled, compile_content
from ekiden.message.content import Content
from ekiden.message.rendered import Marks, Recipient, Rendered

LATIN = "<p style='margin: 0'>The harvest of this year's best apples begins on Monday.</p>\n"
JAPANESE = "<p style='margin: 0'>今年のりんごの収穫が月曜日にはじまります。どうぞお楽しみに。</p>\n"
MERGE = {
    "name": "山田 太郎",
    "city": "京都",
    "points": "1,280",
    "coupon": "AKI-2026-0042",
    "rank": "gold",
    "url": "https://shop.example.jp/r/0123456789abcdef",
}
ROUNDS = 5
MARKS = Marks(
    "<17f0.42@mail.example.jp>",
    1_700_000_000.0,
    (
        (
            "List-Unsubscribe",
            "<https://u.example.jp/u/0123456789abcdef0123456789>, <mailto:u@x.jp>",
        ),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("Feedback-ID", "job42:set:ekiden"),
    ),
    {"unsubscribe_url": "https://u.example.jp/u/0123456789abcdef0123456789"},
)


def newsletter(size: int, filler: str, *, loops: bool = False) -> Content:
    """An HTML and text newsletter whose wire form is about `size` bytes."""
    hello = "<p>{{ name }} 様 ({{ city }})</p>\n<p>{{ points }} points, {{ coupon }}</p>\n"
    if loops:
        hello += "{% if rank == 'gold' %}<p>{{ rank|upper }}</p>{% endif %}\n"
    end = "<p><a href='{{ url }}'>shop</a> <a href='{{ unsubscribe_url }}'>leave</a></p>\n"

    def build(lines: int) -> Content:
        return Content(
            from_="山田屋ニュース <news@example.jp>",
            subject="{{ name }}様へ 秋のお知らせ",
            html=f"<html><body>\n{hello}{filler * lines}{end}</body></html>\n",
            text="Dear {{ name }},\n\nplease see the web page.\n{{ unsubscribe_url }}\n",
            to_name="{{ name }}",
        )

    lines = 1
    while len(render(compile_content(build(lines))).message()) < size:
        lines += max(1, lines // 8)
    return build(lines)


def render(compiled: Compiled, number: int = 0) -> Rendered:
    return compiled.render(Recipient(f"user{number}@example.com", MERGE), MARKS)


def cost(work: Callable[[], object], seconds: float) -> float:
    """Milliseconds of CPU per call: the best of rounds of about 50 ms."""
    work()
    start = time.process_time()
    work()
    count = max(1, int(0.05 / max(time.process_time() - start, 1e-7)))
    best = float("inf")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.process_time()
        for _ in range(count):
            work()
        best = min(best, (time.process_time() - start) / count)
    return best * 1000


def bare_rate(signer: Signer, message: Rendered, threads: int, seconds: float) -> float:
    """Private-key operations per second on bare threads: what the machine gives at this moment."""
    prepared = signer.prepare(message.headers, message.body_hash(), 0)
    done = [0] * threads
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        while time.monotonic() < end:
            prepared.finish()
            done[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(done) / seconds


def sign_message(signer: Signer, message: Rendered) -> bytes:
    """Sign on the calling thread."""
    prepared = signer.prepare(message.headers, message.body_hash(), 0.0)
    return message.message(prepared.finish())


async def sign(pool: SigningThreads, signer: Signer, message: Rendered, *, inline: bool) -> bytes:
    """Sign as the composer does: prepared here, the private-key operation here or on a thread."""
    if inline:
        return sign_message(signer, message)
    done: asyncio.Future[Signed] = asyncio.get_running_loop().create_future()
    pool.submit(signer.prepare(message.headers, message.body_hash(), 0.0), done.set_result)
    signed = await done
    assert isinstance(signed, bytes)
    return message.message(signed)


async def rate(
    signer: Signer, message: Rendered, threads: int, seconds: float, *, inline: bool
) -> float:
    """Messages per second through `SigningThreads` with many senders waiting."""
    best = 0.0
    async with SigningThreads(threads) as pool:
        for _ in range(3):
            done = 0
            end = time.monotonic() + seconds / 3

            async def sender(until: float) -> None:
                nonlocal done
                while time.monotonic() < until:
                    await sign(pool, signer, message, inline=inline)
                    done += 1
                    await asyncio.sleep(0)

            start = time.monotonic()
            await asyncio.gather(*(sender(end) for _ in range(64)))
            best = max(best, done / (time.monotonic() - start))
    return best


def measure(seconds: float) -> dict[str, float]:
    rsa = Signer([generate("example.jp", "s1", Algorithm.RSA)])
    ed = Signer([generate("example.jp", "e1", Algorithm.ED25519)])
    found: dict[str, float] = {}
    for kib in (4, 30):
        for label, filler in (("latin", LATIN), ("japanese", JAPANESE)):
            compiled = compile_content(newsletter(kib * 1024, filler))
            found[f"render {kib} KB {label}"] = cost(lambda c=compiled: render(c), seconds)
            found[f"render+join {kib} KB {label}"] = cost(
                lambda c=compiled: render(c).message(), seconds
            )
        looped = newsletter(kib * 1024, LATIN, loops=True)
        compiled = compile_content(looped)
        found[f"render {kib} KB latin, if and filter"] = cost(lambda c=compiled: render(c), seconds)
        plain = Environment(autoescape=True).from_string(looped.html)
        found[f"jinja2 alone, {kib} KB html"] = cost(
            lambda t=plain: t.render(MERGE | dict(MARKS.urls)), seconds
        )
    for kib in (4, 30, 256):
        message = render(compile_content(newsletter(kib * 1024, LATIN)))
        hashed = message.body_hash()
        found[f"body hash {kib} KB"] = cost(message.body_hash, seconds)
        found[f"prepare {kib} KB"] = cost(
            lambda m=message, h=hashed: rsa.prepare(m.headers, h, 0), seconds
        )
        for label, signer in (("rsa", rsa), ("ed25519", ed)):
            found[f"sign whole {kib} KB {label}"] = cost(
                lambda m=message, s=signer: sign_message(s, m), seconds
            )
    prepared = rsa.prepare(message.headers, hashed, 0)
    found["rsa-2048 operation"] = cost(prepared.finish, seconds)
    prepared_ed = ed.prepare(message.headers, hashed, 0)
    found["ed25519 operation"] = cost(prepared_ed.finish, seconds)
    addresses = [f"user{i}.name@example{i % 300}.co.jp" for i in range(10_000)]
    found["10,000 addresses parsed"] = cost(lambda: [parse_address(a) for a in addresses], seconds)
    small = render(compile_content(newsletter(4096, LATIN)))
    ratios, bare = [], []
    for _ in range(ROUNDS):  # interleaved: a neighbour's load falls on all alike
        one, two = (
            asyncio.run(rate(rsa, small, threads, seconds, inline=False)) for threads in (1, 2)
        )
        ratios.append(two / one)
        one_bare, two_bare = (bare_rate(rsa, small, threads, seconds) for threads in (1, 2))
        bare.append(two_bare / one_bare)
        found["per second, rsa, 1 thread"] = max(one, found.get("per second, rsa, 1 thread", 0))
        found["per second, rsa, 2 threads"] = max(two, found.get("per second, rsa, 2 threads", 0))
        found["per second, bare rsa, 1 thread"] = max(
            one_bare, found.get("per second, bare rsa, 1 thread", 0)
        )
        found["per second, bare rsa, 2 threads"] = max(
            two_bare, found.get("per second, bare rsa, 2 threads", 0)
        )
    found["rsa, two threads over one, median"] = statistics.median(ratios)
    found["bare rsa, two threads over one, median"] = statistics.median(bare)
    for threads in (1, 2):
        found[f"per second, ed25519, {threads} thread(s)"] = asyncio.run(
            rate(ed, small, threads, seconds, inline=False)
        )
    found["per second, ed25519, on the loop"] = asyncio.run(
        rate(ed, small, 1, seconds, inline=True)
    )
    for label, signer, inline in (
        ("ed25519, on the loop", ed, True),
        ("ed25519, through a thread", ed, False),
        ("rsa, through a thread", rsa, False),
    ):
        for kib in (4, 30, 256):
            message = render(compile_content(newsletter(kib * 1024, LATIN)))
            found[f"CPU per message, {label}, {kib} KB"] = asyncio.run(
                cpu(signer, message, seconds, inline=inline)
            )
    return found


async def cpu(signer: Signer, message: Rendered, seconds: float, *, inline: bool) -> float:
    """Milliseconds of CPU per message, hop included, with 16 senders waiting; the best round."""
    best = float("inf")
    end = time.monotonic() + seconds
    async with SigningThreads(1) as pool:
        while time.monotonic() < end:
            start = time.process_time()
            for _ in range(8):
                await asyncio.gather(
                    *(sign(pool, signer, message, inline=inline) for _ in range(16))
                )
            best = min(best, (time.process_time() - start) / 128)
    return best * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="per figure")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    arguments = parser.parse_args()
    found = measure(arguments.seconds)
    print(f"python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for name, value in found.items():
        print(f"{name:45} {value:10.4f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
