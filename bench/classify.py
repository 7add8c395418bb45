"""How fast a reply is classified, without any cache: median, p95 and worst, in microseconds.

Run: python -m bench.classify [replies.jsonl]. Without a file, the examples beside the shipped rules
are used. Each reply is timed alone; the best of several rounds is kept, since the question is what
the code costs and not what else the machine does.
"""

import json
import statistics
import sys
import time
from pathlib import Path

from ekiden.bounce.classify import Classifier, ReplyContext, stage_of

ROUNDS = 9


def contexts(classifier: Classifier, path: Path | None) -> list[ReplyContext]:
    if path is None:
        return [
            ReplyContext(words)
            for rule in classifier.rules
            for words in rule.spec.examples
            if not words.startswith(("@", "%"))
        ]
    found = []
    for line in path.read_text("utf-8").splitlines():
        sample = json.loads(line)
        said = sample.get("context", {})
        found.append(
            ReplyContext(
                sample["reply"],
                enhanced=said.get("status") or "",
                stage=stage_of(said.get("stage") or ""),
                mx=said.get("remote_mta") or "",
                provider=sample.get("provider") or "",
            )
        )
    return found


def main() -> None:
    begun = time.perf_counter()
    classifier = Classifier.load()
    loaded = time.perf_counter() - begun
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    samples = contexts(classifier, path)
    best = []
    for context in samples:
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter_ns()
            classifier.classify(context)
            times.append(time.perf_counter_ns() - start)
        best.append(min(times) / 1000)
    best.sort()
    print(f"{len(classifier.rules)} rules loaded in {loaded * 1000:.0f} ms")
    print(
        f"{len(best)} replies: median {statistics.median(best):.1f} us, "
        f"p95 {best[int(len(best) * 0.95)]:.1f} us, worst {best[-1]:.1f} us"
    )


if __name__ == "__main__":
    main()
