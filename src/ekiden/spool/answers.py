"""The files with which the spool answers, and how they are written.

| file | beside the job in | written |
|---|---|---|
| NAME.error.txt | failed/ | before the job is moved there |
| NAME.report.jsonl | done/ | what is known when the job is accepted; whole when it ends |
| NAME.result.json | done/ | when the job ends; its presence says that the report is whole |

Blocking; intake and reports call it from threads.
"""

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from ekiden.errors import EkidenError
from ekiden.queue.model import RefusedRow, State
from ekiden.queue.sheaf import Sheaf
from ekiden.spool.jobspec import JobError
from ekiden.spool.layout import Folder, Spool
from ekiden.spool.loading import ENDINGS

RESULT: Final = ".result.json"
REPORT: Final = ".report.jsonl"
ERROR: Final = ".error.txt"
ANSWERS: Final = (RESULT, REPORT, ERROR)

REFUSED: Final = "refused"  # the fate of a row that intake refused

_NUMBERED: Final = 100
_EVENTS: Final = 1000  # refused rows of a job that become events
_SHOWN: Final = 20


def free_name(spool: Spool, name: str, *, unique: int) -> str:
    """Return `name`, changed if need be so that neither it nor an answer to it exists.

    `news.eml` and `news/` would have the same answers, so what is compared is NAME.

    Args:
        spool: The spool.
        name: An entry's name.
        unique: A number used after `NAME.2` to `NAME.99` are taken.
    """
    ending = next((end for end in ENDINGS if name.endswith(end) and name != end), "")
    base = name[: len(name) - len(ending)]
    candidates = [base, *(f"{base}.{n}" for n in range(2, _NUMBERED)), f"{base}.{unique}"]
    return next(each for each in candidates if not _taken(spool, each)) + ending


def _taken(spool: Spool, base: str) -> bool:
    endings = ("", *ENDINGS, *ANSWERS)
    folders = (Folder.CUR, Folder.DONE, Folder.FAILED)
    return any(
        spool.status(folder, base + ending) is not None for folder in folders for ending in endings
    )


def write_error(spool: Spool, base: str, error: EkidenError) -> None:
    """Write NAME.error.txt: what is wrong, where, what to do, for every problem."""
    problems = error.problems if isinstance(error, JobError) else (error,)
    lines = ["The job was refused; nothing of it was sent.", ""]
    for problem in problems[:_SHOWN]:
        lines.append(f"{problem.where}: {problem.what}" if problem.where else problem.what)
        if problem.remedy:
            lines.append(f"    {problem.remedy}")
    lines += ["", "Mend it and drop it into new/ again.", ""]
    spool.write(Folder.FAILED, base + ERROR, "\n".join(lines).encode("utf-8", "backslashreplace"))


def write_json(spool: Spool, name: str, value: Any) -> None:
    """Write an answer as indented JSON into done/."""
    spool.write(Folder.DONE, name, msgspec.json.format(msgspec.json.encode(value)) + b"\n")


class RefusalLog:
    """NAME.report.jsonl while a job is received: refused and suppressed rows as they come.

    It grows in cur/ and is moved when it is known where the job goes. A replay begins it anew.

    Args:
        spool: The spool.
        base: NAME.
    """

    def __init__(self, spool: Spool, base: str) -> None:
        self._spool = spool
        self._name = base + REPORT
        self._descriptor = -1
        self._encode = msgspec.json.Encoder().encode
        self.count = 0
        self.told: list[RefusedRow] = []  # the first ones
        self._writing = threading.Lock()  # rows are read and looked up on threads of their own
        self._told: set[str] = set()  # suppressed addresses: a second row of one is a duplicate
        spool.remove(Folder.CUR, self._name)

    def add(self, refused: Iterable[RefusedRow]) -> None:
        """Write refused rows."""
        lines = []
        for each in refused:
            self.count += 1
            if self.count <= _EVENTS:
                self.told.append(each)
            line = {
                "row": each.row,
                "recipient": each.recipient,
                "fate": REFUSED,
                "reason": each.reason,
            }
            lines.append(self._encode(line))
        self._write(lines)

    @property
    def first(self) -> RefusedRow | None:
        """The first of them."""
        return self.told[0] if self.told else None

    def events(self) -> list[RefusedRow]:
        """The rows that become events: the first ones, then one that says how many follow."""
        more = self.count - len(self.told)
        if not more:
            return self.told
        reason = f"{more:,} more rows were refused; {self._name} has them all"
        return [*self.told, RefusedRow(0, "", reason)]

    def add_suppressed(self, sheaf: Sheaf, reasons: Mapping[str, str]) -> None:
        """Write the rows of a batch that will not be mailed.

        Args:
            sheaf: The batch.
            reasons: Why, by address in its key form.
        """
        lines = []
        for key, row in zip(sheaf.keys, sheaf.rows, strict=True):
            if key in reasons and key not in self._told:
                self._told.add(key)
                line = {
                    "row": row.row,
                    "recipient": row.recipient,
                    "fate": State.SUPPRESSED.value,
                    "class": reasons[key],
                }
                lines.append(self._encode(line))
        self._write(lines)

    def _write(self, lines: Sequence[bytes]) -> None:
        if not lines:
            return
        data = memoryview(b"\n".join(lines) + b"\n")
        with self._writing:
            if self._descriptor < 0:
                self._descriptor = self._spool.create(Folder.CUR, self._name)
            while data:
                data = data[os.write(self._descriptor, data) :]

    def move(self, folder: Folder) -> None:
        """Make it durable and put it beside where the job will be."""
        if self._descriptor < 0:
            return
        os.fsync(self._descriptor)
        self.close()
        self._spool.move(self._name, Folder.CUR, folder, self._name)

    def close(self) -> None:
        """Close the file; without `move` the next replay begins it anew."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
