"""`ekiden submit` as a function, and the removal of old answers."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ekiden.errors import EkidenError, RefusedError
from ekiden.queue.queue import Queue
from ekiden.spool.intake import Intake
from ekiden.spool.layout import Spool
from ekiden.spool.loading import called
from ekiden.spool.submit import submit
from ekiden.spool.sweep import sweep
from ekiden.store.database import Database
from spool_world import JOB, tree

NOBODY = 65534


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool.open(tmp_path / "spool")
    yield opened
    opened.close()


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    database = await Database.open(tmp_path / "queue.db")
    yield Queue(database)
    await database.close()


@pytest.fixture
def job(tmp_path: Path) -> Path:
    place = tmp_path / "home" / "news"
    (place / "img").mkdir(parents=True)
    (place / "job.toml").write_text(JOB, encoding="utf-8")
    (place / "body.txt").write_text("Dear {{ name }}", encoding="utf-8")
    (place / "people.csv").write_text("address,name\na@example.com,A\n", encoding="utf-8")
    (place / "img" / "logo.png").write_bytes(b"png")
    (place / ".DS_Store").write_bytes(b"x")
    return place


async def test_what_is_submitted_is_taken_at_once(spool: Spool, queue: Queue, job: Path) -> None:
    message = job.parent / "m.eml"
    message.write_text("From: a@example.com\nTo: b@example.net\n\nHi\n", encoding="utf-8")
    os.link(message, job.parent / "second-name.eml")
    names = submit([job, message], spool.path)
    assert [name.split(".")[0] for name in names] == ["news", "m"]
    assert names[1].endswith(".eml")
    assert await Intake(spool, queue).take_all() == 2
    assert {each.spool_name for each in await queue.jobs()} == set(names)
    assert {each.name for each in await queue.jobs()} == {"news", "m"}
    assert (spool.path / "done" / names[0] / "img" / "logo.png").read_bytes() == b"png"
    assert not (spool.path / "done" / names[0] / ".DS_Store").exists()


@pytest.fixture
def of_nobody() -> Iterator[Path]:
    """A spool as that of a daemon that runs as another user."""
    if os.geteuid():
        pytest.skip("only root can make one")
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        root.chmod(0o755)
        for folder in ("", "tmp", "new"):
            (root / "spool" / folder).mkdir(mode=0o755)
            os.chown(root / "spool" / folder, NOBODY, NOBODY)
        yield root / "spool"


def test_root_submits_as_the_spools_owner(of_nobody: Path, job: Path) -> None:
    (job / "people.csv").chmod(0o600)  # what only root may read
    message = job.parent / "m.eml"
    message.write_text("From: a@example.com\nTo: b@example.net\n\nHi\n", encoding="utf-8")
    names = submit([job, message], of_nobody)
    made = [of_nobody / "new" / name for name in names]
    inside = list(made[0].rglob("*"))
    assert {path.name for path in inside} == {
        "job.toml",
        "body.txt",
        "people.csv",
        "img",
        "logo.png",
    }
    assert {(path.stat().st_uid, path.stat().st_gid) for path in (*made, *inside)} == {
        (NOBODY, NOBODY)
    }
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_root_is_root_again_when_it_fails(of_nobody: Path, job: Path) -> None:
    (of_nobody / "new").chmod(0o555)
    with pytest.raises(EkidenError, match="Permission denied"):
        submit([job], of_nobody)
    assert (os.geteuid(), os.getegid()) == (0, 0)
    assert list((of_nobody / "tmp").iterdir()) == []


def test_a_directory_of_a_third_user_is_refused_before_anything_is_copied(
    spool: Spool, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(EkidenError, match=f"The daemon runs as user {owner} and cannot") as caught:
        submit([job], spool.path)
    assert "as root" in caught.value.remedy
    assert list((spool.path / "tmp").iterdir()) == []


def test_every_submission_has_a_name_of_its_own(spool: Spool, job: Path) -> None:
    names = [submit([job], spool.path)[0] for _ in range(20)]
    assert len(set(names)) == 20
    assert tree(spool) == {"new": sorted(names)}


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("news.1795822646.M357834P13870Q0.mx-1", "news"),
        ("news.2026.1795822646.M000004P1Q12.mx1", "news.2026"),
        ("api.shop.1795822646357834123.0a1b2c3d", "api.shop"),
        ("news.2026.11", "news.2026.11"),
        (".1795822646.M357834P13870Q0.mx1", ".1795822646.M357834P13870Q0.mx1"),
    ],
)
def test_a_job_without_a_name_is_called_without_what_made_its_copy_unique(
    name: str, people: str
) -> None:
    assert called(name) == people


def test_what_intake_would_refuse_by_its_shape_is_refused_before_anything_is_copied(
    spool: Spool, job: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.txt").write_text("x", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    for path, words in [
        ("x.txt", "none of the shapes"),
        ("empty", "no job.toml"),
        ("missing.eml", "no such file"),
    ]:
        with pytest.raises(RefusedError, match=words):
            submit([job, tmp_path / path], spool.path)
    assert tree(spool) == {}


def test_a_link_in_the_directory_leaves_nothing_behind(spool: Spool, job: Path) -> None:
    (job / "people.csv").unlink()
    (job / "people.csv").symlink_to("/etc/passwd")
    with pytest.raises(RefusedError, match="link"):
        submit([job], spool.path)
    assert tree(spool) == {}


def test_a_full_disk_leaves_nothing_behind(
    spool: Spool, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EkidenError, match="No space left"):
        submit([job], spool.path)
    assert tree(spool) == {}


def test_a_directory_that_is_no_spool(tmp_path: Path, job: Path) -> None:
    with pytest.raises(EkidenError, match="not a spool"):
        submit([job], tmp_path)


def test_old_answers_go_away_and_jobs_without_result_stay(spool: Spool) -> None:
    done, failed = spool.path / "done", spool.path / "failed"
    (done / "old").mkdir()
    for path in (
        done / "old" / "job.toml",
        done / "old.result.json",
        done / "old.report.jsonl",
        done / "sending.eml",
        done / "sending.report.jsonl",
        done / "new.eml",
        done / "new.result.json",
        failed / "bad.toml",
        failed / "bad.error.txt",
    ):
        path.write_text("x", encoding="utf-8")
        os.utime(path, (1000, 1000))
    os.utime(done / "new.result.json", (3000, 3000))
    assert sweep(spool, before=2000.0) == 2
    assert tree(spool) == {
        "done": ["new.eml", "new.result.json", "sending.eml", "sending.report.jsonl"]
    }
