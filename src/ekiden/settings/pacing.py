"""How much is sent, and when: warm-up, hours, and the rates that stop."""

from dataclasses import replace
from fnmatch import fnmatchcase

from ekiden.config import Config
from ekiden.control.pacing_service import PacingFacts
from ekiden.engine.capsbook import profiles
from ekiden.errors import ConfigError
from ekiden.localtime import Span, zone
from ekiden.settings.egress import source_facts
from ekiden.shaping.evidence import Thresholds
from ekiden.shaping.hours import Avoided, HoursOptions
from ekiden.shaping.plans import Plan, geometric, shipped
from ekiden.shaping.ramps import OTHER, Assigned, WarmupOptions
from ekiden.shaping.reputation import ReputationOptions
from ekiden.shaping.warmup import RampOptions

_DAY = 86_400.0


def warmup(config: Config) -> WarmupOptions:
    """Return how sources are warmed up.

    Raises:
        ConfigError: A plan cannot be used, or there is none of a name.
    """
    one = config.warmup
    plans = shipped()
    for plan in one.plans:
        where = f"warmup.plan {plan.name}"
        try:
            days = plan.days or geometric(plan.start, plan.factor, plan.end)
            plans[plan.name] = Plan(plan.name, days, origin="ours: the configuration")
        except ValueError as error:
            raise ConfigError(str(error), where=where) from error
    for source in one.sources:
        if source.plan not in plans:
            raise ConfigError(
                f"there is no plan {source.plan!r}",
                where="warmup.source",
                remedy=f"use {', '.join(plans)}, or add a [[warmup.plan]]",
            )
    thresholds = Thresholds(
        filled=one.filled,
        deferrals=(one.hold_deferrals, one.back_deferrals),
        bounces=(one.hold_bounces, one.back_bounces),
        complaints=(one.hold_complaints, one.back_complaints),
        blocks=(one.hold_blocks, one.back_blocks),
    )
    return WarmupOptions(
        assigned=tuple(Assigned(each.source, each.provider, each.plan) for each in one.sources),
        plans=plans,
        ramp=RampOptions(
            zone(one.time_zone), Span.parse(one.hours), int(one.silence / _DAY), thresholds
        ),
        overflow=one.overflow,
    )


def hours(config: Config) -> HoursOptions:
    """Return when not to send: for all, by the operator's word for a provider, by its profile."""
    one = config.hours
    avoided = [Avoided("*", one.bulk, one.transactional, zone(one.time_zone), one.time_zone)]
    for each in one.providers:
        name = each.time_zone or one.time_zone
        avoided.append(Avoided(each.provider, each.bulk, each.transactional, zone(name), name))
    for provider in profiles(config):
        said = provider.avoid
        own = [each for each in one.providers if fnmatchcase(provider.name, each.provider)]
        if said is not None and not own:
            place = zone(said.time_zone)
            avoided.append(
                Avoided(provider.name, said.bulk, said.transactional, place, said.time_zone)
            )
    return HoursOptions(
        tuple(avoided), zone(one.time_zone), one.smooth, one.jitter, prefer=one.prefer
    )


def pacing_facts(config: Config) -> PacingFacts:
    """Return what answers about pacing need.

    Raises:
        ConfigError: As for `warmup`.
    """
    return PacingFacts(
        sources=tuple(one.name for one in source_facts(config)),
        providers=(*(one.name for one in profiles(config)), OTHER),
        warmup=warmup(config),
        hours=hours(config),
    )


def reputation(config: Config) -> ReputationOptions:
    """Return the thresholds of bounce and complaint rates."""
    one = config.reputation
    return ReputationOptions(
        volume=one.volume,
        least=one.least,
        healthy_bounces=one.healthy_bounces,
        healthy_complaints=one.healthy_complaints,
        warn_bounces=one.warn_bounces,
        warn_complaints=one.warn_complaints,
        stop_bounces=one.stop_bounces,
        stop_complaints=one.stop_complaints,
        job_first=one.job_first,
    )


def set_reputations(config: Config) -> dict[str, ReputationOptions]:
    """Return the thresholds of the scopes that have their own: those of some sets."""
    usual = reputation(config)
    names = ("warn_bounces", "warn_complaints", "stop_bounces", "stop_complaints")
    found = {}
    for name, one in config.configuration_sets.items():
        own = {key: value for key in names if (value := getattr(one, key)) is not None}
        if own:
            found[f"set:{name}"] = replace(usual, **own)
    return found
