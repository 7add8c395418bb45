"""A public part over a real database, without a daemon: for the tests of `web/`."""

import ipaddress
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from ekiden.engine.links import JobLinks, LinkMaker, LinkOptions, TrackingOptions
from ekiden.lists.contacts import Contacts
from ekiden.lists.identities import Identities
from ekiden.lists.model import Preference, Topic
from ekiden.lists.suppression import Suppressions
from ekiden.message.content import Content, encode
from ekiden.message.tokens import Tokens
from ekiden.queue.model import JobFacts, NewDelivery, NewJob, Priority
from ekiden.queue.queue import Queue
from ekiden.queue.reactions import ReactionRecord
from ekiden.store.database import Database
from ekiden.web.options import Brand, SignupOptions, SiteOptions
from ekiden.web.people import People
from ekiden.web.recorder import Recorder
from ekiden.web.site import Site

URL = "https://news.example"
NOW = 1_800_000_000.0
HTML = '<p>{{ name }}</p><a href="https://shop.example/a?x=1&amp;y=2">a</a>'
TOPICS = (
    Topic("offers", "Offers & “deals”", "Once a week", Preference.OPT_IN),
    Topic("news", "<b>ニュース</b>", "", Preference.OPT_IN),
    Topic("events", "", "", Preference.OPT_OUT),
)


@dataclass
class World:
    """What a test needs."""

    queue: Queue
    contacts: Contacts
    suppressions: Suppressions
    tokens: Tokens
    links: LinkMaker
    people: People
    recorder: Recorder
    site: Site
    client: httpx.AsyncClient
    now: list[float]
    opened: list[JobFacts] = field(default_factory=list)

    async def job(
        self,
        people: Sequence[str],
        *,
        uid: str = "j",
        html: str = HTML,
        merge: bytes = b'{"name":"A"}',
        contact_list: str = "",
        topic: str = "",
        priority: Priority = Priority.BULK,
    ) -> JobFacts:
        content = Content(from_="News <n@news.example>", subject="s", html=html)
        job = NewJob(
            uid=uid,
            name=uid,
            mail_from="n@news.example",
            from_domain="news.example",
            content=encode(content),
            created_at=NOW,
            expires_at=NOW + 9e6,
            suppression_scopes=("all", "sender:news.example"),
            contact_list=contact_list,
            topic=topic,
            priority=priority,
        )
        rows = [NewDelivery(one, one.partition("@")[2], merge, at) for at, one in enumerate(people)]
        return await self.queue.submit_job(job, rows, NOW)

    async def ids(self, job: JobFacts) -> list[int]:
        return [row.id for row in await self.queue.job_rows(job.id, 0, 10_000)]

    def job_links(self, job: JobFacts, content: Content | None = None) -> JobLinks:
        return self.links.of(job, content or Content(html=HTML + "view_url"), TrackingOptions())

    def urls(self, job: JobFacts, delivery: int, recipient: str) -> Mapping[str, str]:
        _, urls, tracker = self.job_links(job).marks(delivery, recipient)
        assert tracker is not None
        found = {name: url.removeprefix(URL) for name, url in urls.items()}
        click = tracker("https://shop.example/a?x=1&y=2").removeprefix(URL)
        return {**found, "click": click, "open": f"/o/{urls['ekiden_seen']}.gif"}

    async def events(self) -> list[ReactionRecord]:
        await self.recorder.flush()
        return await self.queue.reactions_after(0, 10_000)

    async def sent(self, job: JobFacts) -> set[str]:
        """Claim everything of a job; returns who would be mailed now."""
        claimed = (await self.queue.claim(await self.ids(job), 1, self.now[0])).claimed
        return {one.recipient for one in claimed}


@asynccontextmanager
async def world(
    directory: Path,
    *,
    per_minute: int = 10_000_000,
    topics: Sequence[Topic] = TOPICS,
    keep_ip: bool = False,
) -> AsyncIterator[World]:
    """Open everything; the list is called `letters`."""
    database = await Database.open(directory / "queue.db")
    queue, contacts = Queue(database), Contacts(database)
    suppressions = Suppressions(database)
    tokens = Tokens([secrets.token_bytes(32)])
    options = LinkOptions(URL, "unsubscribe@b.example", TrackingOptions(True, True, False))
    links = LinkMaker(tokens, options)
    now = [NOW + 10]
    opened: list[JobFacts] = []
    people = People(
        queue, contacts, suppressions, tokens=tokens, now=lambda: now[0], changed=lambda: None
    )
    recorder = Recorder(queue, contacts, keep_ip=keep_ip, changed=lambda: None)
    site = Site(
        queue,
        contacts,
        tokens,
        SiteOptions(
            URL,
            brand=Brand(name="Example News", footer="1-2-3 Chiyoda"),
            per_minute=per_minute,
            proxies=[ipaddress.ip_network("127.0.0.1/32")],
            signup=SignupOptions(frozenset({"letters"}), "News <n@news.example>", URL),
        ),
        people=people,
        recorder=recorder,
        identities=Identities(database),
        links=lambda: links,
        now=lambda: now[0],
        opened=opened.append,
        changed=lambda: None,
    )
    await contacts.add_list("letters", description="Our letters", at=NOW)
    for topic in topics:
        await contacts.add_topic("letters", topic)
    transport = httpx.ASGITransport(site.app, client=("203.0.113.9", 1))
    headers = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Firefox/145.0"}
    try:
        async with httpx.AsyncClient(transport=transport, base_url=URL, headers=headers) as client:
            yield World(
                queue,
                contacts,
                suppressions,
                tokens,
                links,
                people,
                recorder,
                site,
                client,
                now,
                opened,
            )
    finally:
        await database.close()
