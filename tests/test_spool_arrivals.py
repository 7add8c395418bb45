"""When an entry of new/ is complete: renamed in, or come to rest; never half-written (Q1)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ekiden.spool.arrivals import JOBLESS_REST, Arrivals
from ekiden.spool.layout import Spool
from spool_world import NOW, campaign, drop

REST = 2.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool.open(tmp_path / "spool")
    yield opened
    opened.close()


@pytest.fixture
def arrivals(spool: Spool, clock: Clock) -> Arrivals:
    return Arrivals(spool, REST, clock)


def test_what_is_renamed_in_is_complete_at_once(spool: Spool, arrivals: Arrivals) -> None:
    drop(spool, "a.eml", "x")
    drop(spool, "b", campaign("address\n"))
    assert arrivals.look(10) == ["a.eml", "b"]
    assert arrivals.waiting == 0


def test_a_direct_write_is_complete_when_it_rests(
    spool: Spool, arrivals: Arrivals, clock: Clock
) -> None:
    path = spool.path / "new" / "a.eml"
    with path.open("w", encoding="utf-8") as file:
        file.write("one")
        file.flush()
        assert arrivals.look(10) == []
        clock.now += 100
        # However long it has been still: somebody has it open for writing.
        assert arrivals.look(10) == []
        file.write("two")
    assert arrivals.look(10) == []
    clock.now += REST / 2
    with path.open("a", encoding="utf-8") as file:
        file.write("three")
    assert arrivals.look(10) == []
    clock.now += REST * 0.9
    assert (arrivals.look(10), arrivals.waiting) == ([], 1)
    clock.now += REST * 0.2
    assert arrivals.look(10) == ["a.eml"]


def test_a_directory_rests_with_everything_in_it(
    spool: Spool, arrivals: Arrivals, clock: Clock
) -> None:
    job = spool.path / "new" / "job"
    (job / "img").mkdir(parents=True)
    clock.now += REST * 2
    assert arrivals.look(10) == []
    (job / "job.toml").write_text("x", encoding="utf-8")
    assert arrivals.look(10) == []
    clock.now += REST * 0.9
    (job / "img" / "logo.png").write_bytes(b"x")
    assert arrivals.look(10) == []
    clock.now += REST * 0.9
    with (job / "people.csv").open("w", encoding="utf-8") as file:
        clock.now += REST * 2
        assert arrivals.look(10) == []
        file.write("address\n")
    assert arrivals.look(10) == []
    clock.now += REST
    assert arrivals.look(10) == ["job"]


def test_a_directory_without_job_toml_is_given_time(
    spool: Spool, arrivals: Arrivals, clock: Clock
) -> None:
    (spool.path / "new" / "job").mkdir()
    assert arrivals.look(10) == []
    clock.now += JOBLESS_REST - 1
    assert arrivals.look(10) == []
    clock.now += 1
    assert arrivals.look(10) == ["job"]


def test_a_file_written_after_the_directory_came_is_no_part_of_the_rename(
    spool: Spool, arrivals: Arrivals, clock: Clock
) -> None:
    job = drop(spool, "job", campaign("address\n"))
    os.utime(job / "people.csv", (NOW * 2, NOW * 2))
    assert arrivals.look(10) == []
    clock.now += REST
    assert arrivals.look(10) == ["job"]


def test_links_and_fifos_are_complete_so_that_they_can_be_refused(
    spool: Spool, arrivals: Arrivals
) -> None:
    os.mkfifo(spool.path / "new" / "fifo.eml")
    (spool.path / "new" / "link.eml").symlink_to("nowhere")
    assert arrivals.look(10) == ["fifo.eml", "link.eml"]


def test_hidden_and_temporary_names_are_left_alone(spool: Spool, arrivals: Arrivals) -> None:
    for name in (".a.eml.x7Qp", "a.eml~", "a.eml.part", "b.tmp"):
        drop(spool, name, "x")
    assert arrivals.look(10) == []


def test_no_more_than_asked_for_and_the_rest_later(spool: Spool, arrivals: Arrivals) -> None:
    for name in "abcde":
        drop(spool, f"{name}.eml", "x")
    assert arrivals.look(2) == ["a.eml", "b.eml"]
    (spool.path / "new" / "a.eml").unlink()
    assert arrivals.look(3) == ["b.eml", "c.eml", "d.eml"]
