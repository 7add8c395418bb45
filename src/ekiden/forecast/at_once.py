"""Few messages that begin now: foretold from what the engine knows, without running it ahead.

An estimate is a process that runs for a second; a stream of single mails with a deadline each
(codes, reminders) would wait for one after the other. Where nothing holds a destination up at this
moment a few messages to it take as long as a session does. Where something does, one estimate
serves for all of the same kind to the same site for a minute.
"""

from collections.abc import Callable, Mapping
from typing import Final

from ekiden.engine.schedule.facts import FOREVER
from ekiden.engine.sites import Site
from ekiden.forecast.model import Finish, Forecast, Load
from ekiden.forecast.words import finished
from ekiden.forecast.world import UNMEASURED

FEW: Final = 10  # messages of such a job at most
KEPT: Final = 60.0  # seconds that an estimate serves for others of its kind
_MOST: Final = 10_000  # of them that are kept
_NOW: Final = 1.0  # seconds: what begins within them begins now

_Kind = tuple[bool, str, str, str]  # bulk, pool, set, site


class AtOnce:
    """Answers for small jobs, as far as it can.

    Args:
        held: Whether something holds up a destination's mail of a rank at this moment.
        located: Where destinations are, as far as the engine knows.
    """

    def __init__(
        self, held: Callable[[str, int], bool], located: Callable[[], Mapping[str, Site]]
    ) -> None:
        self._held = held
        self._located = located
        self._kept: dict[_Kind, tuple[float, float]] = {}  # when it was said, how long it takes

    def of(self, load: Load, now: float) -> Forecast | None:
        """Return what is to be expected of a small job; None for one that has to be estimated.

        Args:
            load: The job.
            now: UNIX seconds.
        """
        if not _small(load, now):
            return None
        takes = UNMEASURED.opening + UNMEASURED.seconds * load.total
        for destination in load.lanes:
            if self._held(destination, 1 if load.bulk else 0):
                at, seconds = self._kept.get(self._kind(load, destination), (0.0, 0.0))
                if now - at > KEPT:
                    return None
                takes = max(takes, seconds)
        return _forecast(load, now, takes)

    def note(self, load: Load, found: Forecast) -> None:
        """Keep an estimate of a small job for others of its kind."""
        if not _small(load, found.at):
            return
        if len(self._kept) >= _MOST:
            self._kept.clear()
        seconds = FOREVER if found.whole.end is None else found.whole.end - found.start
        for destination in load.lanes:
            self._kept[self._kind(load, destination)] = found.at, seconds

    def _kind(self, load: Load, destination: str) -> _Kind:
        site = self._located().get(destination)
        return load.bulk, load.pool, load.configuration_set, site.name if site else destination


def _small(load: Load, now: float) -> bool:
    return (
        0 < load.total <= FEW
        and not load.siblings
        and load.send_at <= now + _NOW
        and (load.pace is None or load.total <= load.pace.messages)
    )


def _forecast(load: Load, now: float, takes: float) -> Forecast:
    end = now + takes if takes < FOREVER else None
    by = load.deliver_by
    whole = Finish(
        name="*",
        messages=load.total,
        half=end,
        most=end,
        end=end,
        in_time=None if by is None else float(end is not None and end <= by),
    )
    return finished(
        Forecast(
            job=load.name,
            at=now,
            start=now,
            deliver_by=by,
            whole=whole,
            providers=(),
            curve=() if end is None else ((end, load.total),),
            latest_start=None if by is None or end is None else by - takes,
            searched=True,
        )
    )
