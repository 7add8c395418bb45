"""One measurement: a sender, its work, the clock and the machine's accounts."""

import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.cage import Used
from bench.senders import Bench, Sender, wait_for
from bench.sink import Sink, log_tail
from bench.work import Work

FULL, DRAIN = "full", "drain"
LIMIT = 180.0  # seconds after which a run counts as failed


@dataclass(slots=True)
class Result:
    """What one run came to.

    Args:
        sender: Who sent.
        mode: FULL: from handing in the first message to the last delivery; DRAIN: from letting a
            filled queue go.
        work: What was sent.
        seconds: How long it took.
        used: What the sender's processes used meanwhile (injection not included).
        sink_cores: Cores that the sink used.
        sessions: How many the sink saw, from its start.
    """

    sender: str
    mode: str
    work: Work
    seconds: float
    used: Used
    sink_cores: float
    sessions: int = 0

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.work.messages / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds per message, all of the sender's processes."""
        return self.used.cpu * 1000 / self.work.messages

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        found = asdict(self)
        found["rate"] = self.rate
        found["cpu_ms_per_message"] = self.cpu_ms
        return found


def measure(kind: type[Sender], work: Work, mode: str, place: Path, **options: Any) -> Result:
    """Run a sender once.

    Args:
        kind: Whom.
        work: What to send.
        mode: FULL or DRAIN.
        place: Where run directories are made: on the disk that is measured.
        options: The sender's own.
    """
    directory = Path(tempfile.mkdtemp(prefix=f"{kind.__name__.lower()}-", dir=place))
    directory.chmod(0o755)  # mailers drop root and must still find their files
    try:
        with Sink(*kind.receiver) as sink:
            sender = kind(Bench(work, sink, directory, held=mode == DRAIN), **options)
            sender.start()
            try:
                result = _measure(sender, sink, mode)
            except TimeoutError:
                for log in directory.glob("*.log"):
                    print(f"--- {log.name}\n{log_tail(log)}")
                raise
            finally:
                sender.close()
            time.sleep(0.2)  # it counts a session when that ends
            result.sessions = sink.sessions
            return result
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _measure(sender: Sender, sink: Sink, mode: str) -> Result:
    work = sender.bench.work
    if mode == DRAIN:
        sender.submit()
        wait_for(lambda: sender.queued() >= work.messages, seconds=LIMIT, what="filling the queue")
        time.sleep(1.0)  # what filling left behind (indexes, event logs) is not the drain's
    sender.cage.begin()
    cpu = sink.cpu
    began = time.perf_counter()
    if mode == DRAIN:
        sender.release()
    else:
        sender.submit()
    wait_for(lambda: sender.delivered() >= work.messages, seconds=LIMIT, what="delivering all")
    seconds = time.perf_counter() - began
    used = sender.cage.end()
    return Result(sender.name, mode, work, seconds, used, (sink.cpu - cpu) / seconds)
