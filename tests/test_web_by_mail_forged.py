"""Leaving by mail: no token but one that was made for it makes anybody leave, in 10,000 tries."""

import random
import secrets
import string
from pathlib import Path

from ekiden.engine.links import LinkMaker, LinkOptions, TrackingOptions
from ekiden.message.content import Content
from ekiden.message.tokens import Tokens
from ekiden.web.by_mail import LeavingByMail
from web_world import HTML, URL, world

PEOPLE = [f"p{n}@x{n % 5}.example" for n in range(30)]
ADDRESS = "unsubscribe@b.example"
LETTERS = string.ascii_letters + string.digits + "-_"


def mail(subject: str, sender: str = "someone@example.org") -> bytes:
    head = f"From: {sender}\nTo: {ADDRESS}\nSubject: {subject}\nMIME-Version: 1.0\n"
    return f"{head}Content-Type: text/plain; charset=utf-8\n\nunsubscribe me\n".encode()


def token_of(url: str) -> str:
    return url.rstrip("/").removesuffix(".gif").rpartition("/")[2]


def mutated(token: str, dice: random.Random) -> str:
    chars = list(token)
    for _ in range(dice.randint(1, 3)):
        place = dice.randrange(len(chars))
        match dice.randrange(4):
            case 0:
                del chars[place]
            case 1:
                chars.insert(place, dice.choice(LETTERS))
            case _:
                chars[place] = dice.choice([one for one in LETTERS if one != chars[place]])
    return "".join(chars) if chars != list(token) else mutated(token, dice)


def spliced(one: str, two: str, dice: random.Random) -> str:
    """The head of one token and the tail of another."""
    cut = dice.randrange(8, min(len(one), len(two)) - 1)
    return one[:cut] + two[cut:]


async def test_ten_thousand_forged_mails_make_nobody_leave(tmp_path: Path) -> None:
    """Made up, changed, spliced, of another purpose, another installation, another queue's job."""
    dice = random.Random(6)
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    async with world(tmp_path / "ours") as at, world(tmp_path / "theirs") as theirs:
        job, other = await at.job(PEOPLE), await theirs.job(PEOPLE, uid="theirs")
        ids, ids_there = await at.ids(job), await theirs.ids(other)
        leave = LeavingByMail(at.people)
        ours = [at.urls(job, id_, one) for id_, one in zip(ids, PEOPLE, strict=True)]
        alien = LinkMaker(
            Tokens([secrets.token_bytes(32)]),
            LinkOptions(URL, ADDRESS, TrackingOptions(True, True, False)),
        ).of(job, Content(html=HTML), TrackingOptions())
        # A job that this queue does not have, sealed with this queue's own keys.
        strange = at.links.of(other, Content(html=HTML), TrackingOptions())
        for number in range(10_000):
            one, two = dice.sample(range(len(PEOPLE)), 2)
            token = token_of(ours[one]["unsubscribe_url"])
            match number % 8:
                case 0:
                    subject = "".join(dice.choices(LETTERS, k=len(token)))
                case 1 | 2:
                    subject = mutated(token, dice)
                case 3:
                    subject = spliced(token, token_of(ours[two]["unsubscribe_url"]), dice)
                case 4:  # what everybody sees in the message, and what its pictures tell
                    subject = token_of(ours[one][dice.choice(["view_url", "open", "click"])])
                case 5:
                    _, urls, _ = alien.marks(ids[one], PEOPLE[one])
                    subject = token_of(urls["unsubscribe_url"])
                case 6:
                    _, urls, _ = strange.marks(ids_there[one], PEOPLE[one])
                    subject = token_of(urls["unsubscribe_url"])
                case _:
                    subject = token[: dice.randrange(len(token))]
            raw = mail(subject, sender=PEOPLE[one])
            assert not await leave.take(raw, ADDRESS, at.now[0]), (number, subject)
        assert await at.suppressions.list() == []
        assert await at.events() == []
