"""What keeps the event loop, and how late it is.

    python -m bench.loop OUT.json run --config config.toml

runs `ekiden` as given, with two observers in its process. A task sleeps 1 ms over and over and
notes how much later it wakes; where that is more than `THRESHOLD`, the delay is taken apart by what
the kernel says of the loop's thread: CPU that it used itself (a long step), time for which it was
ready and had no core, and the rest, for which it waited (mostly for the interpreter lock). A second
thread looks at the loop's stack while it is late. USR1 begins anew; USR2 writes OUT.json.
"""

import asyncio
import contextlib
import gc
import json
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from ekiden import daemon

THRESHOLD = 0.010
_LOOK = 0.002  # seconds between looks at a loop that is late
_DEEP = 40  # frames


@dataclass(slots=True)
class Delay:
    """One late wake-up, in milliseconds: all of it, and what it was made of."""

    at: float
    total: float
    own: float
    no_core: float
    waiting: float


@dataclass(slots=True)
class Observer:
    """Watches the loop that `run` is started on."""

    delays: list[float] = field(default_factory=list)
    late: list[Delay] = field(default_factory=list)
    stacks: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    pauses: list[tuple[int, float]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    _due: float = 0.0
    _collecting: float = 0.0

    def reset(self) -> None:
        """Begin anew."""
        for kept in (self.delays, self.late, self.stacks, self.others, self.pauses):
            kept.clear()
        self.began = time.monotonic()

    async def run(self) -> None:
        """Measure until cancelled."""
        ended = threading.Event()
        thread = threading.get_ident()
        threading.Thread(target=self._look, args=(thread, ended), daemon=True).start()
        gc.callbacks.append(self._collected)
        try:
            account = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
            with account.open("rb") as stat:  # noqa: ASYNC230 - procfs never waits
                while True:
                    await self._once(stat)
        finally:
            gc.callbacks.remove(self._collected)
            ended.set()

    async def _once(self, stat: Any) -> None:
        stat.seek(0)
        own, no_core, _ = map(int, stat.read().split())
        self._due = due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        delay = time.perf_counter() - due
        self._due = 0.0
        self.delays.append(delay)
        if delay > THRESHOLD:
            stat.seek(0)
            own_after, no_core_after, _ = map(int, stat.read().split())
            used, without = (own_after - own) / 1e6, (no_core_after - no_core) / 1e6
            total = delay * 1000
            waiting = max(0.0, total - used - without)
            at = time.monotonic() - self.began
            self.late.append(Delay(round(at, 3), total, used, without, waiting))

    def _look(self, loop_thread: int, ended: threading.Event) -> None:
        while not ended.wait(_LOOK):
            if not self._due or time.perf_counter() - self._due < THRESHOLD / 2:
                continue
            frames = sys._current_frames()  # noqa: SLF001 - the documented way, for such tools
            self.stacks[_shown(frames.get(loop_thread))] += 1
            mine = threading.get_ident()
            for thread, frame in frames.items():
                if thread not in {loop_thread, mine}:
                    self.others[_shown(frame, 1)] += 1

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting = time.perf_counter()
        else:
            pause = time.perf_counter() - self._collecting
            self.pauses.append((info["generation"], pause * 1000))

    def report(self) -> dict[str, Any]:
        """Return what was seen since the last `reset`."""
        delays = sorted(self.delays) or [0.0]
        longest = sorted(self.late, key=lambda one: -one.total)[:20]
        pauses = [pause for _, pause in self.pauses]
        return {
            "seconds": round(time.monotonic() - self.began, 2),
            "samples": len(self.delays),
            "lag_p50_ms": round(delays[len(delays) // 2] * 1000, 2),
            "lag_p99_ms": round(delays[len(delays) * 99 // 100] * 1000, 2),
            "lag_max_ms": round(delays[-1] * 1000, 2),
            "late": len(self.late),
            "late_ms": {
                name: round(sum(getattr(one, name) for one in self.late), 1)
                for name in ("total", "own", "no_core", "waiting")
            },
            "longest": [
                [one.at, *(round(v, 1) for v in (one.total, one.own, one.no_core, one.waiting))]
                for one in longest
            ],
            "gc": {
                str(generation): {
                    "count": sum(1 for each, _ in self.pauses if each == generation),
                    "max_ms": round(
                        max((p for each, p in self.pauses if each == generation), default=0.0), 2
                    ),
                }
                for generation in (0, 1, 2)
            },
            "gc_ms": round(sum(pauses), 1),
            # Copies, made in one step: the looking thread adds to them while this counts.
            "stacks": Counter(dict(self.stacks)).most_common(25),
            "others": Counter(dict(self.others)).most_common(15),
        }


def _shown(frame: FrameType | None, deep: int = _DEEP) -> str:
    """Return a stack as text, the innermost first, of this package's frames and the innermost."""
    found: list[str] = []
    while frame is not None and len(found) < deep:
        name = frame.f_code.co_filename
        if not found or "/ekiden/" in name:
            short = name.rpartition("/ekiden/")[2] or name
            found.append(f"{short}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(found)


def watch(out: Path) -> Observer:
    """Let the daemon of this process be watched; what is seen goes to `out`."""
    observer = Observer()
    serve = daemon.serve

    async def watched(*arguments: Any) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, observer.reset)
        loop.add_signal_handler(
            signal.SIGUSR2, lambda: out.write_text(json.dumps(observer.report()), "utf-8")
        )
        watching = asyncio.create_task(observer.run())
        try:
            await serve(*arguments)
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    daemon.serve = watched
    return observer


def main() -> None:
    watch(Path(sys.argv[1]))
    from ekiden.cli.main import main as ekiden  # noqa: PLC0415 - after `serve` was replaced

    sys.argv[1:] = sys.argv[2:]
    ekiden()


if __name__ == "__main__":
    main()
