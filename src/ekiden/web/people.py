"""What a person decides by a link of ours: leave, choose, come back. One place for every way in.

| link of a job | leaving by the header | leaving on the page |
|---|---|---|
| with a list and a topic | that topic (as Amazon SES) | the topic, or the whole list |
| with a list | the whole list | the whole list |
| without a list | mail of this sender: the suppression `sender:DOMAIN` | the same |

The queue looks at all of it in the transaction that claims a delivery, so what is decided here
holds from the next claim on, for what has been queued long ago, too.

Contract. A token is believed if it was made for leaving and names a job of this queue by number
*and* identity. Everything may be said twice: it changes nothing, and is no second event.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ekiden.errors import NotFoundError
from ekiden.lists.contacts import Contacts
from ekiden.lists.model import Choice, Contact, Preference, Stood, Topic
from ekiden.lists.suppression import Reason, Suppression, Suppressions
from ekiden.message.tokens import About, Purpose, Tokens, job_mark
from ekiden.queue.model import JobFacts
from ekiden.queue.queue import Queue
from ekiden.queue.reactions import SUBSCRIPTION, UNSUBSCRIBE, Chosen

ONE_CLICK = "one-click"
PAGE = "preference page"
MAIL = "mail"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where a decision comes from.

    Args:
        ip: The client's address.
        user_agent: What it calls itself, printable.
        source: ONE_CLICK, PAGE or MAIL.
    """

    ip: str = ""
    user_agent: str = ""
    source: str = PAGE


@dataclass(frozen=True, slots=True)
class Who:
    """A person with a link of ours.

    Args:
        about: What the link says.
        job: The job it came with.
        topics: The topics of its list.
        contact: The person on that list; None: not on it (yet).
        left_sender: Without a list: they left this sender.
    """

    about: About
    job: JobFacts
    topics: Sequence[Topic] = ()
    contact: Contact | None = None
    left_sender: bool = False

    @property
    def scope(self) -> str:
        """The suppression of who leaves without a list."""
        return f"sender:{self.job.from_domain}"

    @property
    def topic(self) -> Topic | None:
        """The job's topic."""
        return next((one for one in self.topics if one.name == self.job.topic), None)

    @property
    def left_all(self) -> bool:
        """Whether they get nothing of this any more."""
        if not self.job.contact_list:
            return self.left_sender
        return self.contact is not None and self.contact.unsubscribed_at is not None

    def gets(self, topic: Topic) -> bool:
        """Whether they get mail about a topic."""
        if self.left_all:
            return False
        chosen = self.contact.topics.get(topic.name) if self.contact else None
        return (chosen or topic.default) is Preference.OPT_IN

    @property
    def left(self) -> bool:
        """Whether what the header would do has been done."""
        return self.left_all or (self.topic is not None and not self.gets(self.topic))


class People:
    """Believes links and carries out what people decide.

    Args:
        queue: The queue.
        contacts: The lists.
        suppressions: Who is not mailed.
        tokens: Verifies links.
        now: UNIX seconds.
        changed: Hears that there is a new event.
    """

    def __init__(
        self,
        queue: Queue,
        contacts: Contacts,
        suppressions: Suppressions,
        *,
        tokens: Tokens,
        now: Callable[[], float],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._queue = queue
        self._contacts = contacts
        self._suppressions = suppressions
        self._now = now
        self._changed = changed
        self.tokens = tokens

    async def who(self, token: str) -> Who | None:
        """Return whose link it is; None if it is not believed."""
        about = About.unpack(self.tokens.read(Purpose.LEAVE, token))
        if about is None or not about.address:
            return None
        try:
            job = await self._queue.job(about.job)
        except NotFoundError:
            return None
        if job_mark(job.uid) != about.mark:
            return None
        return await self._seen_now(about, job)

    async def _seen_now(self, about: About, job: JobFacts) -> Who:
        if job.contact_list:
            try:
                topics = await self._contacts.topics(job.contact_list)
                contact = await self._contacts.contact(job.contact_list, about.address)
            except NotFoundError:  # the list is gone; the sender is not
                return await self._seen_now(about, _without_list(job))
            return Who(about, job, topics, contact)
        found = await self._suppressions.contains(
            about.address, scopes=(f"sender:{job.from_domain}", "all")
        )
        return Who(about, job, left_sender=found is not None)

    async def leave(self, who: Who, visitor: Visitor, *, everything: bool = False) -> bool:
        """Leave the topic of the job, or everything that its link is about.

        Args:
            who: Whose link it is.
            visitor: Where it comes from.
            everything: Not only the topic.

        Returns:
            False if the person was erased: they are not mailed in any case.
        """
        job = who.job
        if not job.contact_list:
            await self._leave_sender(who, visitor)
            return True
        topic = None if everything else who.topic
        if who.left_all or (topic is not None and who.left):
            return True
        leaving = {} if topic is None else {topic.name: Preference.OPT_OUT}
        choice = self._choice(visitor, leaving, unsubscribed=None if leaving else True)
        stood = await self._contacts.choose(job.contact_list, who.about.address, choice)
        if stood is not None:
            await self._note(UNSUBSCRIBE, who, visitor, leaving, left=topic is None, stood=stood)
        return stood is not None

    async def choose(self, who: Who, wanted: Sequence[str], visitor: Visitor) -> bool:
        """Take over the check boxes of the preference page.

        Args:
            who: Whose page it is.
            wanted: The names of the topics that are ticked; others are left.
            visitor: Where it comes from.

        Returns:
            False if the person was erased.
        """
        changed = {
            topic.name: Preference.OPT_IN if topic.name in wanted else Preference.OPT_OUT
            for topic in who.topics
            if (topic.name in wanted) is not who.gets(topic)
        }
        back = who.left_all and Preference.OPT_IN in changed.values()
        if back:  # who comes back gets what is ticked, and nothing that was ticked long ago
            changed = {
                topic.name: Preference.OPT_IN if topic.name in wanted else Preference.OPT_OUT
                for topic in who.topics
            }
        if not changed:
            return True
        choice = self._choice(visitor, changed, unsubscribed=False if back else None)
        stood = await self._contacts.choose(who.job.contact_list, who.about.address, choice)
        if stood is not None:
            gone = Preference.OPT_IN not in changed.values()
            kind = UNSUBSCRIBE if gone else SUBSCRIPTION
            await self._note(kind, who, visitor, changed, stood=stood)
        return stood is not None

    def _choice(
        self, visitor: Visitor, topics: Mapping[str, Preference], *, unsubscribed: bool | None
    ) -> Choice:
        return Choice(
            self._now(),
            topics=topics,
            unsubscribed=unsubscribed,
            source=visitor.source,
            ip=visitor.ip,
        )

    async def _leave_sender(self, who: Who, visitor: Visitor) -> None:
        suppression = Suppression(
            who.about.address,
            Reason.UNSUBSCRIBE,
            self._now(),
            scope=who.scope,
            job_id=who.job.id,
            note=visitor.source,
        )
        if await self._suppressions.add(suppression):
            await self._note(UNSUBSCRIBE, who, visitor, {}, left=True)

    async def _note(
        self,
        kind: str,
        who: Who,
        visitor: Visitor,
        topics: Mapping[str, Preference],
        *,
        left: bool = False,
        stood: Stood | None = None,
    ) -> None:
        contact_list = who.job.contact_list
        choice: dict[str, Any] = {
            "list": contact_list,
            "topics": {name: str(one) for name, one in topics.items()},
            "unsubscribed": left,
            "source": visitor.source,
            "scope": "" if contact_list else who.scope,
        }
        if stood is not None:
            choice["before"] = before(stood)
        await self._queue.note_choice(
            Chosen(
                kind=kind,
                recipient=who.about.address,
                at=self._now(),
                job=who.job.id,
                delivery=who.about.delivery,
                choice=choice,
                user_agent=visitor.user_agent,
                ip=visitor.ip,
            )
        )
        self._changed()


def before(stood: Stood) -> dict[str, Any]:
    """Return what held before, as an event tells it."""
    topics = {name: str(one) for name, one in stood.topics.items()}
    return {"topics": topics, "unsubscribed": stood.unsubscribed}


def _without_list(job: JobFacts) -> JobFacts:
    return replace(job, contact_list="", topic="")
