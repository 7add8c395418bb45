"""The event log: whole lines, rotation, exclusivity, torn ends and full disks."""

import errno
import json
import os
from pathlib import Path

import msgspec
import pytest

from ekiden.errors import UnavailableError
from ekiden.events.log import EventLog, LogOptions
from ekiden.events.model import Event, EventType

DAY = 86_400.0


class Clock:
    def __init__(self, at: float = 1_800_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def event(number: int, reply: str = "") -> Event:
    return Event(
        id=f"a{number}",
        time="2027-01-15T08:00:00.000Z",
        type=EventType.DELIVERED,
        job="n",
        job_uid="u",
        recipient=f"r{number}@x.test",
        destination="x.test",
        reply=reply,
    )


def options(
    tmp_path: Path, *, clock: Clock | None = None, rotate: int = 1_000_000, keep: float = 0.0
) -> LogOptions:
    return LogOptions(
        directory=tmp_path / "events", clock=clock or Clock(), rotate=rotate, keep=keep
    )


def ids(log_options: LogOptions) -> list[str]:
    found: list[str] = []
    files = sorted(log_options.directory.glob("events-*.jsonl"))
    for path in [*files, log_options.directory / "events.jsonl"]:
        found += [json.loads(line)["id"] for line in path.read_bytes().splitlines()]
    return found


def test_appends_whole_lines_and_finds_the_last(tmp_path: Path) -> None:
    made = options(tmp_path)
    log = EventLog.open(made)
    assert log.last() is None
    assert log.append([]) == 0
    size = log.append([event(1), event(2)])
    assert log.path.stat().st_size == size
    assert log.last() == event(2)
    log.close()
    again = EventLog.open(made)
    again.append([event(3)])
    assert again.cut == 0
    again.close()
    assert ids(made) == ["a1", "a2", "a3"]


def test_a_remote_reply_cannot_forge_a_line(tmp_path: Path) -> None:
    log = EventLog.open(options(tmp_path))
    log.append([event(1, reply='x\n{"id":"a9"}\r\n\x00\u2028')])
    log.close()
    lines = log.path.read_bytes().splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["reply"].startswith("x\n{")


def test_empty_fields_are_left_out(tmp_path: Path) -> None:
    assert set(msgspec.json.decode(msgspec.json.encode(event(1)))) == {
        "id", "time", "type", "job", "job_uid", "recipient", "destination",
    }  # fmt: skip


@pytest.mark.parametrize("torn", [b"{", b'{"id":"a2","time', b"x" * 200_000])
def test_a_torn_end_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    made = options(tmp_path)
    log = EventLog.open(made)
    log.append([event(1)])
    log.close()
    with log.path.open("ab") as file:
        file.write(torn)
    again = EventLog.open(made)
    assert again.cut == len(torn)
    again.append([event(2)])
    again.close()
    assert ids(made) == ["a1", "a2"]


def test_only_one_writer(tmp_path: Path) -> None:
    made = options(tmp_path)
    log = EventLog.open(made)
    with pytest.raises(UnavailableError, match="Another process"):
        EventLog.open(made)
    log.close()
    EventLog.open(made).close()


def test_rotates_by_size_in_order(tmp_path: Path) -> None:
    made = options(tmp_path, rotate=1000)
    log = EventLog.open(made)
    for number in range(50):
        log.append([event(number)])
    log.close()
    closed = list(made.directory.glob("events-*.jsonl"))
    assert len(closed) > 4
    assert all(path.stat().st_size <= 1000 for path in closed)
    assert ids(made) == [f"a{number}" for number in range(50)]


def test_rotates_at_midnight_and_prunes(tmp_path: Path) -> None:
    clock = Clock()
    made = options(tmp_path, clock=clock, keep=10 * DAY)
    log = EventLog.open(made)
    log.append([event(1)])
    clock.at += DAY
    log.append([event(2)])
    (closed,) = made.directory.glob("events-*.jsonl")
    assert closed.name == "events-20270116T080000.000Z.jsonl"
    assert log.last() == event(2)
    clock.at += 11 * DAY
    log.append([event(3)])
    assert not closed.exists()
    assert ids(made) == ["a2", "a3"]
    log.close()


def test_last_is_found_in_the_closed_file(tmp_path: Path) -> None:
    clock = Clock()
    made = options(tmp_path, clock=clock)
    log = EventLog.open(made)
    log.append([event(1)])
    log.close()
    log.path.rename(made.directory / "events-20270115T080000.000Z.jsonl")
    again = EventLog.open(made)
    assert again.last() == event(1)
    again.close()


def test_a_full_disk_leaves_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = options(tmp_path)
    log = EventLog.open(made)
    log.append([event(1)])
    real = os.write
    budget = [30]

    def full(descriptor: int, data: memoryview) -> int:
        if not budget[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = bytes(data)[: budget[0]]
        budget[0] -= len(part)
        return real(descriptor, part)

    monkeypatch.setattr("ekiden.events.log.os.write", full)
    with pytest.raises(UnavailableError, match="No space left"):
        log.append([event(2), event(3)])
    monkeypatch.setattr("ekiden.events.log.os.write", real)
    assert ids(made) == ["a1"]
    log.append([event(2), event(3)])
    log.close()
    assert ids(made) == ["a1", "a2", "a3"]
