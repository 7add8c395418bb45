"""What every group stands on: the configuration in force, the clock, the database by subject."""

from dataclasses import dataclass
from pathlib import Path

from ekiden import settings
from ekiden.config import Config
from ekiden.control.tokens import ApiTokens
from ekiden.engine.clock import Clock
from ekiden.engine.links import LinkMaker
from ekiden.engine.schedule.facts import SourceFacts
from ekiden.engine.signing import SigningThreads
from ekiden.events.log import EventLog
from ekiden.lists.contacts import Contacts
from ekiden.lists.identities import Identities
from ekiden.lists.suppression import Suppressions
from ekiden.queue.queue import Queue
from ekiden.spool.layout import Spool
from ekiden.store.database import Database
from ekiden.templates.library import Library


@dataclass(frozen=True, slots=True)
class Opened:
    """What is open as long as the daemon runs; `app.build` opens and closes it.

    Args:
        database: The database.
        spool: The spool.
        log: The event log.
        threads: The threads that sign.
    """

    database: Database
    spool: Spool
    log: EventLog
    threads: SigningThreads


class Base:
    """What every group stands on.

    Args:
        config: The configuration.
        path: Its file, if it has one.
        database: The open database.

    Attributes:
        config: The configuration in force; a reload replaces it.
        links: Makes the links in mail; None for none. A reload replaces it.
        identifiers: Marks messages, and knows the marks again.
        provider_of: Names the provider of (MX host, destination); "" if not known. A reload lets it
            answer by the new profiles.
        now: The engine's clock, UNIX seconds.
        give_back: Gives room that the database does not need back to the disk.
    """

    def __init__(self, config: Config, path: Path | None, database: Database) -> None:
        self.config = config
        self.path = path
        self.clock = Clock()
        self.now = self.clock.now
        self.links: LinkMaker | None = settings.links(config)
        self.identifiers = settings.identifiers(config)
        self.provider_of = settings.provider_of(config)
        self.database = database.path
        self.give_back = database.give_back
        self.queue = Queue(database, settings.queue(config))
        self.suppressions = Suppressions(database)
        self.contacts = Contacts(database)
        self.identities = Identities(database)
        self.templates = Library(database)
        self.tokens = ApiTokens(database)

    def source_facts(self) -> tuple[SourceFacts, ...]:
        """Return the sources of the configuration in force, as the scheduler knows them."""
        return settings.source_facts(self.config)
