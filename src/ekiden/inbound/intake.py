"""The one door for mail that comes back: from the listener, a Maildir, mbox, pipe or mailbox.

```
mail -> read (thread, pure) -> is it a report?  -> do its identifiers verify?  -> whom do they name?
            delay, autoreply,      unsigned, forged,          unknown: no such delivery (any more)
            other: counted         expired, swapped: counted  swapped: it is about somebody else
     -> what does it mean for that recipient -> one guarded write: report, history, suppression,
        tally
```

**Contract.** `take` changes state only for the recipient that a signed identifier names, and at
most once per delivery and meaning: the same report again, from anywhere, is a duplicate. It returns
after the write is on the disk, so a listener may answer 250 then. Whatever it decides is counted.
It sends nothing, to nobody (RFC 5321 section 4.5.5: no notification is ever made of a
notification).
"""

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import structlog

from ekiden import limits
from ekiden.bounce.classify import Classifier
from ekiden.bounce.identifiers import Doubt, Identifiers
from ekiden.bounce.mail import Kind, ReportedRecipient
from ekiden.bounce.model import Action
from ekiden.bounce.verp import Refusal
from ekiden.bounce.verp import Returned as Proof
from ekiden.inbound import meaning
from ekiden.queue.model import Attempt
from ekiden.queue.queue import Queue
from ekiden.queue.reports import COMPLAINT, REPORTED, Addressee, NewReport, ReportKind
from ekiden.shaping.ramps import OTHER
from ekiden.shaping.reputation import scopes
from ekiden.text import printable

_log = structlog.get_logger()
_CODE: Final = re.compile(r"(?<![\d.])([45]\d\d)(?=[ \-])")


class Outcome(StrEnum):
    """What became of a mail that came back. Only the first four change anything."""

    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCE = "soft_bounce"
    OTHER_BOUNCE = "other_bounce"  # about us or the message: in the history, nobody is suppressed
    COMPLAINT = "complaint"
    DUPLICATE = "duplicate"
    DELIVERED = "delivered"  # a receipt, or "not spam"
    DELAY = "delay"
    AUTOREPLY = "autoreply"
    NO_REPORT = "no_report"  # some other mail
    UNSIGNED = "unsigned"
    FORGED = "forged"
    EXPIRED = "expired"
    SWAPPED = "swapped"
    UNKNOWN = "unknown"  # it verifies, but the delivery is no longer in the queue
    REFUSED = "refused"  # at RCPT: an address that is none of ours
    LOOP = "loop"  # RFC 5321 section 6.3


_OF_KIND: Final = {
    Kind.DELAY: Outcome.DELAY,
    Kind.AUTOREPLY: Outcome.AUTOREPLY,
    Kind.OTHER: Outcome.NO_REPORT,
}
_OF_DOUBT: Final = {
    Doubt.UNSIGNED: Outcome.UNSIGNED,
    Doubt.FORGED: Outcome.FORGED,
    Doubt.EXPIRED: Outcome.EXPIRED,
    Doubt.SWAPPED: Outcome.SWAPPED,
}
_OF_REFUSAL: Final = {
    Refusal.FORGED: Outcome.FORGED,
    Refusal.EXPIRED: Outcome.EXPIRED,
    Refusal.NOT_OURS: Outcome.REFUSED,
}
_OF_REPORT: Final = {
    ReportKind.HARD: Outcome.HARD_BOUNCE,
    ReportKind.SOFT: Outcome.SOFT_BOUNCE,
    ReportKind.OTHER: Outcome.OTHER_BOUNCE,
    ReportKind.COMPLAINT: Outcome.COMPLAINT,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a mail.

    Args:
        outcome: In one word.
        delivery: The delivery it was about; 0 if none was proved.
        recipient: Its recipient; "" if none was proved.
        klass: What the report means; "" if it is none.
        suppressed: The reason for which the recipient is suppressed now; "" if this did not do it.
    """

    outcome: Outcome
    delivery: int = 0
    recipient: str = ""
    klass: str = ""
    suppressed: str = ""


class Intake:
    """Takes mail that comes back.

    Args:
        queue: Where it is written.
        classifier: What diagnostics mean.
        identifiers: Verifies the marks.
        volume: The representative volume of rates.
        provider_of: The provider of (MX host, destination); "" if not known.
        happened: Hears of every outcome, such as to count it.
        blocked: Hears of reports that say our address or name is blocked: scope, and in words.
    """

    def __init__(
        self,
        queue: Queue,
        classifier: Classifier,
        identifiers: Identifiers,
        *,
        volume: int,
        provider_of: Callable[[str, str], str],
        happened: Callable[[Taken], None] = lambda _: None,
        blocked: Callable[[str, str, int], None] = lambda _scope, _detail, _job: None,
    ) -> None:
        self._queue = queue
        self._classifier = classifier
        self._identifiers = identifiers
        self._volume = volume
        self._provider_of = provider_of
        self._happened = happened
        self._blocked = blocked
        self._readers = asyncio.Semaphore(limits.INBOUND_AT_ONCE)
        self._refused: Counter[str] = Counter()

    def reconfigure(self, classifier: Classifier, identifiers: Identifiers, volume: int) -> None:
        """Take over rules, keys and volume of a new configuration."""
        self._classifier = classifier
        self._identifiers = identifiers
        self._volume = volume

    def expects(self, rcpt: str, now: float) -> bool:
        """Whether mail to a return address is taken; one that is not is counted.

        Args:
            rcpt: The address in RCPT TO.
            now: UNIX seconds.
        """
        found = self._identifiers.verify_address(rcpt, now)
        if isinstance(found, Refusal):
            self.refused(_OF_REFUSAL[found])
        return isinstance(found, Proof)

    def refused(self, outcome: Outcome) -> None:
        """Count a mail that was refused before it was read; written with the next `flush`."""
        self._refused[outcome] += 1
        self._happened(Taken(outcome))

    async def flush(self, now: float) -> None:
        """Write the counts of what was refused."""
        counts, self._refused = self._refused, Counter()
        if counts:
            await self._queue.count_inbound(counts, now)

    async def take(self, raw: bytes, rcpt: str, now: float) -> Taken:
        """Take one mail: read it, and write what follows from it.

        Args:
            raw: The mail, header and body, lines ended by CRLF or LF.
            rcpt: The address it was delivered to, "" if only its header tells.
            now: UNIX seconds.

        Raises:
            UnavailableError: The disk refuses; nothing was written, so it may be taken again.
        """
        async with self._readers:
            returned = await asyncio.to_thread(meaning.read, raw, rcpt, self._classifier)
        taken = await self._judge(returned, hashlib.sha256(raw).digest(), now)
        await self._queue.count_inbound({taken.outcome: 1}, now)
        self._happened(taken)
        if taken.suppressed:
            _log.info(
                "suppressed by a report",
                recipient=taken.recipient,
                reason=taken.suppressed,
                meaning=taken.klass,
            )
        return taken

    async def _judge(self, returned: meaning.Returned, digest: bytes, now: float) -> Taken:
        report = returned.report
        if report.kind in _OF_KIND:
            return Taken(_OF_KIND[report.kind])
        proof = self._identifiers.verify(returned.echo, now)
        if isinstance(proof, Doubt):
            return Taken(_OF_DOUBT[proof])
        addressee = await self._queue.addressee(proof.delivery)
        if addressee is None:
            return Taken(Outcome.UNKNOWN, proof.delivery)
        told = meaning.about(report, addressee.address)
        if told is None:
            return Taken(Outcome.SWAPPED, proof.delivery)
        return await self._write(proof, addressee, told, digest, now)

    async def _write(
        self,
        proof: Proof,
        addressee: Addressee,
        told: ReportedRecipient,
        digest: bytes,
        now: float,
    ) -> Taken:
        kind = meaning.kind_of(told)
        klass = told.verdict.klass
        if kind is None:
            return Taken(Outcome.DELIVERED, proof.delivery, addressee.recipient, klass)
        provider = self._provider_of(addressee.host, addressee.destination)
        new = NewReport(
            delivery=proof.delivery,
            address=addressee.address,
            kind=kind,
            digest=digest,
            expires_at=proof.expires_at,
            attempt=_attempt(addressee, told, kind, now),
            scopes=scopes(
                sender=addressee.from_domain,
                source=addressee.source,
                provider=provider,
                configuration_set=addressee.configuration_set,
                job=addressee.job,
            ),
            road=f"{addressee.source} to {provider or OTHER}" if addressee.source else "",
        )
        done = await self._queue.report(new, now, self._volume)
        if not done.counted:
            return Taken(Outcome.DUPLICATE, proof.delivery, addressee.recipient, klass)
        if told.verdict.action is Action.BLOCKED_REPUTATION:
            self._blocked(f"source:{addressee.source}", told.diagnostic, addressee.job)
        outcome = _OF_REPORT[kind]
        return Taken(outcome, proof.delivery, addressee.recipient, klass, done.suppressed)


def _attempt(
    addressee: Addressee, told: ReportedRecipient, kind: ReportKind, now: float
) -> Attempt:
    said = _CODE.search(told.diagnostic)
    return Attempt(
        at=now,
        seconds=0.0,
        source=addressee.source,
        site=addressee.site,
        host=printable(told.mta, 255) or addressee.host,
        stage="" if told.stage is None else told.stage.value,
        code=int(said.group(1)) if said else 0,
        reply=printable(told.diagnostic or told.status, limits.REPLY_TEXT_KEPT),
        klass=told.verdict.klass,
        rule=told.verdict.rule,
        outcome=COMPLAINT if kind is ReportKind.COMPLAINT else REPORTED,
    )
