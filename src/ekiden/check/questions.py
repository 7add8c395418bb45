"""Questions to DNS as values, so that what judges the answers needs no resolver. Pure.

A judgement is a generator: it yields a `Question`, is sent the `Answer`, and returns what it found.
`resolve.run` puts the questions to DNS; a test puts them to a dictionary.
"""

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Args:
        name: The name, without a dot at its end.
        kind: `A`, `AAAA`, `MX`, `PTR` or `TXT`.
    """

    name: str
    kind: str


class Status(Enum):
    """How a question was answered."""

    FOUND = auto()
    NONE = auto()  # the name, or the type at it, does not exist
    FAILED = auto()  # nobody answers, or with a fault


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered.

    Args:
        status: Whether there is anything.
        values: The data: addresses; names without a dot at their end; `10 host` for MX; for TXT the
            strings of a record joined (RFC 6376 section 3.6.2.2, RFC 7208 section 3.3).
        why: What failed.
    """

    status: Status
    values: tuple[str, ...] = ()
    why: str = ""

    @property
    def failed(self) -> bool:
        """Whether DNS could not say."""
        return self.status is Status.FAILED


NONE = Answer(Status.NONE)
Asking: TypeAlias = Generator[Question, Answer, T]


def ask(name: str, kind: str) -> Asking[Answer]:
    """Ask one question."""
    answer = yield Question(name.rstrip(".").lower(), kind)
    return answer


def exchangers(answer: Answer) -> list[str]:
    """Return the hosts of an MX answer in the order of preference; "" is a null MX (RFC 7505)."""
    pairs = (value.partition(" ") for value in answer.values)
    return [host.rstrip(".") for _, _, host in sorted(pairs, key=lambda pair: int(pair[0]))]
