"""Sign-up: nothing is stored before a confirmation, nobody learns who is on a list."""

import re
from pathlib import Path

import msgspec
import pytest

from ekiden.lists.model import Method, NewContact, Preference
from ekiden.message.content import decode
from ekiden.message.tokens import Purpose, Tokens
from ekiden.queue.model import Priority
from ekiden.web.signup import Asked
from web_world import NOW, World, world


async def link_of(there: World) -> str:
    """The link in the newest confirmation mail."""
    job = there.opened[-1]
    (delivery,) = await there.ids(job)
    sent = await there.queue.message_of(delivery)
    assert sent is not None
    return str(sent.merge["link"]).removeprefix("https://news.example")


async def test_a_form_a_mail_a_button(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        page = (await there.client.get("/join/letters?topic=events")).text
        assert re.findall(r'value="(\w+)" id="t\d" checked', page) == ["events"]
        form = {"address": " New@X.example ", "topic": ["events", "invented"]}
        answer = await there.client.post("/join/letters", data=form)
        assert "look into your mailbox" in answer.text
        (job,) = there.opened
        assert job.priority is Priority.TRANSACTIONAL
        assert job.contact_list == ""
        content = decode(await there.queue.content(job.id))
        assert (content.track_opens, content.track_clicks) == (False, False)
        link = await link_of(there)
        # Whatever looks at the link first signs nobody up.
        for method in ("GET", "HEAD", "GET"):
            assert (await there.client.request(method, link)).status_code == 200
        assert await there.contacts.contact("letters", "New@x.example") is None
        assert await there.events() == []
        answer = await there.client.post(link)
        assert "confirmed" in answer.text
        contact = await there.contacts.contact("letters", "New@x.example")
        assert contact is not None
        assert contact.topics == {"events": Preference.OPT_IN}
        assert contact.consent is not None
        assert contact.consent.method is Method.CONFIRMED
        assert contact.consent.ip == "203.0.113.9"
        assert "you can unsubscribe at any time" in contact.consent.form
        assert [(one.kind, one.recipient) for one in await there.events()] == [
            ("subscription", "New@x.example")
        ]
        assert (await there.client.post(link)).status_code == 200  # twice is once


async def test_the_answer_is_the_same_for_everybody(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        there_already = NewContact("member@x.example")
        await there.contacts.put_contact("letters", there_already, at=NOW)
        answers = [
            await there.client.post("/join/letters", data={"address": address, **more})
            for address, more in (
                ("member@x.example", {}),
                ("stranger@x.example", {}),
                ("stranger@x.example", {}),  # a second mail would be one too many
                ("trapped@x.example", {"website": "https://spam.example"}),
            )
        ]
        assert len({(one.status_code, one.text, str(sorted(one.headers))) for one in answers}) == 1
        assert len(there.opened) == 2  # and the program that fills in every field gets none


async def test_who_left_comes_back_by_confirming(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"], contact_list="letters", topic="offers")
        url = there.urls(job, (await there.ids(job))[0], "a@x.example")["unsubscribe_url"]
        await there.client.post(url, data={"act": "all"})
        await there.client.post("/join/letters", data={"address": "a@x.example", "topic": "offers"})
        contact = await there.contacts.contact("letters", "a@x.example")
        assert contact is not None
        assert contact.unsubscribed_at is not None  # the form alone changes nothing
        await there.client.post(await link_of(there))
        contact = await there.contacts.contact("letters", "a@x.example")
        assert contact is not None
        assert contact.unsubscribed_at is None


async def test_so_many_mails_from_one_client(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        for n in range(30):
            data = {"address": f"victim{n}@x.example"}
            assert (await there.client.post("/join/letters", data=data)).status_code == 200
        assert len(there.opened) == 10
        # A client behind a trusted proxy is another client; what it claims itself is not believed.
        for n in range(3):
            await there.client.post(
                "/join/letters",
                data={"address": f"more{n}@x.example"},
                headers={"x-forwarded-for": f"198.51.100.{n}"},
            )
        assert len(there.opened) == 10


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a@",
        "@x.example",
        "a b@x.example",
        "a@x.example\r\nBcc: b@x.example",
        "a@x.example,b@x.example",
        "x" * 400 + "@x.example",
        '"><script>alert(1)</script>@x',
    ],
)
async def test_what_is_no_address_is_said_and_mails_nobody(tmp_path: Path, address: str) -> None:
    async with world(tmp_path) as there:
        answer = await there.client.post("/join/letters", data={"address": address})
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
        assert "<script" not in answer.text
        assert there.opened == []


async def test_lists_that_take_no_sign_ups_look_like_none(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        await there.contacts.add_list("secret", at=NOW)
        answers = [await there.client.get(f"/join/{name}") for name in ("secret", "none", "%00")]
        assert {one.status_code for one in answers} == {404}
        assert len({one.text for one in answers}) == 1


async def test_a_link_expires_and_cannot_be_made(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        await there.client.post("/join/letters", data={"address": "a@x.example"})
        link = await link_of(there)
        there.now[0] += 86_401
        assert (await there.client.post(link)).status_code == 410
        asked = Asked("letters", "b@x.example", (), "en", int(NOW + 9e6))
        content = msgspec.msgpack.encode(asked)
        secret = Asked("secret", "b@x.example", (), "en", int(NOW + 9e6))
        for token in (
            Tokens([b"another's key 16"]).make(Purpose.JOIN, content),
            there.tokens.make(Purpose.LEAVE, content),
            there.tokens.make(Purpose.JOIN, b"\xc1"),
            there.tokens.make(Purpose.JOIN, msgspec.msgpack.encode(secret)),
            link.rpartition("/")[2][:-1],
        ):
            assert (await there.client.post(f"/join/confirm/{token}")).status_code == 404
        assert await there.contacts.contact("letters", "b@x.example") is None


async def test_in_japanese(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        headers = {"accept-language": "ja"}
        data = {"address": "a@x.example"}
        answer = await there.client.post("/join/letters", data=data, headers=headers)
        assert "メールをご確認ください" in answer.text
        content = decode(await there.queue.content(there.opened[0].id))
        assert content.language == "ja"
        page = await there.client.get(await link_of(there), headers={"accept-language": "de"})
        assert '<html lang="ja">' in page.text  # the language of the form goes with the link
