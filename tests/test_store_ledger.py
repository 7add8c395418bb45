"""The ledger: what it says after a kill, and when it says that it knows nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ekiden.store import ledger as room
from ekiden.store.ledger import Ledger

BOOT = "0d9c6a42-9e2b-4a53-8a0e-3d6f6f1f0c11"
OTHER_BOOT = "11111111-9e2b-4a53-8a0e-3d6f6f1f0c11"

LIMITED = """
import resource, signal, sys
from pathlib import Path
from ekiden.store.ledger import Ledger

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = Ledger.begin(Path(sys.argv[1]), sys.argv[2])
ledger.note(1, 2)
resource.setrlimit(resource.RLIMIT_FSIZE, (96, 96))
ledger.note(3, 4)
ledger.note(5, 6)
print("alive")
"""
ENDLESS = """
import sys
from pathlib import Path
from ekiden.store.ledger import Ledger

ledger = Ledger.begin(Path(sys.argv[1]))
for id_ in range(1, 10**9):
    ledger.note(id_, 7 * id_)
    print(id_, flush=True)
    if id_ > 5:
        ledger.settled(id_ - 5, 7 * (id_ - 5))
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "queue.db"
    path.touch()
    return path


def begun(database: Path) -> Ledger:
    ledger = Ledger.begin(database, BOOT)
    assert ledger is not None
    return ledger


def test_it_names_what_was_noted_and_not_written_over(database: Path) -> None:
    ledger = begun(database)
    assert Ledger.read(database, BOOT) == frozenset()
    for id_ in (1, 2, 3):
        ledger.note(id_, id_ + 100)
    ledger.settled(2, 102)
    ledger.note(9, 2**62)  # takes the slot of 2
    assert set(Ledger.read(database, BOOT) or ()) == {(1, 101), (3, 103), (9, 2**62)}


def test_slots_are_used_again(database: Path) -> None:
    ledger = begun(database)
    for id_ in range(1, 5000):
        ledger.note(id_, id_)
        ledger.note(id_, id_)  # the next host of the same attempt
        if id_ > 8:
            ledger.settled(id_ - 8, id_ - 8)
    assert Ledger.beside(database).stat().st_size == 64 + 32 * 9
    found = Ledger.read(database, BOOT)
    assert found is not None
    assert {(id_, id_) for id_ in range(4992, 5000)} <= found


def test_settling_an_older_lease_does_not_free_the_newer_one(database: Path) -> None:
    ledger = begun(database)
    ledger.note(7, 1)
    ledger.note(7, 2)
    ledger.settled(7, 1)
    ledger.note(8, 3)
    assert set(Ledger.read(database, BOOT) or ()) == {(7, 2), (8, 3)}


def test_no_evidence_is_none(database: Path, tmp_path: Path) -> None:
    assert Ledger.read(database, BOOT) is None  # no file
    ledger = begun(database)
    ledger.note(1, 2)
    assert Ledger.read(database, OTHER_BOOT) is None
    other = tmp_path / "restored.db"
    other.touch()
    Ledger.beside(database).rename(Ledger.beside(other))
    assert Ledger.read(other, BOOT) is None  # the ledger of another database
    assert Ledger.read(tmp_path / "none.db", BOOT) is None


@pytest.mark.parametrize("at", [0, 10, 50, 61, 64, 72, 81])
def test_damage_is_no_evidence(database: Path, at: int) -> None:
    begun(database).note(1, 2)
    file = Ledger.beside(database)
    raw = bytearray(file.read_bytes())
    raw[at] ^= 0x40
    file.write_bytes(raw)
    assert Ledger.read(database, BOOT) is None


@pytest.mark.parametrize("size", [0, 7, 63, 65, 95])
def test_a_cut_file_is_no_evidence(database: Path, size: int) -> None:
    begun(database).note(1, 2)
    os.truncate(Ledger.beside(database), size)
    assert Ledger.read(database, BOOT) is None


def test_a_ledger_that_cannot_be_written_is_removed(database: Path) -> None:
    ledger = begun(database)
    ledger.note(1, 2)
    limit = subprocess.run(
        [sys.executable, "-c", LIMITED, str(database), BOOT],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "alive" in limit.stdout
    assert "in doubt" in limit.stdout + limit.stderr
    assert Ledger.read(database, BOOT) is None


def test_an_ordered_end_leaves_none(database: Path) -> None:
    ledger = begun(database)
    ledger.end()
    ledger.end()
    ledger.note(1, 2)
    assert not Ledger.beside(database).exists()


def test_kill_9_keeps_what_was_noted(database: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(database)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(500)]
    os.kill(process.pid, signal.SIGKILL)
    lines += process.stdout.readlines()
    last = [int(line) for line in lines if line.endswith("\n")][-1]
    process.stdout.close()
    process.wait()
    found = Ledger.read(database)
    assert found is not None
    assert {(id_, 7 * id_) for id_ in range(last - 4, last + 1)} <= found
    assert len(found) <= 8


def test_a_boot_without_a_name_gives_no_ledger_and_says_so(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(database)  # of an earlier run, that could read it
    monkeypatch.setattr(room, "_BOOT_ID", database.with_name("none"))
    assert Ledger.read(database) is None
    with capture_logs() as said:
        assert Ledger.begin(database) is None
    assert [line["log_level"] for line in said] == ["warning"]
    assert "boot_id" in said[0]["remedy"]
    assert not Ledger.beside(database).exists()
