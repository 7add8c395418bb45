"""What a job may name, what its configuration set adds, what is looked for in its content."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ekiden.config import Config, ConfigurationSet
from ekiden.engine.composer import SetOptions
from ekiden.engine.links import TrackingOptions
from ekiden.engine.tls import TlsPolicy
from ekiden.errors import ConfigError, RefusedError
from ekiden.message.lint.model import LintOptions, Severity
from ekiden.message.lint.rules import RULES
from ekiden.queue.model import Priority
from ekiden.spool.jobspec import JobSpec

SETTABLE_REASONS = frozenset({"hard_bounce", "soft_bounces", "complaint", "unengaged"})


def check_job(config: Config, spec: JobSpec) -> None:
    """Refuse a job that names what the configuration does not have.

    Raises:
        RefusedError: With the names there are.
    """
    _known("configuration_set", spec.configuration_set, list(config.configuration_sets))
    _known("pool", spec.pool, [pool.name for pool in config.pools])


def _known(key: str, name: str, names: Sequence[str]) -> None:
    if not name or name in names:
        return
    there = f"use one of {', '.join(names)}" if names else f"add [[{key}]] to the configuration"
    raise RefusedError(f"there is no {key} {name!r}", where=key, remedy=f"{there}, or leave it out")


def completed(config: Config, spec: JobSpec) -> JobSpec:
    """Return a job with what the configuration says where the job itself says nothing."""
    warming = config.warmup
    if warming.engaged_first:
        column = spec.engaged_column or warming.engaged_column
        spec = replace(spec, engaged_first=True, engaged_column=column)
    chosen = config.configuration_sets.get(spec.configuration_set)
    return spec if chosen is None else _by_set(spec, chosen)


def _by_set(spec: JobSpec, chosen: ConfigurationSet) -> JobSpec:
    spec = replace(spec, pool=spec.pool or chosen.pool)
    if chosen.priority is not None and not spec.states_priority:
        spec = replace(spec, priority=Priority[chosen.priority.upper()])
    if chosen.contact_list and spec.contact_list in {"", chosen.contact_list}:
        topic = spec.topic or chosen.topic
        spec = replace(spec, contact_list=chosen.contact_list, topic=topic)
    if chosen.suppression is not None:
        passed = tuple(sorted(SETTABLE_REASONS - set(chosen.suppression)))
        spec = replace(spec, passed_reasons=passed)
    return spec


def sets(config: Config) -> Mapping[str, SetOptions]:
    """Return what configuration sets say about messages."""
    return {
        name: SetOptions(
            dkim=one.dkim,
            tls=None if one.tls is None else TlsPolicy(one.tls),
            return_domain=one.return_domain,
            tracking=TrackingOptions(
                one.track_opens,
                one.track_clicks,
                None if one.track_privacy is None else one.track_privacy == "totals",
            ),
        )
        for name, one in config.configuration_sets.items()
    }


def lint_options(config: Config) -> LintOptions:
    """Return what lint looks for.

    Raises:
        ConfigError: It names a finding that there is none of.
    """
    one = config.lint
    severities: dict[str, Severity | None] = {}
    for key, codes, severity in (
        ("errors", one.errors, Severity.ERROR),
        ("warnings", one.warnings, Severity.WARNING),
        ("infos", one.infos, Severity.INFO),
        ("off", one.off, None),
    ):
        for code in codes:
            if code not in RULES:
                raise ConfigError(
                    f"lint finds nothing called {code!r}",
                    where=f"lint.{key}",
                    remedy="docs/lint.md lists what it finds",
                )
            severities[code] = severity
    return LintOptions(
        laws=one.laws,
        sender=one.sender,
        size=one.size,
        urls=one.urls,
        subject=one.subject,
        severities=severities,
    )
