"""The Python that people write today: EmailMessage, jinja2, dkimpy, aiosmtplib; nothing durable.

    python -m bench.naive PORT MESSAGES SIZE DESTINATIONS KEY

Twenty sessions that are kept open, as a careful author would; a crash loses the rest of the list.
"""

import argparse
import asyncio
import email.utils
import sys
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import ClassVar

import aiosmtplib
import dkim
import jinja2

from bench.cage import Cage
from bench.senders import Sender
from bench.smtp_senders import rsa_key
from bench.work import DOMAIN, FIELDS, SENDER, Work, address, row, subject, templates

SESSIONS = 20


class Naive(Sender):
    """See the module."""

    name = "aiosmtplib + dkimpy"
    queues: ClassVar[bool] = False

    def start(self) -> None:
        rsa_key(self.bench.directory / "bench.pem", DOMAIN)
        # The cage is there before the work, so that what is measured begins with it.
        go = self.bench.directory / "go"
        work = self.bench.work
        numbers = (self.bench.sink.port, work.messages, work.size, work.destinations)
        self.cage = Cage(
            [
                *("/bin/sh", "-c", 'until [ -e "$0" ]; do sleep 0.02; done; exec "$@"', str(go)),
                *(sys.executable, "-m", "bench.naive", *map(str, numbers)),
                str(self.bench.directory / "bench.pem"),
            ],
            self.bench.directory / "naive.log",
        )

    def submit(self) -> None:
        (self.bench.directory / "go").touch()


async def send(port: int, work: Work, key: bytes) -> None:
    """Send all of it: each session takes every twentieth recipient."""
    environment = jinja2.Environment(autoescape=True)
    texts = [environment.from_string(text) for text in (subject(), *templates(work.size))]

    def message(number: int) -> tuple[str, bytes]:
        recipient, *values = row(number, work.destinations)
        merge = dict(zip(FIELDS, values, strict=True))
        made = EmailMessage(policy=SMTP)
        made["From"] = f"Ekiden <{SENDER}>"
        made["To"] = recipient
        made["Date"] = email.utils.formatdate()
        made["Message-ID"] = email.utils.make_msgid(domain=DOMAIN)
        made["Subject"] = texts[0].render(merge)
        made.set_content(texts[1].render(merge))
        made.add_alternative(texts[2].render(merge), subtype="html")
        raw = made.as_bytes()
        signature = dkim.sign(
            raw, b"bench", DOMAIN.encode(), key, canonicalize=(b"relaxed", b"relaxed")
        )
        return recipient, signature + raw

    async def session(slot: int) -> None:
        host = address(slot % work.destinations)
        async with aiosmtplib.SMTP(
            hostname=host, port=port, use_tls=False, start_tls=False
        ) as client:
            for number in range(slot, work.messages, SESSIONS):
                recipient, whole = message(number)
                await client.sendmail(SENDER, [recipient], whole)

    await asyncio.gather(*(session(slot) for slot in range(SESSIONS)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("port", "messages", "size", "destinations"):
        parser.add_argument(name, type=int)
    parser.add_argument("key", type=Path)
    asked = parser.parse_args()
    work = Work(asked.messages, asked.size, asked.destinations)
    asyncio.run(send(asked.port, work, asked.key.read_bytes()))


if __name__ == "__main__":
    main()
