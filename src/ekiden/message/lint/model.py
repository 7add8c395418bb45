"""The words of lint: findings, their severity, what is looked at, and what may be set. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

Law = Literal["jp", "us", "eu"]


class Severity(StrEnum):
    """What a finding means: it will hurt, it may hurt, it is told."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


RANK: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True)
class Rule:
    """What can be found: one row of docs/lint.md.

    Args:
        code: Its name, as it is written in the configuration.
        severity: Unless the configuration says otherwise.
        what: What is wrong, in general.
        remedy: What to do about it.
        source: Where that is written.
    """

    code: str
    severity: Severity
    what: str
    remedy: str
    source: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found.

    Args:
        code: The rule's name.
        severity: As set.
        where: The part, and the line or field in it.
        what: What is wrong here.
        remedy: What to do about it.
        source: Where that is written.
        row: The recipient's row that showed it; 0 when all of them do.
    """

    code: str
    severity: Severity
    where: str
    what: str
    remedy: str
    source: str
    row: int = 0


@dataclass(frozen=True, slots=True)
class LintOptions:
    """What is looked for.

    Args:
        laws: Whose law bulk mail is held to; empty goes by the language of the text.
        sender: The registered name that bulk mail must show; "" looks for one by its wording.
        size: The largest HTML part, bytes.
        urls: The most different addresses that are linked to.
        subject: The longest subject, columns.
        severities: What the configuration made of a rule, by code; None is off.
    """

    laws: tuple[Law, ...] = ()
    sender: str = ""
    size: int = 102_000
    urls: int = 50
    subject: int = 100
    severities: Mapping[str, Severity | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a message is for.

    Args:
        bulk: It goes to many who agreed to it: it must say how to leave, and whose it is.
        final: It is as it will be sent; else the engine still adds Date, Message-ID and the fields
            about leaving.
    """

    bulk: bool = True
    final: bool = True


def width(text: str) -> int:
    """Return how many columns a text takes; a wide character takes two."""
    return sum(2 if char >= "\u1100" and not "\uff61" <= char <= "\uffdc" else 1 for char in text)


def excerpt(text: str, cap: int = 60) -> str:
    """Return the beginning of a text fit for a message: one line, printable."""
    line = " ".join(text.split())
    shown = "".join(char if char.isprintable() else "·" for char in line[: cap + 1])
    return shown if len(shown) <= cap else f"{shown[: cap - 1]}…"
