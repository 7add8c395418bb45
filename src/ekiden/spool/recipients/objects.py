"""Recipients that come as objects, each with fields of its own: of JSON Lines, or inline lists."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from ekiden import limits
from ekiden.message.addresses import AddressError, parse_address
from ekiden.queue.model import NewDelivery
from ekiden.spool.jobspec import JobError, nearest, shown
from ekiden.spool.recipients.forbidden import forbidden_value
from ekiden.spool.recipients.model import ADDRESS_COLUMNS, SET_COLUMN, Batch, Plan
from ekiden.spool.values import kind

NESTING: Final = 8  # of lists and tables in merge data

_TEXT: Final = frozenset({str})


def read_list(values: Sequence[Any], plan: Plan, *, size: int = 1000) -> Iterator[Batch]:
    """Read an inline job's recipients: tables or plain addresses, numbered from 1.

    Args:
        values: As the job file has them.
        plan: How to read them.
        size: Recipients of a batch, at most.

    Raises:
        JobError: Not one recipient has the address field.
    """
    check = Objects(plan)
    for start in range(0, len(values), size):
        batch = Batch()
        for number, value in enumerate(values[start : start + size], start + 1):
            check.add(value, number, batch, plain=False)
        yield batch
    check.finish()


class Objects:
    """The check of recipients that come as objects, each with fields of its own."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.wanted = (plan.address,) if plan.address else ADDRESS_COLUMNS
        self.sets = plan.sets or SET_COLUMN
        self.encode = msgspec.json.Encoder().encode
        self.addressed = False
        self.sample: Mapping[str, Any] = {}

    def add(self, value: Any, number: int, batch: Batch, *, plain: bool) -> None:
        """Add one recipient to the batch, or refuse it."""
        if isinstance(value, str):
            value = {self.wanted[0]: value}
        if not isinstance(value, dict):
            batch.refuse(number, "", f"expected an object, not {kind(value)}")
            return
        key = next((name for name in self.wanted if name in value), "")
        given = value.get(key) if key else None
        if not isinstance(given, str) or not given.strip():
            self.sample = self.sample or value
            batch.refuse(number, "", f"no address in `{self.wanted[0]}`")
            return
        self.addressed = True
        try:
            address = parse_address(given.strip())
        except AddressError as error:
            batch.refuse(number, given, str(error))
            return
        chosen = value.get(self.sets) or ""
        merge, reason, lacks = self._merge(value, key, plain=plain)
        if not isinstance(chosen, str):
            lacks, reason = (
                False,
                f"`{self.sets}` is {kind(chosen)}, not the name of a configuration set",
            )
        if reason:
            batch.refuse(number, given, reason, lacks=lacks)
            return
        if chosen := chosen.strip():
            batch.chosen[number] = chosen
        batch.rows.append(NewDelivery(address.spec, address.domain, self.encode(merge), number))

    def _merge(
        self, value: dict[str, Any], key: str, *, plain: bool
    ) -> tuple[dict[str, Any], str, bool]:
        """Return the merge data, why there is none, and whether that is for want of a field.

        `plain`: there are no control characters in it.
        """
        required = self.plan.required
        if len(value) > limits.MERGE_FIELDS:
            return value, f"more than {limits.MERGE_FIELDS} fields", False
        wanted = required | self.plan.mentioned
        if key not in wanted:
            del value[key]
        if self.sets in value and self.sets not in wanted:
            del value[self.sets]
        if not plain or not set(map(type, value.values())) <= _TEXT:
            if reason := _unfit(value):
                return value, reason, False
            value = {name: each for name, each in value.items() if each is not None}
        absent = [
            name
            for name in required
            if name not in value or (value[name] == "" and self.plan.blank_is_missing)
        ]
        if absent:
            return value, f"`{min(absent)}` is missing, and a template needs it", True
        return value, "", False

    def finish(self) -> None:
        """Refuse the job when the address field's name was wrong for all of it.

        Raises:
            JobError: Not one recipient had the field.
        """
        if not self.addressed and self.sample:
            raise JobError.one(
                f"No recipient has an address in `{shown(self.wanted[0], 100)}`.",
                where=self.plan.file,
                remedy=f"{nearest(self.wanted[0], self.sample)}; name the field with `address` in"
                " the job",
            )


def _unfit(value: Mapping[str, Any]) -> str:
    """Why an object cannot be merge data, "" when it can: looks into lists and tables, too."""
    size = 0
    waiting: list[tuple[str, Any, int]] = [(name, each, 0) for name, each in value.items()]
    while waiting:
        name, each, depth = waiting.pop()
        if depth > NESTING:
            return f"`{name}` is nested deeper than {NESTING} levels"
        texts: Iterable[Any] = (each,)
        if isinstance(each, dict):
            texts = each
            waiting += [(name, inner, depth + 1) for inner in each.values()]
        elif isinstance(each, list):
            waiting += [(name, inner, depth + 1) for inner in each]
        elif not isinstance(each, str | int | float | None):
            return f"`{name}` is {kind(each)}; merge data are texts, numbers, lists and tables"
        for text in (name, *texts):
            if isinstance(text, str):
                size += len(text)
                if reason := forbidden_value(text):
                    return f"`{name}` holds {reason}"
    return f"more than {limits.ROW_BYTES:,} characters" if size > limits.ROW_BYTES else ""
