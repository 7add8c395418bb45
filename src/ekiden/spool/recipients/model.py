"""How recipients are to be read (`Plan`), and what one block of them came to (`Batch`)."""

from dataclasses import dataclass, field
from typing import Final

from ekiden.queue.model import NewDelivery, RefusedRow
from ekiden.spool.jobspec import shown

ADDRESS_COLUMNS: Final = ("address", "email")
SET_COLUMN: Final = "configuration_set"

_REASON: Final = 300  # characters


@dataclass(slots=True)
class Batch:
    """What one block of the input came to.

    Args:
        rows: The recipients.
        refused: The rows that are not mailed.
        chosen: The configuration sets that rows name, by row; it may name refused ones, too.
    """

    rows: list[NewDelivery] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    chosen: dict[int, str] = field(default_factory=dict)

    def refuse(self, row: int, recipient: str, reason: str, *, lacks: bool = False) -> None:
        """Add a refused row; `lacks`: it has no value for a merge field."""
        one = RefusedRow(row, shown(recipient, 254), shown(reason, _REASON), lacks=lacks)
        self.refused.append(one)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to read recipients.

    Args:
        file: For messages.
        address: The address column; "" for the first of `ADDRESS_COLUMNS` that is there.
        sets: The column by which a row chooses its configuration set; "" for `SET_COLUMN`, if it
            is there.
        delimiter: Of CSV; "" to go by the header line.
        encoding: The declared codec; "" for UTF-8, or UTF-16 by its BOM.
        required: Merge fields without which a recipient cannot be mailed.
        mentioned: Merge fields that a template uses at all: an address column among them is merge
            data, too.
        blank_is_missing: An empty value counts as missing.
    """

    file: str
    address: str = ""
    sets: str = ""
    delimiter: str = ""
    encoding: str = ""
    required: frozenset[str] = frozenset()
    mentioned: frozenset[str] = frozenset()
    blank_is_missing: bool = True
