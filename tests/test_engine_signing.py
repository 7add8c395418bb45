"""Signing beside the loop: every message signed once, bounded, errors kept apart, clean end."""

import asyncio
import threading

import pytest

from dkim_oracle import verdicts
from ekiden.dkim.keys import Algorithm, Key, generate
from ekiden.dkim.sign import Signer
from ekiden.engine import signing
from ekiden.engine.signing import SigningThreads
from ekiden.errors import UnavailableError
from ekiden.message.rendered import Rendered

RSA = generate("example.jp", "rsa", Algorithm.RSA)
ED = generate("example.jp", "ed", Algorithm.ED25519)


def rendered(number: int) -> Rendered:
    headers = ((b"From", b" a@example.jp"), (b"Subject", b" %d" % number))
    return Rendered(headers, b"message %d\r\n" % number)


@pytest.mark.parametrize("keys", [[RSA], [ED], [RSA, ED]], ids=["rsa", "ed25519", "both"])
async def test_each_message_comes_back_signed_and_its_own(keys: list[Key]) -> None:
    async with SigningThreads(2) as threads:
        signer = Signer(keys)
        messages = await asyncio.gather(
            *(threads.sign(signer, rendered(i), 1_700_000_000 + i) for i in range(100))
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
            await threads.sign(signer, rendered(number), 0)
            most = max(most, threads.inside)

        await asyncio.gather(*(one(i) for i in range(30)))
        assert threads.inside == 0
    assert 1 <= most <= 3


async def test_ed25519_alone_stays_on_the_loop_unless_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: list[str] = []
    real = signing.sign_message

    def spy(signer: Signer, message: Rendered, now: float) -> bytes:
        used.append(threading.current_thread().name)
        return real(signer, message, now)

    monkeypatch.setattr(signing, "sign_message", spy)
    async with SigningThreads(1) as threads:
        await threads.sign(Signer([ED]), rendered(1), 0)
        await threads.sign(Signer([RSA, ED]), rendered(1), 0)
        large = Rendered(rendered(1).headers, b"x\r\n" * (signing.INLINE_BYTES // 2))
        await threads.sign(Signer([ED]), large, 0)
    assert used[0] == threading.main_thread().name
    assert used[1:] == ["ekiden-sign-0"] * 2


async def test_an_error_belongs_to_its_message() -> None:
    async with SigningThreads(1) as threads:
        signer = Signer([RSA])
        broken = Rendered(((b"From", None),), b"")  # type: ignore[arg-type]  # the fault wanted
        good, bad, also_good = await asyncio.gather(
            threads.sign(signer, rendered(1), 0),
            threads.sign(signer, broken, 0),
            threads.sign(signer, rendered(2), 0),
            return_exceptions=True,
        )
        assert isinstance(good, bytes)
        assert isinstance(also_good, bytes)
        assert isinstance(bad, TypeError | AttributeError)
        assert threads.inside == 0


async def test_close_finishes_what_is_inside_and_refuses_more() -> None:
    threads = SigningThreads(2, limit=100)
    threads.start()
    signer = Signer([RSA])
    tasks = [asyncio.create_task(threads.sign(signer, rendered(i), 0)) for i in range(20)]
    await asyncio.sleep(0)
    await threads.close()
    assert all(b"DKIM-Signature" in message for message in await asyncio.gather(*tasks))
    with pytest.raises(UnavailableError):
        await threads.sign(signer, rendered(1), 0)
    assert not [t for t in threading.enumerate() if t.name.startswith("ekiden-sign")]


async def test_a_cancelled_wait_frees_its_place() -> None:
    async with SigningThreads(1, limit=2) as threads:
        signer = Signer([RSA])
        tasks = [asyncio.create_task(threads.sign(signer, rendered(i), 0)) for i in range(10)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert threads.inside == 0
        assert b"DKIM-Signature" in await threads.sign(signer, rendered(1), 0)
