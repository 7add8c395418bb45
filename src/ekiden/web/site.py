"""The public part put together: one application, its recorder, and who carries out decisions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from ekiden.engine.links import LinkMaker
from ekiden.lists.contacts import Contacts
from ekiden.lists.identities import Identities
from ekiden.lists.suppression import Suppressions
from ekiden.message.tokens import Tokens
from ekiden.queue.model import JobFacts
from ekiden.queue.queue import Queue
from ekiden.web.guard import Guard, GuardOptions, Network
from ekiden.web.identity import IdentityPage
from ekiden.web.pages import Brand, Pages
from ekiden.web.people import People
from ekiden.web.public import Public, application
from ekiden.web.recorder import Recorder
from ekiden.web.signup import Signup, SignupOptions
from ekiden.web.view import Viewer


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """What the public part is like.

    Args:
        public_url: How recipients reach it.
        brand: How its pages look.
        per_minute: Requests of one client to pages and forms.
        proxies: Whose X-Forwarded-For is believed.
        keep_ip: Keep where opens and clicks come from.
        signup: Sign-up forms; None for none.
    """

    public_url: str
    brand: Brand = field(default_factory=Brand)
    per_minute: int = 120
    proxies: Sequence[Network] = ()
    keep_ip: bool = False
    signup: SignupOptions | None = None


class Site:
    """The public part.

    Args:
        queue: The queue.
        contacts: The lists.
        suppressions: Who is not mailed.
        tokens: Verifies links.
        options: See `SiteOptions`.
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
        suppressions: Suppressions,
        tokens: Tokens,
        options: SiteOptions,
        *,
        identities: Identities,
        links: Callable[[], LinkMaker | None],
        now: Callable[[], float],
        opened: Callable[[JobFacts], None],
        changed: Callable[[], None],
    ) -> None:
        self.people: Final = People(
            queue, contacts, suppressions, tokens=tokens, now=now, changed=changed
        )
        self.recorder: Final = Recorder(queue, contacts, keep_ip=options.keep_ip, changed=changed)
        public = Public(
            people=self.people,
            pages=Pages(options.brand),
            recorder=self.recorder,
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
