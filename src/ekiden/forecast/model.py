"""What a forecast is made from, and what it says. Plain values, so that they travel as JSON.

The facts are those that a restart would find: what the engine has learned and counted (`memory`),
the jobs and their lanes. A forecast is a restart in a world whose clock jumps.
"""

from typing import Final

import msgspec

from ekiden.queue.model import Pace

FAR: Final = 1e15  # UNIX seconds: no end (JSON has no infinity)


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A job that waits, as far as a forecast cares. Times are UNIX seconds.

    Args:
        id: Its number; 0 for the one that is planned.
        name: Its name.
        bulk: Whether it is bulk.
        pool: Whose sources it leaves from.
        send_at: Not before.
        expires_at: Not after.
        deliver_by: Its deadline.
        pace: At most so many, then a pause.
        configuration_set: Its set.
        patience: As of a job (`queue.model.NewJob`).
        lanes: Messages by destination.
        head: The number of the job that it is a sibling of; 0 for none.
        siblings: The loads of the rows that chose a set of their own, of a job that is not in the
            queue yet; there each has a number.
    """

    id: int
    name: str
    bulk: bool = True
    pool: str = ""
    configuration_set: str = ""
    send_at: float = 0.0
    expires_at: float = FAR
    deliver_by: float | None = None
    pace: Pace | None = None
    patience: float | None = None
    lanes: dict[str, int] = {}
    head: int = 0
    siblings: tuple["Load", ...] = ()

    @property
    def members(self) -> "tuple[Load, ...]":
        """It, then its siblings."""
        return (self, *self.siblings)

    @property
    def total(self) -> int:
        """How many messages, those of its siblings included."""
        return sum(sum(one.lanes.values()) for one in self.members)


class Found(msgspec.Struct, frozen=True):
    """Where a destination's mail goes, as DNS said: `engine.sites.Site` as plain values."""

    name: str
    hosts: tuple[str, ...] = ()
    port: int = 25
    route: str = ""


class Facts(msgspec.Struct, kw_only=True):
    """Everything a forecast starts from.

    Args:
        now: UNIX seconds.
        memory: What the engine keeps: JSON by kind and name (`queue.memory`).
        loads: The jobs that wait.
        suspensions: Pattern to the end, None for no end, of what people hold back.
        stopped: Scopes that are stopped by their rates.
        sites: What DNS said of destinations; those that are missing are told by their names.
    """

    now: float
    memory: dict[str, dict[str, str]] = {}
    loads: list[Load] = []
    suspensions: dict[str, float | None] = {}
    stopped: list[str] = []
    sites: dict[str, Found] = {}


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """When a part of a job is done. Times are UNIX seconds, None: not within the time looked at.

    Args:
        name: A provider, "" for the receivers of nobody known, "*" for all of the job; of the
            rows of a configuration set its name, "" for those that chose none.
        messages: How many.
        half: When half of them are there.
        most: When 95 % are.
        end: When all are.
        in_time: The share that is there by the deadline; None without one.
        binds: What holds it up most, in words; of all of a job, what holds up the last of it.
    """

    name: str
    messages: int
    half: float | None
    most: float | None
    end: float | None
    in_time: float | None = None
    binds: str = ""


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be expected of a job.

    Args:
        job: Its name.
        at: When this was said, UNIX seconds.
        start: When it begins.
        deliver_by: Its deadline.
        whole: All of it.
        providers: By provider, the largest first.
        sets: By configuration set, where rows of the job chose some.
        curve: Messages that are there, by time: the picture.
        latest_start: The latest start with which `reach` of it is there in time; None without a
            deadline, or when no start of the last week does.
        reach: The share that `latest_start` is about.
        searched: Whether it was looked for.
        words: All that in a sentence.
        coarse: Messages that one step of the simulation stands for.
        assumed: Destinations whose receivers were not looked up but told by their names.
        volume: How far it departs from what its sources usually send, in words.
    """

    job: str
    at: float
    start: float
    deliver_by: float | None
    whole: Finish
    providers: tuple[Finish, ...]
    curve: tuple[tuple[float, int], ...]
    latest_start: float | None = None
    reach: float = 0.99
    searched: bool = False
    words: str = ""
    coarse: int = 1
    assumed: int = 0
    volume: tuple[str, ...] = ()
    sets: tuple[Finish, ...] = ()

    @property
    def late(self) -> bool:
        """Whether a part of it will not be there in time (one in a hundred is not counted)."""
        found = [one.in_time for one in (self.whole, *self.sets) if one.in_time is not None]
        return any(share < self.reach for share in found)
