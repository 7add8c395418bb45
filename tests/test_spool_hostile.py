"""The hostile archive: whole jobs made to break intake. None may; each is refused with words."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ekiden import limits
from ekiden.queue.model import JobState
from ekiden.queue.queue import Queue
from ekiden.spool.intake import Intake
from ekiden.spool.layout import Folder, Spool
from ekiden.store.database import Database
from spool_world import JOB, all_rows, answer, campaign, drop, tree

PEOPLE = "address,name\na@example.com,A\n"
HEAD = b"From: a@example.com\nTo: b@example.net\n"

REFUSED: dict[str, tuple[dict[str, str | bytes] | str | bytes, str]] = {
    "nested.json": (b"[" * 1_000_000, "nested too deep"),
    "nested-list.json": (b'{"from": ' + b'{"a":' * 100_000, "nested too deep"),
    "nested.toml": ("a = " + "[" * 200_000, "nested too deep"),
    "dotted.toml": ("a." * 200_000 + "a = 1", "more than 100 parts"),
    "dotted-inside.toml": ("b = {" + '"a" . ' * 100_000 + "a = 1}", "more than 100 parts"),
    "digits.toml": ("a = " + "9" * 5000, "number too long"),
    "digits.json": (b'{"send_at": ' + b"9" * 100_000 + b"}", "out of range"),
    "surrogate.json": (b'{"name": "\\ud800"}', "Not valid JSON"),
    "latin.json": (b'{"name": "\xe9"}', "not UTF-8"),
    "nul.eml": (HEAD + b"\n\0", "NUL"),
    "endless.eml": (b"From: a@example.com" * 100_000, "no blank line"),
    "folded.eml": (HEAD + b"X: a" + b"\n b" * 60_000, "no blank line"),
    "fields.eml": (HEAD + b"a:\n" * 10_000 + b"\n", "1000 fields"),
    "quotes.eml": (
        b"From: a@example.com\nTo: " + b'"' * 60_001 + b"\n\n",
        "rows were refused|the field To",
    ),
    "comments.eml": (
        b"From: a@example.com\nTo: " + b"(" * 60_000 + b"\n\n",
        "rows were refused|the field To",
    ),
    "brackets.eml": (b"From: " + b"<" * 60_000 + b"\nTo: b@example.net\n\n", "not one address"),
    "columns": (campaign("address," + "c," * 10_000 + "\n"), "columns"),
    "wide": (campaign("address," + "x" * 2_000_000 + "\n"), "The header"),
    "binary": (campaign(bytes(range(256)) * 1000), "row 1|encoding|column"),
    "charset": (
        campaign("address,name\na@example.com,山田\n", JOB + 'encoding = "utf-16"\n'),
        "utf-16|No column",
    ),
    "template": (campaign(PEOPLE) | {"body.txt": "{{ ().__class__ }}"}, "body|template"),
    "big-template": (campaign(PEOPLE) | {"body.txt": b"x" * (limits.TEMPLATE_BYTES + 1)}, "larger"),
    "big-job": (campaign(PEOPLE, JOB + "#" * limits.JOB_FILE_BYTES), "larger"),
    "parts": (
        campaign(PEOPLE, JOB + f"attachments = {json.dumps(['a'] * 101)}\n"),
        "more than 100 entries",
    ),
    "header-injection": (
        campaign(PEOPLE, JOB + 'headers = {X-A = "a\\nBcc: b@example.com"}'),
        "control character",
    ),
}


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    database = await Database.open(tmp_path / "queue.db")
    yield Queue(database)
    await database.close()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool.open(tmp_path / "spool")
    yield opened
    opened.close()


@pytest.mark.parametrize("name", REFUSED)
async def test_hostile_jobs_are_refused_with_words_and_in_time(
    spool: Spool, queue: Queue, name: str
) -> None:
    files, words = REFUSED[name]
    drop(spool, name, files)
    began = time.process_time()
    await Intake(spool, queue).take_all()
    assert time.process_time() - began < 3, "an answer, never a hang"
    assert set(tree(spool)) == {"failed"}
    (error,) = [each for each in tree(spool)["failed"] if each.endswith(".error.txt")]
    text = answer(spool, error, Folder.FAILED)
    assert any(each in text for each in words.split("|")), text
    assert "fault of the program" not in text
    assert await queue.jobs(list(JobState)) == []


async def test_hostile_rows_cost_themselves_alone(spool: Spool, queue: Queue) -> None:
    rows = [
        b"address,name",
        b"a@example.com,\x00",
        b"b@example.com," + b"x" * (2 * limits.ROW_BYTES),
        b'c@example.com,"' + b"x" * 140_000 + b'"',
        b'd@example.com,"a\r\nBcc: x@example.com"',
        b"e@example.com\r\nBcc: x@example.com,E",
        b"<f@example.com>,F",
        b"g@example.com\xff,G",
        b"=?utf-8?q?h=40example.com?=@example.com,H",
        "i@exаmple.com\u202e,I".encode(),
        b"j@[127.0.0.1],J",
        b"k@localhost,K",
        b"l@" + b"a." * 200 + b"com,L",
        b"m" * 65 + b"@example.com,M",
        b'"n\x0b"@example.com,N',
        b"o@example.com,O",
    ]
    rows += [b"p%d@example.com,P" % n for n in range(100)]
    drop(spool, "news", campaign(b"\n".join(rows)))
    await Intake(spool, queue).take_all()
    (job,) = await queue.jobs()
    found = {row.recipient for row in await all_rows(queue, job.id)}
    assert found == {"o@example.com", *(f"p{n}@example.com" for n in range(100))}
    assert job.refused == len(rows) - 1 - len(found) + 1  # the line end in `e` makes one more
    reasons = {line["recipient"]: line["reason"] for line in answer(spool, "news.report.jsonl")}
    assert all(reasons.values())
    assert "\u202e" not in "".join(reasons)
