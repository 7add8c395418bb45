"""How often first and later tries are put off, by provider, and for how long. Pure.

A receiver that greylists puts off every first try and no second one; one that is in trouble puts
off the second like the first. One share of deferrals for both would be true of neither: half of a
greylisted job would be foretold to come back a third time, and a quarter a fourth.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ekiden.shaping.hours import ENOUGH, VOLUME


@dataclass(slots=True)
class Tries:
    """What came of tries; plain values, so that they travel as JSON.

    Args:
        tried: How many there were, the newer weighing more.
        deferred: How many of them were put off.
        waits: Seconds until the next try, summed over those.
        lost: Seconds that those took.
        used: Seconds that the others took.
    """

    tried: float = 0.0
    deferred: float = 0.0
    waits: float = 0.0
    lost: float = 0.0
    used: float = 0.0

    def note(self, *, deferred: bool, wait: float, seconds: float) -> None:
        """Count one."""
        self.tried += 1
        if deferred:
            self.deferred += 1
            self.waits += wait
            self.lost += seconds
        else:
            self.used += seconds
        if self.tried >= 2 * VOLUME:
            for name in ("tried", "deferred", "waits", "lost", "used"):
                setattr(self, name, getattr(self, name) / 2)

    @property
    def share(self) -> float:
        """The share that was put off; 0 where nothing was tried."""
        return self.deferred / self.tried if self.tried else 0.0

    @property
    def wait(self) -> float:
        """Seconds that one that was put off waited; 0 where none was."""
        return self.waits / self.deferred if self.deferred else 0.0


@dataclass(slots=True)
class Deferrals:
    """First tries of a provider, and later ones."""

    first: Tries = field(default_factory=Tries)
    later: Tries = field(default_factory=Tries)

    @property
    def known(self) -> bool:
        """Whether there were enough to say anything."""
        return self.first.tried >= ENOUGH

    @property
    def brief(self) -> float:
        """How long a try that is put off takes, as a share of one that is not.

        A refusal of the recipient comes before the content is sent.
        """
        deferred = self.first.deferred + self.later.deferred
        others = self.first.tried + self.later.tried - deferred
        if not deferred or not others:
            return 1.0
        lost, used = self.first.lost + self.later.lost, self.first.used + self.later.used
        return min(1.0, (lost / deferred) / (used / others)) if used else 1.0


class Retries:
    """Learns it."""

    def __init__(self) -> None:
        self.moved: set[str] = set()  # providers of which more was learned, for whoever keeps it
        self._learned: dict[str, Deferrals] = {}

    def note(
        self, provider: str, attempts: int, *, deferred: bool, wait: float, seconds: float
    ) -> None:
        """Learn what an attempt came to.

        Args:
            provider: The provider's name.
            attempts: How many its delivery has had, this one included.
            deferred: Whether it was put off.
            wait: Until the next one, in seconds.
            seconds: How long it took.
        """
        found = self._learned.get(provider)
        if found is None:
            found = self._learned[provider] = Deferrals()
        tries = found.first if attempts <= 1 else found.later
        tries.note(deferred=deferred, wait=max(0.0, wait), seconds=seconds)
        self.moved.add(provider)

    def states(self) -> dict[str, Deferrals]:
        """Return what was learned since the last time, to be kept."""
        moved, self.moved = self.moved, set()
        return {name: self._learned[name] for name in moved}

    def recall(self, states: Mapping[str, Deferrals]) -> None:
        """Continue from what was kept."""
        self._learned.update(states)
