"""Leaving by mail: the token in the subject counts, however a mail program has written it."""

import email.header
from pathlib import Path

import pytest

from ekiden.message.tokens import Purpose, Tokens
from ekiden.web.by_mail import LeavingByMail, tokens_in
from web_world import NOW, World, world


async def token_of(there: World) -> tuple[str, LeavingByMail]:
    job = await there.job(["a@x.example", "b@x.example"], contact_list="letters", topic="offers")
    url = there.urls(job, (await there.ids(job))[0], "a@x.example")["unsubscribe_url"]
    return url.rpartition("/")[2], LeavingByMail(there.people)


def mail(subject: str) -> bytes:
    return (
        f"From: Somebody Else <else@y.example>\r\nTo: unsubscribe@b.example\r\n"
        f"Subject: {subject}\r\n\r\nplease\r\n"
    ).encode()


@pytest.mark.parametrize(
    "written",
    [
        "{token}",
        "Re: {token}",
        "  {token}  ",
        "=?utf-8?Q?{quoted}?=",
        "{half}\r\n {rest}",
        "{base64}",
    ],
)
async def test_the_subject_says_who_leaves(tmp_path: Path, written: str) -> None:
    async with world(tmp_path) as there:
        token, door = await token_of(there)
        encoded = email.header.Header(token, "utf-8", maxlinelen=60).encode(linesep="\r\n")
        subject = written.format(
            token=token,
            quoted=token.replace("_", "=5F"),
            half=token[:50],
            rest=token[50:],
            base64=encoded,
        )
        assert await door.take(mail(subject), "unsubscribe@b.example", NOW)
        contact = await there.contacts.contact("letters", "a@x.example")
        assert contact is not None
        assert list(contact.topics) == ["offers"]
        (event,) = await there.events()
        assert (event.kind, event.recipient) == ("unsubscribe", "a@x.example")
        assert event.choice["source"] == "mail"
        assert await door.take(mail(subject), "unsubscribe@b.example", NOW)  # twice is once
        assert len(await there.events()) == 1


async def test_nothing_else_is_believed(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        token, door = await token_of(there)
        about = there.tokens.read(Purpose.LEAVE, token)
        assert about is not None
        for raw in (
            b"",
            b"\xff" * 1000,
            mail("unsubscribe"),
            mail("unsubscribe a@x.example"),
            mail(token[:-1]),
            mail(token[::-1]),
            mail(Tokens([b"another's key 16"]).make(Purpose.LEAVE, about)),
            mail(there.tokens.make(Purpose.VIEW, about)),
            mail("=?no-such-charset?B?AAAA?="),
            mail("=?utf-8?B?4?="),
            mail(" ".join(["A" * 60] * 500)),
            b"Subject: none\r\n\r\n" + token.encode(),  # in the body it may be a quotation
        ):
            assert not await door.take(raw, "unsubscribe@b.example", NOW)
        assert await there.events() == []


def test_a_mail_of_tokens_is_tried_a_few_times_only() -> None:
    assert len(list(tokens_in(mail(" ".join(f"{n:060}" for n in range(1000)))))) <= 6
