"""A crew's threads: what they sign comes back once and right, and they end in any case."""

import errno
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import hatch_build
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkim_compiled import ROOT
from ekiden.dkim import crew as room
from ekiden.dkim.batch import COMPILED, BatchKey, sign_one
from ekiden.dkim.crew import Crew, start_crew
from ekiden.dkim.keys import Algorithm, Key, generate

RSA = generate("example.jp", "rsa", Algorithm.RSA)
ED = generate("example.jp", "ed", Algorithm.ED25519)
NICE = 15
LINUX = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="Linux tells of threads")


def in_batches(key: Key) -> BatchKey:
    if key.batch is None:
        pytest.skip("batch.c is not compiled here: python hatch_build.py")
    return key.batch


def started(threads: int = 2) -> Crew[int]:
    made = start_crew(threads, NICE)
    if made is None:
        pytest.skip("crew.c is not compiled here: python hatch_build.py")
    return made


@pytest.fixture
def crew() -> Iterator[Crew[int]]:
    made = started()
    yield made
    made.close()


def taken_when_rung(crew: Crew[int], number: int) -> dict[int, list[list[bytes]]]:
    """What `number` tasks came to, by tag; waits for the bell and for nothing else."""
    found: dict[int, list[list[bytes]]] = {}
    while len(found) < number:
        assert select.select([crew.bell], [], [], 30)[0], "nobody rang"
        for tag, orders in crew.taken():
            assert tag not in found
            found[tag] = [order.signatures() for order in orders]
    return found


def threads_of_crews() -> list[Path]:
    """Where the kernel tells of this process's signing threads."""
    tasks = Path("/proc/self/task").iterdir()
    return [task for task in tasks if (task / "comm").read_text().startswith("ekiden-sign-")]


@given(batches=st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=20), max_size=12))
def test_each_task_comes_back_once_with_its_own_signatures(batches: list[list[bytes]]) -> None:
    rsa, ed = in_batches(RSA), in_batches(ED)
    crew = started()
    try:
        for tag, pieces in enumerate(batches):
            crew.put([rsa.order(pieces), ed.order(pieces)], tag)
        found = taken_when_rung(crew, len(batches))
    finally:
        left = crew.close()
    assert left == []
    for tag, pieces in enumerate(batches):
        assert found[tag] == [
            [sign_one(key.private, piece) for piece in pieces] for key in (RSA, ED)
        ]


def test_the_bell_rings_once_until_somebody_comes(crew: Crew[int]) -> None:
    key = in_batches(ED)
    for tag in range(100):
        crew.put([key.order([b"%d" % tag])], tag)
    select.select([crew.bell], [], [], 30)
    while not all(orders[0].done for _, _, orders in crew._tasks.values()):
        time.sleep(0.001)  # until all are signed, and nobody has come
    assert len(os.read(crew.bell, 1000)) == 1


def test_the_end_gives_what_was_not_taken() -> None:
    key, crew = in_batches(RSA), started()
    for tag in range(20):
        crew.put([key.order([b"%d" % tag] * 4)], tag)
    left = crew.close()
    assert [tag for tag, _ in left] == list(range(20))
    for tag, (order,) in left:
        assert order.signatures() == [sign_one(RSA.private, b"%d" % tag)] * 4
    assert crew.close() == []
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(crew.bell)


def test_the_interpreter_works_on_meanwhile_and_is_asked_for_nothing(crew: Crew[int]) -> None:
    key = in_batches(RSA)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)  # seconds: whoever needs the interpreter's lock waits for ever
    try:
        crew.put([key.order([b"x"] * 200)], 1)
        while not crew.taken():  # keeps the lock but for reading from the pipe
            pass
    finally:
        sys.setswitchinterval(before)


@LINUX
def test_they_are_named_less_urgent_and_leave_signals_to_others() -> None:
    crew = started(3)
    try:
        crew.put([in_batches(ED).order([b"x"])], 1)
        taken_when_rung(crew, 1)
        deadline = time.monotonic() + 30
        while len(threads_of_crews()) < 3 and time.monotonic() < deadline:
            time.sleep(0.001)  # the others have not begun yet
        found = threads_of_crews()
        names = sorted((task / "comm").read_text().strip() for task in found)
        assert names == ["ekiden-sign-0", "ekiden-sign-1", "ekiden-sign-2"]
        for task in found:
            blocked = re.search(r"^SigBlk:\s*(\w+)", (task / "status").read_text(), re.MULTILINE)
            assert blocked is not None
            assert int(blocked[1], 16) >> (signal.SIGTERM - 1) & 1
        assert {os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in found} == {NICE}
    finally:
        crew.close()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
    assert not threads_of_crews()


@LINUX
def test_one_that_is_forgotten_ends_with_work_in_hand() -> None:
    key, crew = in_batches(RSA), started()
    for tag in range(200):
        crew.put([key.order([b"x"] * 16)], tag)
    del crew
    assert not threads_of_crews()


def test_a_process_that_ends_with_work_in_hand_ends_well() -> None:
    in_batches(RSA)
    program = (
        "from ekiden.dkim.crew import start_crew\n"
        "from ekiden.dkim.keys import Algorithm, generate\n"
        "key = generate('example.jp', 's', Algorithm.RSA)\n"
        "crew = start_crew(2, 0)\n"
        "for tag in range(500):\n"
        "    crew.put([key.batch.order([b'x' * 100] * 16)], tag)\n"
        "print('put')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "put\n", "")


@pytest.mark.parametrize("kind", ["thread", "address,undefined"])
def test_no_sanitizer_finds_fault(kind: str, tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no compiler here")
    options = (f"-fsanitize={kind}", "-fno-sanitize-recover=all", "-g", "-O1", "-pthread")
    trial, program = tmp_path / "trial", tmp_path / "stress"
    built = subprocess.run(
        [compiler, *options, "-xc", "-", "-o", str(trial)],
        input=b"int main(void) { return 0; }",
        capture_output=True,
        check=False,
    )
    if built.returncode or subprocess.run([trial], capture_output=True, check=False).returncode:
        pytest.skip(f"no {kind} sanitizer here")
    sources = [str(ROOT / source) for source in hatch_build.SOURCES]
    include = f"-I{ROOT / hatch_build.PLACE}"
    stress = str(Path(__file__).with_name("crew_stress.c"))
    subprocess.run([compiler, *options, include, stress, *sources, "-o", str(program)], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class TestNeverNeeded:
    def test_not_compiled(self, tmp_path: Path) -> None:
        assert start_crew(1, 0, tmp_path / "_batch.so") is None

    def test_another_library(self) -> None:
        assert start_crew(1, 0, Path("libm.so.6")) is None

    def test_no_room_for_threads(self, monkeypatch: pytest.MonkeyPatch) -> None:
        started().close()
        library = room._Library(COMPILED)
        library.start = lambda *_: None
        monkeypatch.setattr(room, "_Library", lambda _file: library)
        before = len(list(Path("/dev/fd").iterdir()))
        assert start_crew(1, 0) is None
        assert len(list(Path("/dev/fd").iterdir())) == before


def test_two_crews_do_not_mind_each_other() -> None:
    key, one, other = in_batches(ED), started(1), started(1)
    try:
        for tag in range(50):
            (one, other)[tag % 2].put([key.order([b"%d" % tag])], tag)
        found = taken_when_rung(one, 25), taken_when_rung(other, 25)
    finally:
        one.close()
        other.close()
    assert sorted(found[0]) == list(range(0, 50, 2))
    assert sorted(found[1]) == list(range(1, 50, 2))
