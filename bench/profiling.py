"""Where the event loop's time goes: py-spy's samples of the main thread, by function.

    python -m bench.profiling [--algorithm ed25519] [--messages 20000] [--size 4096] [--native]

Prints each function's own share and its share with what it calls; `--flame FILE.svg` keeps the
picture. Samples in which the loop waits for the network are left out.

A Python function that makes a system call or a signature is charged with it, as py-spy sees only
Python. `--native` looks below: what the C library and the cryptography do is a line of its own, and
the rest (the interpreter, uvloop, msgspec) stays with the Python function that asked for it. The
process is stopped for each such sample, so its rate is no figure.
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.ours import Ekiden
from bench.run import LIMIT
from bench.senders import Bench, SkippedError, wait_for
from bench.sink import Sink
from bench.work import Work

_HIDDEN = ("run (uvloop", "run (asyncio", "<module>", "_run_code", "_run_module_as_main")


def py_spy() -> str:
    """Return where py-spy is.

    Raises:
        SkippedError: It is not installed (`pip install py-spy`).
    """
    import sys  # noqa: PLC0415

    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise SkippedError("py-spy is not installed")
    return found


# What the C library (system calls) and cryptography do is told apart from who asked for it.
_FOREIGN = ("libc.so", "libc-", "_rust.", "libcrypto", "libssl")


def sample(pid: int, seconds: float, out: Path, *, form: str = "raw", native: bool = False) -> None:
    """Let py-spy look at a process for a while."""
    subprocess.run(
        [
            *(py_spy(), "record", "--threads", "--native" if native else "--nonblocking"),
            *("--rate", "250", "--format", form, "--duration", str(max(1, round(seconds)))),
            *("--pid", str(pid), "--output", str(out)),
        ],
        check=True,
        capture_output=True,
    )


def shares(raw: Path, thread: str = "MainThread") -> tuple[Counter[str], Counter[str], int]:
    """Return samples by function: its own, with what it calls, and all of the thread."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    total = 0
    for line in raw.read_text("utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if thread not in frames[0] and not any(thread in frame for frame in frames[:2]):
            continue
        number = int(count)
        frames = _charged([frame for frame in frames if "(" in frame and "thread (" not in frame])
        if not frames:
            continue
        total += number
        own[frames[-1]] += number
        for frame in set(frames):
            whole[frame] += number
    return own, whole, total


def _charged(frames: list[str]) -> list[str]:
    """Return the functions of a stack, down to the one that is charged with it."""
    python = [number for number, frame in enumerate(frames) if ".py:" in frame]
    below = frames[python[-1] + 1 :] if python else frames
    foreign = [frame for frame in below if any(name in frame for name in _FOREIGN)]
    kept = [frames[number] for number in python] + foreign[:1]
    return [_function(frame) for frame in kept]


def _function(frame: str) -> str:
    """Return a frame without its line number."""
    name, _, place = frame.partition(" (")
    return f"{name} ({place.rpartition(':')[0] or place.rstrip(')')})"


def profile(
    work: Work, place: Path, seconds: float, flame: Path | None, *, native: bool = False
) -> None:
    directory = Path(tempfile.mkdtemp(prefix="profile-", dir=place))
    raw = place / "samples.txt"
    with Sink() as sink:
        sender = Ekiden(Bench(work, sink, directory, held=True))
        sender.start()
        try:
            sender.submit()
            wait_for(lambda: sender.queued() >= work.messages, seconds=LIMIT, what="filling")
            time.sleep(1.0)
            pid = sender.cage.pid
            sender.release()
            time.sleep(0.7)
            before = sender.delivered()
            sample(pid, seconds, raw, native=native)
            print(f"{(sender.delivered() - before) / seconds:.0f} messages/s while sampled")
            if flame is not None:
                sample(pid, seconds, flame, form="flamegraph")
            own, whole, total = shares(raw)
        finally:
            sender.close()
    shutil.rmtree(directory)
    print(f"{total} samples of the loop\n\n  own  with callees  function")
    for name, number in own.most_common(30):
        print(f"{number / total:6.1%} {whole[name] / total:8.1%}   {name}")
    print("\nwith callees")
    for name, number in whole.most_common(45):
        print(f"{number / total:6.1%}   {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--algorithm", choices=("rsa", "ed25519", ""), default="ed25519")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--destinations", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--flame", type=Path)
    parser.add_argument("--native", action="store_true")
    parser.add_argument("--directory", type=Path, default=Path("bench/out"))
    options = parser.parse_args()
    options.directory.mkdir(exist_ok=True)
    work = Work(options.messages, options.size, options.destinations, options.algorithm)
    profile(work, options.directory, options.seconds, options.flame, native=options.native)


if __name__ == "__main__":
    main()
