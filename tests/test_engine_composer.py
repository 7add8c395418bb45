"""Composing: a job is compiled once, whoever waits; nobody waits for nothing; bounded by room."""

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from dkim_oracle import verdicts
from ekiden.bounce.identifiers import Identifiers
from ekiden.dkim.keys import Algorithm, Key, generate
from ekiden.dkim.sign import Prepared, Signer
from ekiden.engine.composer import Composed, Composer, Unrenderable
from ekiden.engine.signing import BATCH, ENOUGH, SigningThreads
from ekiden.errors import UnavailableError
from ekiden.message.content import Content, encode
from ekiden.queue.model import Claimed, JobFacts, JobState, Priority

MAIN = threading.main_thread().name
NOW = 1_700_000_000.0
ED = generate("sender.example", "ed", Algorithm.ED25519)
RSA = generate("sender.example", "rsa", Algorithm.RSA)
ONE_BY_ONE = replace(RSA, batch=None)
CONTENT = encode(Content(from_="News <news@sender.example>", subject="s", text="Dear {{ name }}\n"))


def facts(number: int) -> JobFacts:
    return JobFacts(
        id=number,
        uid=f"job{number}",
        name="news",
        state=JobState.OPEN,
        priority=Priority.BULK,
        mail_from="news@sender.example",
        from_domain="sender.example",
        configuration_set="",
        pool="",
        created_at=NOW,
        send_at=NOW,
        expires_at=NOW + 86_400,
        deliver_by=None,
        pace=None,
        spool_name="",
    )


def claimed(number: int, job: int = 1) -> Claimed:
    return Claimed(
        id=number,
        job_id=job,
        lane_id=1,
        recipient=f"r{number}@d.example",
        destination="d.example",
        merge=b'{"name": "R%d"}' % number,
        row=number,
        attempts=1,
        doubts=0,
        lease=1,
    )


class Contents:
    """The queue, which answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.trouble: Exception | None = None

    async def job(self, key: int | str) -> JobFacts:
        return facts(int(key))

    async def content(self, job_id: int) -> bytes:
        self.asked += 1
        await self.answers.wait()
        if self.trouble is not None:
            raise self.trouble
        return CONTENT


def made(queue: Contents, threads: SigningThreads, signer: Signer | None = None) -> Composer:
    def find(_: Sequence[str]) -> Signer | None:
        return signer

    identifiers = Identifiers([b"k" * 32], "", 86_400.0)
    return Composer(
        queue, {}, find, sets={}, identifiers=identifiers, threads=threads, now=lambda: NOW
    )


async def messages(composer: Composer, numbers: Sequence[int]) -> list[Composed]:
    found = await asyncio.gather(*(composer.compose(claimed(number)) for number in numbers))
    assert all(isinstance(one, Composed) for one in found), found
    return [one for one in found if isinstance(one, Composed)]


async def test_a_job_is_compiled_once_however_many_wait() -> None:
    queue = Contents()
    async with SigningThreads(1) as threads:
        found = await messages(made(queue, threads), range(50))
    assert queue.asked == 1
    for number, one in enumerate(found):
        assert b"To: r%d@d.example\r\n" % number in one.parts
        assert one.parts.endswith(b"Dear R%d\r\n" % number)
        assert one.size == len(one.parts)


async def test_who_waits_for_its_job_holds_up_nobody() -> None:
    queue = Contents()
    async with SigningThreads(1) as threads:
        composer = made(queue, threads)
        await messages(composer, [1])
        queue.answers.clear()
        late = composer.compose(claimed(2, job=2))
        await messages(composer, [3])
        assert not late.done()
        queue.answers.set()
        assert isinstance(await late, Composed)


async def test_a_failure_is_told_to_all_who_wait_and_the_next_one_tries_anew() -> None:
    queue = Contents()
    queue.trouble = UnavailableError("the disk refuses")
    async with SigningThreads(1) as threads:
        composer = made(queue, threads)
        orders = [composer.compose(claimed(number)) for number in (1, 2)]
        for told in await asyncio.gather(*orders):
            assert told == Unrenderable("the disk refuses", permanent=False)
        queue.trouble = None
        await messages(composer, [3])
    assert queue.asked == 2


async def test_what_was_being_compiled_when_it_was_forgotten_still_serves_who_waited() -> None:
    queue = Contents()
    queue.answers.clear()
    async with SigningThreads(1) as threads:
        composer = made(queue, threads)
        waiting = composer.compose(claimed(1))
        await asyncio.sleep(0)
        composer.forget(1)
        queue.answers.set()
        assert isinstance(await waiting, Composed)
        await messages(composer, [2])
    assert queue.asked == 2, "and the next one reads it again"


async def test_an_order_that_nobody_wants_is_not_made() -> None:
    queue = Contents()
    async with SigningThreads(1) as threads:
        composer = made(queue, threads)
        composer.compose(claimed(1)).cancel()
        await messages(composer, [2])


@pytest.mark.parametrize("keys", [[ED], [RSA], [RSA, ED]], ids=["ed25519", "rsa", "both"])
async def test_messages_are_signed(keys: list[Key]) -> None:
    async with SigningThreads(1) as threads:
        (message,) = await messages(made(Contents(), threads, Signer(keys)), [1])
        assert verdicts(message.parts, keys) == [True] * len(keys)


@pytest.mark.parametrize(
    ("key", "number"), [(ED, BATCH - 1), (replace(ED, batch=None), 3 * BATCH)], ids=["few", "alone"]
)
async def test_ed25519_stays_on_the_loop(
    key: Key, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SigningThreads(1) as threads:
        composer = made(Contents(), threads, Signer([key]))
        await messages(composer, [1000])  # the job is compiled
        monkeypatch.setattr(threads, "submit", None)
        await messages(composer, range(number))


async def test_ed25519_leaves_the_loop_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    if ED.batch is None:
        pytest.skip("batch.c is not compiled here: python hatch_build.py")
    signed_by = spied(monkeypatch, threading.Event())
    async with SigningThreads(1) as threads:
        composer = made(Contents(), threads, Signer([ED]))
        await messages(composer, [1000])
        signed_by.clear()
        made_at_once = await messages(composer, range(BATCH))
    assert signed_by[MAIN] == 0
    assert all(verdicts(one.parts, [ED]) == [True] for one in made_at_once)


async def test_when_signing_is_the_bottleneck_nothing_is_made_in_advance_of_it() -> None:
    async with SigningThreads(1, limit=BATCH) as threads:
        handed_in: list[Prepared] = []
        composer = made(Contents(), threads, Signer([RSA]))
        await messages(composer, [1])
        real, inside = threads.submit, []

        def submit(prepared: Prepared, given: object) -> None:
            handed_in.append(prepared)
            real(prepared, given)  # type: ignore[arg-type]  # passed through
            inside.append(threads.inside)

        threads.submit = submit  # type: ignore[method-assign]  # looked at on the way
        orders = [composer.compose(claimed(number)) for number in range(100)]
        assert composer.behind
        await asyncio.gather(*orders)
        assert len(handed_in) == 100
        assert max(inside) <= BATCH
        assert not composer.behind


async def test_the_loop_signs_too_while_several_threads_are_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signed_by = spied(monkeypatch, gate := threading.Event())
    async with SigningThreads(2) as threads:
        composer = made(Contents(), threads, Signer([ONE_BY_ONE]))
        orders = [composer.compose(claimed(row)) for row in range(100)]
        for order in orders[ENOUGH * 2 :]:  # the threads stand still
            await order
        assert threads.inside == ENOUGH * 2
        gate.set()
        for order in orders:
            message = await order
            assert isinstance(message, Composed)
            assert verdicts(message.parts, [RSA]) == [True]
    assert signed_by == {MAIN: 100 - ENOUGH * 2, "ekiden-sign": ENOUGH * 2}


async def test_one_thread_is_not_helped_so_that_the_loop_can_be_kept_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signed_by = spied(monkeypatch, gate := threading.Event())
    gate.set()
    async with SigningThreads(1) as threads:
        await messages(made(Contents(), threads, Signer([ONE_BY_ONE])), range(100))
    assert signed_by == {"ekiden-sign": 100}


async def test_the_loop_signs_nothing_where_keys_sign_in_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if RSA.batch is None:
        pytest.skip("batch.c is not compiled here: python hatch_build.py")
    signed_by = spied(monkeypatch, gate := threading.Event())
    gate.set()
    async with SigningThreads(2) as threads:
        made_at_once = await messages(made(Contents(), threads, Signer([RSA])), range(300))
    assert signed_by[MAIN] == 0
    assert all(verdicts(one.parts, [RSA]) == [True] for one in made_at_once)


def spied(monkeypatch: pytest.MonkeyPatch, gate: threading.Event) -> Counter[str]:
    """Count who signs; threads wait for the gate first."""
    signed_by: Counter[str] = Counter()
    real = Prepared.finish

    def finish(prepared: Prepared) -> bytes:
        name = threading.current_thread().name
        if name != MAIN:
            gate.wait()
        signed_by[name.rstrip("-0123456789")] += 1
        return real(prepared)

    monkeypatch.setattr(Prepared, "finish", finish)
    return signed_by
