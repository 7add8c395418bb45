"""From the configuration's words to the options of each room: one function per room, no decisions.

Rooms define their own small option types and know nothing of the file; the file knows nothing of
them. Here they meet.
"""

import functools
import pwd
import random
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from ekiden import limits
from ekiden.bounce.classify import Classifier
from ekiden.bounce.identifiers import Identifiers
from ekiden.config import Config, ConfigurationSet
from ekiden.config.sending import Backoff as RetryBackoff
from ekiden.control.list_service import Confirming
from ekiden.control.pacing_service import PacingFacts
from ekiden.dkim.keys import Key, load_key
from ekiden.dkim.sign import Signer
from ekiden.engine.capsbook import path_caps, profiles, source_caps
from ekiden.engine.composer import SetOptions
from ekiden.engine.decide import RetryPolicy
from ekiden.engine.dialler import DialOptions, TlsRules
from ekiden.engine.dispatcher import EngineOptions
from ekiden.engine.links import LinkMaker, LinkOptions, TrackingOptions
from ekiden.engine.resolver import Resolver, ResolverOptions
from ekiden.engine.routes import Credentials, Route
from ekiden.engine.schedule.facts import SchedulerOptions, SourceFacts
from ekiden.engine.sources import Source, own_addresses
from ekiden.engine.tls import TlsPolicy
from ekiden.errors import ConfigError, RefusedError
from ekiden.inbound.conversation import ListenerOptions
from ekiden.inbound.imap import ImapOptions
from ekiden.inbound.intake import Intake
from ekiden.inbound.keys import load_keys
from ekiden.inbound.listener import server_context
from ekiden.localtime import Span, zone
from ekiden.message.lint.model import LintOptions, Severity
from ekiden.message.lint.rules import RULES
from ekiden.message.tokens import Tokens
from ekiden.networks import AddressPolicy
from ekiden.queue.model import Priority
from ekiden.queue.queue import Queue, QueueOptions
from ekiden.shaping.caps import Caps
from ekiden.shaping.hours import Avoided, HoursOptions
from ekiden.shaping.plans import Plan, geometric, shipped
from ekiden.shaping.ramps import OTHER, Assigned, WarmupOptions
from ekiden.shaping.reputation import ReputationOptions
from ekiden.shaping.warmup import RampOptions, Thresholds
from ekiden.shaping.window import Backoff, WindowOptions
from ekiden.spool.intake import IntakeOptions
from ekiden.spool.jobspec import JobSpec, OnMissing
from ekiden.store.database import DatabaseOptions
from ekiden.web.admin.site import AdminOptions
from ekiden.web.pages import Brand
from ekiden.web.server import ServerOptions
from ekiden.web.signup import SignupOptions
from ekiden.web.site import SiteOptions

_DAY = 86_400.0
SETTABLE_REASONS = frozenset({"hard_bounce", "soft_bounces", "complaint", "unengaged"})
_WAITS_MOST = 64  # of an exponential schedule that is still growing then


def hostname(config: Config) -> str:
    """Return our name in EHLO where a source has none of its own."""
    return config.delivery.hostname or socket.getfqdn()


def sources(config: Config) -> dict[str, Source]:
    """Return the egress sources by name; one that leaves the address to the system if none is set.

    Raises:
        ConfigError: A source's EHLO name is none.
    """
    own = hostname(config)
    if not config.sources:
        return {"default": _source("default", own, ())}
    return {
        source.name: _source(
            source.name, source.ehlo or own, (source.address, source.address6 or source.address)
        )
        for source in config.sources
    }


def _source(name: str, ehlo: str, addresses: Sequence[object]) -> Source:
    texts = [str(address) for address in addresses]
    try:
        return Source(
            name=name,
            ehlo=ehlo,
            ip4=next((text for text in texts if ":" not in text), None),
            ip6=next((text for text in texts if ":" in text), None),
        )
    except ValueError as error:
        raise ConfigError(
            str(error),
            where=f"source {name}",
            remedy="set ehlo, or delivery.hostname, to this machine's full name",
        ) from error


def source_facts(config: Config) -> tuple[SourceFacts, ...]:
    """Return the sources as the scheduler knows them, with the pools they serve."""
    if not config.sources:
        return (SourceFacts("default", ("",), source_caps(config.limits, None, None)),)
    pools: dict[str, list[str]] = {source.name: [] for source in config.sources}
    for pool in config.pools:
        for name in pool.sources:
            pools[name].append(pool.name)
            if pool.default:
                pools[name].append("")
    if not any("" in served for served in pools.values()):
        for served in pools.values():
            served.append("")
    return tuple(
        SourceFacts(
            source.name,
            tuple(pools[source.name]),
            source_caps(config.limits, source.max_sessions, source.rates),
            path_caps(source),
        )
        for source in config.sources
    )


def retry_policy(config: Config) -> RetryPolicy:
    """Return the retry schedule and what to do in doubt."""
    delivery = config.delivery
    return RetryPolicy(
        waits=_waits(delivery.retry),
        jitter=delivery.jitter,
        in_doubt_resend=delivery.in_doubt == "resend",
        doubts_max=delivery.in_doubt_resends,
    )


def _waits(retry: RetryBackoff | tuple[float, ...]) -> tuple[float, ...]:
    if not isinstance(retry, RetryBackoff):
        return retry
    waits = [min(retry.first, retry.ceiling)]
    while waits[-1] < retry.ceiling and len(waits) < _WAITS_MOST and retry.factor > 1:
        waits.append(min(waits[-1] * retry.factor, retry.ceiling))
    return tuple(waits)


def resolver(config: Config, now: Callable[[], float]) -> Resolver:
    """Return the resolver, its routes' passwords read."""
    egress = sources(config)
    options = ResolverOptions(
        nameservers=tuple((server.address, server.port) for server in config.dns.nameservers),
        timeout=config.dns.timeout,
        routes=tuple(_routes(config)),
        own_hosts=frozenset({hostname(config), *(source.ehlo for source in egress.values())}),
        ipv6=any(source.ip6 for source in egress.values()),
        port=config.delivery.port,
    )
    return Resolver(options, rng=random.Random(), wall=now)  # noqa: S311 - spreads load only


def _routes(config: Config) -> list[Route]:
    routes = []
    for route in config.routes:
        credentials = None
        if route.user and route.password_file is not None:
            try:
                lines = route.password_file.read_text(encoding="utf-8").splitlines()
            except OSError as error:
                raise ConfigError(
                    f"the password cannot be read: {error.strerror}",
                    where=str(route.password_file),
                    remedy="write it into the file's first line, readable by the daemon alone",
                ) from error
            credentials = Credentials(route.user, lines[0] if lines else "")
        tls = None if route.tls is None else TlsPolicy(route.tls)
        routes.append(Route(route.pattern, route.host, route.port, credentials, tls, route.group))
    return routes


def dialling(config: Config) -> DialOptions:
    """Return what opening sessions needs."""
    tls = config.tls
    return DialOptions(
        tls=TlsRules(
            default=TlsPolicy(tls.policy),
            destinations=tuple((one.pattern, TlsPolicy(one.policy)) for one in tls.destinations),
            sites=tuple((one.mx, TlsPolicy(one.policy)) for one in tls.sites),
            providers=profiles(config),
        ),
        policy=AddressPolicy(
            allowed=config.delivery.allow_networks,
            own=own_addresses(sources(config).values()),
        ),
        chunking=config.delivery.chunking,
        cafile=None if tls.ca_file is None else str(tls.ca_file),
    )


def engine(config: Config) -> EngineOptions:
    """Return the engine's own options."""
    return EngineOptions(lookahead=config.delivery.lookahead, drain=config.delivery.drain)


def scheduling(config: Config) -> SchedulerOptions:
    """Return the scheduler's options."""
    paths = config.paths
    return SchedulerOptions(
        sources=source_facts(config),
        caps=Caps(sessions=config.delivery.max_sessions),
        idle=config.delivery.idle,
        window=WindowOptions(
            start=paths.window_start,
            interval=paths.window_interval,
            probe=paths.window_probe,
        ),
        failing=Backoff(paths.failing, paths.failing_ceiling),
        slowing=Backoff(paths.slowing, paths.slowing_ceiling),
        blocking=Backoff(paths.blocking, paths.blocking_ceiling),
    )


def keys(config: Config) -> dict[str, tuple[Key, ...]]:
    """Return the DKIM keys by domain, read from their files.

    Raises:
        ConfigError: A file is missing, readable by others, or no key.
    """
    found: dict[str, tuple[Key, ...]] = {}
    for one in config.dkim.keys:
        made = load_key(one.file, one.domain, one.selector)
        found[made.domain] = (*found.get(made.domain, ()), made)
    return found


def signers(config: Config) -> Callable[[Sequence[str]], Signer | None]:
    """Return what finds the signer of a set of domains; None where none of them has a key.

    Raises:
        ConfigError: A key cannot be read.
    """
    by_domain = keys(config)
    expiry = {one.domain.lower(): one.expire for one in config.dkim.keys}

    def signer(domains: Sequence[str]) -> Signer | None:
        chosen = [key for domain in domains for key in by_domain.get(domain, ())]
        if not chosen:
            return None
        lives = [life for domain in domains if (life := expiry.get(domain)) is not None]
        return Signer(chosen, lifetime=min(lives, default=None))

    return signer


def sets(config: Config) -> Mapping[str, SetOptions]:
    """Return what configuration sets say about messages."""
    return {
        name: SetOptions(
            dkim=one.dkim,
            tls_required=one.tls == "required",
            return_domain=one.return_domain,
            tracking=TrackingOptions(
                one.track_opens,
                one.track_clicks,
                None if one.track_privacy is None else one.track_privacy == "totals",
            ),
        )
        for name, one in config.configuration_sets.items()
    }


def tokens(config: Config) -> Tokens:
    """Return what signs the links in mail: with the keys of return addresses, for other uses.

    Raises:
        ConfigError: Others may read the keys, or the file holds none.
        UnavailableError: The file cannot be read or made.
    """
    return Tokens(load_keys(return_keys(config)))


def unsubscribe_address(config: Config) -> str:
    """Return the address that takes mail to leave by; "" if none can be received."""
    inbound = config.inbound
    if not inbound.listen or not inbound.return_domain:
        return ""
    return f"unsubscribe@{inbound.return_domain}"


def links(config: Config, signed: Tokens | None = None) -> LinkMaker | None:
    """Return what makes the links in mail; None if no public part is configured.

    Args:
        config: The configuration.
        signed: Signs them; the installation's own keys if it is not given.

    Raises:
        ConfigError: As for `tokens`.
        UnavailableError: As for `tokens`.
    """
    if not config.web.public_url:
        return None
    tracking = config.tracking
    return LinkMaker(
        signed or tokens(config),
        LinkOptions(
            public_url=config.web.public_url.rstrip("/"),
            mailto=unsubscribe_address(config),
            tracking=TrackingOptions(tracking.opens, tracking.clicks, tracking.privacy == "totals"),
        ),
    )


def site(config: Config) -> SiteOptions:
    """Return what the public pages are like."""
    web = config.web
    url = web.public_url.rstrip("/")
    signup = None
    if web.signup.lists:
        signup = SignupOptions(
            lists=frozenset(web.signup.lists),
            sender=web.signup.sender,
            public_url=url,
            lifetime=web.signup.lifetime,
            per_hour=web.signup.per_hour,
        )
    return SiteOptions(
        public_url=url,
        brand=Brand(web.brand, web.color, web.footer, web.language),
        per_minute=web.requests,
        proxies=web.proxies,
        keep_ip=config.tracking.keep_ip,
        signup=signup,
    )


def public_server(config: Config) -> ServerOptions:
    """Return where the public pages are served."""
    places = [(place.address, place.port) for place in config.web.public_listen]
    return ServerOptions(places, proxies=config.web.proxies)


def admin(config: Config) -> AdminOptions:
    """Return what the admin part is like."""
    web = config.web
    return AdminOptions(
        host=config.delivery.hostname,
        proxies=web.proxies,
        per_minute=web.admin.requests,
        session=web.admin.session,
        events=config.events.directory,
    )


def admin_server(config: Config) -> ServerOptions:
    """Return where the admin part is served."""
    places = [(place.address, place.port) for place in config.web.admin.listen]
    return ServerOptions(places, request=limits.HTTP_JOB_SECONDS, proxies=config.web.proxies)


def classifier(config: Config) -> Classifier:
    """Return the classifier, the operator's rules before the shipped ones."""
    return Classifier.load(config.bounce.rules)


def return_keys(config: Config) -> Path:
    """Return the file of the secrets that sign return addresses."""
    return config.inbound.keys or config.queue.path.with_name("return.keys")


def identifiers(config: Config) -> Identifiers:
    """Return what makes and verifies the marks of messages; makes the keys on first use.

    Raises:
        ConfigError: Others may read the keys, or the file holds none.
        UnavailableError: The file cannot be read or made.
    """
    inbound = config.inbound
    more = [one.return_domain for one in config.configuration_sets.values()]
    return Identifiers(
        load_keys(return_keys(config)), inbound.return_domain, inbound.lifetime, more
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


def provider_of(config: Config) -> Callable[[str, str], str]:
    """Return what names the provider of (MX host, destination); "" for nobody known."""
    providers = profiles(config)

    @functools.lru_cache(maxsize=10_000)
    def name(host: str, destination: str) -> str:
        found = providers.match(destination, (host,) if host else ())
        return found.name if found else ""

    return name


def returned_mail(config: Config, queue: Queue) -> Intake:
    """Return the intake of returned mail for a command that has opened the queue itself."""
    return Intake(
        queue,
        classifier(config),
        identifiers(config),
        volume=config.reputation.volume,
        provider_of=provider_of(config),
    )


def listener(config: Config) -> ListenerOptions:
    """Return the limits of the listener for returned mail.

    Raises:
        ConfigError: Its certificate cannot be used.
    """
    inbound = config.inbound
    tls = None
    if inbound.tls_certificate is not None and inbound.tls_key is not None:
        tls = server_context(inbound.tls_certificate, inbound.tls_key)
    return ListenerOptions(
        hostname=hostname(config),
        size=inbound.size,
        connections=inbound.connections,
        connections_per_peer=inbound.connections_per_peer,
        idle=inbound.idle,
        session=inbound.session,
        tls=tls,
    )


def imap(config: Config) -> ImapOptions | None:
    """Return which mailbox is asked for bounces; None if none is."""
    one = config.inbound.imap
    if not one.host or one.password_file is None:
        return None
    return ImapOptions(
        host=one.host,
        port=one.port,
        tls=one.tls,
        user=one.user,
        password_file=one.password_file,
        folder=one.folder,
        done=one.done,
        interval=one.interval,
    )


def database(config: Config) -> DatabaseOptions:
    """Return how the database is run."""
    return DatabaseOptions(
        group_rows=config.queue.group_rows, group_seconds=config.queue.group_time
    )


def queue(config: Config) -> QueueOptions:
    """Return the queue's own numbers."""
    return QueueOptions(
        soft_bounces=config.bounce.soft_count,
        soft_bounce_days=config.bounce.soft_span / _DAY,
        doubts=config.delivery.in_doubt_resends,
    )


def intake(config: Config) -> IntakeOptions:
    """Return how intake works."""
    lifetimes = {
        name: one.lifetime
        for name, one in config.configuration_sets.items()
        if one.lifetime is not None
    }
    return IntakeOptions(
        rest=config.spool.rest,
        lifetime=config.delivery.lifetime,
        lifetimes=lifetimes,
        on_missing=OnMissing(config.content.on_missing),
        inline_css=config.content.inline_css,
        features=frozenset({"list", "tracking"} if config.web.public_url else {"list"}),
    )


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


def spool_owners(config: Config) -> list[int]:
    """Return the user ids whose files are taken beside the daemon's own.

    Raises:
        ConfigError: There is no such user.
    """
    found = []
    for owner in config.spool.owners:
        try:
            found.append(int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid)
        except KeyError as error:
            raise ConfigError(
                f"there is no user {owner!r}",
                where="spool.owners",
                remedy="name a user of this machine, or its number",
            ) from error
    return found


def check_job(config: Config, spec: JobSpec) -> None:
    """Refuse a job that names what the configuration does not have.

    Raises:
        RefusedError: With the names there are.
    """
    _known("configuration_set", spec.configuration_set, list(config.configuration_sets))
    _known("pool", spec.pool, [pool.name for pool in config.pools])


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


def confirming(config: Config) -> Confirming:
    """Return how confirmation mails for identities are made."""
    url = config.web.public_url.rstrip("/")
    return Confirming(
        config.identities.sender or f"postmaster@{hostname(config)}",
        (lambda code: f"{url}/identity/{code}") if url else lambda _: "",
    )


def _known(key: str, name: str, names: Sequence[str]) -> None:
    if not name or name in names:
        return
    there = f"use one of {', '.join(names)}" if names else f"add [[{key}]] to the configuration"
    raise RefusedError(f"there is no {key} {name!r}", where=key, remedy=f"{there}, or leave it out")


def needs_restart(old: Config, new: Config) -> list[str]:
    """Return the sections that differ and are only read at start."""
    fixed = ("spool", "queue", "paths", "control", "log", "inbound", "web")
    changed = [name for name in fixed if getattr(old, name) != getattr(new, name)]
    log = ("directory", "types", "rotate", "keep")
    changed += [
        f"events.{name}" for name in log if getattr(old.events, name) != getattr(new.events, name)
    ]
    if old.dkim.threads != new.dkim.threads:
        changed.append("dkim.threads")
    return changed


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
