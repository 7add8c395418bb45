"""The two parts that are served over HTTP: the recipients' pages, and the operators' side."""

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypeAlias

from ekiden import settings
from ekiden.assembly.base import Base
from ekiden.assembly.duties import Duties
from ekiden.assembly.events import Events
from ekiden.assembly.health import Health
from ekiden.assembly.live import Live
from ekiden.spool.layout import Spool
from ekiden.web.people import People
from ekiden.web.recorder import Recorder

Server: TypeAlias = AbstractAsyncContextManager[object]


class Public:
    """What recipients reach.

    Args:
        base: What every group stands on.
        duties: Hear of confirmation mails.
        events: Hear of what recipients do.

    Attributes:
        people: Carries out what recipients decide, on a page or by mail.
        recorder: Takes down what they open.
        server: Serves the pages; listens nowhere when the configuration names no place.
    """

    def __init__(self, base: Base, duties: Duties, events: Events) -> None:
        config = base.config
        self.people = People(
            base.queue,
            base.contacts,
            base.suppressions,
            tokens=settings.tokens(config),
            now=base.now,
            changed=events.wake,
        )
        self.recorder = Recorder(
            base.queue, base.contacts, keep_ip=config.tracking.keep_ip, changed=events.wake
        )
        self.server: Server = nullcontext()
        if config.web.public_listen:
            # The libraries of the web are a tenth of what a start loads, and most serve nothing.
            from ekiden.assembly import pages  # noqa: PLC0415 - see above

            self.server = pages.public_server(base, duties, events, self.people, self.recorder)


def admin_server(base: Base, live: Live, spool: Spool, health: Health) -> Server:
    """Return the server of API and dashboard; it listens nowhere without a place."""
    if not base.config.web.admin.listen:
        return nullcontext()
    from ekiden.assembly import pages  # noqa: PLC0415 - as in `Public`

    return pages.admin_server(base, live, spool, health)
