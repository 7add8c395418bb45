"""A batch of new deliveries in the order and the form in which the queue stores it. Pure.

Made on the thread that reads the recipients, beside the writer: on the writer's thread a million
rows then cost little but SQLite's own work, and the results of other jobs do not wait for the rest.

Rows are stored by destination (`sheaf_of`): those of a lane lie side by side, so that a window of
one lane is claimed from few pages. They keep their number in the file (`row`).
"""

from binascii import crc32
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate, chain
from operator import attrgetter
from struct import pack as pack_binary
from typing import Final

from ekiden.queue.model import NewDelivery
from ekiden.queue.rows import address_key
from ekiden.store.transaction import pack

_recipient: Final[Callable[[NewDelivery], str]] = attrgetter("recipient")
_destination: Final[Callable[[NewDelivery], str]] = attrgetter("destination")
_merge: Final[Callable[[NewDelivery], bytes]] = attrgetter("merge")
_row: Final[Callable[[NewDelivery], int]] = attrgetter("row")


class Sheaf:
    """A batch (a few thousand rows); not to be changed.

    Args:
        rows: The deliveries in the order in which they are stored.

    Attributes:
        rows: The same.
        destinations: Their destinations.
        keys: What identifies the address of each (`rows.address_key`).
        hashes: A hash of each key.
        lanes: How many rows each destination has, in their order.
        recipients: The recipients as one JSON array.
        packed_keys: The keys, likewise.
        merges: All merge data end to end.
        places: 28 digits for each row: where its merge data starts (from 1), how long it is, its
            number in the file.
        prints: The CRC-32 of each key, big-endian, so that a print can be searched for as the four
            bytes it is.
        different: Places and keys of the rows whose key is not the recipient as written.
    """

    __slots__ = (
        "destinations",
        "different",
        "hashes",
        "keys",
        "lanes",
        "merges",
        "packed_keys",
        "places",
        "prints",
        "recipients",
        "rows",
    )

    def __init__(self, rows: Sequence[NewDelivery]) -> None:
        self.rows = rows
        recipients, merges = list(map(_recipient, rows)), list(map(_merge, rows))
        self.destinations = destinations = list(map(_destination, rows))
        self.keys = _keys(recipients, destinations)
        self.hashes = list(map(hash, self.keys))
        self.lanes = Counter(destinations)
        self.recipients = self.packed_keys = pack(recipients)
        self.different: list[tuple[int, str]] = []
        if self.keys != recipients:
            self.packed_keys = pack(self.keys)
            pairs = zip(self.keys, recipients, strict=True)
            self.different = [
                (place, key) for place, (key, recipient) in enumerate(pairs) if key != recipient
            ]
        sizes = list(map(len, merges))
        starts = accumulate(sizes, initial=1)  # one more: where the next would begin
        flat = chain.from_iterable(zip(starts, sizes, map(_row, rows)))  # noqa: B905 - see above
        self.places = b"%10d%8d%10d" * len(sizes) % tuple(flat)
        self.merges = b"".join(merges)
        encoded = "\n".join(self.keys).encode().split(b"\n") if rows else []
        self.prints = pack_binary(f">{len(encoded)}I", *map(crc32, encoded))

    def __len__(self) -> int:
        return len(self.rows)


def sheaf_of(rows: Sequence[NewDelivery] | Sheaf) -> Sheaf:
    """Return rows in the order in which they are best stored: by destination."""
    return rows if isinstance(rows, Sheaf) else Sheaf(sorted(rows, key=_destination))


def _keys(recipients: Sequence[str], destinations: Sequence[str]) -> list[str]:
    """The address keys of a batch: `rows.address_key` of each, most of them in one go.

    No recipient holds a line feed, so the batch is casefolded as one text; the key is the folded
    recipient itself wherever its domain was written as the destination is.
    """
    if not recipients:
        return []
    folded = "\n".join(recipients).casefold().split("\n")
    if all(map(str.endswith, folded, map("@".__add__, destinations))):
        return folded
    return [
        key if key.endswith("@" + destination) else address_key(recipient, destination)
        for key, recipient, destination in zip(folded, recipients, destinations, strict=True)
    ]
