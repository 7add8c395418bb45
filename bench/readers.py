"""People who read a campaign: they look at what the receivers took, and act on it."""

import asyncio
import re
import smtplib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import httpx

from returned_mail import complaint
from stage import SENDER, Stage

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
RETURN = f"back.{SENDER}"
READ_AFTER = 2.5  # seconds; whoever reacts within two is taken for a machine
_TO = re.compile(rb"(?mi)^To: *([^\r\n]+)")
_SUBJECT = re.compile(rb"(?mi)^X-Topic: *([^\r\n]+)")
_REFERENCE = re.compile(rb"(?mi)^X-Ekiden-Ref: *([^\r\n]+)")


def acts(number: int) -> set[str]:
    """What a person does with the news."""
    found = set()
    for act, every, place in (
        ("one-click", 100, 0),
        ("leave all", 100, 1),
        ("open", 20, 2),
        ("click", 30, 3),
        ("complain", 500, 4),
    ):
        if number % every == place:
            found.add(act)
    return found


@dataclass
class Done:
    """What people did, and when it was answered."""

    opened: Counter[str] = field(default_factory=Counter)
    clicked: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_news: dict[str, float] = field(default_factory=dict)
    left_all: dict[str, float] = field(default_factory=dict)
    complained: dict[str, float] = field(default_factory=dict)


class Readers:
    """Everybody who reads: looks at what the receivers took, and acts."""

    def __init__(self, stage: Stage, people: Sequence[str], port: int, inbound: int) -> None:
        self.stage = stage
        self.numbers = {person: number for number, person in enumerate(people)}
        self.done = Done()
        self.read = 0
        self._inbound = inbound
        self._client = httpx.AsyncClient(
            headers={"user-agent": AGENT}, trust_env=False, timeout=60.0
        )
        self._room = asyncio.Semaphore(10)
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = port

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(0.3)

    async def look(self) -> None:
        for file in await asyncio.to_thread(self._new):
            raw = file.read_bytes()
            file.unlink()
            self.read += 1
            person = _first(_TO, raw)
            wanted = acts(self.numbers[person])
            if wanted and _first(_SUBJECT, raw) == "news":
                task = asyncio.create_task(self._act(person, wanted, raw, time.time()))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _new(self) -> list[Path]:
        """Messages that are a moment old: none of them is still being written."""
        before = time.time() - 0.2
        return [one for one in self.stage.store.iterdir() if one.stat().st_mtime < before]

    async def finish(self) -> None:
        """Read what is left, and let everybody act."""
        await asyncio.sleep(0.3)
        await self.look()
        await asyncio.gather(*self._tasks)
        await self._client.aclose()

    async def _act(self, person: str, wanted: set[str], raw: bytes, at: float) -> None:
        await asyncio.sleep(max(0.0, at + READ_AFTER - time.time()))
        async with self._room:
            message = await asyncio.to_thread(_parsed, raw)
            body = message.get_body(("html",))
            assert body is not None
            html = body.get_content()
            attachment = next(message.iter_attachments())
            assert attachment.get_filename() == "案内.txt"
            links = re.findall(r'href="([^"]*)"', html)
            if "open" in wanted:
                (pixel,) = re.findall(r'src="(http[^"]*)"', html)
                for _ in range(2):
                    (await self._client.get(pixel)).raise_for_status()
                    self.done.opened[person] += 1
            if "click" in wanted:
                answer = await self._client.get(links[1])
                where = f"https://shop.example/for?p={self.numbers[person]}"
                assert answer.headers["location"] == where, answer
                self.done.clicked[person, where] += 1
            if "one-click" in wanted:
                leave = re.search(r"<(http[^>]*)>", str(message["List-Unsubscribe"]))
                assert leave is not None
                form = {"List-Unsubscribe": "One-Click"}
                (await self._client.post(leave[1], data=form)).raise_for_status()
                self.done.left_news[person] = time.time()
            if "leave all" in wanted:
                (await self._client.post(links[2], data={"act": "all"})).raise_for_status()
                self.done.left_all[person] = time.time()
            if "complain" in wanted:
                report = complaint(person, reference=_first(_REFERENCE, raw))
                await asyncio.to_thread(self._complain, report)
                self.done.complained[person] = time.time()

    def _complain(self, report: bytes) -> None:
        with smtplib.SMTP("127.0.0.1", self._inbound) as client:
            client.sendmail("fbl@provider.example", [f"fbl@{RETURN}"], report)


def _first(pattern: re.Pattern[bytes], raw: bytes) -> str:
    found = pattern.search(raw)
    assert found is not None, pattern
    return found[1].decode().strip()


def _parsed(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message
