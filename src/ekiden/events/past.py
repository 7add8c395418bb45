"""Replies of the past, read back from a file of the event log."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import msgspec

from ekiden.errors import ConfigError
from ekiden.events.model import Event, EventType
from ekiden.shaping.reactions import Seen

_REPLIES = frozenset(
    {EventType.DEFERRED, EventType.BOUNCED, EventType.EXPIRED, EventType.IN_DOUBT, EventType.HELD}
)


def replies(
    lines: Iterable[bytes], provider_of: Callable[[str, str], str], where: str
) -> Iterator[Seen]:
    """Yield what receivers said, line by line; reports that came back later are left out.

    Args:
        lines: JSON Lines as the event log has them.
        provider_of: The provider of (MX host, destination); "" if not known.
        where: The file's name, for errors.

    Raises:
        ConfigError: A line is no event.
    """
    jobs: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = msgspec.json.decode(line, type=Event)
            at = datetime.fromisoformat(event.time).timestamp()
        except (msgspec.DecodeError, ValueError) as error:
            place = f"{where}, line {number}"
            remedy = "give a file of the event log, or its lines in order"
            raise ConfigError(f"this is no event: {error}", where=place, remedy=remedy) from error
        if event.type in _REPLIES and event.source and not event.asynchronous:
            yield Seen(
                at=at,
                reply=f"{event.code} {event.reply}" if event.code else event.reply,
                klass=event.bounce_class,
                source=event.source,
                site=event.site,
                provider=provider_of(event.host, event.destination),
                job=jobs.setdefault(event.job_uid, len(jobs) + 1),
            )
