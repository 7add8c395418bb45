"""Opens and clicks: once per person and link, machines apart, and nobody is led astray."""

import random
from collections import Counter
from pathlib import Path

import pytest

from ekiden.engine.links import LinkMaker, LinkOptions, TrackingOptions
from ekiden.lists.model import NewContact
from ekiden.message.content import Content
from ekiden.message.tokens import About, Purpose, Tokens, job_mark, pack_link
from ekiden.queue.model import Priority
from web_world import HTML, NOW, URL, World, world

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
APPLE = "Mozilla/5.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
SCANNER = f"{FIREFOX} BarracudaCentral"
SHOP = "https://shop.example/a?x=1&y=2"


async def totals(there: World, job: int) -> dict[tuple[str, str, bool], tuple[int, int]]:
    await there.recorder.flush()
    found = await there.queue.reaction_totals(job)
    return {(one.kind, one.url, one.human): (one.times, one.deliveries) for one in found}


async def test_people_are_counted_once_and_machines_apart(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example", "b@x.example"])
        first, second = await there.ids(job)
        mine = there.urls(job, first, "a@x.example")
        yours = there.urls(job, second, "b@x.example")
        for agent in (FIREFOX, FIREFOX, APPLE, GMAIL, SCANNER):
            await there.client.get(mine["open"], headers={"user-agent": agent})
            await there.client.get(mine["click"], headers={"user-agent": agent})
        await there.client.get(yours["open"], headers={"user-agent": APPLE})
        assert await totals(there, job.id) == {
            ("open", "", True): (2, 1),
            ("open", "", False): (4, 2),
            ("click", "", True): (2, 1),
            ("click", "", False): (3, 1),
            ("click", SHOP, True): (2, 1),
            ("click", SHOP, False): (3, 1),
        }
        seen = await there.events()
        assert Counter((one.kind, one.agent) for one in seen) == {
            ("open", "person"): 2,
            ("open", "prefetch"): 2,
            ("open", "proxy"): 1,
            ("open", "scanner"): 1,
            ("click", "person"): 2,
            ("click", "prefetch"): 1,
            ("click", "proxy"): 1,
            ("click", "scanner"): 1,
        }
        # The first and the repeated ones are told apart, per person and link.
        people = [(one.kind, one.times) for one in seen if one.agent == "person"]
        assert sorted(people) == [("click", 1), ("click", 2), ("open", 1), ("open", 2)]
        assert {one.ip for one in seen} == {""}


async def test_a_contact_s_last_reaction_is_a_person_s(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        await there.contacts.put_contact("letters", NewContact("a@x.example"), at=NOW)
        job = await there.job(["a@x.example"], contact_list="letters", topic="offers")
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        for agent, opened in ((APPLE, None), (SCANNER, None), (FIREFOX, there.now[0])):
            await there.client.get(urls["open"], headers={"user-agent": agent})
            await there.recorder.flush()
            contact = await there.contacts.contact("letters", "a@x.example")
            assert contact is not None
            assert contact.opened_at == opened, agent


async def test_a_click_leads_where_its_token_says_and_nowhere_else(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"])
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        answer = await there.client.get(urls["click"])
        assert (answer.status_code, answer.headers["location"]) == (302, SHOP)
        evil = "https://evil.example/"
        for path in (
            f"{urls['click']}?url={evil}&u={evil}",
            f"{urls['click']}#{evil}",
        ):
            assert (await there.client.get(path)).headers["location"] == SHOP
        mark = job_mark(job.uid)
        forged = Tokens([b"another's key 16"]).make(Purpose.LINK, pack_link(mark, job.id, evil))
        wrong = [
            there.tokens.make(Purpose.LINK, pack_link(mark, job.id, url))
            for url in ("javascript:alert(1)", "data:text/html,x", "//evil.example", "", "ftp://x/")
        ]
        for token in (forged, evil, "x", *wrong):
            answer = await there.client.get(f"/c/{token}/{urls['ekiden_seen']}")
            assert answer.status_code == 404
            assert "location" not in answer.headers


async def test_a_link_of_one_job_with_the_mark_of_another_is_followed_and_not_counted(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as there:
        one = await there.job(["a@x.example"], uid="one")
        two = await there.job(["b@x.example"], uid="two")
        first = there.urls(one, (await there.ids(one))[0], "a@x.example")
        second = there.urls(two, (await there.ids(two))[0], "b@x.example")
        link = first["click"].split("/")[2]
        answer = await there.client.get(f"/c/{link}/{second['ekiden_seen']}")
        assert answer.headers["location"] == SHOP
        answer = await there.client.get(f"/c/{link}/nonsense")
        assert answer.headers["location"] == SHOP
        assert await totals(there, one.id) == {}
        assert await totals(there, two.id) == {}


async def test_a_head_looks_at_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"])
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        for name, status in (
            ("open", 200),
            ("click", 302),
            ("view_url", 200),
            ("unsubscribe_url", 200),
            ("preferences_url", 200),
        ):
            answer = await there.client.head(urls[name])
            assert (answer.status_code, answer.content) == (status, b""), name
        assert await totals(there, job.id) == {}


async def test_forged_and_swapped_tokens_count_nothing(tmp_path: Path) -> None:
    dice = random.Random(4)
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"])
        delivery = (await there.ids(job))[0]
        good = there.urls(job, delivery, "a@x.example")["ekiden_seen"]
        about = About(job.id, delivery, mark=job_mark(job.uid)).pack()
        swapped = [
            there.tokens.make(Purpose.VIEW, about),
            there.tokens.make(Purpose.LEAVE, about),
            Tokens([b"another's key 16"]).make(Purpose.SEEN, about),
            there.tokens.make(Purpose.SEEN, About(job.id, delivery, mark=b"nope").pack()),
            there.tokens.make(Purpose.SEEN, About(job.id + 9, delivery, mark=b"nope").pack()),
        ]
        for n in range(600):
            at = dice.randrange(len(good))
            wrong = (good[:at], good[:at] + "-" * (good[at] != "-") + good[at + 1 :], *swapped)
            token = wrong[n % len(wrong)]
            if token == good:
                continue
            answer = await there.client.get(f"/o/{token}.gif")
            # Whoever asks gets a picture: what it is worth, it does not say.
            assert answer.status_code == 200 if token else 404
        assert await totals(there, job.id) == {}
        assert await there.events() == []


async def test_the_pixel(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"])
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        answer = await there.client.get(urls["open"])
        assert answer.content[:6] == b"GIF89a"
        assert len(answer.content) < 50
        assert "no-store" in answer.headers["cache-control"]
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert "set-cookie" not in answer.headers


async def test_totals_name_nobody(tmp_path: Path) -> None:
    async with world(tmp_path, keep_ip=True) as there:
        job = await there.job(["a@x.example", "b@x.example"])
        options = LinkOptions(URL, "", TrackingOptions(opens=True, clicks=True, totals=True))
        links = LinkMaker(there.tokens, options).of(job, Content(html=HTML), TrackingOptions())
        made = []
        for delivery, who in zip(await there.ids(job), ("a@x.example", "b@x.example"), strict=True):
            _, urls, tracker = links.marks(delivery, who)
            assert tracker is not None
            made.append((urls["ekiden_seen"], tracker(SHOP)))
        assert made[0] == made[1]  # nothing in a link tells one recipient from another
        for _ in range(3):
            await there.client.get(f"/o/{made[0][0]}.gif")
            await there.client.get(made[0][1].removeprefix(URL))
        assert await totals(there, job.id) == {
            ("open", "", True): (3, 0),
            ("click", "", True): (3, 0),
            ("click", SHOP, True): (3, 0),
        }
        assert await there.events() == []


@pytest.mark.parametrize("keep", [True, False])
async def test_addresses_are_kept_only_when_asked_for(tmp_path: Path, keep: bool) -> None:
    async with world(tmp_path, keep_ip=keep) as there:
        job = await there.job(["a@x.example"])
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        await there.client.get(urls["open"])
        (event,) = await there.events()
        assert event.ip == ("203.0.113.9" if keep else "")


async def test_what_a_user_agent_says_is_printable_and_short(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"])
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        agent = b"Mozilla/5.0 \xff\x1b[31m" + b"x" * 2000
        await there.client.get(urls["open"], headers=[(b"user-agent", agent)])
        (event,) = await there.events()
        assert event.user_agent.isprintable()
        assert event.user_agent.isascii()
        assert len(event.user_agent) <= 256


@pytest.mark.parametrize(
    ("priority", "said", "tracked"),
    [
        (Priority.BULK, None, True),
        (Priority.BULK, False, False),
        (Priority.TRANSACTIONAL, None, False),
        (Priority.TRANSACTIONAL, True, True),
    ],
)
async def test_transactional_mail_is_tracked_only_when_its_job_says_so(
    tmp_path: Path,
    priority: Priority,
    said: bool | None,
    tracked: bool,
) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"], priority=priority)
        content = Content(html=HTML, track_opens=said, track_clicks=said)
        links = there.job_links(job, content)
        headers, urls, tracker = links.marks(1, "a@x.example")
        assert (tracker is not None) is tracked
        assert (links.tracking is not None) is tracked
        assert ("ekiden_seen" in urls) is tracked
        assert bool(headers) is (priority is Priority.BULK)


async def test_one_link_followed_without_end_fills_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"])
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        for _ in range(150):
            await there.client.get(urls["open"])
        assert len(await there.events()) == 100
        assert (await totals(there, job.id))["open", "", True] == (150, 1)


async def test_a_tracked_link_of_a_private_setting(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"])
        chosen = TrackingOptions(opens=False, clicks=True)
        links = there.links.of(job, Content(html=HTML), chosen)
        assert links.tracking is not None
        assert links.tracking.pixel == ""
        _, _, tracker = links.marks(1, "a@x.example")
        assert tracker is not None
        assert tracker("mailto:a@x.example") == "mailto:a@x.example"
        assert tracker("#top") == "#top"
