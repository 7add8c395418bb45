"""The suppression list: keys, reasons, scopes, import and export."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ekiden.errors import RefusedError
from ekiden.lists.suppression import Reason, Suppression, Suppressions, address_key
from ekiden.store.database import Database

NOW = 1_800_000_000.5


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "queue.db")
    yield database
    await database.close()


@pytest.fixture
def suppressions(db: Database) -> Suppressions:
    return Suppressions(db)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("Taro@Example.COM", "taro@example.com"),
        (" taro@example.com\n", "taro@example.com"),
        ("STRASSE@x.example", "strasse@x.example"),
        ("straße@x.example", "strasse@x.example"),
        ("a@日本.example", "a@xn--wgv71a.example"),
        ('"a@b"@x.example', '"a@b"@x.example'),
    ],
)
def test_one_key_per_address(address: str, key: str) -> None:
    assert address_key(address) == key


@pytest.mark.parametrize(
    "address", ["", "taro", "@x.example", "taro@", "a b@x.example", "a\x00@x.example", "a@\udcff"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(RefusedError):
        address_key(address)


async def test_add_find_remove(suppressions: Suppressions) -> None:
    entry = Suppression("Taro@X.example", Reason.COMPLAINT, NOW, job_id=4, note="ARF")
    assert await suppressions.add(entry)
    assert not await suppressions.add(entry)
    found = await suppressions.contains("TARO@x.example")
    assert found == Suppression("taro@x.example", Reason.COMPLAINT, NOW, "all", 4, "ARF")
    assert await suppressions.remove("taro@X.EXAMPLE") == 1
    assert await suppressions.contains("taro@x.example") is None
    assert await suppressions.remove("taro@x.example") == 0


async def test_reasons_stand_beside_each_other(suppressions: Suppressions) -> None:
    for reason in (Reason.UNSUBSCRIBE, Reason.HARD_BOUNCE):
        await suppressions.add(Suppression("a@x.example", reason, NOW))
    found = await suppressions.contains("a@x.example", transactional=True)
    assert found is not None
    assert found.reason is Reason.HARD_BOUNCE
    assert await suppressions.remove("a@x.example", reason="hard_bounce") == 1
    assert await suppressions.contains("a@x.example", transactional=True) is None
    assert await suppressions.contains("a@x.example") is not None


async def test_scopes(suppressions: Suppressions) -> None:
    entry = Suppression("a@x.example", Reason.UNSUBSCRIBE, NOW, scope="topic:news")
    await suppressions.add(entry)
    assert await suppressions.contains("a@x.example") is None
    assert await suppressions.contains("a@x.example", scopes=("all", "topic:news")) == entry
    assert await suppressions.contains_many(["A@x.example"], scopes=("topic:news",)) == {
        "a@x.example"
    }
    for scope in ("", "topic:", "everything", "set:a b"):
        with pytest.raises(RefusedError, match="scope"):
            await suppressions.add(Suppression("a@x.example", Reason.MANUAL, NOW, scope=scope))


async def test_import_names_what_it_refuses_and_export_gives_all(
    suppressions: Suppressions,
) -> None:
    entries = [Suppression(f"u{n:05}@x.example", Reason.IMPORT, NOW) for n in range(4500)]
    bad = [Suppression("nobody", Reason.IMPORT, NOW)]
    new, refused = await suppressions.import_many([*entries, *bad, *entries[:10]])
    assert new == 4500
    assert ["nobody" in text for text in refused] == [True]
    assert [entry async for entry in suppressions.export()] == entries
    assert await suppressions.counts() == {Reason.IMPORT: 4500}


async def test_list_pages_and_filters(suppressions: Suppressions) -> None:
    for number, reason in enumerate((Reason.MANUAL, Reason.COMPLAINT, Reason.MANUAL)):
        await suppressions.add(Suppression(f"{number}@x{number % 2}.example", reason, NOW))
    manual = await suppressions.list(reason="manual")
    assert [entry.address for entry in manual] == ["0@x0.example", "2@x0.example"]
    assert [entry.address for entry in await suppressions.list(pattern="*@X1.*")] == [
        "1@x1.example"
    ]
    (first,) = await suppressions.list(limit=1)
    assert (await suppressions.list(limit=1, after=first))[0].address == "1@x1.example"
    assert await suppressions.contains_many(["0@X0.example", "9@x.example"]) == {"0@x0.example"}
