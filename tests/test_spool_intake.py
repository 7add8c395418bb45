"""From new/ into the queue: accepted, refused, once, and after a crash at any step."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ekiden.errors import EkidenError, RefusedError, UnavailableError
from ekiden.lists.suppression import Reason, Suppression, Suppressions
from ekiden.message.content import decode
from ekiden.queue.model import JobFacts, JobState, Pace, Priority, State
from ekiden.queue.queue import Queue
from ekiden.spool import loading, receiving
from ekiden.spool.content import ContentRules
from ekiden.spool.house import House
from ekiden.spool.intake import Intake, IntakeOptions
from ekiden.spool.jobspec import JobError, JobSpec
from ekiden.spool.layout import Folder, Spool
from ekiden.store.database import Database
from spool_world import JOB, NOW, all_rows, answer, campaign, drop, the_job, tree

PEOPLE = "address,name\na@example.com,A\nb@example.net,B\n"


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "queue.db")
    yield database
    await database.close()


@pytest.fixture
def queue(db: Database) -> Queue:
    return Queue(db)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool.open(tmp_path / "spool")
    yield opened
    opened.close()


def intake(spool: Spool, queue: Any, **options: Any) -> Intake:
    chosen = IntakeOptions(**{"batch": 2, "window": 4, "retry": 0.01, **options})
    return Intake(spool, queue, chosen, clock=lambda: NOW)


async def test_a_job_directory_is_taken(spool: Spool, queue: Queue) -> None:
    job = JOB + 'priority = "transactional"\nsend_at = "+1h"\npace = "5 per 1m"\npool = "p"\n'
    job += 'configuration_set = "news"\ntopic = "t"\nattachments = ["a/b.pdf"]\n'
    job += 'images = {logo = "logo.png"}\n'
    files = campaign(PEOPLE, job, **{"a/b.pdf": b"%PDF", "logo.png": b"\x89PNG"})
    drop(spool, "news", files)
    assert await intake(spool, queue).take_all() == 1
    facts = await the_job(queue)
    assert (facts.name, facts.spool_name, facts.total, facts.refused) == ("news", "news", 2, 0)
    assert (facts.priority, facts.pace, facts.pool) == (Priority.TRANSACTIONAL, Pace(5, 60.0), "p")
    assert (facts.send_at, facts.expires_at) == (NOW + 3600, NOW + 3600 + 3 * 86400)
    assert facts.suppression_scopes == ("all", "sender:example.com", "set:news", "topic:t")
    assert [(row.recipient, row.row) for row in await all_rows(queue, facts.id)] == [
        ("a@example.com", 2),
        ("b@example.net", 3),
    ]
    content = decode(await queue.content(facts.id))
    assert (content.subject, content.text) == ("Hello {{ name }}", "Dear {{ name }}\n")
    assert [
        (each.filename, each.content_type, each.content_id) for each in content.attachments
    ] == [
        ("b.pdf", "application/pdf", None),
        ("logo.png", "image/png", "logo"),
    ]
    assert tree(spool) == {"done": ["news"]}


async def test_many_rows_go_in_by_batches_and_duplicates_are_sent_once(
    spool: Spool, queue: Queue
) -> None:
    people = "address,name\n" + "".join(f"p{n % 40}@d{n % 4}.example,N\n" for n in range(70))
    drop(spool, "news", campaign(people))
    await intake(spool, queue).take_all()
    facts = await the_job(queue)
    assert (facts.total, facts.duplicates, facts.state) == (40, 30, JobState.OPEN)


async def test_a_message_and_the_inline_shapes(spool: Spool, queue: Queue) -> None:
    drop(spool, "m.eml", "From: a@example.com\nTo: b@example.net, x\nBcc: c@example.net\n\nHi\n")
    inline = {
        "from": "a@example.com",
        "subject": "s",
        "text": "Dear {{ name }}",
        "recipients": [{"address": "b@example.net", "name": "B"}],
        "id": "once",
        "deliver_by": "+1h",
    }
    drop(spool, "j.json", msgspec.json.encode(inline))
    drop(spool, "t.toml", 'name = "t"\n' + INLINE)
    await intake(spool, queue).take_all()
    jobs = {job.spool_name: job for job in await queue.jobs()}
    assert {name: (job.total, job.refused) for name, job in jobs.items()} == {
        "m.eml": (2, 1),
        "j.json": (1, 0),
        "t.toml": (1, 0),
    }
    assert jobs["j.json"].uid == "once"
    assert jobs["j.json"].expires_at == NOW + 3600
    assert decode(await queue.content(jobs["m.eml"].id)).raw.startswith(b"From: a@example.com\nTo:")
    assert answer(spool, "m.report.jsonl") == [
        {"row": 2, "recipient": "x", "fate": "refused", "reason": "there is no @"}
    ]
    assert tree(spool) == {"done": ["j.json", "m.eml", "m.report.jsonl", "t.toml"]}


async def test_wrong_rows_are_reported_and_the_job_goes_on(spool: Spool, queue: Queue) -> None:
    people = "address,name\na@example.com,A\nnobody,B\nc@example.com,\nd@example.com,D\n"
    drop(spool, "news", campaign(people))
    await intake(spool, queue).take_all()
    facts = await the_job(queue)
    assert (facts.total, facts.refused) == (2, 2)
    assert [(each["row"], each["reason"]) for each in answer(spool, "news.report.jsonl")] == [
        (3, "there is no @"),
        (4, "`name` is empty, and a template needs it"),
    ]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (campaign(PEOPLE, "from ="), "news/job.toml:1: Not valid TOML"),
        (campaign(PEOPLE, JOB + "htlm = 'x'"), "did you mean `html`?"),
        (campaign(PEOPLE, JOB + 'html = "page.html"'), "news/page.html: There is no such file"),
        (campaign(PEOPLE, JOB.replace("people.csv", "../people.csv")), "leaves the job directory"),
        (campaign(PEOPLE, JOB.replace("people.csv", "/etc/passwd")), "absolute path"),
        (campaign(PEOPLE, JOB.replace("Hello", "{% for x")), "Subject"),
        (campaign(PEOPLE, JOB.replace("Hello", "{{ nmae }}")), "No column `nmae`"),
        (campaign("address,name\n"), "There are no recipients"),
        (campaign("address,name\nx,y\n"), "all 1 rows were refused"),
        (campaign("name\nx\n"), "No column `address`"),
        (campaign(PEOPLE, JOB + "tracking = true"), "`tracking` is asked for"),
        (campaign(PEOPLE, JOB + 'list = "readers"'), "`list` is asked for"),
        (campaign(PEOPLE) | {"body.txt": b"\x93\xfa"}, "body.txt:1: Byte 0x93 is not utf-8"),
        ({"readme": "x"}, "job.toml: There is no such file"),
    ],
)
async def test_a_wrong_job_is_refused_whole_with_place_and_remedy(
    spool: Spool, queue: Queue, files: dict[str, str | bytes], words: str
) -> None:
    drop(spool, "news", files)
    await intake(spool, queue).take_all()
    assert await queue.jobs() == []
    assert "news" in tree(spool)["failed"]
    assert set(tree(spool)) == {"failed"}
    assert words in answer(spool, "news.error.txt", Folder.FAILED)


async def test_a_fault_on_the_last_page_undoes_the_pages_before(spool: Spool, queue: Queue) -> None:
    people = PEOPLE + "".join(f"p{n}@example.com,N\n" for n in range(9)) + 'x"y,"\n' * 100_000
    drop(spool, "news", campaign(people))
    await intake(spool, queue).take_all()
    assert await queue.jobs(list(JobState)) == []
    assert "quoting of the file is broken" in answer(spool, "news.error.txt", Folder.FAILED)


async def test_names_of_no_shape_and_hostile_entries_are_refused(
    spool: Spool, queue: Queue
) -> None:
    new = spool.path / "new"
    drop(spool, "notes.txt", "x")
    (new / "link.eml").symlink_to("/etc/passwd")
    os.mkfifo(new / "fifo.eml")
    drop(spool, "two.eml", "x")
    os.link(new / "two.eml", spool.path / "tmp" / "again")
    drop(spool, "inside", campaign(PEOPLE))
    (new / "inside" / "people.csv").unlink()
    (new / "inside" / "people.csv").symlink_to("/etc/passwd")
    os.utime(new / "inside", (NOW / 2, NOW / 2))
    await intake(spool, queue).take_all()
    (spool.path / "tmp" / "again").unlink()
    texts = {
        name: answer(spool, name, Folder.FAILED)
        for name in tree(spool)["failed"]
        if name.endswith(".error.txt")
    }
    assert {name: words in texts[f"{name}.error.txt"] for name, words in {
        "notes.txt": "none of the shapes",
        "link": "symbolic link",
        "fifo": "FIFO",
        "two": "hard links",
        "inside": "symbolic link",
    }.items()} == dict.fromkeys(["notes.txt", "link", "fifo", "two", "inside"], True)  # fmt: skip
    assert await queue.jobs() == []


async def test_names_are_kept_apart_from_the_answers_of_others(spool: Spool, queue: Queue) -> None:
    for n, name in enumerate(["news", "news.toml", "news.eml"]):
        if name == "news":
            drop(spool, name, campaign(PEOPLE))
        elif name.endswith(".eml"):
            drop(spool, name, "From: a@example.com\nTo: b@example.net\n\nHi\n")
        else:
            drop(spool, name, f'id = "{n}"\n' + INLINE)
    await intake(spool, queue).take_all()
    assert tree(spool) == {"done": ["news", "news.2.eml", "news.3.toml"]}
    drop(spool, "news", campaign(PEOPLE + "c@example.org,C\n"))
    await intake(spool, queue).take_all()
    assert "news.4" in tree(spool)["done"]


INLINE = 'from = "a@example.com"\nsubject = "s"\ntext = "t"\nrecipients = ["b@example.net"]\n'


async def test_a_long_or_strange_name_gets_one_that_fits(spool: Spool, queue: Queue) -> None:
    drop(spool, "山" * 80 + ".toml", INLINE)
    drop(spool, "a\nb\udcff.toml", INLINE + "# another\n")
    await intake(spool, queue).take_all()
    assert sorted(job.spool_name for job in await queue.jobs()) == [
        "a\\nb\\udcff.toml",
        "山" * 66 + ".toml",
    ]


async def test_the_same_job_twice_is_one_job(spool: Spool, queue: Queue) -> None:
    for name in ("news", "again"):
        drop(spool, name, campaign(PEOPLE))
        await intake(spool, queue).take_all()
    facts = await the_job(queue)
    result = answer(spool, "again.result.json")
    assert (result["fate"], result["duplicate_of"]["name"]) == ("duplicate", "news")
    assert result["duplicate_of"]["id"] == facts.id
    drop(spool, "more", campaign(PEOPLE + "c@example.org,C\n"))
    await intake(spool, queue).take_all()
    assert len(await queue.jobs()) == 2


async def test_an_id_makes_two_jobs_one_or_one_job_two(spool: Spool, queue: Queue) -> None:
    for name, id_, people in [("a", "x", PEOPLE), ("b", "x", PEOPLE + "c@d.example,C\n"),
                              ("c", "y", PEOPLE)]:  # fmt: skip
        drop(spool, name, campaign(people, JOB + f'id = "{id_}"\n'))
    await intake(spool, queue).take_all()
    assert sorted(job.uid for job in await queue.jobs()) == ["x", "y"]


async def test_the_check_of_the_application_refuses_a_job(spool: Spool, queue: Queue) -> None:
    def check(spec: JobSpec) -> None:
        raise RefusedError(f"{spec.from_domain} is not verified", remedy="publish the key")

    drop(spool, "news", campaign(PEOPLE))
    await Intake(spool, queue, house=House(check=check)).take_all()
    text = answer(spool, "news.error.txt", Folder.FAILED)
    assert "example.com is not verified" in text
    assert "publish the key" in text


async def test_a_bug_in_a_check_refuses_the_job_and_not_the_spool(
    spool: Spool, queue: Queue
) -> None:
    def check(spec: JobSpec) -> None:
        raise ZeroDivisionError(spec.name)

    drop(spool, "a", campaign(PEOPLE))
    await Intake(spool, queue, house=House(check=check)).take_all()
    assert "ZeroDivisionError" in answer(spool, "a.error.txt", Folder.FAILED)


async def test_a_file_that_changes_while_it_is_read_is_refused(
    spool: Spool, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:

    def load(spool: Spool, name: str, now: float, rules: ContentRules) -> Any:
        loaded = loading.load(spool, name, now, rules)
        with (spool.path / "cur" / name / "people.csv").open("a") as file:
            file.write("late@example.com,L\n")
        return loaded

    monkeypatch.setattr(receiving, "load", load)
    drop(spool, "news", campaign(PEOPLE))
    await intake(spool, queue).take_all()
    assert "changed while it was being read" in answer(spool, "news.error.txt", Folder.FAILED)
    assert await queue.jobs() == []


# --- Crashes -------------------------------------------------------------------------------------


class CrashError(BaseException):
    """The process dies here: nobody may catch it."""


class Fuse:
    """Dies before or after the n-th step that changes anything on disk."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after, self.steps = at, after, 0

    def step(self) -> bool:
        """Count a step; True when it is to be the last one."""
        self.steps += 1
        if self.steps == self.at and not self.after:
            raise CrashError
        return self.steps == self.at


class Doomed:
    """The queue, dying at a step of the fuse."""

    def __init__(self, queue: Queue, fuse: Fuse) -> None:
        self.queue, self.fuse = queue, fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.queue, name)
        if name not in {"add_job", "add_deliveries", "open_job", "submit_job"}:
            return method

        async def doomed(*args: Any, **kwargs: Any) -> Any:
            last = self.fuse.step()
            result = await method(*args, **kwargs)
            if last:
                raise CrashError
            return result

        return doomed


@pytest.mark.parametrize("rows", [2, 7])
@pytest.mark.parametrize("after", [False, True])
async def test_a_crash_at_any_step_loses_nothing_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, after: bool
) -> None:
    people = "address,name\nnobody,X\n" + "".join(f"p{n}@example.com,N\n" for n in range(rows))
    real = os.rename
    steps = 0
    while True:
        steps += 1
        place = tmp_path / str(steps)
        place.mkdir()
        spool = Spool.open(place / "spool")
        database = await Database.open(place / "queue.db")
        queue = Queue(database)
        drop(spool, "news", campaign(people))
        fuse = Fuse(steps, after=after)

        def rename(*args: Any, fuse: Fuse = fuse, **kwargs: Any) -> None:
            last = fuse.step()
            real(*args, **kwargs)
            if last:
                raise CrashError

        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", rename)
            with suppress(CrashError):
                await intake(spool, Doomed(queue, fuse)).take_all()
        # What the daemon does at its next start, on what the crash left.
        await intake(spool, Queue(database)).take_all()
        facts = await the_job(queue)
        assert (facts.state, facts.total, facts.refused) == (JobState.OPEN, rows, 1)
        assert len(await all_rows(queue, facts.id)) == rows
        assert tree(spool) == {"done": ["news", "news.report.jsonl"]}
        assert [each["row"] for each in answer(spool, "news.report.jsonl")] == [2]
        await database.close()
        spool.close()
        if fuse.steps < steps:
            break
    assert steps > 4


# --- Running -------------------------------------------------------------------------------------


async def test_it_runs_takes_what_comes_and_stops(spool: Spool, queue: Queue) -> None:
    opened: asyncio.Queue[JobFacts] = asyncio.Queue()
    options = IntakeOptions(rest=0.05, scan=0.05)
    running = asyncio.create_task(
        Intake(spool, queue, options, House(opened=opened.put_nowait)).run()
    )
    drop(spool, "news", campaign(PEOPLE))
    (spool.path / "new" / "direct.toml").write_text(INLINE, encoding="utf-8")
    found = {(await asyncio.wait_for(opened.get(), 20)).spool_name for _ in range(2)}
    assert found == {"news", "direct.toml"}
    for _ in range(400):
        if "cur" not in tree(spool):
            break
        await asyncio.sleep(0.02)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert tree(spool)["done"] == ["direct.toml", "news"]


async def test_copies_that_arrive_together_are_one_job(spool: Spool, queue: Queue) -> None:
    for n in range(6):
        drop(spool, f"copy{n}.toml", INLINE)
    running = asyncio.create_task(Intake(spool, queue, IntakeOptions(rest=0.05, scan=0.05)).run())
    for _ in range(400):
        if len(tree(spool).get("done", [])) == 11:
            break
        await asyncio.sleep(0.02)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert len(await queue.jobs()) == 1
    assert sum(name.endswith(".result.json") for name in tree(spool)["done"]) == 5


class Unwilling:
    """A queue that is unavailable for the first few calls of each method."""

    def __init__(self, queue: Queue, times: int) -> None:
        self.queue, self.times = queue, times

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.queue, name)

        async def unwilling(*args: Any, **kwargs: Any) -> Any:
            if name in {"add_deliveries", "open_job", "submit_job"} and self.times:
                self.times -= 1
                raise UnavailableError("the disk is full", where="queue.db")
            return await method(*args, **kwargs)

        return unwilling


@pytest.mark.parametrize("rows", [2, 9])
async def test_a_full_disk_stops_intake_which_says_so_and_goes_on(
    spool: Spool, queue: Queue, rows: int
) -> None:
    people = "address,name\n" + "".join(f"p{n}@example.com,N\n" for n in range(rows))
    drop(spool, "news", campaign(people))
    accepted = asyncio.Event()
    unwilling = Unwilling(queue, 3)
    taking = Intake(
        spool,
        unwilling,
        IntakeOptions(batch=4, window=8, retry=0.02, scan=0.02),
        House(opened=lambda _: accepted.set()),
    )
    running = asyncio.create_task(taking.run())
    troubles = set()
    while not accepted.is_set():
        troubles.add(taking.trouble)
        await asyncio.sleep(0.002)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert "queue.db: the disk is full" in troubles
    assert taking.trouble == ""
    facts = await the_job(queue)
    assert (facts.total, facts.state) == (rows, JobState.OPEN)


async def test_nothing_is_taken_while_too_little_space_is_free(spool: Spool, queue: Queue) -> None:
    drop(spool, "news", campaign(PEOPLE))
    taking = Intake(spool, queue, IntakeOptions(free=2**62, scan=0.01))
    running = asyncio.create_task(taking.run())
    for _ in range(400):
        if taking.trouble:
            break
        await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert "bytes free" in taking.trouble
    assert tree(spool) == {"new": ["news"]}


async def test_stopping_in_the_middle_of_a_job_leaves_it_for_the_next_start(
    spool: Spool, queue: Queue
) -> None:
    people = "address,name\n" + "".join(f"p{n}@example.com,N\n" for n in range(9))
    drop(spool, "news", campaign(people))
    begun = asyncio.Event()

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(queue, name)

        async def add_deliveries(self, *args: Any) -> int:
            begun.set()
            await asyncio.sleep(60)
            return await queue.add_deliveries(*args)

    running = asyncio.create_task(intake(spool, Slow()).run())
    await asyncio.wait_for(begun.wait(), 20)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert tree(spool) == {"cur": ["news"]}
    await intake(spool, queue).take_all()
    assert (await the_job(queue)).total == 9


@pytest.mark.parametrize("batch", [2, 100])
async def test_the_report_says_at_intake_who_is_suppressed(
    spool: Spool, queue: Queue, db: Database, batch: int
) -> None:
    """A job for tomorrow tells today; nothing waits that will never be sent."""
    suppressions = Suppressions(db)
    gone = [f"P{number}@d{number % 2}.example" for number in (1, 4, 5)]
    for number, (address, reason) in enumerate(zip(gone, Reason, strict=False)):
        await suppressions.add(Suppression(address, reason, NOW + number))
    people = "address,name\n" + "".join(f"p{n}@d{n % 2}.example,N\n" for n in (*range(9), 4, 5))
    drop(spool, "news", campaign(people, JOB + 'send_at = "+1d"\n'))
    await intake(spool, queue, batch=batch, window=2 * batch).take_all()
    facts = await the_job(queue)
    assert (facts.total, facts.duplicates) == (9, 2)
    assert facts.counts[State.SUPPRESSED] == 3
    assert facts.counts[State.READY] == 6
    lines = sorted(answer(spool, "news.report.jsonl"), key=lambda line: line["row"])
    assert lines == [
        {"row": row, "recipient": address.lower(), "fate": "suppressed", "class": str(reason)}
        for row, address, reason in zip((3, 6, 7), gone, Reason, strict=False)
    ]
    ended = [row for row in await all_rows(queue, facts.id) if row.state is State.SUPPRESSED]
    assert sorted((row.row, row.klass) for row in ended) == [
        (row, str(reason)) for row, reason in zip((3, 6, 7), Reason, strict=False)
    ]


def test_an_error_of_several_problems_prints_them_all() -> None:
    error = EkidenError("a", where="b", remedy="c")
    assert str(JobError([error, error])) == "b: a -- c\nb: a -- c"
