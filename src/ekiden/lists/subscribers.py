"""Contacts: who is on a list, what they chose, what they did; a file of them at a time.

**Contract.** Whoever has left stays out until they say otherwise themselves: `choose` is a person's
own decision and always counts, `import_contacts` is somebody's file and never brings anybody back
(unless it restores an export). An erased address is not added by a file; only its owner's confirmed
consent brings it back. What a method returns is on disk.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from ekiden import limits
from ekiden.errors import EkidenError, RefusedError
from ekiden.lists.catalog import CONSENT_SECONDS, Catalog
from ekiden.lists.consents import checked_consent, write_consents
from ekiden.lists.model import (
    Act,
    Choice,
    Consent,
    Contact,
    Engagement,
    Imported,
    Method,
    NewContact,
    Preference,
    Reaction,
    Refusal,
    Stood,
    refusal,
)
from ekiden.lists.part import PIECE, Topics, consent_of, key_of, list_id, ms, sql
from ekiden.lists.suppression import address_key
from ekiden.store.erased import erased_among, unerase
from ekiden.store.transaction import Tx, pack

_REACTIONS: Final = (Reaction.OPEN, Reaction.CLICK, Reaction.REPLY)
_encode = msgspec.json.Encoder().encode


class Subscribers(Catalog):
    """The contacts of lists."""

    # --- look ---------------------------------------------------------------------------------

    async def contact(self, contact_list: str, address: str) -> Contact | None:
        """One contact with its newest consent, or None.

        Raises:
            NotFoundError: There is no such list.
        """
        key = address_key(address)
        found = await self._named(contact_list, [key])
        if not found:
            return None
        consents = await self._db.read_json(sql("consents"), (key, contact_list))
        given = [row for row in consents if row[1] == Act.GIVEN]
        return msgspec.structs.replace(found[0], consent=_newest(given))

    async def contacts(
        self,
        contact_list: str,
        *,
        after: str = "",
        pattern: str = "*",
        limit: int = 100,
        consent: bool = False,
    ) -> Sequence[Contact]:
        """A page of a list in the order of addresses.

        Args:
            contact_list: The list.
            after: The last address of the page before.
            pattern: A glob over addresses.
            limit: At most so many.
            consent: Look up their consent as well.

        Raises:
            NotFoundError: There is no such list.
        """
        topics = await self._topics(contact_list)
        page = "contacts_page_consent" if consent else "contacts_page"
        params: tuple[Any, ...] = (await self._id(contact_list), after, pattern.lower(), limit)
        rows = await self._db.read_json(
            f"{sql('contact_columns')}\n{sql(page)}", (*params, contact_list)[: 4 + consent]
        )
        return [topics.contact(row) for row in rows]

    async def every(self, contact_list: str, *, consent: bool = False) -> AsyncIterator[Contact]:
        """All contacts of a list, page by page."""
        page = await self.contacts(contact_list, limit=PIECE, consent=consent)
        while page:
            for one in page:
                yield one
            page = await self.contacts(
                contact_list, after=page[-1].address, limit=PIECE, consent=consent
            )

    async def refusals(
        self,
        contact_list: str,
        topic: str,
        addresses: Iterable[str],
        *,
        now: float,
        transactional: bool = False,
    ) -> Mapping[str, Refusal]:
        """Who of a batch of addresses would not be mailed, and why; by address key.

        Raises:
            NotFoundError: There is no such list or topic.
        """
        keys = list({address_key(one) for one in addresses})
        about = await self.topic(contact_list, topic) if topic else None
        sunset = (await self.list(contact_list)).sunset
        known = {one.address: one for one in await self._named(contact_list, keys)}
        erased = await self._db.write(lambda tx: erased_among(tx, keys))
        found: dict[str, Refusal] = {}
        for key in keys:
            why = refusal(known.get(key), about, sunset, now=now, transactional=transactional)
            if key in erased:
                why = Refusal.ERASED
            if why is not None:
                found[key] = why
        return found

    async def subscribed(
        self, contact_list: str, topic: str, addresses: Iterable[str], *, now: float
    ) -> set[str]:
        """Who of a batch of addresses would be mailed about a topic, as address keys."""
        keys = {address_key(one) for one in addresses}
        return keys - (await self.refusals(contact_list, topic, keys, now=now)).keys()

    async def _named(self, contact_list: str, keys: Sequence[str]) -> list[Contact]:
        topics = await self._topics(contact_list)
        rows = await self._db.read_json(
            f"{sql('contact_columns')}\n{sql('contacts_named')}",
            (await self._id(contact_list), pack(keys)),
        )
        return [topics.contact(row) for row in rows]

    async def _id(self, contact_list: str) -> int:
        rows = await self._db.read(sql("list_id"), (contact_list,))
        if not rows:
            await self.list(contact_list)
        number: int = rows[0][0]
        return number

    # --- a person decides -----------------------------------------------------------------

    async def choose(self, contact_list: str, address: str, choice: Choice) -> Stood | None:
        """Take over what a person decided about a list, with its record, in one transaction.

        Who was not on the list is now: leaving counts for those, too.

        Returns:
            What held before; None when the address was erased, and what was asked is what holds
            already (they are not mailed), or needs their confirmed consent.

        Raises:
            NotFoundError: There is no such list or topic.
            RefusedError: It is no address, or the record cannot be kept.
        """
        key = address_key(address)
        records = [(key, checked_consent(one)) for one in _records(choice)]
        gives = any(one.act is Act.GIVEN for _, one in records)
        at = ms(choice.at)

        def op(tx: Tx) -> Stood | None:
            number = list_id(tx, contact_list)
            topics = Topics(tx.json(sql("topics"), (number,)), contact_list)
            masks = topics.masks(choice.topics)
            stood = topics.stood(tx.one(sql("standing_before"), (number, key)))
            if erased_among(tx, [key]):
                if not gives or choice.method is not Method.CONFIRMED:
                    return None
                unerase(tx, key)
            leaves = None if choice.unsubscribed is None else int(choice.unsubscribed)
            tx.execute(sql("choose"), (number, key, at, *masks, leaves, int(gives)))
            write_consents(tx, contact_list, records, at)
            return stood

        return await self._db.write(op)

    async def set_topic(
        self,
        contact_list: str,
        address: str,
        topic: str,
        preference: Preference | str,
        *,
        source: str,
        at: float,
        ip: str = "",
    ) -> bool:
        """Choose or leave one topic; False where `choose` gives None."""
        chosen = {topic: Preference(preference)}
        choice = Choice(at, topics=chosen, source=source, ip=ip)
        return await self.choose(contact_list, address, choice) is not None

    async def unsubscribe_all(
        self, contact_list: str, address: str, *, source: str, at: float, ip: str = ""
    ) -> bool:
        """Leave the whole list; likewise. Saying it again changes nothing."""
        choice = Choice(at, unsubscribed=True, source=source, ip=ip)
        return await self.choose(contact_list, address, choice) is not None

    # --- somebody's file ------------------------------------------------------------------------

    async def put_contact(
        self, contact_list: str, contact: NewContact, *, at: float, overwrite: bool = False
    ) -> Imported:
        """Add or update one contact; a person's decision to leave stays unless `overwrite`.

        Raises:
            RefusedError: It is no contact.
        """
        result = await self.import_contacts(contact_list, [contact], at=at, overwrite=overwrite)
        if result.refused:
            raise RefusedError(result.refused[0])
        return result

    async def import_contacts(
        self,
        contact_list: str,
        contacts: Sequence[NewContact],
        *,
        at: float,
        overwrite: bool = False,
    ) -> Imported:
        """Add or update a batch (a few thousand) in one transaction.

        Args:
            contact_list: The list.
            contacts: The later one of an address counts.
            at: Now (UNIX seconds).
            overwrite: The file wins over what people chose: for restoring an export.

        Raises:
            NotFoundError: There is no such list.
        """
        topics = await self._topics(contact_list)
        refused: list[str] = []
        rows: dict[str, list[Any]] = {}
        consents: dict[str, Consent] = {}
        for one in contacts:
            try:
                row = _row(one, topics, ms(at))
                if one.consent is not None:
                    consents[row[0]] = checked_consent(one.consent)
            except EkidenError as error:
                refused.append(str(error))
            else:
                rows[row[0]] = row

        def op(tx: Tx) -> Imported:
            return _import(tx, contact_list, rows, consents, ms(at), overwrite=overwrite)

        result = await self._db.write(op, rows=len(rows))
        return replace(result, refused=tuple(refused))

    async def remove_contact(self, contact_list: str, address: str) -> bool:
        """Take an address off a list; its consent is kept as long as the law asks.

        A person who left and is removed is forgotten: a later file may bring them back. `erase`
        keeps them out.
        """
        key = address_key(address)

        def op(tx: Tx) -> bool:
            number = list_id(tx, contact_list)
            found = tx.one(sql("one_contact"), (number, key))
            if found is None:
                return False
            batch = pack([[key, found[0]]])
            tx.execute(sql("keep_consents"), (batch, contact_list, ms(CONSENT_SECONDS)))
            return bool(tx.execute(sql("drop_contacts"), (number, batch)))

        return await self._db.write(op)

    # --- what they do ------------------------------------------------------------------------

    async def note_engagement(
        self,
        address: str,
        kind: Reaction | str,
        at: float,
        *,
        human: bool,
        contact_list: str = "",
    ) -> int:
        """Note that a recipient opened, clicked or replied; see `note_engagements`."""
        one = Engagement(address, Reaction(kind), at, human, contact_list)
        return await self.note_engagements([one])

    async def note_engagements(self, seen: Sequence[Engagement]) -> int:
        """Note what recipients did; returns how many contacts it was noted for.

        What machines did is not noted: it says nothing about anybody. Addresses that are on no list
        are passed over.
        """
        latest: dict[tuple[str, str], list[int | None]] = {}
        for one in seen:
            if one.human:
                times = latest.setdefault(
                    (one.contact_list, address_key(one.address)), [None, None, None]
                )
                place = _REACTIONS.index(one.kind)
                times[place] = max(times[place] or 0, ms(one.at))
        if not latest:
            return 0
        batch = pack(
            [[*key, *times, max(time or 0 for time in times)] for key, times in latest.items()]
        )
        return await self._db.write(
            lambda tx: tx.execute(sql("engage"), (batch,)), rows=len(latest)
        )


def _newest(rows: Sequence[Sequence[Any]]) -> Consent | None:
    from_row = max(rows, key=lambda row: row[0], default=None)
    return None if from_row is None else consent_of(from_row)


def _records(choice: Choice) -> list[Consent]:
    """What a choice says for the record."""
    records = [
        _record(choice, topic, given=preference is Preference.OPT_IN)
        for topic, preference in choice.topics.items()
    ]
    if choice.unsubscribed is not None:
        records.append(_record(choice, "", given=not choice.unsubscribed))
    return records


def _record(choice: Choice, topic: str, *, given: bool) -> Consent:
    return Consent(
        at=choice.at,
        act=Act.GIVEN if given else Act.WITHDRAWN,
        topic=topic,
        method=choice.method if given else None,
        source=choice.source,
        form=choice.form if given else "",
        ip=choice.ip,
    )


def _row(one: NewContact, topics: Topics, at: int) -> list[Any]:
    """A contact as the statement `import` takes it: `[address, attributes, in, out, left at]`."""
    key = key_of(one.address)
    attributes = "{}"
    if one.attributes:
        encoded = _encode(one.attributes)
        if len(encoded) > limits.CONTACT_ATTRIBUTES_BYTES:
            raise RefusedError(
                f"attributes have at most {limits.CONTACT_ATTRIBUTES_BYTES} bytes as JSON",
                where=key,
            )
        attributes = encoded.decode()
    masks = topics.masks(one.topics) if one.topics else (0, 0)
    return [key, attributes, *masks, at if one.unsubscribed else None]


def _import(
    tx: Tx,
    contact_list: str,
    rows: dict[str, list[Any]],
    consents: dict[str, Consent],
    now: int,
    *,
    overwrite: bool,
) -> Imported:
    number = list_id(tx, contact_list)
    erased = erased_among(tx, rows.keys())
    rows = {key: row for key, row in rows.items() if key not in erased}
    packed = pack(list(rows))
    known = tx.json(sql("known"), (number, packed))
    kept_out = sum(
        bool((gone and rows[key][4] is None) or left & rows[key][2]) for key, gone, left in known
    )
    tx.execute(sql("import"), (number, pack(list(rows.values())), now, int(overwrite)))
    records = [(key, one) for key, one in consents.items() if key in rows]
    if records:
        write_consents(tx, contact_list, records, now)
    silent = [key for key in rows if key not in consents]
    missing = 0
    if silent:
        missing = tx.rows(sql("without_consent"), (pack(silent), contact_list))[0][0]
    return Imported(
        added=len(rows) - len(known),
        updated=len(known),
        kept_out=0 if overwrite else kept_out,
        erased=len(erased),
        missing_consent=missing,
    )
