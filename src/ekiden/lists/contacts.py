"""Contacts: lists, topics, who is on them, what they agreed to, and what is kept of a person.

Its parts, each with its theory at its head: `catalog` (lists and topics), `subscribers` (contacts
and their choices), `consents` (the records), and here what is asked about a person over all lists.
docs/lists.md has the tables and the rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ekiden.lists.consents import Consents
from ekiden.lists.model import Consent, Contact
from ekiden.lists.part import ms, sql
from ekiden.lists.subscribers import Subscribers
from ekiden.lists.suppression import address_key
from ekiden.store.erased import erase, erased_among
from ekiden.store.transaction import Tx


@dataclass(frozen=True, slots=True)
class Person:
    """Everything the lists know about an address.

    Args:
        address: In its key form.
        contacts: By list.
        consents: All records, of lists they are no longer on, too.
        erased: Only a hash is left.
    """

    address: str
    contacts: dict[str, Contact]
    consents: Sequence[Consent]
    erased: bool


class Contacts(Subscribers, Consents):
    """All of it: `Contacts(database)`."""

    async def export(self, address: str) -> Person:
        """Everything about a person, as they may ask for it (GDPR articles 15 and 20).

        Suppressions and deliveries are the queue's: `control.people` adds them.

        Raises:
            RefusedError: It is no address.
        """
        key = address_key(address)
        contacts = {}
        for _, name in await self._db.read_json(sql("lists_of"), (key,)):
            found = await self.contact(name, key)
            if found is not None:
                contacts[name] = found
        erased = await self._db.write(lambda tx: bool(erased_among(tx, [key])))
        return Person(key, contacts, await self.consents(key), erased)

    async def erase(self, address: str, *, at: float) -> int:
        """Forget a person on every list; only a keyed hash is left, which keeps them unmailed.

        It holds from the next claim on, for deliveries that are queued as well. What the queue has
        of them is `Queue.forget_recipient`'s; event logs and answers in the spool end with their
        own `keep`.

        Returns:
            How many rows were deleted.

        Raises:
            RefusedError: It is no address.
        """
        key = address_key(address)
        names = ("contacts", "consents", "suppressions", "soft", "reports")

        def op(tx: Tx) -> int:
            erase(tx, key, ms(at))
            return sum(tx.execute(sql(f"erase_{name}"), (key,)) for name in names)

        return await self._db.write(op)
