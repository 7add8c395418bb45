"""What can be asked about lists, contacts, people, identities and sets; see `requests`.

The answers are the values of `lists.model` themselves: they are plain data, and travel as such.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import msgspec

from ekiden import limits
from ekiden.control.requests import (
    DeliveryView,
    JobView,
    Listing,
    Question,
    SuppressionView,
)
from ekiden.lists.catalog import ListCounts
from ekiden.lists.contacts import Person
from ekiden.lists.identities import Identity
from ekiden.lists.model import (
    Choice,
    Contact,
    ContactList,
    Imported,
    NewContact,
    Sunset,
    Topic,
)

Batch = Annotated[tuple[NewContact, ...], msgspec.Meta(max_length=limits.CONTACT_BATCH)]


@dataclass(frozen=True, slots=True)
class ListFacts:
    """A list with its topics, in numbers."""

    list: ContactList
    topics: tuple[Topic, ...]
    counts: ListCounts


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """Everything about a person: what the lists know, and what the queue does."""

    person: Person
    suppressions: tuple[SuppressionView, ...] = ()
    deliveries: tuple[DeliveryView, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Erasure:
    """What erasing a person came to.

    Args:
        rows: What the lists and suppressions had of them.
        deliveries: Deliveries that were blanked.
        busy: Deliveries that are being sent now: erase again when they have ended.
    """

    rows: int
    deliveries: int
    busy: int


class Lists(Question[list[ContactList]], frozen=True):
    """All lists."""

    method: ClassVar[str] = "lists"


class ShowList(Question[ListFacts], frozen=True):
    """One list with its topics and counts."""

    method: ClassVar[str] = "list.show"
    contact_list: str


class AddList(Question[ContactList], frozen=True):
    """Make a list."""

    method: ClassVar[str] = "list.add"
    contact_list: str
    description: str = ""
    sunset: Sunset | None = None


class ChangeList(Question[ContactList], frozen=True):
    """Change what is given."""

    method: ClassVar[str] = "list.change"
    contact_list: str
    description: str | None = None
    sunset: Sunset | None = None
    drop_sunset: bool = False


class RemoveList(Question[int], frozen=True):
    """Remove a list; answers how many contacts it had."""

    method: ClassVar[str] = "list.remove"
    contact_list: str


class Topics(Question[list[Topic]], frozen=True):
    """The topics of a list."""

    method: ClassVar[str] = "topics"
    contact_list: str


class AddTopic(Question[Topic], frozen=True):
    """Add a topic to a list."""

    method: ClassVar[str] = "topic.add"
    contact_list: str
    topic: Topic


class ChangeTopic(Question[Topic], frozen=True):
    """Give a topic other texts and another default."""

    method: ClassVar[str] = "topic.change"
    contact_list: str
    topic: Topic


class RemoveTopic(Question[bool], frozen=True):
    """Remove a topic and every choice about it."""

    method: ClassVar[str] = "topic.remove"
    contact_list: str
    topic: str


class ListContacts(Listing[Contact], frozen=True):
    """Contacts in the order of their addresses."""

    method: ClassVar[str] = "contacts.list"
    contact_list: str
    pattern: str = "*"
    topic: str = ""  # with `mailed`
    mailed: bool = False  # only those whom a job about the topic would reach
    consent: bool = False
    limit: int | None = None


class ShowContact(Question[Contact], frozen=True):
    """One contact with its consent."""

    method: ClassVar[str] = "contact.show"
    contact_list: str
    address: str


class AddContacts(Question[Imported], frozen=True):
    """Add or update a batch of contacts."""

    method: ClassVar[str] = "contacts.add"
    contact_list: str
    contacts: Batch
    overwrite: bool = False


class RemoveContact(Question[bool], frozen=True):
    """Take an address off a list; answers whether it was on it."""

    method: ClassVar[str] = "contact.remove"
    contact_list: str
    address: str


class Choose(Question[bool], frozen=True):
    """What a person decided about a list."""

    method: ClassVar[str] = "contact.choose"
    contact_list: str
    address: str
    choice: Choice


class ExportPerson(Question[PersonFacts], frozen=True):
    """Everything about a person."""

    method: ClassVar[str] = "person.export"
    address: str


class ErasePerson(Question[Erasure], frozen=True):
    """Forget a person; a hash keeps them unmailed."""

    method: ClassVar[str] = "person.erase"
    address: str


class ListIdentities(Question[list[Identity]], frozen=True):
    """All identities."""

    method: ClassVar[str] = "identities"


class AddIdentity(Question[Identity], frozen=True):
    """Make an address or a domain known, not yet verified."""

    method: ClassVar[str] = "identity.add"
    name: str


class RemoveIdentity(Question[bool], frozen=True):
    """Forget an identity; answers whether it was there."""

    method: ClassVar[str] = "identity.remove"
    name: str


class JudgeIdentity(Question[Identity], frozen=True):
    """Say what DNS said about a domain's key; the asker has looked."""

    method: ClassVar[str] = "identity.judge"
    name: str
    published: bool


class MailCode(Question[JobView], frozen=True):
    """Mail an address a code that verifies it; answers with the job."""

    method: ClassVar[str] = "identity.mail"
    name: str


class ConfirmIdentity(Question[Identity], frozen=True):
    """Take a code back."""

    method: ClassVar[str] = "identity.confirm"
    code: str


class StopScope(Question[list[JobView]], frozen=True):
    """Stop the sending of a scope, such as set:news; answers with the jobs that are paused."""

    method: ClassVar[str] = "scope.stop"
    scope: str
    reason: str = ""


LIST_REQUESTS: dict[str, type[Any]] = {
    kind.method: kind
    for kind in (
        Lists,
        ShowList,
        AddList,
        ChangeList,
        RemoveList,
        Topics,
        AddTopic,
        ChangeTopic,
        RemoveTopic,
        ListContacts,
        ShowContact,
        AddContacts,
        RemoveContact,
        Choose,
        ExportPerson,
        ErasePerson,
        ListIdentities,
        AddIdentity,
        RemoveIdentity,
        JudgeIdentity,
        MailCode,
        ConfirmIdentity,
        StopScope,
    )
}
