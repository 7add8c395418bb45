"""Rules that never fire: another decides before them, or they name nobody who is known. Pure."""

from collections.abc import Collection

from ekiden.bounce.classify import Classifier
from ekiden.bounce.model import ReplyContext
from ekiden.bounce.reading import stage_of


def context_of(example: str) -> ReplyContext:
    """Return an example as the question it stands for; it may begin with `@provider`, `%stage`."""
    provider = stage = ""
    while example[:1] in {"@", "%"}:
        mark, _, example = example.partition(" ")
        if mark[0] == "@":
            provider = mark[1:]
        else:
            stage = mark[1:]
    return ReplyContext(example, provider=provider, stage=stage_of(stage))


def never_fire(classifier: Classifier) -> list[tuple[str, str]]:
    """Return (rule, why) for each rule that fires on none of its own examples.

    A rule without examples is left out: nothing says what it was meant for.
    """
    found = []
    for rule in classifier.rules:
        examples = rule.spec.examples
        decided = [classifier.classify(context_of(one)).rule for one in examples]
        if decided and rule.spec.name not in decided:
            first = decided[0]
            why = "matches none of its examples" if first == "code" else f"{first} decides first"
            found.append((rule.spec.name, f"never fires: {why}"))
    return found


def unknown_providers(classifier: Classifier, known: Collection[str]) -> list[tuple[str, str]]:
    """Return (rule, why) for each rule that names a provider which no host or domain tells.

    Args:
        classifier: The rules, with the providers that the rule files tell by their hosts.
        known: The names of the profiles.
    """
    names = {one.name for one in classifier.providers} | set(known)
    return [
        (rule.spec.name, f'names the provider "{name}", which nobody knows')
        for rule in classifier.rules
        for name in dict.fromkeys((*rule.spec.providers, *rule.spec.sayers))
        if name not in names
    ]
