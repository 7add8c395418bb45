"""The public part put together: one application over its recorder and who carries out decisions."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from ekiden.engine.links import LinkMaker
from ekiden.lists.contacts import Contacts
from ekiden.lists.identities import Identities
from ekiden.message.tokens import Tokens
from ekiden.queue.model import JobFacts
from ekiden.queue.queue import Queue
from ekiden.web.guard import Guard, GuardOptions
from ekiden.web.identity import IdentityPage
from ekiden.web.options import SiteOptions
from ekiden.web.pages import Pages
from ekiden.web.people import People
from ekiden.web.public import Public, application
from ekiden.web.recorder import Recorder
from ekiden.web.signup import Signup
from ekiden.web.view import Viewer


class Site:
    """The public part.

    Args:
        queue: The queue.
        contacts: The lists.
        tokens: Verifies links.
        options: See `SiteOptions`.
        people: Carries out what recipients decide.
        recorder: Takes down what they open.
        identities: The senders, which are confirmed here.
        links: Makes the links of messages that are shown in the browser.
        now: UNIX seconds.
        opened: Hears of jobs (confirmation mails).
        changed: Hears that there are new events.
    """

    def __init__(
        self,
        queue: Queue,
        contacts: Contacts,
        tokens: Tokens,
        options: SiteOptions,
        *,
        people: People,
        recorder: Recorder,
        identities: Identities,
        links: Callable[[], LinkMaker | None],
        now: Callable[[], float],
        opened: Callable[[JobFacts], None],
        changed: Callable[[], None],
    ) -> None:
        public = Public(
            people=people,
            pages=Pages(options.brand),
            recorder=recorder,
            viewer=Viewer(queue, links),
            tokens=tokens,
            now=now,
            per_minute=options.per_minute,
        )
        routes = public.routes() + IdentityPage(public, identities, now=now).routes()
        if options.signup is not None:
            signup = Signup(
                public,
                queue,
                contacts,
                tokens,
                options.signup,
                now=now,
                opened=opened,
                changed=changed,
            )
            routes += signup.routes()
        prefix = urlsplit(options.public_url).path.rstrip("/")
        self.app: Final = Guard(
            application(routes), GuardOptions(proxies=options.proxies, prefix=prefix)
        )
