"""The header of a recipients table: which column is what, or why it cannot be used."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ekiden import limits
from ekiden.spool.jobspec import JobError, nearest, shown
from ekiden.spool.recipients.forbidden import forbidden_value
from ekiden.spool.recipients.model import ADDRESS_COLUMNS, SET_COLUMN, Plan

_DELIMITERS: Final = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class Header:
    """What the columns of a table are, by number from 0.

    Args:
        names: Their names, in order; "" for a column that has none.
        at: The address column.
        chooses: The column by which a row chooses its configuration set; -1 if there is none.
        required: Those whose empty value keeps a recipient from being mailed.
        keep: Those that become merge data: all that have a name, without the address and the set,
            which are stored beside it, unless a template wants them.
    """

    names: tuple[str, ...]
    at: int
    chooses: int
    required: frozenset[int]
    keep: tuple[int, ...]

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.names)

    @property
    def kept(self) -> list[str]:
        """The names of those that become merge data."""
        return [self.names[index] for index in self.keep]

    def blank(self, row: Sequence[str]) -> str:
        """Return the first column that a template needs and this row leaves empty; "" for none."""
        return next((self.names[index] for index in sorted(self.required) if not row[index]), "")


def read_header(fields: Sequence[str], plan: Plan) -> Header:
    """Say what each column is.

    Args:
        fields: The first record, as it was read.
        plan: What the job says of its columns, and which fields its templates use.

    Raises:
        JobError: There are too many columns or two of one name, or the address, the set or a field
            that a template needs has none.
    """
    where = f"{plan.file}:row 1"
    names = tuple(name.strip() for name in fields)
    if len(names) > limits.MERGE_FIELDS:
        raise JobError.one(
            f"The header has {len(names):,} columns; at most {limits.MERGE_FIELDS} are read.",
            where=where,
        )
    _check_names(names, where)
    at = _address_column(names, plan, where)
    absent = sorted(plan.required - set(names))
    if absent:
        raise JobError.one(
            f"No column `{shown(absent[0], 100)}`, which a template needs.",
            where=where,
            remedy=nearest(absent[0], [name for name in names if name])
            + ' (or set on_missing = "empty" or "default")',
        )
    chooses = _set_column(names, plan, where)
    needed = plan.required if plan.blank_is_missing else frozenset[str]()
    wanted = plan.required | plan.mentioned
    return Header(
        names=names,
        at=at,
        chooses=chooses,
        required=frozenset(index for index, name in enumerate(names) if name in needed),
        keep=tuple(
            index
            for index, name in enumerate(names)
            if name and (index not in {at, chooses} or name in wanted)
        ),
    )


def delimiter_of(head: str, plan: Plan) -> str:
    """Return the delimiter that makes the address column appear in the header line.

    Args:
        head: The beginning of the file, its first line included.
        plan: What the job says of its columns; a file named .tsv is taken at its word.
    """
    if plan.file.lower().endswith(".tsv"):
        return "\t"
    line = head.replace("\r", "\n").partition("\n")[0]
    wanted = {plan.address} if plan.address else set(ADDRESS_COLUMNS)
    for delimiter in _DELIMITERS:
        if wanted & {name.strip().strip('"').strip() for name in line.split(delimiter)}:
            return delimiter
    return max(_DELIMITERS, key=line.count)


def _check_names(names: Sequence[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if not name:
            continue
        if reason := forbidden_value(name):
            raise JobError.one(f"A column name holds {reason}.", where=where)
        if name in seen:
            raise JobError.one(
                f"Two columns are called `{shown(name, 100)}`.",
                where=where,
                remedy="rename or remove one of them",
            )
        seen.add(name)


def _address_column(names: Sequence[str], plan: Plan, where: str) -> int:
    wanted = (plan.address,) if plan.address else ADDRESS_COLUMNS
    for name in wanted:
        if name in names:
            return names.index(name)
    folded = [name.casefold() for name in names]
    for name in wanted:
        if folded.count(name.casefold()) == 1:
            return folded.index(name.casefold())
    raise JobError.one(
        f"No column `{shown(wanted[0], 100)}` for the address.",
        where=where,
        remedy=f"{nearest(wanted[0], [name for name in names if name])}; name the column with"
        " `address` in the job",
    )


def _set_column(names: Sequence[str], plan: Plan, where: str) -> int:
    """Where the column is by which rows choose their set; -1 if they do not."""
    if not plan.sets:
        return names.index(SET_COLUMN) if SET_COLUMN in names else -1
    if plan.sets in names:
        return names.index(plan.sets)
    raise JobError.one(
        f"No column `{shown(plan.sets, 100)}` for the configuration set.",
        where=where,
        remedy=f"{nearest(plan.sets, [name for name in names if name])}; or leave `set_column` out",
    )
