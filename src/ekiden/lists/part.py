"""What the parts of the lists share: the database, times, topics as bits, rows as values."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ekiden import limits
from ekiden.errors import NotFoundError, RefusedError
from ekiden.lists.model import Act, Consent, Contact, Method, Preference, Stood, Topic
from ekiden.lists.suppression import address_key
from ekiden.store.database import Database
from ekiden.store.transaction import Tx

PIECE: Final = 2000  # rows per transaction where work is cut into pieces
_PLAIN: Final = re.compile(r"[a-z0-9._+=-]{1,64}@[a-z0-9.-]{1,190}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@-]{0,99}")  # as a job file spells it


class Part:
    """The database.

    Args:
        db: The one that holds the queue.
    """

    def __init__(self, db: Database) -> None:
        self._db = db


def sql(name: str) -> str:
    """A statement of this room."""
    return Database.sql("lists", name)


def ms(at: float) -> int:
    """UNIX seconds as stored: whole milliseconds."""
    return round(at * 1000)


def seconds(stored: int | None) -> float | None:
    """Stored milliseconds as UNIX seconds; None stays None."""
    return None if stored is None else stored / 1000


def key_of(address: str) -> str:
    """The key form of an address; the plain ones, which most are, take the short way."""
    return address if _PLAIN.fullmatch(address) else address_key(address)


def checked_name(name: str, what: str) -> str:
    """The name of a list or a topic, if it can be written in a job file.

    Raises:
        RefusedError: It cannot.
    """
    if not _NAME.fullmatch(name):
        raise RefusedError(
            f"this is no name for a {what}",
            where=name[:100],
            remedy="use at most 100 letters, digits and _ . : @ -",
        )
    return name


def checked_text(text: str, what: str, most: int = limits.LIST_TEXT) -> str:
    """A text about a list or a topic.

    Raises:
        RefusedError: It is too long, or holds what cannot be shown.
    """
    if len(text) > most or re.search(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", text):
        raise RefusedError(f"{what} has at most {most} characters, none of them a control")
    return text


def list_id(tx: Tx, name: str) -> int:
    """The number of a list.

    Raises:
        NotFoundError: There is none of that name.
    """
    found = tx.one(sql("list_id"), (name,))
    if found is None:
        raise no_list(name)
    number: int = found[0]
    return number


def no_list(name: str) -> NotFoundError:
    """The error for a list that is not there."""
    return NotFoundError(
        f"there is no contact list {name[:100]!r}",
        remedy="see those there are: ekiden lists list; make one: ekiden lists add NAME",
    )


class Topics:
    """A list's topics: their names, and their bits in a contact's masks.

    Args:
        rows: As the statements `topics` and `topics_of` give them.
        contact_list: The list, for messages.
    """

    def __init__(self, rows: Sequence[Sequence[Any]], contact_list: str) -> None:
        self._list = contact_list
        self.bits: dict[str, int] = {}
        self.topics: dict[str, Topic] = {}
        for number, name, display_name, description, opt_in in rows:
            default = Preference.OPT_IN if opt_in else Preference.OPT_OUT
            self.bits[name] = 1 << number
            self.topics[name] = Topic(name, display_name, description, default)

    def get(self, name: str) -> Topic:
        """A topic.

        Raises:
            NotFoundError: The list has none of that name.
        """
        topic = self.topics.get(name)
        if topic is None:
            known = ", ".join(self.topics) or "none"
            raise NotFoundError(
                f"the list {self._list!r} has no topic {name[:100]!r}",
                remedy=f"it has: {known}; make one: ekiden topics add {self._list} NAME",
            )
        return topic

    def masks(self, chosen: Mapping[str, Preference]) -> tuple[int, int]:
        """Preferences as (chosen, left).

        Raises:
            NotFoundError: A topic does not exist.
        """
        masks = {Preference.OPT_IN: 0, Preference.OPT_OUT: 0}
        for name, preference in chosen.items():
            self.get(name)
            masks[preference] |= self.bits[name]
        return masks[Preference.OPT_IN], masks[Preference.OPT_OUT]

    def stood(self, row: Sequence[Any] | None) -> Stood:
        """A contact's masks, and whether it left, as what holds; None: who is not on the list."""
        inside, outside, left = row or (0, 0, 0)
        chosen = self.chosen(inside, outside)
        topics = {name: chosen.get(name, topic.default) for name, topic in self.topics.items()}
        return Stood(topics, bool(left))

    def chosen(self, inside: int, outside: int) -> dict[str, Preference]:
        """Masks as preferences."""
        if not inside | outside:
            return {}
        return {
            name: Preference.OPT_IN if inside & bit else Preference.OPT_OUT
            for name, bit in self.bits.items()
            if (inside | outside) & bit
        }

    def contact(self, row: Sequence[Any]) -> Contact:
        """A row of `contact_columns` as a value."""
        address, inside, outside, unsubscribed_at, attributes, created_at, last_sent_at = row[:7]
        mails, mails_since, reacted_at, opened_at, clicked_at, replied_at, consent = row[7:]
        return Contact(
            address=address,
            topics=self.chosen(inside, outside),
            unsubscribed_at=seconds(unsubscribed_at),
            attributes=attributes,
            created_at=created_at / 1000,
            last_sent_at=seconds(last_sent_at),
            mails=mails,
            mails_since=mails_since,
            reacted_at=seconds(reacted_at),
            opened_at=seconds(opened_at),
            clicked_at=seconds(clicked_at),
            replied_at=seconds(replied_at),
            consent=consent_of(consent) if consent else None,
        )


def consent_of(row: Sequence[Any]) -> Consent:
    """A row of a consent statement as a value."""
    at, act, topic, method, source, form, ip, contact_list = row
    return Consent(
        at=at / 1000,
        act=Act(act),
        topic=topic,
        method=Method(method) if method else None,
        source=source,
        form=form,
        ip=ip,
        contact_list=contact_list,
    )
