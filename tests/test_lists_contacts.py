"""Lists, topics, contacts, their choices and reactions, consent, erasure."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ekiden.errors import NotFoundError, RefusedError
from ekiden.lists.contacts import Contacts
from ekiden.lists.model import (
    Act,
    Choice,
    Consent,
    Engagement,
    Imported,
    Method,
    NewContact,
    Preference,
    Reaction,
    Refusal,
    Sunset,
    Topic,
)
from ekiden.lists.suppression import Reason, Suppression, Suppressions
from ekiden.queue.queue import Queue
from ekiden.store.database import Database
from queue_world import opened

NOW = 1_800_000_000.0
DAY = 86_400.0
IN, OUT = Preference.OPT_IN, Preference.OPT_OUT
GIVEN = Consent(
    NOW - DAY, method=Method.CONFIRMED, source="https://x.example/", form="はい", ip="192.0.2.7"
)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "queue.db")
    yield database
    await database.close()


@pytest.fixture
async def contacts(db: Database) -> Contacts:
    found = Contacts(db)
    await found.add_list("news", "Everything", at=NOW)
    await found.add_topic("news", Topic("weekly", "Weekly 週刊", "On Mondays", IN))
    await found.add_topic("news", Topic("ads", default=OUT))
    return found


def people(*addresses: str) -> list[NewContact]:
    return [NewContact(one) for one in addresses]


# --- lists and topics --------------------------------------------------------------------------


async def test_lists_and_topics_are_kept_as_they_are_made(contacts: Contacts) -> None:
    await contacts.add_list("b", at=NOW, sunset=Sunset(90 * DAY, 12))
    assert [one.name for one in await contacts.lists()] == ["b", "news"]
    assert (await contacts.list("b")).sunset == Sunset(90 * DAY, 12)
    assert list(await contacts.topics("news")) == [
        Topic("weekly", "Weekly 週刊", "On Mondays", IN),
        Topic("ads", "ads", "", OUT),
    ]
    await contacts.change_topic("news", Topic("ads", "Offers", "Sometimes", IN))
    assert await contacts.topic("news", "ads") == Topic("ads", "Offers", "Sometimes", IN)
    changed = await contacts.change_list("b", description="B", drop_sunset=True)
    assert (changed.description, changed.sunset) == ("B", None)


async def test_what_cannot_be_is_refused(contacts: Contacts) -> None:
    for name in ("", "a b", "x" * 101, "a\n", "-a"):
        with pytest.raises(RefusedError, match="no name"):
            await contacts.add_list(name, at=NOW)
    with pytest.raises(RefusedError, match="already"):
        await contacts.add_list("news", at=NOW)
    with pytest.raises(RefusedError, match="already"):
        await contacts.add_topic("news", Topic("ads"))
    with pytest.raises(NotFoundError, match="no contact list"):
        await contacts.add_topic("nobody", Topic("ads"))
    with pytest.raises(NotFoundError, match="has no topic"):
        await contacts.set_topic("news", "a@x.example", "sports", IN, source="", at=NOW)
    with pytest.raises(RefusedError, match="sunset"):
        await contacts.add_list("c", at=NOW, sunset=Sunset(0, 1))


async def test_a_list_has_62_topics_and_numbers_are_used_again_when_clear(
    contacts: Contacts,
) -> None:
    for number in range(60):
        await contacts.add_topic("news", Topic(f"t{number}"))
    with pytest.raises(RefusedError, match="at most 62"):
        await contacts.add_topic("news", Topic("one-more"))
    for topic in ("t59", "t7"):
        await contacts.set_topic("news", "a@x.example", topic, IN, source="", at=NOW)
    await contacts.remove_topic("news", "t59", at=NOW)
    await contacts.add_topic("news", Topic("new", default=OUT))
    found = await contacts.contact("news", "a@x.example")
    assert found is not None
    assert found.topics == {"t7": IN}, "a new topic has nobody's old choice"


async def test_what_a_job_asks_is_not_removed(contacts: Contacts, db: Database) -> None:
    queue = Queue(db)
    await opened(queue, "a@x.example", uid="1", contact_list="news", topic="weekly")
    with pytest.raises(RefusedError, match="have not ended"):
        await contacts.remove_list("news")
    with pytest.raises(RefusedError, match="have not ended"):
        await contacts.remove_topic("news", "weekly", at=NOW)
    await contacts.remove_topic("news", "ads", at=NOW)
    await queue.cancel_job((await queue.job("1")).id, NOW)
    await contacts.remove_list("news")


async def test_jobs_name_lists_and_topics_that_are_there(contacts: Contacts, db: Database) -> None:
    queue = Queue(db)
    with pytest.raises(NotFoundError, match="no contact list 'olds'"):
        await opened(queue, "a@x.example", contact_list="olds")
    with pytest.raises(NotFoundError, match="no topic 'sports'"):
        await opened(queue, "a@x.example", contact_list="news", topic="sports")
    await opened(queue, "a@x.example", contact_list="news", topic="ads")
    job = await queue.job("job")
    assert (job.contact_list, job.topic) == ("news", "ads")


async def test_a_removed_list_leaves_the_records_of_consent(contacts: Contacts) -> None:
    many = [NewContact(f"p{n}@x.example", consent=GIVEN) for n in range(4500)]
    for start in (0, 2000, 4000):
        await contacts.import_contacts("news", many[start : start + 2000], at=NOW)
    assert await contacts.remove_list("news") == 4500
    assert await contacts.lists() == []
    with pytest.raises(NotFoundError):
        await contacts.contact("news", "p1@x.example")
    assert len(await contacts.consents("p4499@x.example")) == 1
    years = NOW + 3 * 365 * DAY
    assert await contacts.drop_old_consents(years - DAY) == 0
    assert sum([await contacts.drop_old_consents(years + 9 * DAY) for _ in range(3)]) == 4500
    assert list(await contacts.consents("p4499@x.example")) == []


async def test_consent_is_kept_while_the_person_is_on_the_list(contacts: Contacts) -> None:
    await contacts.put_contact("news", NewContact("a@x.example", consent=GIVEN), at=NOW)
    assert await contacts.remove_contact("news", "A@x.example")
    assert not await contacts.remove_contact("news", "a@x.example")
    await contacts.put_contact("news", NewContact("a@x.example"), at=NOW)
    assert await contacts.drop_old_consents(NOW + 9e9) == 0
    assert len(await contacts.consents("a@x.example")) == 1


# --- choices --------------------------------------------------------------------------------------


async def test_choices_and_their_record(contacts: Contacts) -> None:
    await contacts.set_topic("news", "A@X.example", "ads", "OPT_IN", source="web", at=NOW)
    await contacts.set_topic("news", "a@x.example", "weekly", OUT, source="link", at=NOW + 1)
    found = await contacts.contact("news", "a@x.example")
    assert found is not None
    assert found.topics == {"ads": IN, "weekly": OUT}
    assert found.consent is not None
    assert (found.consent.topic, found.consent.source) == ("ads", "web")
    asked = ["a@x.example", "b@x.example"]
    assert await contacts.subscribed("news", "ads", asked, now=NOW) == {"a@x.example"}
    assert await contacts.subscribed("news", "weekly", asked, now=NOW) == {"b@x.example"}
    assert await contacts.unsubscribe_all(
        "news", "a@x.example", source="one-click", at=NOW + 2, ip="2001:db8::1"
    )
    await contacts.unsubscribe_all("news", "a@x.example", source="one-click", at=NOW + 3)
    assert await contacts.refusals("news", "ads", asked, now=NOW) == {
        "a@x.example": Refusal.UNSUBSCRIBED,
        "b@x.example": Refusal.NOT_OPTED_IN,
    }
    found = await contacts.contact("news", "a@x.example")
    assert found is not None
    assert found.unsubscribed_at == NOW + 2
    record = await contacts.consents("a@x.example")
    assert [(one.at - NOW, one.act, one.topic) for one in record] == [
        (0, Act.GIVEN, "ads"),
        (1, Act.WITHDRAWN, "weekly"),
        (2, Act.WITHDRAWN, ""),
        (3, Act.WITHDRAWN, ""),
    ]
    assert record[2].ip == "2001:db8::1"
    back = Choice(NOW + 4, topics={"weekly": IN}, unsubscribed=False, method=Method.CONFIRMED)
    assert await contacts.choose("news", "a@x.example", back)
    assert await contacts.refusals("news", "weekly", asked, now=NOW) == {}


async def test_strangers_can_leave_too(contacts: Contacts) -> None:
    await contacts.unsubscribe_all("news", "new@x.example", source="mailto", at=NOW)
    assert await contacts.subscribed("news", "weekly", ["new@x.example"], now=NOW) == set()
    result = await contacts.import_contacts("news", people("new@x.example"), at=NOW)
    assert (result.updated, result.kept_out) == (1, 1)
    assert await contacts.subscribed("news", "weekly", ["new@x.example"], now=NOW) == set()


# --- files ----------------------------------------------------------------------------------------


async def test_an_import_adds_updates_and_brings_nobody_back(contacts: Contacts) -> None:
    await contacts.set_topic("news", "out@x.example", "weekly", OUT, source="", at=NOW)
    result = await contacts.import_contacts(
        "news",
        [
            NewContact("Out@X.example", {"weekly": IN, "ads": IN}),
            NewContact("in@x.example", {"ads": IN}, attributes={"名": "花", "n": [1, {"a": None}]}),
            NewContact("gone@x.example", unsubscribed=True),
            NewContact("agreed@x.example", consent=GIVEN),
            NewContact("no address"),
            NewContact("b@x.example", {"sports": IN}),
            NewContact("c@x.example", consent=Consent(NOW, source="x")),
            NewContact("d@x.example", attributes={"x": "y" * 9000}),
        ],
        at=NOW,
    )
    assert (result.added, result.updated, result.kept_out, result.erased) == (3, 1, 1, 0)
    assert result.missing_consent == 3
    assert len(result.refused) == 4
    out = await contacts.contact("news", "out@x.example")
    assert out is not None
    assert out.topics == {"weekly": OUT, "ads": IN}
    kept = await contacts.contact("news", "in@x.example")
    assert kept is not None
    assert kept.attributes == {"名": "花", "n": [1, {"a": None}]}
    agreed = await contacts.contact("news", "agreed@x.example")
    assert agreed is not None
    assert agreed.consent is not None
    assert (agreed.consent.form, agreed.consent.method, agreed.consent.ip) == (
        "はい",
        Method.CONFIRMED,
        "192.0.2.7",
    )
    again = await contacts.import_contacts(
        "news", [NewContact("agreed@x.example"), NewContact("in@x.example")], at=NOW
    )
    assert again == Imported(updated=2, missing_consent=1)
    kept = await contacts.contact("news", "in@x.example")
    assert kept is not None
    assert kept.attributes["名"] == "花", "a file without attributes takes none away"
    counts = await contacts.counts("news", NOW)
    assert (counts.contacts, counts.unsubscribed) == (4, 1)
    assert counts.topics == {"weekly": 2, "ads": 2}


async def test_restoring_an_export_lets_the_file_win(contacts: Contacts) -> None:
    await contacts.unsubscribe_all("news", "a@x.example", source="", at=NOW)
    await contacts.set_topic("news", "a@x.example", "weekly", OUT, source="", at=NOW)
    await contacts.put_contact(
        "news", NewContact("a@x.example", {"weekly": IN}), at=NOW, overwrite=True
    )
    found = await contacts.contact("news", "a@x.example")
    assert found is not None
    assert (found.unsubscribed_at, found.topics) == (None, {"weekly": IN})


async def test_pages_and_globs(contacts: Contacts) -> None:
    names = [f"{n:04d}@{'x' if n % 2 else 'y'}.example" for n in range(2500)]
    await contacts.import_contacts("news", people(*names), at=NOW)
    assert [one.address async for one in contacts.every("news")] == names
    found = await contacts.contacts("news", pattern="*@X.example", limit=3, after=names[4])
    assert [one.address for one in found] == [names[5], names[7], names[9]]
    assert all(one.consent is None for one in await contacts.contacts("news", consent=True))


# --- reactions ------------------------------------------------------------------------------------


async def test_only_people_count(contacts: Contacts) -> None:
    await contacts.add_list("other", at=NOW)
    for name in ("news", "other"):
        await contacts.import_contacts(name, people("a@x.example"), at=NOW)
    assert await contacts.note_engagement("a@x.example", "open", NOW, human=False) == 0
    assert await contacts.note_engagement("nobody@x.example", "open", NOW, human=True) == 0
    assert await contacts.note_engagement("A@x.example", "open", NOW + 5, human=True) == 2
    batch = [
        Engagement("a@x.example", Reaction.CLICK, NOW + 9, contact_list="news"),
        Engagement("a@x.example", Reaction.CLICK, NOW + 7),
        Engagement("a@x.example", Reaction.OPEN, NOW + 1),
        Engagement("a@x.example", Reaction.REPLY, NOW + 8),
    ]
    assert await contacts.note_engagements(batch) == 2
    found = [await contacts.contact(name, "a@x.example") for name in ("news", "other")]
    times = [
        (one.opened_at, one.clicked_at, one.replied_at, one.reacted_at) for one in found if one
    ]
    assert times == [
        (NOW + 5, NOW + 9, NOW + 8, NOW + 9),
        (NOW + 5, NOW + 7, NOW + 8, NOW + 8),
    ]


# --- erasure --------------------------------------------------------------------------------------


async def test_erasing_leaves_a_hash_that_keeps_them_out(contacts: Contacts, db: Database) -> None:
    await contacts.put_contact("news", NewContact("Me@x.example", consent=GIVEN), at=NOW)
    await Suppressions(db).add(Suppression("me@x.example", Reason.COMPLAINT, NOW, note="me"))
    assert (await contacts.export("ME@x.example")).contacts["news"].consent is not None
    assert await contacts.erase("me@X.example", at=NOW) == 3
    person = await contacts.export("me@x.example")
    assert (person.contacts, list(person.consents), person.erased) == ({}, [], True)
    result = await contacts.import_contacts("news", people("me@x.example", "b@x.example"), at=NOW)
    assert (result.added, result.erased) == (1, 1)
    assert await contacts.refusals("news", "weekly", ["me@x.example"], now=NOW) == {
        "me@x.example": Refusal.ERASED
    }
    assert not await contacts.unsubscribe_all("news", "me@x.example", source="", at=NOW)
    single = Choice(NOW, topics={"weekly": IN}, source="form")
    assert not await contacts.choose("news", "me@x.example", single)
    tables = await db.read("SELECT name FROM sqlite_schema WHERE type = 'table'")
    dump = str([await db.read(f'SELECT * FROM "{table}"') for (table,) in tables])
    assert "me@x.example" not in dump
    assert "b@x.example" in dump
    confirmed = Choice(NOW, topics={"weekly": IN}, source="form", method=Method.CONFIRMED)
    assert await contacts.choose("news", "me@x.example", confirmed)
    assert await contacts.refusals("news", "weekly", ["me@x.example"], now=NOW) == {}
