"""A process that keeps all that a mailer starts below itself, and how much of the machine it used.

`python -m bench.cage COMMAND...` makes itself the reaper of its descendants (Linux,
PR_SET_CHILD_SUBREAPER), so daemons that detach stay in the tree and the CPU time of those that end
is added to it. `Cage` starts one and reads the tree from /proc.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Self

_SUBREAPER = 36
_TICK = 1.0 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """What /proc says of a process: CPU seconds of its own and of its children that ended."""

    pid: int
    parent: int
    name: str
    own: float
    ended: float


def processes() -> dict[int, Process]:
    """Return all processes of the machine."""
    found = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names are all that is wanted
        if not entry.isdigit():
            continue
        try:
            text = Path("/proc", entry, "stat").read_text("ascii", "replace")
        except OSError:
            continue
        name = text[text.index("(") + 1 : text.rindex(")")]
        fields = text[text.rindex(")") + 2 :].split()
        user, system, child_user, child_system = (int(fields[at]) for at in (11, 12, 13, 14))
        pid = int(entry)
        found[pid] = Process(
            pid, int(fields[1]), name, (user + system) * _TICK, (child_user + child_system) * _TICK
        )
    return found


def below(root: int) -> list[Process]:
    """Return the descendants of a process."""
    every = processes()
    children: dict[int, list[Process]] = {}
    for process in every.values():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    todo = [root]
    while todo:
        mine = children.get(todo.pop(), [])
        found += mine
        todo += [process.pid for process in mine]
    return found


def proportional_mib(pid: int) -> float:
    """Return a process's proportional set size, MiB; 0 when it is gone or not ours to read."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


@dataclass(slots=True)
class Used:
    """What a tree used between two looks.

    Args:
        cpu: CPU seconds, all processes.
        by_name: Of which, by the processes' names; "(ended)" for those that were not seen.
        peak_mib: The most memory of all processes together (proportional set size).
        processes: The most processes at once.
    """

    cpu: float = 0.0
    by_name: dict[str, float] = field(default_factory=dict)
    peak_mib: float = 0.0
    processes: int = 0


class Cage:
    """A command and all its descendants.

    Args:
        command: What to run.
        log: Where its output goes.
        env: Its environment.
    """

    def __init__(
        self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self._out = log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.cage", *command],
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._out,
            env=None if env is None else dict(env),
            cwd=Path(__file__).parent.parent,
        )
        self._stop = threading.Event()
        self._sampler: threading.Thread | None = None
        self._seen: dict[int, tuple[str, float]] = {}
        self._before: dict[int, float] = {}
        self._total_before = 0.0
        self._used = Used()

    @property
    def pid(self) -> int:
        """The process id of the first process inside, 0 before it runs."""
        mine = [one for one in processes().values() if one.parent == self._process.pid]
        return min((one.pid for one in mine), default=0)

    @property
    def running(self) -> bool:
        """Whether anything is left inside."""
        return self._process.poll() is None

    def begin(self, *, every: float = 0.25) -> None:
        """Begin to measure."""
        self._used = Used()
        self._stop.clear()
        tree = below(self._process.pid)
        self._seen = {one.pid: (one.name, one.own) for one in tree}
        self._before = {one.pid: one.own for one in tree}
        self._total_before = self._total(tree)
        self._sampler = threading.Thread(target=self._sample, args=(every,), daemon=True)
        self._sampler.start()

    def end(self) -> Used:
        """Return what was used since `begin`."""
        self._stop.set()
        if self._sampler is not None:
            self._sampler.join()
        tree = below(self._process.pid)
        for one in tree:
            self._seen[one.pid] = (one.name, one.own)
        total = self._total(tree) - self._total_before
        by_name: defaultdict[str, float] = defaultdict(float)
        for pid, (name, own) in self._seen.items():
            by_name[name] += own - self._before.get(pid, 0.0)
        rest = total - sum(by_name.values())
        if rest > 0.01:
            by_name["(ended)"] = rest
        self._used.cpu = total
        largest = sorted(by_name.items(), key=lambda item: -item[1])
        self._used.by_name = {name: round(cpu, 2) for name, cpu in largest if cpu > 0}
        return self._used

    def _total(self, tree: Sequence[Process]) -> float:
        """Return the CPU seconds of the tree: what ends is added to its parent, so none is lost."""
        reaped = processes().get(self._process.pid)
        return sum(one.own + one.ended for one in tree) + (reaped.ended if reaped else 0.0)

    def _sample(self, every: float) -> None:
        memory_at = 0.0
        while not self._stop.wait(every):
            tree = below(self._process.pid)
            for one in tree:
                self._seen[one.pid] = (one.name, one.own)
            self._used.processes = max(self._used.processes, len(tree))
            if time.monotonic() >= memory_at:
                memory_at = time.monotonic() + 1.0
                memory = sum(proportional_mib(one.pid) for one in tree)
                self._used.peak_mib = max(self._used.peak_mib, memory)

    def close(self, *, patience: float = 20.0) -> None:
        """End everything inside."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                for one in below(self._process.pid):
                    os.kill(one.pid, signal.SIGKILL)
                self._process.kill()
                self._process.wait()
        self._out.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def main(command: Sequence[str]) -> int:
    """Run a command as the reaper of all it starts; end them all when told to."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    first = subprocess.Popen(command)

    def stop(_number: int, _frame: FrameType | None) -> None:
        for one in below(os.getpid()):
            try:
                os.kill(one.pid, signal.SIGTERM)
            except ProcessLookupError:
                continue

    signal.signal(signal.SIGTERM, stop)
    code = 0
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            return code
        if pid == first.pid:
            code = os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
