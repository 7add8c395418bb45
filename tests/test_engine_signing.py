"""Signing beside the loop: every message signed once, bounded, errors kept apart, clean end."""

import asyncio
import os
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest

from dkim_oracle import verdicts
from ekiden.dkim.keys import Algorithm, Key, generate
from ekiden.dkim.sign import Prepared, Signed, Signer
from ekiden.engine import signers
from ekiden.engine.signers import NICENESS, Work
from ekiden.engine.signing import A_TURN, BATCH, SigningThreads
from ekiden.errors import UnavailableError
from ekiden.message.rendered import Rendered

LEAST_URGENT = 19  # sched(7)

RSA = generate("example.jp", "rsa", Algorithm.RSA)
ED = generate("example.jp", "ed", Algorithm.ED25519)


@pytest.fixture(params=["a crew", "Python's threads"], autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything holds for both kinds of threads."""
    found: str = request.param
    if found == "Python's threads":
        monkeypatch.setattr(signers, "start_crew", lambda *_: None)
    elif RSA.batch is None:
        pytest.skip("crew.c is not compiled here: python hatch_build.py")
    return found


def rendered(number: int) -> Rendered:
    headers = ((b"From", b" a@example.jp"), (b"Subject", b" %d" % number))
    return Rendered(headers, b"message %d\r\n" % number)


async def sign(threads: SigningThreads, signer: Signer, message: Rendered, now: float) -> bytes:
    """Hand one message in and wait for the whole of it."""
    done: asyncio.Future[Signed] = asyncio.get_running_loop().create_future()
    prepared = signer.prepare(message.headers, message.body_hash(), now)
    threads.submit(prepared, done.set_result)
    signed = await done
    if isinstance(signed, Exception):
        raise signed
    return message.message(signed)


@pytest.mark.parametrize("keys", [[RSA], [ED], [RSA, ED]], ids=["rsa", "ed25519", "both"])
async def test_each_message_comes_back_signed_and_its_own(keys: list[Key]) -> None:
    async with SigningThreads(2) as threads:
        signer = Signer(keys)
        messages = await asyncio.gather(
            *(sign(threads, signer, rendered(i), 1_700_000_000 + i) for i in range(100))
        )
    for number, message in enumerate(messages):
        assert message.endswith(b"\r\n\r\nmessage %d\r\n" % number)
        assert message.count(b"DKIM-Signature:") == len(keys)
    for message in messages[::10]:
        assert verdicts(message, keys) == [True] * len(keys)


async def test_no_more_than_the_limit_is_inside() -> None:
    most = 0
    async with SigningThreads(1, limit=3) as threads:
        signer = Signer([RSA])

        async def one(number: int) -> None:
            nonlocal most
            await sign(threads, signer, rendered(number), 0)
            most = max(most, threads.inside)

        await asyncio.gather(*(one(i) for i in range(30)))
        assert threads.inside == 0
    assert 1 <= most <= 3


async def test_only_the_private_key_operation_leaves_the_loop(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    real = Prepared.finish

    def spy(prepared: Prepared) -> bytes:
        used.append(threading.current_thread().name)
        return real(prepared)

    monkeypatch.setattr(Prepared, "finish", spy)
    async with SigningThreads(1) as threads:
        await sign(threads, Signer([RSA, ED]), rendered(1), 0)
    assert used == (["ekiden-sign-0"] if kind == "Python's threads" else [])  # a crew has none


async def test_an_error_belongs_to_its_message() -> None:
    async with SigningThreads(1) as threads:
        signer = Signer([RSA])
        answers: list[Signed] = []
        all_there = asyncio.Event()

        def given(signed: Signed) -> None:
            answers.append(signed)
            if len(answers) == 3:
                all_there.set()

        good = signer.prepare(rendered(1).headers, b"x" * 32, 0)
        broken = Prepared(((b"", None),), good.keys)  # type: ignore[arg-type]  # the fault wanted
        for prepared in (good, broken, good):
            threads.submit(prepared, given)
        await all_there.wait()
        assert [isinstance(answer, bytes) for answer in answers] == [True, False, True]
        assert isinstance(answers[1], TypeError)
        assert threads.inside == 0


async def test_keys_of_both_kinds_sign_side_by_side() -> None:
    alone = replace(generate("other.example", "o", Algorithm.RSA), batch=None)
    identities = [[RSA], [alone], [RSA, ED], [alone, ED]]
    async with SigningThreads(2) as threads:
        signers_ = [Signer(keys) for keys in identities]
        messages = await asyncio.gather(
            *(sign(threads, signers_[i % 4], rendered(i), 1_700_000_000) for i in range(40))
        )
    for number, message in enumerate(messages):
        assert message.endswith(b"\r\n\r\nmessage %d\r\n" % number)
        keys = identities[number % 4]
        assert verdicts(message, keys) == [True] * len(keys)


async def test_what_libcrypto_does_not_sign_cryptography_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = generate("example.jp", "refused", Algorithm.RSA)
    if key.batch is None:
        pytest.skip("batch.c is not compiled here: python hatch_build.py")
    monkeypatch.setattr(key.batch, "_length", 512)  # not what this key makes
    async with SigningThreads(2) as threads:
        signer = Signer([key])
        messages = await asyncio.gather(*(sign(threads, signer, rendered(i), 0) for i in range(9)))
        assert threads.inside == 0
    # Asked in the moment of the end, too.
    threads = SigningThreads(1)
    threads.start()
    tasks = [asyncio.create_task(sign(threads, signer, rendered(i), 0)) for i in range(9)]
    await asyncio.sleep(0)
    await threads.close()
    for message in [*messages, *await asyncio.gather(*tasks)]:
        assert verdicts(message, [key]) == [True]


async def test_close_finishes_what_is_inside_and_refuses_more() -> None:
    threads = SigningThreads(2, limit=100)
    threads.start()
    signer = Signer([RSA])
    tasks = [asyncio.create_task(sign(threads, signer, rendered(i), 0)) for i in range(20)]
    await asyncio.sleep(0)
    await threads.close()
    assert all(b"DKIM-Signature" in message for message in await asyncio.gather(*tasks))
    with pytest.raises(UnavailableError):
        await sign(threads, signer, rendered(1), 0)
    assert not [t for t in threading.enumerate() if t.name.startswith("ekiden-sign")]


async def test_what_was_signed_together_is_given_a_few_at_a_time() -> None:
    async with SigningThreads(1, limit=100) as threads:
        prepared = Signer([RSA]).prepare(rendered(1).headers, b"x" * 32, 0)
        given: list[int] = []  # the turn of the loop in which each was given
        turn, all_given = 0, asyncio.Event()

        def take(signed: Signed) -> None:
            assert isinstance(signed, bytes)
            given.append(turn)
            if len(given) == 24:
                all_given.set()
            if len(given) == 7:
                raise RuntimeError("of one sender")  # and of nobody else

        def count() -> None:
            nonlocal turn
            turn += 1
            if not all_given.is_set():
                loop.call_soon(count)

        loop = asyncio.get_running_loop()
        faults: list[object] = []
        loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
        count()
        for _ in range(24):
            threads.submit(prepared, take)
        await all_given.wait()
    assert max(Counter(given).values()) <= 2 * A_TURN  # two batches may come in one turn
    assert [str(fault) for fault in faults] == ["of one sender"]


async def test_one_senders_fault_is_not_that_of_batches_that_came_at_the_same_time() -> None:
    prepared = Signer([ED]).prepare(rendered(1).headers, b"x" * 32, 0)
    given: list[Signed] = []
    all_given = asyncio.Event()

    def take(signed: Signed) -> None:
        given.append(signed)
        if len(given) == 5 * BATCH:
            all_given.set()
        if len(given) == 1:
            raise RuntimeError("of one sender")

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with SigningThreads(1, limit=5 * BATCH) as threads:
        for _ in range(5 * BATCH):
            threads.submit(prepared, take)
        await asyncio.sleep(0)
        time.sleep(0.2)  # noqa: ASYNC251 - the loop is busy, and all five are done when it looks
        await asyncio.wait_for(all_given.wait(), 10)
        assert threads.inside == 0


async def test_much_that_has_gathered_is_given_in_few_turns() -> None:
    """However long the turns: giving four in each, a busy loop would fall behind its threads."""
    prepared = Signer([ED]).prepare(rendered(1).headers, b"x" * 32, 0)
    given: list[Signed] = []
    async with SigningThreads(1, limit=400) as threads:
        threads._inside = threads._given = 400
        threads._finished([Work(prepared, given.append) for _ in range(400)])
        assert len(given) == 100
        turns = 0
        while len(given) < 400:
            await asyncio.sleep(0)
            turns += 1
        assert turns < 20
        assert threads.inside == 0


async def test_room_is_told_once_for_all_that_left_together() -> None:
    async with SigningThreads(1, limit=8) as threads:
        told: list[int] = []
        threads.on_room = lambda: told.append(threads.inside)
        prepared = Signer([RSA]).prepare(rendered(1).headers, b"x" * 32, 0)
        left: list[Signed] = []
        all_left = asyncio.Event()

        def given(signed: Signed) -> None:
            left.append(signed)
            if len(left) == 8:
                all_left.set()

        for _ in range(8):
            threads.submit(prepared, given)
        assert not threads.room
        await all_left.wait()
        assert told == [0]


async def test_the_threads_give_the_loop_precedence() -> None:
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    if own + NICENESS > LEAST_URGENT:
        pytest.skip("this process is too nice already")
    async with SigningThreads(2) as threads:
        await sign(threads, Signer([replace(RSA, batch=None)]), rendered(1), 1_700_000_000)
        workers = [one for one in threading.enumerate() if one.name.startswith("ekiden-sign")]
        found = {os.getpriority(os.PRIO_PROCESS, one.native_id or 0) for one in workers}
    assert found <= {own, own + NICENESS}  # `own` until a thread has begun to run
    assert own + NICENESS in found
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
