"""Shared by the tests of returned mail: a queue with deliveries; reports as they are written."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ekiden.bounce.classify import Classifier
from ekiden.bounce.identifiers import Identifiers
from ekiden.inbound.intake import Intake, Taken
from ekiden.lists.suppression import Suppressions
from ekiden.queue.model import State
from ekiden.queue.queue import Queue, QueueOptions
from ekiden.store.database import Database
from queue_world import NOW, claim_all, opened, settlement

KEY = b"a key of the tests, 32 bytes long"
DOMAIN = "bounce.example.net"
LIFETIME = 30 * 86_400.0
CLASSIFIER = Classifier.load()


@dataclass
class Desk:
    """An intake on a queue of its own."""

    database: Database
    queue: Queue
    suppressions: Suppressions
    identifiers: Identifiers
    intake: Intake
    ids: list[int]
    heard: list[Taken]

    async def suppressed(self) -> list[tuple[str, str]]:
        found = await self.suppressions.list(limit=100_000)
        return [(one.address, str(one.reason)) for one in found]

    async def counts(self) -> dict[str, int]:
        return {one.outcome: one.number for one in await self.queue.inbound_counts()}


@asynccontextmanager
async def desk(
    path: Path, recipients: Sequence[str], options: QueueOptions | None = None
) -> AsyncIterator[Desk]:
    """A desk whose deliveries have all been accepted by their receivers."""
    database = await Database.open(path / "queue.db")
    try:
        queue = Queue(database, options)
        await opened(queue, *recipients)
        claimed = sorted(await claim_all(queue), key=lambda one: one.id)
        await queue.settle([settlement(one, State.DELIVERED) for one in claimed], NOW)
        identifiers = Identifiers([KEY], DOMAIN, LIFETIME)
        heard: list[Taken] = []
        intake = Intake(
            queue,
            CLASSIFIER,
            identifiers,
            volume=10_000,
            provider_of=lambda host, destination: "",
            happened=heard.append,
        )
        by_recipient = {one.recipient: one.id for one in claimed}
        ids = [by_recipient[one] for one in recipients]
        yield Desk(database, queue, Suppressions(database), identifiers, intake, ids, heard)
    finally:
        await database.close()


def dsn(
    recipient: str,
    *,
    status: str = "5.1.1",
    said: str = "smtp; 550 5.1.1 <{}>: Recipient address rejected: User unknown",
    reference: str = "",
    return_path: str = "",
    to: str = "",
) -> bytes:
    """A bounce as Postfix writes it (RFC 3464)."""
    marks = f"X-Ekiden-Ref: {reference}\n" if reference else ""
    marks += f"Return-Path: <{return_path}>\n" if return_path else ""
    text = f"""\
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
To: {to or "postmaster@example.net"}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain

This is the mail system at host mx.example.com.

I'm sorry to have to inform you that your message could not be delivered.

<{recipient}>: {said.format(recipient)}

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; {recipient}
Action: failed
Status: {status}
Diagnostic-Code: {said.format(recipient)}

--b1
Content-Type: text/rfc822-headers

{marks}From: News <news@sender.example>
To: {recipient}
Subject: hello
Message-ID: <1.abc@sender.example>

--b1--
"""
    return text.replace("\n", "\r\n").encode()


def complaint(
    recipient: str, *, reference: str = "", feedback_type: str = "abuse", named: str = ""
) -> bytes:
    """A feedback report (RFC 5965); `named` is what it says the recipient was."""
    told = f"Original-Rcpt-To: {named}\n" if named else ""
    text = f"""\
From: fbl@provider.example
To: fbl@{DOMAIN}
Subject: FW: hello
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b2"

--b2
Content-Type: text/plain

This is an email abuse report.

--b2
Content-Type: message/feedback-report

Feedback-Type: {feedback_type}
User-Agent: SomeGenerator/1.0
Version: 1
{told}
--b2
Content-Type: message/rfc822

X-Ekiden-Ref: {reference}
From: News <news@sender.example>
To: {recipient}
Subject: hello

hello
--b2--
"""
    return text.replace("\n", "\r\n").encode()
