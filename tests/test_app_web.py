"""The whole daemon with its public part: people leave, open and click while a campaign goes out."""

import asyncio
import re
import smtplib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import httpx
import msgspec

from dkim_oracle import verdicts
from ekiden import app as ekiden_app
from ekiden.config import load
from ekiden.events.model import Event
from ekiden.lists.model import Preference, Topic
from stage import Stage, free_port
from test_app_delivery import until

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
HTML = (
    "<html><body><p>{{ name }}</p>"
    '<p><a href="https://shop.example/all?x=1&amp;y=2">all</a>'
    '<a href="https://shop.example/for?p={{ points }}">yours</a>'
    '<a href="{{amazonSESUnsubscribeUrl}}">leave</a> <a href="{{ view_url }}">view</a></p>'
    "</body></html>"
)


def web(port: int) -> str:
    return (
        f'[web]\npublic_url = "http://127.0.0.1:{port}"\n'
        f'public_listen = ["127.0.0.1:{port}"]\nbrand = "Stage"\n'
    )


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[ekiden_app.App]:
    stop = asyncio.Event()
    async with ekiden_app.build(load(stage.config), stage.config) as app:
        await app.base.contacts.add_list("letters", at=app.base.now())
        await app.base.contacts.add_topic("letters", Topic("news", "News", "", Preference.OPT_IN))
        ready = asyncio.Event()
        task = asyncio.create_task(app.run(stop, ready.set))
        await ready.wait()
        try:
            yield app
        finally:
            stop.set()
            await task


def events(stage: Stage) -> list[Event]:
    lines = (stage.directory / "events" / "events.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Event) for line in lines]


def parsed(file: Path) -> tuple[EmailMessage, str]:
    raw = file.read_bytes()
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("html",))
    assert body is not None
    return message, body.get_content()


class Reader:
    """Reads mail as people do: some leave, some click, some open twice."""

    def __init__(self, client: httpx.AsyncClient, people: list[str]) -> None:
        self.client = client
        self.people = people
        self.left: set[str] = set()
        self.clicked: set[str] = set()
        self.opened: set[str] = set()

    async def read(self, file: Path) -> None:
        message, html = parsed(file)
        recipient = str(message["To"])
        number = self.people.index(recipient)
        signed = re.findall(r"h=([^;]*);", str(message["DKIM-Signature"]))[0].lower()
        fields = {one.strip() for one in signed.split(":")}
        assert {"list-unsubscribe", "list-unsubscribe-post"} <= fields
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        text = message.get_body(("plain",))
        assert text is not None
        assert "https://shop.example/all?x=1&y=2" in text.get_content()
        links = re.findall(r'href="([^"]*)"', html)
        if number % 3 == 0:
            leave = re.search(r"<(http[^>]*)>", str(message["List-Unsubscribe"]))
            assert leave is not None
            answer = await self.client.post(leave[1], data={"List-Unsubscribe": "One-Click"})
            assert answer.status_code == 200
            self.left.add(recipient)
        if number % 4 == 0:
            answer = await self.client.get(links[1])
            assert answer.status_code == 302
            assert answer.headers["location"] == f"https://shop.example/for?p={number}"
            self.clicked.add(recipient)
        if number % 5 == 0:
            (pixel,) = re.findall(r'src="([^"]*)"', html)
            for _ in range(2):
                assert (await self.client.get(pixel)).headers["content-type"] == "image/gif"
            self.opened.add(recipient)
        if number == 7:
            shown = await self.client.get(links[3])
            assert "https://shop.example/for?p=7" in shown.text
            assert "sandbox" in shown.headers["content-security-policy"]


async def test_people_leave_while_it_goes_out(tmp_path: Path) -> None:
    port = free_port()
    stage = Stage(tmp_path / "s", destinations=4, sites=2, extra=web(port))
    stage.write()
    people = [f"success+{n}@{stage.destination(n)}" for n in range(60)]
    async with stage.receivers(store=True), stage.dns(), running(stage) as app:
        stage.drop("first", people, page=HTML, list="letters", topic="news", id="1")
        await until(stage.result("first").exists)
        async with httpx.AsyncClient(headers={"user-agent": AGENT}, trust_env=False) as client:
            reader = Reader(client, people)
            for file in sorted(stage.store.glob("*.eml")):
                assert verdicts(file.read_bytes(), stage.keys()) == [True, True]
                await reader.read(file)
        leavers, clickers, openers = reader.left, reader.clicked, reader.opened
        stage.drop("second", people, page=HTML, list="letters", topic="news", id="2")
        await until(stage.result("second").exists)
        await app.public.recorder.flush()
        first = await app.queue.job("first")
        totals: Counter[tuple[str, str]] = Counter()
        for one in await app.queue.reaction_totals(first.id):
            # Whoever reacts within two seconds counts as a machine: here that is chance.
            totals[one.kind, one.url] += one.times
    fates = {one: fate for one, fate, _ in stage.fates("second")}
    assert {one for one, fate in fates.items() if fate == "suppressed"} == leavers
    assert len(leavers) == 20
    assert totals["open", ""] == 24
    assert totals["click", ""] == 15
    assert totals["unsubscribe", ""] == 20
    seen = events(stage)
    assert {one.recipient for one in seen if one.type == "click"} == clickers
    assert {one.recipient for one in seen if one.type == "open"} == openers
    assert {one.recipient for one in seen if one.type == "unsubscribe"} == leavers
    opens = Counter(one.recipient for one in seen if one.type == "open")
    assert set(opens.values()) == {2}
    assert {one.ip for one in seen if one.type in {"open", "click"}} == {""}


async def test_a_confirmed_sign_up_goes_out_as_mail_and_comes_back(tmp_path: Path) -> None:
    port = free_port()
    extra = web(port) + (
        '[web.signup]\nlists = ["letters"]\nsender = "Stage <news@stage.example>"\n'
    )
    stage = Stage(tmp_path / "s", destinations=2, sites=1, extra=extra)
    stage.write()
    client = httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers={"accept-language": "ja"}, trust_env=False
    )
    async with stage.receivers(store=True), stage.dns(), running(stage) as app, client:
        form = {"address": "success+new@d1.example", "topic": "news"}
        assert (await client.post("/join/letters", data=form)).status_code == 200
        await until(lambda: any(stage.store.glob("*.eml")))
        (file,) = stage.store.glob("*.eml")
        message = message_from_bytes(file.read_bytes(), policy=policy.default)
        assert message["List-Unsubscribe"] is None  # nobody has subscribed
        assert message["Auto-Submitted"] == "auto-generated"
        body = message.get_body(("plain",))
        assert body is not None
        link = re.search(r"http://\S+", body.get_content())
        assert link is not None
        assert (await client.get(link[0])).status_code == 200
        assert await app.base.contacts.contact("letters", form["address"]) is None
        assert "登録が完了しました" in (await client.post(link[0])).text
        contact = await app.base.contacts.contact("letters", form["address"])
        assert contact is not None
        assert contact.consent is not None
        assert contact.consent.method == "confirmed"
        assert contact.consent.ip == "127.0.0.1"


async def test_leaving_by_the_mail_form(tmp_path: Path) -> None:
    port, mail_port = free_port(), free_port()
    extra = web(port) + (
        f'[inbound]\nlisten = ["127.0.0.1:{mail_port}"]\nreturn_domain = "b.stage.example"\n'
    )
    stage = Stage(tmp_path / "s", destinations=2, sites=1, extra=extra)
    stage.write()
    people = [f"success+{n}@{stage.destination(n)}" for n in range(4)]
    async with stage.receivers(store=True), stage.dns(), running(stage):
        stage.drop("first", people, page=HTML, list="letters", topic="news", id="1")
        await until(stage.result("first").exists)
        for file in sorted(stage.store.glob("*.eml")):
            message, html = parsed(file)
            assert re.findall(r'href="([^"]*)">leave', html)[0].startswith("http://127.0.0.1")
            found = re.search(r"<mailto:(\S+)\?subject=(\S+?)>", str(message["List-Unsubscribe"]))
            assert found is not None
            if str(message["To"]) == people[1]:
                answer = EmailMessage()
                answer["From"], answer["To"] = "else@y.example", found[1]
                answer["Subject"] = found[2]
                answer.set_content("please")
                client = await asyncio.to_thread(smtplib.SMTP, "127.0.0.1", mail_port)
                await asyncio.to_thread(client.send_message, answer)
                await asyncio.to_thread(client.quit)
        stage.drop("second", people, page=HTML, list="letters", topic="news", id="2")
        await until(stage.result("second").exists)
    fates = {one: fate for one, fate, _ in stage.fates("second")}
    assert {one for one, fate in fates.items() if fate == "suppressed"} == {people[1]}
