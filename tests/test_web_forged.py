"""Through the real listener: forged, truncated and swapped tokens, and GETs that prefetch."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ekiden.message.tokens import About, Purpose, Tokens, job_mark, pack_link
from ekiden.queue.model import JobFacts
from ekiden.web.options import ServerOptions
from ekiden.web.server import HttpServer
from web_world import World, world

CONNECTIONS = 8
PEOPLE = 20
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
SHOP = "https://shop.example/a?x=1&y=2"

Asked = tuple[str, str, bytes]  # method, path, body


async def ask_all(port: int, asked: Sequence[Asked]) -> Counter[tuple[str, int, bool]]:
    """Ask over TCP; how often each (kind of page, status, whether it leads on) was answered."""
    found: Counter[tuple[str, int, bool]] = Counter()

    async def some(part: Sequence[Asked]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for method, path, body in part:
            head = (
                f"{method} {path} HTTP/1.1\r\nHost: news.example\r\nUser-Agent: {AGENT}\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\n"
                f"Content-Length: {len(body)}\r\n"
            )
            writer.write(f"{head}\r\n".encode("latin-1") + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer)
            if length is not None and method != "HEAD":
                await reader.readexactly(int(length.group(1)))
            leads = b"\r\nlocation:" in answer.lower()
            found[path.split("/")[1], int(answer[9:12]), leads] += 1
        writer.close()

    async with asyncio.TaskGroup() as group:
        for number in range(CONNECTIONS):
            group.create_task(some(asked[number::CONNECTIONS]))
    return found


async def jobs(there: World) -> list[tuple[JobFacts, list[int]]]:
    """Two jobs to the same people."""
    made = []
    for uid in ("one", "two"):
        people = [f"r{n}@x.example" for n in range(PEOPLE)]
        job = await there.job(people, uid=uid, contact_list="letters", topic="offers")
        made.append((job, await there.ids(job)))
    return made


def spoilt(good: str, dice: random.Random, other: str) -> Iterator[str]:
    """A token truncated, forged by one character, spliced with another's, turned round."""
    at = dice.randrange(1, len(good))
    yield good[:at]
    yield good[: at - 1] + ("A" if good[at - 1] != "A" else "B") + good[at:]
    yield good[:at] + other[at:] if good[:at] + other[at:] not in {good, other} else good[::-1]
    yield good + good[:at]
    yield good[:at] + "%00" + good[at:]


async def test_ten_thousand_tokens_make_nobody_leave(tmp_path: Path) -> None:
    dice = random.Random(11)
    async with world(tmp_path) as there:
        (one, ids), (two, _) = await jobs(there)
        stranger = Tokens([b"another's key 16"])
        asked: list[Asked] = []
        while len(asked) < 10_000:
            n = dice.randrange(PEOPLE)
            address, delivery = f"r{n}@x.example", ids[n]
            urls = there.urls(one, delivery, address)
            good = urls["unsubscribe_url"].removeprefix("/u/")
            other = there.urls(one, ids[n - 1], f"r{n - 1}@x.example")["unsubscribe_url"][3:]
            about = About(one.id, delivery, address, job_mark(one.uid))
            wrong = [
                *spoilt(good, dice, other),
                urls["ekiden_seen"],  # the picture's
                urls["click"].split("/")[2],  # a link's
                there.tokens.make(Purpose.VIEW, about.pack()),
                there.tokens.make(Purpose.SEEN, about.pack()),
                stranger.make(Purpose.LEAVE, about.pack()),
                # signed with our key, and of another job than its mark says
                *(
                    there.tokens.make(Purpose.LEAVE, replace(about, job=job).pack())
                    for job in (two.id, 9999)
                ),
            ]
            for token in wrong:
                asked.append(("POST", f"/u/{token}", b"List-Unsubscribe=One-Click"))
                asked.append(("POST", f"/p/{token}", b"act=all"))
        async with HttpServer(there.site.app, ServerOptions([("127.0.0.1", 0)])) as server:
            found = await ask_all(server.ports[0], asked)
        assert set(found) <= {("u", 404, False), ("p", 404, False)}, found
        assert found.total() == len(asked) >= 10_000
        assert await there.events() == []
        assert len(await there.sent(one)) == len(await there.sent(two)) == PEOPLE


async def test_thousands_of_tokens_count_nothing_and_lead_nowhere(tmp_path: Path) -> None:
    """The pictures' and the links' tokens: of other people, links and jobs."""
    dice = random.Random(12)
    async with world(tmp_path) as there:
        (one, ids), (two, _) = await jobs(there)
        stranger = Tokens([b"another's key 16"])
        asked: list[Asked] = []
        while len(asked) < 10_000:
            n = dice.randrange(PEOPLE)
            urls = there.urls(one, ids[n], f"r{n}@x.example")
            other = there.urls(one, ids[n - 1], f"r{n - 1}@x.example")
            _, _, link, seen = urls["click"].split("/")
            about = About(one.id, ids[n], mark=job_mark(one.uid))
            pictures = [
                *spoilt(seen, dice, other["ekiden_seen"]),
                link,
                urls["unsubscribe_url"].removeprefix("/u/"),
                stranger.make(Purpose.SEEN, about.pack()),
                there.tokens.make(Purpose.VIEW, about.pack()),
                # signed with our key: another job than its mark says
                there.tokens.make(Purpose.SEEN, About(two.id, ids[n], mark=about.mark).pack()),
            ]
            asked += [("GET", f"/o/{token}.gif", b"") for token in pictures]
            evil = pack_link(job_mark(one.uid), one.id, "https://evil.example/")
            links = [
                *spoilt(link, dice, there.tokens.make(Purpose.SEEN, evil)),
                seen,
                stranger.make(Purpose.LINK, evil),
                there.tokens.make(Purpose.SEEN, evil),
            ]
            asked += [("GET", f"/c/{token}/{seen}", b"") for token in links]
        # A link that is ours, followed with a mark that is not: it leads where it says, uncounted.
        asked_ours: list[Asked] = []
        for n in range(PEOPLE):
            urls = there.urls(one, ids[n], f"r{n}@x.example")
            _, _, link, seen = urls["click"].split("/")
            foreign = there.tokens.make(
                Purpose.SEEN, About(two.id, ids[n], mark=job_mark(two.uid)).pack()
            )
            marks = (foreign, seen[:-3], stranger.make(Purpose.SEEN, b"x"), link)
            asked_ours += [("GET", f"/c/{link}/{token}", b"") for token in marks]
        async with HttpServer(there.site.app, ServerOptions([("127.0.0.1", 0)])) as server:
            found = await ask_all(server.ports[0], asked)
            ours = await ask_all(server.ports[0], asked_ours)
        # Whoever asks for a picture gets one: what it is worth, it does not say.
        assert set(found) <= {("o", 200, False), ("o", 404, False), ("c", 404, False)}, found
        assert ours == Counter({("c", 302, True): 4 * PEOPLE})
        assert found.total() == len(asked) >= 10_000
        await there.recorder.flush()
        for job in (one, two):
            assert await there.queue.reaction_totals(job.id) == []
        assert await there.events() == []


async def test_a_thousand_prefetching_gets(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        (one, ids), _ = await jobs(there)
        asked: list[Asked] = []
        for n in range(1000):
            urls = there.urls(one, ids[n % PEOPLE], f"r{n % PEOPLE}@x.example")
            path = urls[("unsubscribe_url", "preferences_url")[n % 2]]
            asked.append((("GET", "HEAD")[n % 5 == 0], path, b""))
        async with HttpServer(there.site.app, ServerOptions([("127.0.0.1", 0)])) as server:
            found = await ask_all(server.ports[0], asked)
        assert found == Counter({("u", 200, False): 500, ("p", 200, False): 500})
        assert await there.events() == []
        assert len(await there.sent(one)) == PEOPLE
