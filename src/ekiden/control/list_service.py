"""The answers about lists, contacts, people and identities; a part of `service.Control`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ekiden.control import list_requests as asked
from ekiden.control.confirmation import confirmation
from ekiden.control.requests import JobView
from ekiden.control.views import delivery_view, job_view, suppression_view
from ekiden.errors import NotFoundError
from ekiden.lists.contacts import Contacts
from ekiden.lists.identities import Identities, Identity
from ekiden.lists.model import Contact, ContactList, Imported, Topic, refusal
from ekiden.lists.suppression import Suppressions, address_key
from ekiden.queue.model import JobFacts
from ekiden.queue.queue import Queue
from ekiden.store.database import Database

PAGE = 2000


@dataclass(frozen=True, slots=True)
class Confirming:
    """How confirmation mails for identities are made.

    Args:
        sender: Their From address.
        link: Makes the address of the page that takes a code; gives "" where there is none.
    """

    sender: str
    link: Callable[[str], str] = lambda _: ""


class ListAnswers:
    """Answers what `list_requests` asks.

    Args:
        contacts: The lists.
        identities: The identities.
        queue: The queue.
        suppressions: The addresses that are not mailed.
        clock: UNIX seconds.
        confirming: How confirmation mails are made.
        opened: Hears of a job that this made.
    """

    def __init__(
        self,
        contacts: Contacts,
        identities: Identities,
        queue: Queue,
        suppressions: Suppressions,
        *,
        clock: Callable[[], float],
        confirming: Confirming,
        opened: Callable[[JobFacts], None] = lambda _: None,
    ) -> None:
        self._contacts = contacts
        self._identities = identities
        self._queue = queue
        self._suppressions = suppressions
        self._clock = clock
        self._confirming = confirming
        self._opened = opened

    @classmethod
    def over(
        cls,
        database: Database,
        queue: Queue,
        *,
        clock: Callable[[], float],
        confirming: Confirming,
        opened: Callable[[JobFacts], None] = lambda _: None,
    ) -> "ListAnswers":
        """Return the answers over an open database."""
        return cls(
            Contacts(database),
            Identities(database),
            queue,
            Suppressions(database),
            clock=clock,
            confirming=confirming,
            opened=opened,
        )

    def questions(self) -> dict[type, Callable[[Any], Awaitable[Any]]]:
        """Return what answers each question."""
        return {
            asked.Lists: self._lists,
            asked.ShowList: self._show_list,
            asked.AddList: self._add_list,
            asked.ChangeList: self._change_list,
            asked.RemoveList: lambda one: self._contacts.remove_list(one.contact_list),
            asked.Topics: self._topics,
            asked.AddTopic: self._add_topic,
            asked.ChangeTopic: self._change_topic,
            asked.RemoveTopic: self._remove_topic,
            asked.ShowContact: self._show_contact,
            asked.AddContacts: self._add_contacts,
            asked.RemoveContact: self._remove_contact,
            asked.Choose: self._choose,
            asked.ExportPerson: self._export_person,
            asked.ErasePerson: self._erase_person,
            asked.ListIdentities: self._list_identities,
            asked.AddIdentity: self._add_identity,
            asked.RemoveIdentity: lambda one: self._identities.remove(one.name),
            asked.JudgeIdentity: self._judge_identity,
            asked.MailCode: self._mail_code,
            asked.ConfirmIdentity: self._confirm_identity,
        }

    # --- lists and topics ---------------------------------------------------------------------

    async def _lists(self, _: asked.Lists) -> list[ContactList]:
        return list(await self._contacts.lists())

    async def _show_list(self, one: asked.ShowList) -> asked.ListFacts:
        return asked.ListFacts(
            await self._contacts.list(one.contact_list),
            tuple(await self._contacts.topics(one.contact_list)),
            await self._contacts.counts(one.contact_list, self._clock()),
        )

    async def _add_list(self, one: asked.AddList) -> ContactList:
        return await self._contacts.add_list(
            one.contact_list, one.description, at=self._clock(), sunset=one.sunset
        )

    async def _change_list(self, one: asked.ChangeList) -> ContactList:
        return await self._contacts.change_list(
            one.contact_list,
            description=one.description,
            sunset=one.sunset,
            drop_sunset=one.drop_sunset,
        )

    async def _topics(self, one: asked.Topics) -> list[Topic]:
        return list(await self._contacts.topics(one.contact_list))

    async def _add_topic(self, one: asked.AddTopic) -> Topic:
        return await self._contacts.add_topic(one.contact_list, one.topic)

    async def _change_topic(self, one: asked.ChangeTopic) -> Topic:
        return await self._contacts.change_topic(one.contact_list, one.topic)

    async def _remove_topic(self, one: asked.RemoveTopic) -> bool:
        await self._contacts.remove_topic(one.contact_list, one.topic, at=self._clock())
        return True

    # --- contacts -------------------------------------------------------------------------------

    async def _show_contact(self, one: asked.ShowContact) -> Contact:
        found = await self._contacts.contact(one.contact_list, one.address)
        if found is None:
            raise NotFoundError(
                f"this address is not on the list {one.contact_list!r}", where=one.address[:320]
            )
        return found

    async def _add_contacts(self, one: asked.AddContacts) -> Imported:
        return await self._contacts.import_contacts(
            one.contact_list, one.contacts, at=self._clock(), overwrite=one.overwrite
        )

    async def _remove_contact(self, one: asked.RemoveContact) -> bool:
        return await self._contacts.remove_contact(one.contact_list, one.address)

    async def _choose(self, one: asked.Choose) -> bool:
        stood = await self._contacts.choose(one.contact_list, one.address, one.choice)
        return stood is not None

    async def contacts(self, one: asked.ListContacts) -> AsyncIterator[Contact]:
        """Answer a listing of contacts, page by page.

        Raises:
            NotFoundError: There is no such list or topic.
        """
        about = await self._contacts.topic(one.contact_list, one.topic) if one.topic else None
        sunset = (await self._contacts.list(one.contact_list)).sunset
        left = one.limit
        after = ""
        while left is None or left > 0:
            page = await self._contacts.contacts(
                one.contact_list,
                after=after,
                pattern=one.pattern,
                limit=PAGE if left is None or one.mailed else min(PAGE, left),
                consent=one.consent,
            )
            if not page:
                return
            after = page[-1].address
            now = self._clock()
            wanted = [
                contact
                for contact in page
                if not one.mailed or refusal(contact, about, sunset, now=now) is None
            ]
            for contact in wanted[:left]:
                yield contact
            left = None if left is None else left - len(wanted[:left])

    # --- people ---------------------------------------------------------------------------------

    async def _export_person(self, one: asked.ExportPerson) -> asked.PersonFacts:
        person = await self._contacts.export(one.address)
        suppressed = await self._suppressions.list(pattern=_exactly(person.address), limit=PAGE)
        deliveries = await self._queue.deliveries_for(person.address)
        return asked.PersonFacts(
            person,
            tuple(suppression_view(each) for each in suppressed),
            tuple(delivery_view(each) for each in deliveries),
        )

    async def _erase_person(self, one: asked.ErasePerson) -> asked.Erasure:
        key, now = address_key(one.address), self._clock()
        rows = await self._contacts.erase(key, at=now)
        blanked, busy = await self._queue.forget_recipient(key, key.rpartition("@")[2], now)
        return asked.Erasure(rows, blanked, busy)

    # --- identities -----------------------------------------------------------------------------

    async def _list_identities(self, _: asked.ListIdentities) -> list[Identity]:
        return list(await self._identities.identities())

    async def _add_identity(self, one: asked.AddIdentity) -> Identity:
        return await self._identities.add(one.name, at=self._clock())

    async def _judge_identity(self, one: asked.JudgeIdentity) -> Identity:
        if one.published:
            return await self._identities.verified_by_dns(one.name, at=self._clock())
        return await self._identities.failed_by_dns(one.name)

    async def _mail_code(self, one: asked.MailCode) -> JobView:
        now = self._clock()
        code = await self._identities.begin(one.name, at=now)
        identity = await self._identities.identity(one.name)
        job, row = confirmation(
            identity.name, code, self._confirming.sender, self._confirming.link(code), now
        )
        facts = await self._queue.submit_job(job, [row], now)
        self._opened(facts)
        return job_view(facts)

    async def _confirm_identity(self, one: asked.ConfirmIdentity) -> Identity:
        return await self._identities.confirm(one.code.strip(), at=self._clock())


def _exactly(address: str) -> str:
    """Return the glob that one address alone matches."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in address)
