"""A job as its file describes it, whatever the file's shape: plain values, checked, no I/O. Pure.

`formats.py` and `formats_eml.py` make a `JobSpec`; intake reads the files it names and turns it
into what the queue stores.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from ekiden.errors import EkidenError
from ekiden.queue.model import Pace, Priority


class Shape(StrEnum):
    """What was dropped."""

    DIRECTORY = "directory"  # NAME/ with job.toml: texts, recipients and parts are file names
    INLINE = "inline"  # NAME.toml, NAME.json: they are in the file itself
    MESSAGE = "message"  # NAME.eml: one message, ready as it is


class OnMissing(StrEnum):
    """What happens to a recipient whose row lacks a merge field that a template needs."""

    REFUSE = "refuse"
    EMPTY = "empty"
    DEFAULT = "default"


class OnLate(StrEnum):
    """What happens to a job of which a part would not be delivered by its deadline."""

    SEND = "send"
    WARN = "warn"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Part:
    """An attachment or an inline image.

    Args:
        name: The file name the recipient sees.
        file: Where it is in the job directory; "" when `content` holds it.
        content: The bytes of an inline job's part.
        media_type: Such as `application/pdf`; "" to go by the name.
        cid: The Content-ID that `<img src="cid:...">` names; "" for an attachment.
    """

    name: str
    file: str = ""
    content: bytes = b""
    media_type: str = ""
    cid: str = ""


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a job file says.

    Times are UNIX seconds. `html`, `text` and `recipients_file` are file names in a job directory;
    in an inline job `html` and `text` are the templates themselves. docs/spool.md describes every
    key. What the file leaves open, its template and then its configuration set may fill in
    (`content.with_template`, `settings.completed`); the latter is also where `passed_reasons` comes
    from.
    """

    name: str
    shape: Shape
    sender: str
    from_domain: str
    mail_from: str
    id: str = ""
    reply_to: tuple[str, ...] = ()
    to_name: str = ""
    template: str = ""
    subject: str = ""
    html: str = ""
    text: str = ""
    preheader: str = ""
    language: str = ""
    recipients_file: str = ""
    recipients: Sequence[Any] = ()
    address: str = ""
    delimiter: str = ""
    encoding: str = ""
    template_encoding: str = "utf-8"
    charset: str = "utf-8"
    configuration_set: str = ""
    set_column: str = ""
    pool: str = ""
    priority: Priority = Priority.BULK
    states_priority: bool = False
    contact_list: str = ""
    topic: str = ""
    send_at: float = 0.0
    deliver_by: float | None = None
    on_late: OnLate | None = None
    pace: Pace | None = None
    attachments: tuple[Part, ...] = ()
    images: tuple[Part, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    on_missing: OnMissing | None = None
    inline_css: bool | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    blank_is_missing: bool = True
    track_opens: bool | None = None
    track_clicks: bool | None = None
    raw: bytes = b""
    passed_reasons: tuple[str, ...] = ()
    engaged_first: bool = False
    engaged_column: str = ""


class JobError(EkidenError):
    """A job that cannot be taken: one problem, or several found in one reading.

    Args:
        problems: Each with its place and remedy; at least one.
    """

    def __init__(self, problems: Sequence[EkidenError]) -> None:
        first = problems[0]
        super().__init__(first.what, where=first.where, remedy=first.remedy)
        self.problems = tuple(problems)

    @classmethod
    def one(cls, what: str, *, where: str = "", remedy: str = "") -> Self:
        """Make it of a single problem."""
        return cls((EkidenError(what, where=where, remedy=remedy),))

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def shown(text: str, cap: int = 300) -> str:
    """Return `text` fit for a message: one line, nothing invisible, at most `cap` characters.

    Unlike `text.printable`, which is for strangers' bytes, it leaves people's own words readable:
    a column called 氏名 stays 氏名.
    """
    if not text[: cap + 1].isprintable():
        text = "".join(
            each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
            for each in text[: cap + 1]
        )
    return text if len(text) <= cap else text[: cap - 3] + "..."


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a remedy that names the known word most like `word`, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word.lower()[:100], names, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known: {', '.join(names)}" if names else ""
