"""What reads replies and takes the mail that comes back."""

from ekiden.bounce.classify import Classifier
from ekiden.config import Config
from ekiden.engine.capsbook import profiles
from ekiden.inbound.imap import ImapOptions
from ekiden.inbound.intake import Intake
from ekiden.inbound.options import ListenerOptions, server_context
from ekiden.queue.queue import Queue
from ekiden.settings.egress import hostname
from ekiden.settings.signing import identifiers
from ekiden.shaping.providers import Names


def classifier(config: Config) -> Classifier:
    """Return the classifier, the operator's rules before the shipped ones."""
    return Classifier.load(config.bounce.rules)


def provider_of(config: Config) -> Names:
    """Return what names the provider of (MX host, destination); "" for nobody known.

    Raises:
        ConfigError: A profile of the configuration is none.
    """
    return Names(profiles(config))


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
