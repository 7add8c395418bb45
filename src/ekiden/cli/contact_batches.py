"""Contacts on their way to the daemon: sorted by the window, cut into requests, one ahead."""

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from ekiden.cli.access import Access
from ekiden.control.list_requests import AddContacts
from ekiden.lists.model import Imported, NewContact

WINDOW: Final = 100_000  # contacts sorted at a time: those of a batch then lie on few pages
BATCH: Final = 2000  # contacts per request, and so many bytes at most (control.wire.LINE_BYTES):
BATCH_BYTES: Final = 1_000_000


async def pour(
    there: Access,
    name: str,
    contacts: Iterator[NewContact],
    wrong: list[str],
    *,
    overwrite: bool,
) -> Imported:
    """Send batch after batch, each while the next one is being read.

    Args:
        there: Takes them.
        name: The list.
        contacts: The contacts.
        wrong: Is given a line for each contact that cannot be sent.
        overwrite: They win over what people chose.
    """
    figures: dict[str, int] = {}
    refused: list[str] = []
    batches = _batches(contacts, wrong)
    batch = await asyncio.to_thread(next, batches, None)
    while batch is not None:
        following = asyncio.create_task(asyncio.to_thread(next, batches, None))
        try:
            answer = await there.ask(
                AddContacts(contact_list=name, contacts=batch, overwrite=overwrite)
            )
        finally:
            await asyncio.wait([following])
        for what in ("added", "updated", "kept_out", "erased", "missing_consent"):
            figures[what] = figures.get(what, 0) + getattr(answer, what)
        refused += answer.refused
        batch = following.result()
    return Imported(**figures, refused=tuple(refused))


def _batches(contacts: Iterator[NewContact], wrong: list[str]) -> Iterator[tuple[NewContact, ...]]:
    """Yield requests' worth of contacts, sorted within a window."""
    while window := list(islice(contacts, WINDOW)):
        window.sort(key=_key)
        for start in range(0, len(window), BATCH):
            yield from _fitting(tuple(window[start : start + BATCH]), wrong)


def _fitting(batch: tuple[NewContact, ...], wrong: list[str]) -> Iterator[tuple[NewContact, ...]]:
    """Yield a batch in pieces that a request holds; a contact that none holds is named."""
    if len(msgspec.json.encode(batch)) <= BATCH_BYTES:
        yield batch
    elif len(batch) == 1:
        wrong.append(f"{batch[0].address[:100]}: there is too much about this address")
    else:
        half = len(batch) // 2
        yield from _fitting(batch[:half], wrong)
        yield from _fitting(batch[half:], wrong)


def _key(one: NewContact) -> str:
    return one.address.casefold()
