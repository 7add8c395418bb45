"""A job's messages, made by the same composer that sends them, without a queue.

A proof differs from what will be sent in what only a queued delivery has: the number in its
Message-ID, and the keys of its links and marks, which are drawn anew so that nobody leaves a list
by trying a proof.
"""

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ekiden import settings
from ekiden.bounce.identifiers import Identifiers
from ekiden.config import Config
from ekiden.dkim.sign import Signer
from ekiden.engine.composer import Composer, Unrenderable
from ekiden.engine.signing import SigningThreads
from ekiden.errors import RefusedError
from ekiden.message.content import Content
from ekiden.message.tokens import Tokens
from ekiden.queue.model import Claimed, JobFacts, JobState, NewDelivery, NewJob, RefusedRow
from ekiden.spool.content import ContentRules
from ekiden.spool.jobspec import shown
from ekiden.spool.loading import load_entry
from ekiden.spool.newjob import new_job

_KEY_BYTES: Final = 32
_REFUSED_KEPT: Final = 1000

Signers = Callable[[Sequence[str]], Signer | None]


@dataclass(frozen=True, slots=True)
class Draft:
    """A job that was read, with some of its recipients.

    Args:
        job: The job as the queue would be given it.
        content: Its content.
        rows: Recipients.
        refused: Rows that were refused on the way to them.
    """

    job: NewJob
    content: Content
    rows: tuple[NewDelivery, ...]
    refused: tuple[RefusedRow, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """One recipient's message, or why there is none.

    Args:
        row: The recipient's row.
        recipient: The address.
        mail_from: The return address.
        message: The message as it would be sent, before dot-stuffing; empty if there is none.
        reason: Why not.
    """

    row: int
    recipient: str
    mail_from: str = ""
    message: bytes = b""
    reason: str = ""


def unsigned(_: Sequence[str]) -> Signer | None:
    """Sign nothing."""
    return None


def read_draft(
    config: Config,
    path: Path,
    *,
    now: float,
    rules: ContentRules,
    count: int = 1,
    recipient: str = "",
) -> Draft:
    """Read a job from where it lies; blocking.

    Args:
        config: The configuration.
        path: A job directory, or a .toml, .json or .eml file.
        now: UNIX seconds.
        rules: What its content is made by.
        count: How many recipients to take, the first ones.
        recipient: Take this one instead.

    Raises:
        EkidenError: The job is wrong, or does not have that recipient.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise RefusedError(
            f"It cannot be read: {error.strerror}.", where=shown(str(path)), remedy="check the path"
        ) from error
    owners = {os.geteuid(), os.fstat(descriptor).st_uid}
    name = path.resolve().name
    loaded = load_entry(descriptor, name, owners, now, rules)
    try:
        plain = loaded.spec
        loaded.spec = settings.completed(config, plain)
        settings.check_job(config, loaded.spec)
        rows: list[NewDelivery] = []
        refused: list[RefusedRow] = []
        chosen: dict[int, str] = {}
        for batch in loaded.batches:
            refused += batch.refused[: _REFUSED_KEPT - len(refused)]
            found = [row for row in batch.rows if not recipient or row.recipient == recipient]
            rows += found
            chosen |= {row.row: batch.chosen.get(row.row, "") for row in found[:count]}
            if len(rows) >= count:
                break
    finally:
        loaded.close()
    if not rows:
        raise _nobody(name, recipient, refused)
    if count == 1 and (own := chosen[rows[0].row]):  # the message of a row that chose its set
        loaded.spec = settings.completed(config, replace(plain, configuration_set=own))
        settings.check_job(config, loaded.spec)
    job = new_job(name, loaded, settings.intake(config), now)
    return Draft(job, loaded.made, tuple(rows[:count]), tuple(refused))


def _nobody(name: str, recipient: str, refused: Sequence[RefusedRow]) -> RefusedError:
    for one in refused:
        if not recipient or one.recipient == recipient:
            where = f"{shown(name)}: row {one.row}"
            return RefusedError(f"The row is refused: {one.reason}.", where=where)
    if recipient:
        return RefusedError(
            f"{shown(recipient, 100)} is not among the recipients.",
            where=shown(name),
            remedy="name one as its row writes it",
        )
    return RefusedError("There are no recipients.", where=shown(name))


async def proofs(
    config: Config,
    job: NewJob,
    rows: Sequence[NewDelivery],
    *,
    now: float,
    signers: Signers = unsigned,
) -> list[Proof]:
    """Make the messages of some of a job's recipients.

    Args:
        config: The configuration.
        job: The job.
        rows: The recipients.
        now: UNIX seconds, for Date and signatures.
        signers: Finds the signer of a set of domains.

    Raises:
        EkidenError: The content cannot be compiled.
    """
    facts = _facts(job)
    secret = [secrets.token_bytes(_KEY_BYTES)]
    async with SigningThreads(1) as threads:
        composer = Composer(
            _OneJob(facts, job.content),
            {facts.id: facts},
            signers,
            sets=settings.sets(config),
            identifiers=Identifiers(secret, config.inbound.return_domain, config.inbound.lifetime),
            threads=threads,
            now=lambda: now,
            links=settings.links(config, Tokens(secret)),
        )
        return [await _proof(composer, row) for row in rows]


async def _proof(composer: Composer, row: NewDelivery) -> Proof:
    claimed = Claimed(
        id=0,
        job_id=0,
        lane_id=0,
        recipient=row.recipient,
        destination=row.destination,
        merge=row.merge,
        row=row.row,
        attempts=1,
        doubts=0,
        lease=0,
    )
    made = await composer.compose(claimed)
    proof = Proof(row.row, row.recipient)
    if isinstance(made, Unrenderable):
        return replace(proof, reason=made.reason)
    return replace(proof, mail_from=made.mail_from, message=bytes(made.parts))


class _OneJob:
    """Where the composer finds the job: nowhere but here."""

    def __init__(self, facts: JobFacts, content: bytes) -> None:
        self._facts = facts
        self._content = content

    async def job(self, _: int | str) -> JobFacts:
        """Return the job."""
        return self._facts

    async def content(self, _: int) -> bytes:
        """Return its content."""
        return self._content


def _facts(job: NewJob) -> JobFacts:
    return JobFacts(
        id=0,
        uid=job.uid,
        name=job.name,
        state=JobState.OPEN,
        priority=job.priority,
        mail_from=job.mail_from,
        from_domain=job.from_domain,
        configuration_set=job.configuration_set,
        pool=job.pool,
        created_at=job.created_at,
        send_at=job.send_at,
        expires_at=job.expires_at,
        deliver_by=job.deliver_by,
        pace=job.pace,
        spool_name=job.spool_name,
        contact_list=job.contact_list,
        topic=job.topic,
        template=job.template,
    )
