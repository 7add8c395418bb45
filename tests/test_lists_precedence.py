"""Who is mailed: the rule, and the statement that asks it when a delivery is claimed, agree."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ekiden.lists.contacts import Contacts
from ekiden.lists.model import (
    Contact,
    Engagement,
    NewContact,
    Preference,
    Reaction,
    Refusal,
    Sunset,
    Topic,
    refusal,
)
from ekiden.lists.suppression import Reason, Suppression, Suppressions
from ekiden.queue.model import Priority, State
from ekiden.queue.queue import Queue
from ekiden.store.database import Database
from ekiden.store.transaction import pack
from queue_world import NOW, attempt, check_books, claim_all, due, opened, settlement

DAY = 86_400.0
IN, OUT = Preference.OPT_IN, Preference.OPT_OUT


@pytest.mark.parametrize("default", [IN, OUT])
@pytest.mark.parametrize("chosen", [IN, OUT, None])
@pytest.mark.parametrize("left", [NOW, None])
def test_all_beats_topic_beats_default(
    left: float | None, chosen: Preference | None, default: Preference
) -> None:
    topics = {} if chosen is None else {"t": chosen}
    contact = Contact("a@x.example", topics, unsubscribed_at=left)
    why = refusal(contact, Topic("t", default=default))
    if left is not None:
        assert why is Refusal.UNSUBSCRIBED
    elif chosen is not None:
        assert why is (None if chosen is IN else Refusal.OPTED_OUT)
    else:
        assert why is (None if default is IN else Refusal.NOT_OPTED_IN)


preferences = st.sampled_from([IN, OUT, None])
persons = st.fixed_dictionaries(
    {
        "known": st.booleans(),
        "left": st.booleans(),
        "topics": st.lists(preferences, min_size=3, max_size=3),
        "mails": st.integers(0, 4),
        "reacted": st.none() | st.integers(-40, 0),
        "age": st.integers(0, 40),
        "suppressed": st.sampled_from([None, None, None, Reason.COMPLAINT, Reason.UNSUBSCRIBE]),
        "erased": st.sampled_from([False, False, False, True]),
    }
)


@settings(max_examples=25, deadline=None)
@given(
    everybody=st.lists(persons, min_size=1, max_size=12),
    defaults=st.lists(st.sampled_from([IN, OUT]), min_size=3, max_size=3),
    topic=st.sampled_from(["", "t0", "t1", "t2"]),
    sunset=st.none() | st.just(Sunset(30 * DAY, 3)),
    priority=st.sampled_from(list(Priority)),
)
def test_the_claim_asks_the_same_rule(
    everybody: list[dict[str, Any]],
    defaults: list[Preference],
    topic: str,
    sunset: Sunset | None,
    priority: Priority,
) -> None:
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(
            _compare(
                Path(place), everybody, defaults, topic=topic, sunset=sunset, priority=priority
            )
        )


async def _compare(
    place: Path,
    everybody: list[dict[str, Any]],
    defaults: list[Preference],
    *,
    topic: str,
    sunset: Sunset | None,
    priority: Priority,
) -> None:
    db = await Database.open(place / "queue.db")
    try:
        contacts, queue = Contacts(db), Queue(db)
        await contacts.add_list("l", at=NOW, sunset=sunset)
        topics = [Topic(f"t{n}", default=default) for n, default in enumerate(defaults)]
        for one in topics:
            await contacts.add_topic("l", one)
        expected: dict[str, str] = {}
        for n, person in enumerate(everybody):
            address = f"p{n}@x.example"
            expected[address] = await _settle_in(contacts, address, person)
        addresses = list(expected)
        transactional = priority is Priority.TRANSACTIONAL
        found = await contacts.refusals("l", topic, addresses, now=NOW, transactional=transactional)
        about = next((one for one in topics if one.name == topic), None)
        for address in addresses:
            known = await contacts.contact("l", address)
            why = refusal(known, about, sunset, now=NOW, transactional=transactional)
            if expected[address] != "erased":
                assert found.get(address) == why
            else:
                assert found[address] is Refusal.ERASED
            if not expected[address] or (transactional and expected[address] == "unsubscribe"):
                expected[address] = why.value if why else ""
        await opened(queue, *addresses, contact_list="l", topic=topic, priority=priority)
        result = await queue.claim(await due(queue, priority=priority), 7, NOW)
        assert {one.recipient for one in result.claimed} == {
            address for address, why in expected.items() if not why
        }
        rows = await queue.job_rows((await queue.job("job")).id, 0, 100)
        ended = {row.recipient: row.klass for row in rows if row.state is State.SUPPRESSED}
        assert ended == {address: why for address, why in expected.items() if why}
        await check_books(db)
    finally:
        await db.close()


async def _settle_in(contacts: Contacts, address: str, person: dict[str, Any]) -> str:
    """Bring one person into the state that is asked; returns why they are suppressed."""
    if person["known"]:
        topics = {f"t{n}": one for n, one in enumerate(person["topics"]) if one}
        new = NewContact(address, topics, unsubscribed=person["left"])
        await contacts.put_contact("l", new, at=NOW - person["age"] * DAY)
    if person["known"]:
        reached = [["l", address]] * person["mails"]
        await contacts._db.write(
            lambda tx: tx.execute(Database.sql("queue", "reached"), (pack(reached), 0))
        )
    if person["reacted"] is not None:
        at = NOW + person["reacted"] * DAY
        await contacts.note_engagements([Engagement(address, Reaction.CLICK, at)])
    if person["erased"]:
        await contacts.erase(address, at=NOW)
        return "erased"
    if person["suppressed"]:
        await Suppressions(contacts._db).add(Suppression(address, person["suppressed"], NOW))
        return str(person["suppressed"])
    return ""


async def test_who_is_reached_is_on_the_list(tmp_path: Path) -> None:
    db = await Database.open(tmp_path / "queue.db")
    contacts, queue = Contacts(db), Queue(db)
    await contacts.add_list("l", at=NOW)
    await contacts.put_contact("l", NewContact("Old@x.example"), at=NOW - DAY)
    await opened(queue, "old@x.example", "new@x.example", "no@x.example", contact_list="l")
    claimed = await claim_all(queue)
    states = {"no@x.example": State.BOUNCED}
    settled = [settlement(one, states.get(one.recipient, State.DELIVERED)) for one in claimed]
    await queue.settle(settled, NOW + 1)
    found = {one.address: one async for one in contacts.every("l")}
    assert set(found) == {"old@x.example", "new@x.example"}
    assert all(one.last_sent_at == NOW + 1 for one in found.values())
    assert all((one.mails, one.mails_since) == (1, 1) for one in found.values())
    await contacts.note_engagement("new@x.example", "click", NOW + 2, human=True)
    new = await contacts.contact("l", "new@x.example")
    assert new is not None
    assert (new.mails, new.mails_since, new.clicked_at) == (1, 0, NOW + 2)
    await db.close()


async def test_the_erased_are_not_stored_again_by_a_job(tmp_path: Path) -> None:
    db = await Database.open(tmp_path / "queue.db")
    contacts, queue = Contacts(db), Queue(db)
    await contacts.add_list("l", at=NOW)
    await opened(queue, "before@x.example", uid="queued before")
    await contacts.erase("before@x.example", at=NOW)
    await contacts.erase("later@x.example", at=NOW)
    await opened(queue, "later@x.example", "b@x.example", contact_list="l")
    merges = await db.read("SELECT recipient, CAST(merge AS TEXT) FROM payload ORDER BY id")
    assert merges == [
        ("before@x.example", '{"n": 1}'),
        ("later@x.example", "{}"),
        ("b@x.example", '{"n": 2}'),
    ]
    claimed = await claim_all(queue)
    assert [one.recipient for one in claimed] == ["b@x.example"]
    await contacts.erase("b@x.example", at=NOW)
    await queue.settle([settlement(one) for one in claimed], NOW)
    assert [one async for one in contacts.every("l")] == [], "nobody who was erased comes back"
    await db.close()


async def test_the_queue_forgets_a_person(tmp_path: Path) -> None:
    db = await Database.open(tmp_path / "queue.db")
    queue = Queue(db)
    me = "Me@x.example"
    await opened(queue, me, "b@x.example", uid="done")
    claimed = await claim_all(queue)
    bounced = [
        settlement(
            one,
            State.BOUNCED,
            attempt=replace(attempt(f"5.1.1 {one.recipient} unknown", 550), klass="gone"),
        )
        for one in claimed
    ]
    await queue.settle(bounced, NOW)
    await opened(queue, me, "c@x.example", uid="waiting")
    await opened(queue, me, uid="sending")
    ids = await due(queue)
    (busy,) = (await queue.claim(ids[-1:], 9, NOW)).claimed
    assert await queue.forget_recipient("me@X.example", "x.example", NOW) == (2, 1)
    await queue.settle([settlement(busy)], NOW)
    assert await queue.forget_recipient("me@x.example", "x.example", NOW) == (1, 0)
    assert await queue.deliveries_for("me@x.example") == []
    everything = str(
        [await db.read(f"SELECT * FROM {table}") for table in ("payload", "attempt", "delivery")]
    ).lower()
    assert "me@x.example" not in everything
    assert "b@x.example" in everything
    states = {
        uid: [
            (row.recipient, row.state, row.klass)
            for row in await queue.job_rows((await queue.job(uid)).id, 0, 9)
        ]
        for uid in ("done", "waiting", "sending")
    }
    assert states == {
        "done": [
            ("erased@x.example", State.BOUNCED, "gone"),
            ("b@x.example", State.BOUNCED, "gone"),
        ],
        "waiting": [
            ("erased@x.example", State.SUPPRESSED, "erased"),
            ("c@x.example", State.READY, ""),
        ],
        "sending": [("erased@x.example", State.DELIVERED, "")],
    }
    await check_books(db)
    await db.close()
