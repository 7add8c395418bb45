"""Lists and their topics.

A contact's choices are two bit masks, so a list has at most 62 topics at a time, and one row
answers all that a claim asks. Removing a topic clears its bit in every contact before the number is
used again; removing a list removes its contacts. Both go in pieces: what is being removed is out of
sight at once, and `finish_removals` does what a crash left.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ekiden import limits
from ekiden.errors import RefusedError
from ekiden.lists.model import ContactList, Preference, Sunset, Topic
from ekiden.lists.part import (
    PIECE,
    Part,
    Topics,
    checked_name,
    checked_text,
    list_id,
    ms,
    no_list,
    sql,
)
from ekiden.store.transaction import Tx, pack

CONSENT_SECONDS = 3 * 366 * 86_400.0  # 特定商取引法 art. 12-3: three years after the last send


@dataclass(slots=True)
class ListCounts:
    """A list in numbers.

    Args:
        contacts: All of them.
        unsubscribed: Who left the whole list.
        unengaged: Who the sunset rule leaves out, of the others.
        topics: By topic: who would be mailed about it, the sunset rule left aside.
    """

    contacts: int = 0
    unsubscribed: int = 0
    unengaged: int = 0
    topics: dict[str, int] = field(default_factory=dict)


class Catalog(Part):
    """The lists and topics there are."""

    # --- lists ------------------------------------------------------------------------------

    async def lists(self) -> Sequence[ContactList]:
        """All lists by name."""
        return await self._lists("")

    async def list(self, name: str) -> ContactList:
        """One list.

        Raises:
            NotFoundError: There is none of that name.
        """
        found = await self._lists(name)
        if not found:
            raise no_list(name)
        return found[0]

    async def _lists(self, name: str) -> Sequence[ContactList]:
        return [
            ContactList(
                name=row[0],
                description=row[1],
                created_at=row[2] / 1000,
                sunset=None if row[3] is None else Sunset(row[4] / 1000, row[3]),
            )
            for row in await self._db.read_json(sql("lists"), (name,))
        ]

    async def add_list(
        self, name: str, description: str = "", *, at: float, sunset: Sunset | None = None
    ) -> ContactList:
        """Make a list.

        Raises:
            RefusedError: There is one of that name, or it is no name.
        """
        checked_name(name, "list")
        values = (checked_text(description, "a description"), ms(at), *_sunset(sunset))

        def op(tx: Tx) -> None:
            if not tx.execute(sql("add_list"), (name, *values)):
                raise RefusedError(f"there is a list {name!r} already")

        await self._db.write(op)
        return ContactList(name, description, at, sunset)

    async def change_list(
        self,
        name: str,
        *,
        description: str | None = None,
        sunset: Sunset | None = None,
        drop_sunset: bool = False,
    ) -> ContactList:
        """Change what is given.

        Args:
            name: The list.
            description: A new one.
            sunset: A new rule.
            drop_sunset: No rule any more.
        """
        checked_text(description or "", "a description")
        change = int(drop_sunset or sunset is not None)
        values = (name, description, change, *_sunset(sunset))

        def op(tx: Tx) -> None:
            list_id(tx, name)
            tx.execute(sql("change_list"), values)

        await self._db.write(op)
        return await self.list(name)

    async def remove_list(self, name: str) -> int:
        """Remove a list and its contacts; the records of consent are kept as long as the law asks.

        Returns:
            How many contacts it had.

        Raises:
            RefusedError: A job that has not ended names it.
        """

        def op(tx: Tx) -> int:
            number = list_id(tx, name)
            _unused(tx, name, "")
            tx.execute(sql("retire_list"), (number,))
            return number

        number = await self._db.write(op)
        return await self._clear_list(number, name)

    async def _clear_list(self, number: int, name: str) -> int:
        keep = ms(CONSENT_SECONDS)

        def op(tx: Tx) -> int:
            rows = tx.json(sql("piece_of_list"), (number, PIECE))
            if rows:
                batch = pack(rows)
                tx.execute(sql("keep_consents"), (batch, name, keep))
                tx.execute(sql("drop_contacts"), (number, batch))
            else:
                tx.execute(sql("drop_topics"), (number,))
                tx.execute(sql("drop_list"), (number,))
            return len(rows)

        removed = 0
        while piece := await self._db.write(op, rows=PIECE):
            removed += piece
        return removed

    async def counts(self, name: str, now: float) -> ListCounts:
        """A list in numbers; reads all of its contacts once."""
        topics = await self._topics(name)
        counts = ListCounts(topics=dict.fromkeys(topics.topics, 0))
        for inside, outside, gone, unengaged, number in await self._db.read_json(
            sql("tally"), (name, ms(now))
        ):
            counts.contacts += number
            if gone:
                counts.unsubscribed += number
                continue
            counts.unengaged += number if unengaged else 0
            for topic, bit in topics.bits.items():
                by_default = topics.topics[topic].default is Preference.OPT_IN
                if inside & bit or (by_default and not outside & bit):
                    counts.topics[topic] += number
        return counts

    # --- topics -----------------------------------------------------------------------------

    async def topics(self, contact_list: str) -> Sequence[Topic]:
        """The topics of a list, in the order they were made.

        Raises:
            NotFoundError: There is no such list.
        """
        return list_of((await self._topics(contact_list)).topics)

    async def topic(self, contact_list: str, name: str) -> Topic:
        """One topic.

        Raises:
            NotFoundError: There is no such list or topic.
        """
        return (await self._topics(contact_list)).get(name)

    async def _topics(self, contact_list: str) -> Topics:
        rows = await self._db.read_json(sql("topics_of"), (contact_list,))
        if not rows:
            await self.list(contact_list)
        return Topics(rows, contact_list)

    async def add_topic(self, contact_list: str, topic: Topic) -> Topic:
        """Add a topic to a list.

        Raises:
            RefusedError: The list has it already, or has no room for another.
            NotFoundError: There is no such list.
        """
        checked_name(topic.name, "topic")
        texts = _topic_texts(topic)

        def op(tx: Tx) -> None:
            number = list_id(tx, contact_list)
            if topic.name in Topics(tx.json(sql("topics"), (number,)), contact_list).topics:
                raise RefusedError(f"the list {contact_list!r} has a topic {topic.name!r} already")
            bit = tx.rows(sql("free_number"), (number,))[0][0]
            if bit is None:
                raise RefusedError(f"a list has at most {limits.LIST_TOPICS} topics")
            tx.execute(sql("add_topic"), (number, bit, topic.name, *texts))

        await self._db.write(op)
        return topic

    async def change_topic(self, contact_list: str, topic: Topic) -> Topic:
        """Give the topic of that name other texts and another default.

        Raises:
            NotFoundError: There is no such list or topic.
        """
        texts = _topic_texts(topic)

        def op(tx: Tx) -> None:
            number = list_id(tx, contact_list)
            Topics(tx.json(sql("topics"), (number,)), contact_list).get(topic.name)
            tx.execute(sql("change_topic"), (number, topic.name, *texts))

        await self._db.write(op)
        return topic

    async def remove_topic(self, contact_list: str, name: str, *, at: float) -> None:
        """Remove a topic, and every contact's choice about it.

        Raises:
            RefusedError: A job that has not ended names it.
            NotFoundError: There is no such list or topic.
        """

        def op(tx: Tx) -> None:
            number = list_id(tx, contact_list)
            Topics(tx.json(sql("topics"), (number,)), contact_list).get(name)
            _unused(tx, contact_list, name)
            tx.execute(sql("retire_topic"), (number, name, ms(at)))

        await self._db.write(op)
        await self.finish_removals()

    async def finish_removals(self) -> None:
        """Do the rest of what is being removed; at start, for what a crash cut short."""
        for number, name in await self._db.read(sql("retired_lists")):
            await self._clear_list(number, name)
        for topic, number, bit in await self._db.read(sql("retired_topics")):
            await self._clear_topic(topic, number, bit)

    async def _clear_topic(self, topic: int, number: int, bit: int) -> None:
        after: str | None = ""

        def op(tx: Tx) -> str | None:
            end: str | None = tx.rows(sql("end_of_piece"), (number, after, PIECE))[0][0]
            if end is not None:
                tx.execute(sql("clear_topic"), (number, bit, after, end))
            else:
                tx.execute(sql("drop_topic"), (topic,))
            return end

        while after is not None:
            after = await self._db.write(op, rows=PIECE)


def list_of(topics: dict[str, Topic]) -> Sequence[Topic]:
    """The topics alone."""
    return [*topics.values()]


def _sunset(sunset: Sunset | None) -> tuple[int | None, int | None]:
    if sunset is None:
        return None, None
    if sunset.mails < 1 or not 0.001 <= sunset.seconds < 1e10:
        raise RefusedError("a sunset rule needs a time and at least one mail")
    return sunset.mails, ms(sunset.seconds)


def _topic_texts(topic: Topic) -> tuple[str, str, int]:
    return (
        checked_text(topic.display_name or topic.name, "a display name"),
        checked_text(topic.description, "a description"),
        int(topic.default is Preference.OPT_IN),
    )


def _unused(tx: Tx, contact_list: str, topic: str) -> None:
    number, name = tx.rows(sql("jobs_of_list"), (contact_list, topic))[0]
    if number:
        raise RefusedError(
            f"{number} jobs that have not ended ask it, such as {name!r}",
            where=topic or contact_list,
            remedy="let them end, or cancel them: ekiden jobs --state open",
        )
