"""A job that has not been submitted, as a load: its facts, and its recipients by destination.

Rows that choose a configuration set are the load of a sibling, with what the set adds, as intake
will make them a job of their own (spool/siblings.py). Rows that intake will refuse do not count.
"""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Final

import msgspec

from ekiden import settings
from ekiden.config import Config
from ekiden.errors import EkidenError, RefusedError
from ekiden.forecast.loads import load_of
from ekiden.forecast.model import Load
from ekiden.spool.content import ContentRules
from ekiden.spool.jobspec import JobSpec, Shape
from ekiden.spool.loading import load_entry
from ekiden.spool.recipients import Batch
from ekiden.spool.values import Context, WrongValueError, moment
from ekiden.text import printable

_destination: Final = attrgetter("destination")


@dataclass(slots=True)
class Drafted:
    """A job as it was read.

    Args:
        load: Its load, with those of its siblings.
        refused: Rows that intake will refuse.
        why: Sets that rows name and that cannot take them: the reason, by set.
    """

    load: Load
    refused: int = 0
    why: dict[str, str] = field(default_factory=dict)


def read_load(
    config: Config,
    path: Path,
    *,
    start: str = "",
    now: float,
    rules: ContentRules | None = None,
) -> Drafted:
    """Read a job from where it lies, counting its recipients as they stream by; blocking.

    Args:
        config: The configuration.
        path: A job directory, or a .toml, .json or .eml file.
        start: Begin then instead of at the job's own `send_at`, written as it would be there.
        now: UNIX seconds.
        rules: Where a stored template is found; None knows of none.

    Raises:
        EkidenError: The job is wrong, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        what = f"It cannot be read: {error.strerror}."
        raise RefusedError(what, where=printable(str(path)), remedy="check the path") from None
    owners = {os.geteuid(), os.fstat(descriptor).st_uid}
    loaded = load_entry(descriptor, path.resolve().name, owners, now, rules or ContentRules())
    try:
        plain = loaded.spec
        spec = _completed(config, plain)
        chosen, refused = _counted(loaded.batches)
    finally:
        loaded.close()
    found = Drafted(load_of(spec, chosen.pop("", Counter())), refused)
    if start:
        found.load = msgspec.structs.replace(found.load, send_at=_begin(start, now))
    _join(config, plain, found, chosen)
    return found


def _counted(batches: Iterable[Batch]) -> tuple[dict[str, Counter[str]], int]:
    """Return recipients by the set that their row chose and destination; and the refused rows."""
    plain: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    refused = 0
    for batch in batches:
        refused += len(batch.refused)
        if chosen := batch.chosen:
            pairs.update((chosen.get(row.row, ""), row.destination) for row in batch.rows)
        else:
            plain.update(map(_destination, batch.rows))
    found = {"": plain}
    for (name, destination), number in pairs.items():
        if name not in found:
            found[name] = Counter()
        found[name][destination] += number
    return found, refused


def _join(config: Config, plain: JobSpec, found: Drafted, chosen: dict[str, Counter[str]]) -> None:
    """Add the rows that chose sets: each set's as a sibling, if it can take them."""
    head, siblings = found.load, []
    for name, lanes in chosen.items():
        if name == head.configuration_set:
            merged = Counter(head.lanes) + lanes
            head = msgspec.structs.replace(head, lanes=dict(merged))
            continue
        try:
            spec = _completed(config, replace(plain, configuration_set=name))
        except EkidenError as error:
            found.refused += lanes.total()
            found.why[name] = error.what
            continue
        siblings.append(msgspec.structs.replace(load_of(spec, lanes), send_at=head.send_at))
    found.load = msgspec.structs.replace(head, siblings=tuple(siblings))


def _completed(config: Config, plain: JobSpec) -> JobSpec:
    spec = settings.completed(config, plain)
    settings.check_job(config, spec)
    return spec


def _begin(text: str, now: float) -> float:
    try:
        return moment(text, Context(now, Shape.INLINE))
    except WrongValueError as error:
        raise RefusedError(f"--start: {error}") from None
