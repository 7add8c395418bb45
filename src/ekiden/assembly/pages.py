"""The servers of `web`, for a configuration that says where they listen."""

from ekiden import settings
from ekiden.assembly.base import Base
from ekiden.assembly.duties import Duties
from ekiden.assembly.events import Events
from ekiden.assembly.health import Health
from ekiden.assembly.live import Live
from ekiden.spool.layout import Spool
from ekiden.web.admin.site import AdminSite
from ekiden.web.people import People
from ekiden.web.recorder import Recorder
from ekiden.web.server import HttpServer
from ekiden.web.site import Site


def public_server(
    base: Base, duties: Duties, events: Events, people: People, recorder: Recorder
) -> HttpServer:
    """Return the server of the recipients' pages."""
    config = base.config
    site = Site(
        base.queue,
        base.contacts,
        settings.tokens(config),
        settings.site(config),
        people=people,
        recorder=recorder,
        identities=base.identities,
        links=lambda: base.links,
        now=base.now,
        opened=duties.job_changed,
        changed=events.wake,
    )
    return HttpServer(site.app, settings.public_server(config))


def admin_server(base: Base, live: Live, spool: Spool, health: Health) -> HttpServer:
    """Return the server of API and dashboard."""
    site = AdminSite(
        live.answers,
        base.tokens,
        spool,
        base.queue,
        settings.admin(base.config),
        now=base.now,
        metrics=health.measured,
        trouble=health.trouble,
    )
    return HttpServer(site.app, settings.admin_server(base.config))
