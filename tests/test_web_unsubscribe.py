"""Leaving and choosing: a POST acts at once, a GET never, and what is decided holds at once."""

import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypedDict

import pytest

from ekiden.lists.model import NewContact, Preference
from ekiden.message.tokens import About, Purpose, Tokens, job_mark
from web_world import NOW, URL, world

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


class Member(TypedDict):
    contact_list: str
    topic: str


MEMBER = Member(contact_list="letters", topic="offers")


async def test_one_click_leaves_the_topic_without_cookies_or_redirects(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example", "b@x.example"], **MEMBER)
        first, _ = await there.ids(job)
        url = there.urls(job, first, "a@x.example")["unsubscribe_url"]
        answer = await there.client.post(url, data=ONE_CLICK)
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        contact = await there.contacts.contact("letters", "a@x.example")
        assert contact is not None
        assert contact.topics == {"offers": Preference.OPT_OUT}
        assert contact.unsubscribed_at is None
        # The mail that waits in the queue does not go to them any more.
        assert await there.sent(job) == {"b@x.example"}
        (event,) = await there.events()
        assert (event.kind, event.recipient, event.delivery_id) == (
            "unsubscribe",
            "a@x.example",
            first,
        )
        assert event.choice["topics"] == {"offers": "OPT_OUT"}
        assert event.choice["source"] == "one-click"
        # Again: the same answer, and no second event.
        assert (await there.client.post(url, data=ONE_CLICK)).status_code == 200
        assert len(await there.events()) == 1


async def test_one_click_in_multipart_form_data(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"], contact_list="letters")
        url = there.urls(job, (await there.ids(job))[0], "a@x.example")["unsubscribe_url"]
        answer = await there.client.post(url, files={"List-Unsubscribe": (None, "One-Click")})
        assert answer.status_code == 200
        contact = await there.contacts.contact("letters", "a@x.example")
        assert contact is not None
        assert contact.unsubscribed_at == there.now[0]  # no topic: the whole list


async def test_without_a_list_one_leaves_the_sender(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example", "b@x.example"])
        first, _ = await there.ids(job)
        url = there.urls(job, first, "A@x.example")["unsubscribe_url"]
        await there.client.post(url, data=ONE_CLICK)
        found = await there.suppressions.contains("a@x.example", scopes=("sender:news.example",))
        assert found is not None
        assert found.reason == "unsubscribe"
        assert await there.sent(job) == {"b@x.example"}
        (event,) = await there.events()
        assert event.choice["scope"] == "sender:news.example"


async def test_a_thousand_prefetching_gets_unsubscribe_nobody(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job([f"r{n}@x.example" for n in range(50)], **MEMBER)
        ids = await there.ids(job)
        for n in range(1000):
            urls = there.urls(job, ids[n % 50], f"r{n % 50}@x.example")
            name = ("unsubscribe_url", "preferences_url", "view_url")[n % 3]
            method = "HEAD" if n % 7 == 0 else "GET"
            answer = await there.client.request(method, urls[name])
            assert answer.status_code == 200, answer.text
        assert len(await there.sent(job)) == 50
        assert await there.events() == []


async def test_a_post_that_is_no_form_of_ours_changes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"], **MEMBER)
        url = there.urls(job, (await there.ids(job))[0], "a@x.example")["unsubscribe_url"]
        for body in (b"", b"act=", b"act=delete", b"\xff\xfe", b"List-Unsubscribe=No", b"a=" * 300):
            assert (await there.client.post(url, content=body)).status_code == 200
        assert await there.sent(job) == {"a@x.example"}


@pytest.mark.parametrize("button", ["topic", "all"])
async def test_the_buttons_of_the_page(tmp_path: Path, button: str) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"], **MEMBER)
        url = there.urls(job, (await there.ids(job))[0], "a@x.example")["unsubscribe_url"]
        page = (await there.client.get(url)).text
        assert set(re.findall(r'name="act" value="(\w+)"', page)) == {"topic", "all", "choose"}
        answer = await there.client.post(url, data={"act": button})
        assert 'role="status"' in answer.text
        contact = await there.contacts.contact("letters", "a@x.example")
        assert contact is not None
        assert (contact.unsubscribed_at is not None) is (button == "all")
        assert await there.sent(job) == set()


async def test_check_boxes_say_what_holds_and_are_taken_over(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"], **MEMBER)
        url = there.urls(job, (await there.ids(job))[0], "a@x.example")["preferences_url"]

        def ticked(page: str) -> list[str]:
            return re.findall(r'value="(\w+)" id="t\d" checked', page)

        assert ticked((await there.client.get(url)).text) == ["offers", "news"]
        data = {"act": "choose", "topic": ["news", "events", "invented", "<script>"]}
        answer = await there.client.post(url, data=data)
        assert ticked(answer.text) == ["news", "events"]
        contact = await there.contacts.contact("letters", "a@x.example")
        assert contact is not None
        assert contact.topics == {"offers": Preference.OPT_OUT, "events": Preference.OPT_IN}
        records = await there.contacts.consents("a@x.example", "letters")
        assert {(one.topic, str(one.act), one.ip) for one in records} == {
            ("offers", "withdrawn", "203.0.113.9"),
            ("events", "given", "203.0.113.9"),
        }
        assert [one.kind for one in await there.events()] == ["subscription"]
        # From nothing back to one topic: the others that were ticked long ago do not come back.
        leave = there.urls(job, (await there.ids(job))[0], "a@x.example")["unsubscribe_url"]
        await there.client.post(leave, data={"act": "all"})
        answer = await there.client.post(url, data={"act": "choose", "topic": "offers"})
        assert ticked(answer.text) == ["offers"]


async def test_ten_thousand_wrong_tokens(tmp_path: Path) -> None:
    dice = random.Random(8)
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"], **MEMBER)
        delivery = (await there.ids(job))[0]
        urls = there.urls(job, delivery, "a@x.example")
        good = urls["unsubscribe_url"].removeprefix("/u/")
        seen = urls["ekiden_seen"]
        other = Tokens([b"another's key 16"])
        about = About(job.id, delivery, "a@x.example", job_mark(job.uid))
        swapped = [
            seen,  # another purpose
            there.tokens.make(Purpose.VIEW, about.pack()),
            other.make(Purpose.LEAVE, about.pack()),
            there.tokens.make(Purpose.LEAVE, About(999, 1, "a@x.example", about.mark).pack()),
            there.tokens.make(Purpose.LEAVE, About(job.id, 1, "a@x.example", b"nope").pack()),
            there.tokens.make(Purpose.LEAVE, About(job.id, delivery, "", about.mark).pack()),
        ]
        for n in range(10_000):
            at = dice.randrange(len(good))
            token = (
                good[:at],
                good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :],
                good[:at] + "%00" + good[at:],
                swapped[n % len(swapped)],
                good[::-1],
            )[n % 5]
            if n % 100:  # the pages cost more than the tokens: most go to the door itself
                assert await there.people.who(token) is None, token
                continue
            answer = await there.client.post(f"/u/{token}", data=ONE_CLICK)
            assert answer.status_code == 404
        assert await there.sent(job) == {"a@x.example"}
        assert await there.events() == []


async def test_a_link_works_when_the_delivery_is_long_gone(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"], **MEMBER)
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        await there.queue.cancel_job(job.id, NOW + 1)
        await there.queue.mark_done(job.id, NOW + 1)
        while await there.queue.fold(NOW + 9e6, 1.0):
            pass
        assert await there.ids(job) == []
        assert (await there.client.get(urls["view_url"])).status_code == 410
        await there.client.post(urls["unsubscribe_url"], data=ONE_CLICK)
        contact = await there.contacts.contact("letters", "a@x.example")
        assert contact is not None
        assert contact.topics == {"offers": Preference.OPT_OUT}


async def test_nothing_that_comes_from_outside_is_html(tmp_path: Path) -> None:
    evil = '"<script>alert(1)</script>"@x.example'
    async with world(tmp_path) as there:
        job = await there.job([evil], **MEMBER)
        urls = there.urls(job, (await there.ids(job))[0], evil)
        for url in (
            urls["preferences_url"],
            urls["unsubscribe_url"] + "?lang=<script>",
            "/u/<script>alert(1)</script>",
            "/join/<script>",
        ):
            answer = await there.client.get(url, headers={"accept-language": "<script>"})
            assert "<script" not in answer.text
        page = (await there.client.get(urls["preferences_url"])).text
        assert "&lt;b&gt;ニュース&lt;/b&gt;" in page


async def test_headers_and_no_requests_to_anybody(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"], **MEMBER)
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        for url in (urls["unsubscribe_url"], "/u/x", "/join/letters", "/nothing"):
            answer = await there.client.get(url)
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(r"<script|src=|https?://|@import|url\(", answer.text)


@pytest.mark.parametrize(
    ("headers", "query", "language"),
    [
        ({"accept-language": "ja,en;q=0.5"}, "", "ja"),
        ({"accept-language": "fr, ja;q=0.2, en;q=0.9"}, "", "en"),
        ({"accept-language": "de"}, "", "en"),
        ({}, "", "en"),
        ({"accept-language": "en"}, "?lang=ja", "ja"),
        ({"accept-language": "ja;q=x,,;"}, "", "en"),
    ],
)
async def test_languages(
    tmp_path: Path, headers: dict[str, str], query: str, language: str
) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"], **MEMBER)
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        answer = await there.client.get(urls["unsubscribe_url"] + query, headers=headers)
        assert f'<html lang="{language}">' in answer.text
        assert answer.headers["content-language"] == language


async def test_the_contact_s_own_language_comes_first(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        new = NewContact("a@x.example", attributes={"language": "ja"})
        await there.contacts.put_contact("letters", new, at=NOW)
        job = await there.job(["a@x.example"], **MEMBER)
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        answer = await there.client.get(urls["unsubscribe_url"], headers={"accept-language": "en"})
        assert "配信停止" in answer.text


async def test_too_many_requests_from_one_client(tmp_path: Path) -> None:
    async with world(tmp_path, per_minute=5) as there:
        job = await there.job(["a@x.example"], **MEMBER)
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        codes = [(await there.client.get(urls["unsubscribe_url"])).status_code for _ in range(8)]
        assert codes == [200] * 5 + [429] * 3
        # A mailbox provider leaves for millions of people from a few addresses.
        assert (await there.client.post(urls["unsubscribe_url"], data=ONE_CLICK)).status_code == 200
        assert await there.sent(job) == set()
        # Pixels and redirects come from the proxies of mail providers: they are not limited.
        for _ in range(20):
            assert (await there.client.get(urls["open"])).status_code == 200


async def test_bodies_are_bounded(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"], **MEMBER)
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        answer = await there.client.post(urls["unsubscribe_url"], content=b"x" * 20_000)
        assert answer.status_code == 413

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(50):
                yield b"y" * 1000

        answer = await there.client.post(urls["unsubscribe_url"], content=chunks())
        assert answer.status_code == 413
        assert await there.sent(job) == {"a@x.example"}


async def test_the_header_fields(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"])
        headers, urls, _ = there.job_links(job).marks(1, "a@x.example")
        token = urls["unsubscribe_url"].rpartition("/")[2]
        assert dict(headers) == {
            "List-Unsubscribe": f"<mailto:unsubscribe@b.example?subject={token}>, "
            f"<{URL}/u/{token}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
