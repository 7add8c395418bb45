"""Lists, topics, contacts and consent as values, and the one rule of precedence. No I/O.

```
unsubscribed from all  >  left or chosen the topic  >  the topic's default
```

`refusal` is that rule. The queue says it again in SQL (`queue/sending.sql`), where it is asked at
the moment of sending; a test holds the two together over all cases.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec


class Preference(StrEnum):
    """What a contact, or a topic's default, says about a topic (SES's words)."""

    OPT_IN = "OPT_IN"
    OPT_OUT = "OPT_OUT"


class Refusal(StrEnum):
    """Why a contact does not get a mail; the class of the delivery's fate in reports and events."""

    UNSUBSCRIBED = "unsubscribed"  # from the whole list
    OPTED_OUT = "opted_out"  # of the topic
    NOT_OPTED_IN = "not_opted_in"  # the topic's default is OPT_OUT, and they have not chosen it
    UNENGAGED = "unengaged"  # the list's sunset rule
    ERASED = "erased"  # only a hash is left of them


class Method(StrEnum):
    """How consent was given."""

    SINGLE = "single"  # a form, with a notice sent
    CONFIRMED = "confirmed"  # a form, and the link in the mail that followed
    WRITTEN = "written"  # on paper, by a business card
    BUSINESS = "business"  # a business relation
    PUBLISHED = "published"  # a business address that its owner published


class Act(StrEnum):
    """What a consent record says happened."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"


class Reaction(StrEnum):
    """What a person did with a mail."""

    OPEN = "open"
    CLICK = "click"
    REPLY = "reply"


@dataclass(frozen=True, slots=True)
class Sunset:
    """Who got `mails` without a reaction in the last `seconds` is not mailed any more."""

    seconds: float
    mails: int


@dataclass(frozen=True, slots=True)
class ContactList:
    """A list."""

    name: str
    description: str = ""
    created_at: float = 0.0
    sunset: Sunset | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of a list.

    Args:
        name: Its name in jobs and files.
        display_name: What people read on the preference page.
        description: A sentence below it.
        default: What holds for contacts who have not chosen.
    """

    name: str
    display_name: str = ""
    description: str = ""
    default: Preference = Preference.OPT_OUT


@dataclass(frozen=True, slots=True)
class Stood:
    """What held for an address on a list before somebody decided.

    Args:
        topics: For each topic of the list, what they had chosen or else its default.
        unsubscribed: They had left the whole list.
    """

    topics: Mapping[str, Preference]
    unsubscribed: bool


class Consent(msgspec.Struct, frozen=True):
    """A record of consent given or withdrawn.

    Args:
        at: When (UNIX seconds).
        act: Given or withdrawn.
        topic: Of this topic; "" for the whole list.
        method: How it was given; "" for a withdrawal.
        source: Where: a URL, a campaign, "import", "one-click".
        form: The words that the person agreed to.
        ip: From which address.
        contact_list: The list.
    """

    at: float
    act: Act = Act.GIVEN
    topic: str = ""
    method: Method | None = None
    source: str = ""
    form: str = ""
    ip: str = ""
    contact_list: str = ""


class Contact(msgspec.Struct, frozen=True):
    """One address on one list. Times are UNIX seconds, None for never.

    Args:
        address: In its key form (`suppression.address_key`).
        topics: What they chose; topics they have not chosen are missing.
        unsubscribed_at: When they left the whole list.
        attributes: Whatever was stored about them.
        last_sent_at: The last delivery.
        mails: Deliveries.
        mails_since: Deliveries since the last reaction.
        reacted_at: The last reaction of a person, whichever it was.
        consent: The newest record of consent given; None: it is missing. Only `Contacts.contact`
            and exports look it up.
    """

    address: str
    topics: Mapping[str, Preference] = {}
    unsubscribed_at: float | None = None
    attributes: Mapping[str, Any] = {}
    created_at: float = 0.0
    last_sent_at: float | None = None
    mails: int = 0
    mails_since: int = 0
    reacted_at: float | None = None
    opened_at: float | None = None
    clicked_at: float | None = None
    replied_at: float | None = None
    consent: Consent | None = None


class NewContact(msgspec.Struct, frozen=True):
    """A contact as an import or a form gives it.

    Args:
        address: Any spelling.
        topics: What they chose.
        unsubscribed: They left the whole list.
        attributes: Kept as they are; empty leaves those that are there.
        consent: Their consent; None: it is missing.
    """

    address: str
    topics: Mapping[str, Preference] = {}
    unsubscribed: bool = False
    attributes: Mapping[str, Any] = {}
    consent: Consent | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a batch of contacts.

    Args:
        added: New on the list.
        updated: On it before.
        kept_out: Of those, who had left and stay out whatever the file says.
        erased: Left out: they were erased.
        missing_consent: Without a record of consent, now and before.
        refused: Why, a sentence for each that is no contact.
    """

    added: int = 0
    updated: int = 0
    kept_out: int = 0
    erased: int = 0
    missing_consent: int = 0
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Engagement:
    """What was seen of a mail's recipient.

    Args:
        address: Any spelling.
        kind: What happened.
        at: When (UNIX seconds).
        human: A person did it; what machines do is not counted (`agents.classify_agent`).
        contact_list: The job's list; "" for every list the address is on.
    """

    address: str
    kind: Reaction
    at: float
    human: bool = True
    contact_list: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person decides about a list, in one step.

    Args:
        topics: The topics they chose or left; those not named stay.
        unsubscribed: True leaves the whole list, False comes back to it, None changes nothing.
        at: When (UNIX seconds).
        source: Where: "one-click", "preference page", a URL.
        ip: From which address.
        form: The words they agreed to, where they agreed to something.
        method: How; for what is given.
    """

    at: float
    topics: Mapping[str, Preference] = field(default_factory=dict)
    unsubscribed: bool | None = None
    source: str = ""
    ip: str = ""
    form: str = ""
    method: Method = Method.SINGLE


def refusal(
    contact: Contact | None,
    topic: Topic | None,
    sunset: Sunset | None = None,
    *,
    now: float = 0.0,
    transactional: bool = False,
) -> Refusal | None:
    """Why a contact does not get a mail about a topic; None when they do.

    Args:
        contact: None for an address that is not on the list.
        topic: None for a mail that names no topic.
        sunset: The list's rule.
        now: UNIX seconds; for the sunset rule.
        transactional: The sunset rule is not asked.
    """
    if contact is not None and contact.unsubscribed_at is not None:
        return Refusal.UNSUBSCRIBED
    if topic is not None:
        chosen = contact.topics.get(topic.name) if contact else None
        if chosen is Preference.OPT_OUT:
            return Refusal.OPTED_OUT
        if chosen is None and topic.default is Preference.OPT_OUT:
            return Refusal.NOT_OPTED_IN
    if contact is not None and sunset is not None and not transactional:
        since = contact.created_at if contact.reacted_at is None else contact.reacted_at
        if contact.mails_since >= sunset.mails and since <= now - sunset.seconds:
            return Refusal.UNENGAGED
    return None
