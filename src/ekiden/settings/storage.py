"""Where jobs come in and are kept: spool, queue, database."""

import pwd

from ekiden.config import Config
from ekiden.errors import ConfigError
from ekiden.queue.queue import QueueOptions
from ekiden.spool.intake import IntakeOptions
from ekiden.spool.jobspec import OnMissing
from ekiden.store.database import DatabaseOptions

_DAY = 86_400.0


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
