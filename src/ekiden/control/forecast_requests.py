"""What a forecast asks for: the jobs that wait, their lanes, and what the engine keeps."""

from typing import Any, ClassVar

import msgspec

from ekiden.control.requests import Listing, Question
from ekiden.queue.model import Pace


class WaitingJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that has deliveries to send. Times are UNIX seconds."""

    id: int
    name: str
    bulk: bool
    pool: str
    send_at: float
    expires_at: float
    deliver_by: float | None
    pace: Pace | None
    patience: float | None = None
    configuration_set: str = ""
    head: int = 0  # the job that it is a sibling of


class WaitingLane(msgspec.Struct, frozen=True, array_like=True):
    """Deliveries of a job to a destination that are ready, now or later."""

    job: int
    destination: str
    ready: int


class KeptState(msgspec.Struct, frozen=True, array_like=True):
    """Something the engine has learned or counted: JSON under a kind and a name."""

    kind: str
    name: str
    state: str


class WaitingJobs(Question[list[WaitingJob]], frozen=True):
    """The open jobs that have something to send; paused ones wait for a person, not for time."""

    method: ClassVar[str] = "forecast.jobs"


class WaitingLanes(Listing[WaitingLane], frozen=True):
    """The lanes of those jobs."""

    method: ClassVar[str] = "forecast.lanes"


class KeptStates(Listing[KeptState], frozen=True):
    """What the engine keeps; a running one writes it down first."""

    method: ClassVar[str] = "forecast.memory"


class SentByDay(Question[dict[str, str]], frozen=True):
    """What each source sent by day: JSON by its name (`queue.memory.Kind.VOLUME`)."""

    method: ClassVar[str] = "forecast.volumes"


FORECAST_REQUESTS: dict[str, type[Any]] = {
    kind.method: kind for kind in (WaitingJobs, WaitingLanes, KeptStates, SentByDay)
}
