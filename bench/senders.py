"""What a sender must be able to do, so that the runner can treat all of them alike."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench.cage import Cage
from bench.sink import Sink
from bench.work import Work


class SkippedError(Exception):
    """Why a sender cannot take part."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One run's surroundings.

    Args:
        work: What is to be sent.
        sink: Where it goes.
        directory: The sender's own, empty; on the disk that is measured.
        held: Take everything in, but send nothing before `release`.
    """

    work: Work
    sink: Sink
    directory: Path
    held: bool = False


class Sender(ABC):
    """One mailer during one run.

    `start`, then `submit` (returns when everything is handed in), `release` when it was held, and
    `close`. `delivered` may be asked at any time.
    """

    name: ClassVar[str]
    queues: ClassVar[bool] = True  # whether it has a durable queue, which can be drained
    algorithms: ClassVar[tuple[str, ...]] = ("rsa",)
    receiver: ClassVar[tuple[str, ...]] = ()  # options of the smtp-sink that it meets
    slow: ClassVar[float] = 1.0  # the share of the messages that a run of it is given

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.cage: Cage

    @classmethod  # noqa: B027 - most have nothing to prepare
    def prepare(cls, workspace: Path) -> None:
        """Get what is needed, once.

        Raises:
            SkippedError: It cannot be had here.
        """

    @abstractmethod
    def start(self) -> None:
        """Start it; returns when it takes mail."""

    @abstractmethod
    def submit(self) -> None:
        """Hand in all the work."""

    def queued(self) -> int:
        """Return how many messages wait, for a held queue."""
        raise NotImplementedError

    def release(self) -> None:
        """Let a held queue go."""
        raise NotImplementedError

    def delivered(self) -> int:
        """Return how many messages are delivered, as far as this sender can tell."""
        return self.bench.sink.count

    def close(self) -> None:
        """End it."""
        self.cage.close()


def wait_for(done: Callable[[], bool], *, seconds: float, what: str, pause: float = 0.02) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: It was not in time.
    """
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(pause)
