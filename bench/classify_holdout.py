"""How much of the accuracy is recited: every labelled reply, read without what only it needed.

Run: python -m bench.classify_holdout DIRECTORY (as for bench.classify_accuracy). For each reply the
phrase that decided is looked at. If no reply of another group is decided by it, it may have been
written for this one: it is taken out of its rule (a rule without phrases left is dropped) and the
reply is read again. The score with all of these taken out is what to expect of unseen replies, if
anything too low: some of those phrases are in a provider's own table.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from bench.classify_accuracy import Score, samples
from ekiden.bounce import ruleset
from ekiden.bounce.classify import Classifier, ReplyContext, stage_of
from ekiden.bounce.phrases import commonness
from ekiden.bounce.reading import read
from ekiden.bounce.ruleset import Rule, RuleSet


def context_of(sample: Mapping[str, Any]) -> ReplyContext:
    said = sample["context"]
    return ReplyContext(
        sample["reply"],
        enhanced=said.get("status") or "",
        stage=stage_of(said.get("stage") or ""),
        mx=said.get("remote_mta") or "",
        provider=sample["provider"] or "",
    )


def deciding(rule: Rule, context: ReplyContext) -> frozenset[str]:
    """The phrases of the rule that decided which are in the reply."""
    counts = commonness(rule.phrases)
    reading = read(context.reply, context.code, context.enhanced, context.stage)
    return frozenset(
        phrase.source
        for phrase in rule.phrases
        if phrase.finder(counts).found(reading.text, reading.words)
    )


def without(rules: RuleSet, name: str, phrases: frozenset[str]) -> RuleSet:
    """The rules without these phrases of one of them."""
    left = []
    for rule in rules.rules:
        if rule.spec.name != name:
            left.append(rule)
            continue
        kept = tuple(one for one in rule.phrases if one.source not in phrases)
        if kept:
            spec = msgspec.structs.replace(rule.spec, phrases=tuple(one.source for one in kept))
            left.append(replace(rule, spec=spec, phrases=kept))
    return replace(rules, rules=tuple(left))


def main() -> None:
    rules = ruleset.load(())
    classifier = Classifier(rules)
    by_name = {rule.spec.name: rule for rule in rules.rules}
    shown = samples(Path(sys.argv[1]) / "replies.jsonl")
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    found = []
    for sample in shown:
        context = context_of(sample)
        verdict = classifier.classify(context)
        rule = by_name.get(verdict.rule)
        phrases = deciding(rule, context) if rule else frozenset[str]()
        found.append((sample, context, verdict, phrases))
        for phrase in phrases or {""}:
            groups[verdict.rule, phrase].add(sample["group"])
    before, after = Score(), Score()
    alone = 0
    for sample, context, verdict, phrases in found:
        before.add(verdict.action, sample)
        used = [len(groups[verdict.rule, phrase]) for phrase in phrases or {""}]
        if verdict.rule in by_name and max(used) == 1:
            alone += 1
            unaided = Classifier(without(rules, verdict.rule, phrases))
            after.add(unaided.classify(context).action, sample)
        else:
            after.add(verdict.action, sample)
    print(f"as it is          {before}")
    print(f"recited left out  {after}  ({alone} replies read anew)")


if __name__ == "__main__":
    main()
