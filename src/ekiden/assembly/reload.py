"""A new configuration under a running daemon: read in full first, then taken over group by group.

What can be refused (a key file, a pattern, a password) is made by `read`, before anything has
changed; `take_over` then gives each part what is its own, once. So a daemon never runs on half of a
configuration.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ekiden import settings
from ekiden.assembly.base import Base
from ekiden.assembly.delivery import Delivery
from ekiden.assembly.duties import Duties
from ekiden.assembly.events import Events
from ekiden.assembly.live import Live
from ekiden.assembly.receiving import Receiving
from ekiden.bounce.classify import Classifier
from ekiden.bounce.identifiers import Identifiers
from ekiden.config import Config, load
from ekiden.control.pacing_service import PacingFacts
from ekiden.dkim.sign import Signer
from ekiden.duties.destinations import Plan, plan
from ekiden.engine.capsbook import CapsBook, profiles, reactions
from ekiden.engine.dialler import DialOptions
from ekiden.engine.links import LinkMaker
from ekiden.engine.resolver import Resolver
from ekiden.engine.sources import Source
from ekiden.shaping.providers import Providers
from ekiden.shaping.reactions import Rule


@dataclass(frozen=True, slots=True)
class Fresh:
    """A new configuration, with everything of it that could have been refused.

    Args:
        config: The configuration.
        signer: Finds the signer of a set of domains.
        identifiers: Marks messages.
        links: Makes the links in mail.
        classifier: What replies mean.
        reactions: What is done about replies.
        pacing: Warm-ups and hours.
        destinations: The destinations of events.
        resolver: Where mail goes, with the routes' passwords.
        dialling: How sessions are opened.
        sources: The egress sources by name.
        profiles: The providers.
        caps: The caps of destinations at their sites.
    """

    config: Config
    signer: Callable[[Sequence[str]], Signer | None]
    identifiers: Identifiers
    links: LinkMaker | None
    classifier: Classifier
    reactions: Sequence[Rule]
    pacing: PacingFacts
    destinations: Sequence[Plan]
    resolver: Resolver
    dialling: DialOptions
    sources: Mapping[str, Source]
    profiles: Providers
    caps: CapsBook


def read(path: Path, now: Callable[[], float]) -> Fresh:
    """Return a configuration file in full.

    Args:
        path: The file.
        now: UNIX seconds.

    Raises:
        ConfigError: It is wrong.
        UnavailableError: A file that it names cannot be read.
    """
    config = load(path)
    settings.lint_options(config)
    providers = profiles(config)
    return Fresh(
        config=config,
        signer=settings.signers(config),
        identifiers=settings.identifiers(config),
        links=settings.links(config),
        classifier=settings.classifier(config),
        reactions=reactions(config),
        pacing=settings.pacing_facts(config),
        destinations=plan(config),
        resolver=settings.resolver(config, now),
        dialling=settings.dialling(config),
        sources=settings.sources(config),
        profiles=providers,
        caps=CapsBook(config, providers),
    )


@dataclass(frozen=True, slots=True)
class Groups:
    """Everything that a new configuration reaches."""

    base: Base
    events: Events
    delivery: Delivery
    duties: Duties
    receiving: Receiving
    live: Live

    def take_over(self, new: Fresh) -> None:
        """Let every part go on with a new configuration: each of them once, the engine first."""
        config, base, delivery, duties = new.config, self.base, self.delivery, self.duties
        base.config, base.links, base.identifiers = config, new.links, new.identifiers
        base.provider_of.reconfigure(new.profiles)
        delivery.composer.reconfigure(new.signer, settings.sets(config), new.identifiers, new.links)
        delivery.conclusions.reconfigure(new.classifier, settings.retry_policy(config))
        delivery.dispatcher.reconfigure(
            new.resolver, new.dialling, new.sources, new.caps.facts, settings.engine(config)
        )
        duties.holds.set_sources()
        scheduling = settings.scheduling(config)
        delivery.scheduler.set_caps(scheduling.caps)
        delivery.scheduler.set_sets(scheduling.sets, base.now())
        delivery.scheduler.set_hours(new.pacing.hours, base.now())
        duties.warming.reconfigure(new.pacing.warmup)
        duties.standings.reconfigure(settings.reputation(config), settings.set_reputations(config))
        duties.reactor.reconfigure(new.reactions)
        duties.holds.look_at_all()
        self.events.destinations.reconfigure(new.destinations)
        self.receiving.returned.reconfigure(
            new.classifier, new.identifiers, config.reputation.volume
        )
        self.live.pacing.reconfigure(new.pacing)
