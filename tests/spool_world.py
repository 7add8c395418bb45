"""A spool, a queue on disk, and jobs to drop: what the tests of intake and reports share."""

import json
import os
from pathlib import Path
from typing import Any

from ekiden.queue.model import JobFacts
from ekiden.queue.queue import Queue
from ekiden.queue.shown import JobRow
from ekiden.spool.layout import Folder, Spool

NOW = 1_800_000_000.0

JOB = """\
from = "Desk <desk@example.com>"
subject = "Hello {{ name }}"
text = "body.txt"
recipients = "people.csv"
"""


def drop(spool: Spool, name: str, files: dict[str, str | bytes] | str | bytes) -> Path:
    """Build a job in tmp/ and rename it into new/, as a good writer does."""
    building = spool.path / "tmp" / name
    if isinstance(files, dict):
        for path, content in files.items():
            (building / path).parent.mkdir(parents=True, exist_ok=True)
            _write(building / path, content)
    else:
        _write(building, files)
    # Older than the rename beyond the clock's grain.
    os.utime(building, (NOW / 2, NOW / 2))
    for each in building.rglob("*") if building.is_dir() else ():
        os.utime(each, (NOW / 2, NOW / 2))
    target = spool.path / "new" / name
    building.rename(target)
    return target


def _write(path: Path, content: str | bytes) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def campaign(people: str | bytes, job: str = JOB, **files: str | bytes) -> dict[str, str | bytes]:
    return {"job.toml": job, "body.txt": "Dear {{ name }}\n", "people.csv": people, **files}


def tree(spool: Spool) -> dict[str, list[str]]:
    """The names in each folder that is not empty."""
    found = {str(folder): spool.names(folder) for folder in Folder}
    return {folder: names for folder, names in found.items() if names}


def answer(spool: Spool, name: str, folder: Folder = Folder.DONE) -> Any:
    text = (spool.path / folder / name).read_text(encoding="utf-8")
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.splitlines()]
    return json.loads(text) if name.endswith(".json") else text


async def the_job(queue: Queue) -> JobFacts:
    (job,) = await queue.jobs()
    return job


async def all_rows(queue: Queue, job_id: int) -> list[JobRow]:
    return await queue.job_rows(job_id, 0, 1_000_000)
