"""What is known of a provider, as a person reads it: notes, hours, reactions, pages."""

from collections.abc import Mapping
from typing import Any, Final

from ekiden.control.waiting import span
from ekiden.shaping.providers import Avoid, Provider
from ekiden.shaping.reactions import Act, Rule, Scope

_DONE: Final[Mapping[Act, str]] = {
    Act.SLOW: "slowed to {}",
    Act.SESSIONS: "sessions at most {}",
    Act.SUSPEND: "suspended",
    Act.SWITCH: "another source",
    Act.STOP: "the job is stopped",
    Act.NONE: "nothing",
}
_FOR: Final[Mapping[Scope, str]] = {
    Scope.PATH: "for the source at that site",
    Scope.ROAD: "for the source at this provider",
    Scope.SOURCE: "for the source, everywhere",
    Scope.PROVIDER: "for all sources at this provider",
    Scope.JOB: "for the job",
}


def heading(profile: Provider | None) -> str:
    """Return what a provider is called, "-" for nobody known."""
    if profile is None:
        return "-"
    known = profile.title not in ("", profile.name)
    return f"{profile.name} ({profile.title})" if known else profile.name


def source(profile: Provider | None, key: str, layer: str) -> str:
    """Return where a limit was read, "" where another layer than the provider's said it.

    Args:
        profile: The provider's.
        key: The limit.
        layer: Which layer said it ("provider gmail").
    """
    if profile is None or layer != f"provider {profile.name}":
        return ""
    return dict(profile.sources).get(key, "")


def text(profile: Provider) -> str:
    """Return the page: what it asks and answers, when not to begin, what is done, what was read."""
    parts = [profile.notes]
    if profile.avoid is not None:
        parts.append(_hours(profile.avoid))
    if profile.reactions:
        parts.append("\n".join(["Reactions:", *map(_reaction, profile.reactions)]))
    parts += [
        "\n".join([f"{title}:", *(f"  {one}" for one in pages)])
        for title, pages in (("Read", profile.read), ("Known, not read", profile.unread))
        if pages
    ]
    return "\n\n".join(part for part in parts if part)


def as_json(profile: Provider | None) -> dict[str, Any] | None:
    """Return the same for programs."""
    if profile is None:
        return None
    avoid = profile.avoid
    return {
        "title": profile.title,
        "notes": profile.notes,
        "avoid": None
        if avoid is None
        else {
            "bulk": avoid.bulk,
            "transactional": avoid.transactional,
            "time_zone": avoid.time_zone,
            "source": avoid.source,
        },
        "reactions": [
            {"name": rule.name, "what": _reaction(rule).strip(), "source": rule.source}
            for rule in profile.reactions
        ],
        "read": profile.read,
        "unread": profile.unread,
    }


def _hours(avoid: Avoid) -> str:
    said = [
        f"{kind} {', '.join(spans)}"
        for kind, spans in (("bulk", avoid.bulk), ("transactional", avoid.transactional))
        if spans
    ]
    return f"Does not begin at: {'; '.join(said)} ({avoid.time_zone})\n  {avoid.source}"


def _reaction(rule: Rule) -> str:
    heard = rule.pattern.pattern if rule.pattern is not None else f"class {rule.klass}"
    often = f", {rule.count} in {span(rule.within)}" if rule.count > 1 else ""
    lasts = f" for {span(rule.seconds)}" if rule.seconds else ""
    done = _DONE[rule.act].format(rule.to)
    return f"  {rule.name}: on {heard}{often}: {done}{lasts}, {_FOR[rule.scope]}"
