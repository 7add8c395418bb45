"""Identities: pending, verified by DNS or by a code that lives a day; what they cover."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ekiden.errors import NotFoundError, RefusedError
from ekiden.lists.identities import Identities, covering
from ekiden.store.database import Database

NOW = 1_800_000_000.0
DAY = 86_400.0


@pytest.fixture
async def identities(tmp_path: Path) -> AsyncIterator[Identities]:
    database = await Database.open(tmp_path / "queue.db")
    yield Identities(database)
    await database.close()


def test_what_covers_an_address() -> None:
    assert covering("News@a.日本.example") == [
        "news@a.日本.example".replace("日本", "xn--wgv71a"),
        "a.xn--wgv71a.example",
        "xn--wgv71a.example",
    ]


async def test_a_domain_covers_what_is_below_it(identities: Identities) -> None:
    assert not await identities.covers("a@x.example")
    assert (await identities.add("X.Example", at=NOW)).verified_at is None
    assert not await identities.covers("a@x.example")
    await identities.verified_by_dns("x.example", at=NOW)
    assert await identities.covers("a@x.example")
    assert await identities.covers("a@sub.x.example")
    assert not await identities.covers("a@notx.example")
    assert not await identities.covers("a@example")
    await identities.failed_by_dns("x.example")
    assert not await identities.covers("a@x.example")


async def test_a_code_verifies_its_address_once_within_a_day(identities: Identities) -> None:
    await identities.add("Me@x.example", at=NOW)
    first = await identities.begin("me@x.example", at=NOW)
    second = await identities.begin("me@x.example", at=NOW)
    with pytest.raises(NotFoundError, match="not known or has expired"):
        await identities.confirm(first, at=NOW)
    with pytest.raises(NotFoundError):
        await identities.confirm(second, at=NOW + DAY)
    for wrong in ("", second[:-1], second + "A", second.swapcase(), "\ud800"):
        with pytest.raises(NotFoundError):
            await identities.confirm(wrong, at=NOW)
    done = await identities.confirm(second, at=NOW + DAY - 1)
    assert (done.name, done.method, done.verified_at) == ("me@x.example", "mail", NOW + DAY - 1)
    with pytest.raises(NotFoundError):
        await identities.confirm(second, at=NOW)
    assert await identities.covers("ME@x.example")
    assert not await identities.covers("you@x.example")
    await identities.failed_by_dns("me@x.example")
    assert await identities.covers("me@x.example"), "DNS says nothing about a confirmed address"
    assert await identities.remove("me@x.example")
    assert not await identities.covers("me@x.example")


async def test_what_cannot_be_is_refused(identities: Identities) -> None:
    for wrong in ("", "a b@x.example", "a_b..example", "http://x.example"):
        with pytest.raises(RefusedError):
            await identities.add(wrong, at=NOW)
    with pytest.raises(NotFoundError):
        await identities.verified_by_dns("x.example", at=NOW)
    with pytest.raises(NotFoundError):
        await identities.begin("a@x.example", at=NOW)
    await identities.add("x.example", at=NOW)
    with pytest.raises(RefusedError, match="by DNS"):
        await identities.begin("x.example", at=NOW)


async def test_only_a_hash_of_the_code_is_kept(identities: Identities) -> None:
    await identities.add("a@x.example", at=NOW)
    code = await identities.begin("a@x.example", at=NOW)
    assert code not in str(await identities._db.read("SELECT * FROM identity"))
