"""How well labelled replies and bounce mails are read.

Run: python -m bench.classify_accuracy DIRECTORY. It holds `replies.jsonl` and `dsn/index.jsonl` as
described in docs/bounces.md. Printed: strict (the labelled action), lenient (an action that is also
right), and wrong suppressions (a recipient suppressed who should be kept), overall, by source, by
provider, and by fold (a fifth of the groups each: near-copies stay together).
"""

import hashlib
import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ekiden.bounce.classify import Action, Classifier, ReplyContext, stage_of
from ekiden.bounce.mail import Kind, read_report

FOLDS = 5


@dataclass
class Score:
    n: int = 0
    strict: int = 0
    lenient: int = 0
    wrong: int = 0

    def add(self, action: str, sample: dict[str, Any]) -> None:
        lenient = action in sample["action_ok"]
        self.n += 1
        self.strict += action == sample["action"]
        self.lenient += lenient
        self.wrong += action == Action.SUPPRESS_RECIPIENT and not lenient

    def __str__(self) -> str:
        def share(count: int) -> str:
            return f"{100 * count / self.n:5.1f} %" if self.n else "    -"

        return (
            f"n {self.n:4}  strict {share(self.strict)}  lenient {share(self.lenient)}"
            f"  wrong suppressions {share(self.wrong)}"
        )


def fold(group: str) -> str:
    return f"fold {int(hashlib.sha256(group.encode()).hexdigest(), 16) % FOLDS}"


def samples(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def replies(classifier: Classifier, path: Path) -> None:
    scores: dict[str, Score] = defaultdict(Score)
    for sample in samples(path):
        said = sample["context"]
        verdict = classifier.classify(
            ReplyContext(
                sample["reply"],
                enhanced=said.get("status") or "",
                stage=stage_of(said.get("stage") or ""),
                mx=said.get("remote_mta") or "",
                provider=sample["provider"] or "",
            )
        )
        keys = (
            "all",
            f"source {sample['source']}",
            f"provider {sample['provider']}",
            fold(sample["group"]),
        )
        for key in keys:
            scores[key].add(verdict.action, sample)
    print("replies")
    for key in sorted(scores):
        print(f"  {key:28} {scores[key]}")


def mails(classifier: Classifier, folder: Path) -> None:
    actions: dict[str, Score] = defaultdict(Score)
    kinds: dict[str, list[bool]] = defaultdict(list)
    recipients: dict[str, list[bool]] = defaultdict(list)
    expected_kinds = {
        "dsn": {Kind.DSN, Kind.DELAY},
        "arf": {Kind.ARF},
        "vacation": {Kind.AUTOREPLY},
        "other": {Kind.OTHER, Kind.AUTOREPLY},
    }
    for sample in samples(folder / "index.jsonl"):
        raw = (folder / sample["file"]).read_bytes()
        report = read_report(raw, classifier)
        kinds[sample["kind"]].append(report.kind in expected_kinds[sample["kind"]])
        if sample["kind"] != "dsn":
            continue
        named = {one.address.lower(): one for one in report.recipients}
        wanted = {one["recipient"].lower() for one in sample["expected"] if one["recipient"]}
        if wanted:
            recipients["all"].append(wanted == set(named))
            if b"message/delivery-status" in raw.lower():
                recipients["rfc3464"].append(wanted == set(named))
        for number, one in enumerate(sample["expected"]):
            if not one["action"]:
                continue
            found = named.get((one["recipient"] or "").lower())
            if found is None and number < len(report.recipients):
                found = report.recipients[number]
            action = found.verdict.action if found else ""
            actions["all"].add(action, one)
            actions[fold(sample["group"])].add(action, one)
    print("mails")
    for key in sorted(actions):
        print(f"  action {key:21} {actions[key]}")
    for name, right in (*recipients.items(), *kinds.items()):
        what = "recipients" if name in recipients else "kind"
        print(f"  {what} {name:12} {sum(right)} of {len(right)}")


def main() -> None:
    folder = Path(sys.argv[1])
    classifier = Classifier.load()
    replies(classifier, folder / "replies.jsonl")
    mails(classifier, folder / "dsn")


if __name__ == "__main__":
    main()
