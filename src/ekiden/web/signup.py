"""Sign-up with confirmation: a form, a mail with a link, a page with a button.

```
GET  /join/LIST             the form
POST /join/LIST             the same answer for every address: "please look into your mailbox"
GET  /join/confirm/TOKEN    a page; a scanner that follows the link signs nobody up
POST /join/confirm/TOKEN    on the list, with its record of consent
```

Nothing is stored before the confirmation: what was asked travels in the token. So a form that is
filled in a million times costs no row, and nobody learns from it who is on a list. What it does
cost is mail to strangers; therefore so many an hour from one client, one in a while to one address,
and so many an hour over all. A field that people do not see catches programs that fill in all.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ekiden.errors import NotFoundError
from ekiden.lists.contacts import Contacts
from ekiden.lists.model import Choice, ContactList, Method, Preference, Topic
from ekiden.lists.suppression import address_key
from ekiden.message.addresses import Address, AddressError, parse_address, parse_mailbox
from ekiden.message.content import Content, encode
from ekiden.message.tokens import Purpose, Tokens
from ekiden.queue.model import JobFacts, NewDelivery, NewJob, Priority
from ekiden.queue.queue import Queue
from ekiden.queue.reactions import SUBSCRIPTION, Chosen
from ekiden.web.options import SignupOptions
from ekiden.web.pages import TopicChoice
from ekiden.web.people import before
from ekiden.web.public import Public
from ekiden.web.throttle import Throttle, client_key
from ekiden.web.words import Words

_HOUR: Final = 3600.0
_PER_ADDRESS: Final = 600.0  # seconds between two confirmation mails to one address
_OVER_ALL: Final = 3000  # confirmation mails an hour, whoever asks


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """What a confirmation token holds."""

    contact_list: str
    address: str
    topics: tuple[str, ...]
    language: str
    expires_at: int


class Signup:
    """Answers forms.

    Args:
        public: Pages, words and limits that all public pages share.
        queue: Takes the confirmation mails.
        contacts: The lists.
        tokens: Signs and verifies confirmation links.
        options: See `SignupOptions`.
        now: UNIX seconds.
        opened: Hears of the jobs.
        changed: Hears that there is a new event.
    """

    def __init__(
        self,
        public: Public,
        queue: Queue,
        contacts: Contacts,
        tokens: Tokens,
        options: SignupOptions,
        *,
        now: Callable[[], float],
        opened: Callable[[JobFacts], None],
        changed: Callable[[], None],
    ) -> None:
        self._public = public
        self._queue = queue
        self._contacts = contacts
        self._tokens = tokens
        self._options = options
        self._now = now
        self._opened = opened
        self._changed = changed
        self._from = parse_mailbox(options.sender)
        self._clients = Throttle(options.per_hour, _HOUR)
        self._addresses = Throttle(1, _PER_ADDRESS)
        self._all = Throttle(_OVER_ALL, _HOUR)

    def routes(self) -> list[Route]:
        """Return the routes."""
        both = ["GET", "POST"]
        return [
            Route("/join/confirm/{token}", self.confirm, methods=both),
            Route("/join/{contact_list}", self.join, methods=both),
        ]

    async def join(self, request: Request) -> Response:
        """The form."""
        if (slow := self._public.too_fast(request)) is not None:
            return slow
        name = request.path_params["contact_list"]
        words = self._public.words(request)
        if name not in self._options.lists:
            return self._public.invalid(request)
        try:
            chosen = await self._contacts.list(name)
            topics = await self._contacts.topics(name)
        except NotFoundError:
            return self._public.invalid(request)
        body = await request.body()
        if request.method != "POST":
            wanted = request.query_params.getlist("topic")
            return self._form(words, chosen, topics, wanted)
        form = parse_qs(body.decode("utf-8", "replace"), max_num_fields=200)
        wanted = form.get("topic", [])
        text = form.get("address", [""])[0].strip()
        try:
            address = parse_address(text)
        except AddressError:
            return self._form(words, chosen, topics, wanted, wrong=text[:254])
        if not form.get("website", [""])[0]:
            await self._invite(request, words, chosen, address, wanted)
        hours = str(round(self._options.lifetime / _HOUR))
        return self._public.pages.told(words, "signup_sent", brand=self._brand, hours=hours)

    async def confirm(self, request: Request) -> Response:
        """The page behind the link of a confirmation mail."""
        if (slow := self._public.too_fast(request)) is not None:
            return slow
        asked = self._read(request.path_params["token"])
        await request.body()
        if asked is None or asked.contact_list not in self._options.lists:
            return self._public.invalid(request)
        words = self._public.words(request, asked.language)
        if asked.expires_at < self._now():
            return self._public.pages.told(words, "expired", status=410, brand=self._brand)
        if request.method != "POST":
            return self._public.pages.make(
                "confirm.html",
                words,
                heading=words["confirm"],
                brand=self._brand,
                address=asked.address,
            )
        if not await self._subscribe(request, asked, words):
            return self._public.invalid(request)
        return self._public.pages.told(words, "confirmed", brand=self._brand)

    # --- pieces -------------------------------------------------------------------------------

    @property
    def _brand(self) -> str:
        return self._public.pages.brand.name or self._from.name or self._from.address.domain

    def _form(
        self,
        words: Words,
        chosen: ContactList,
        topics: Sequence[Topic],
        wanted: Sequence[str],
        *,
        wrong: str | None = None,
    ) -> Response:
        return self._public.pages.make(
            "signup.html",
            words,
            heading=words["signup"],
            status=200 if wrong is None else 422,
            brand=self._brand,
            problem="" if wrong is None else words["signup_wrong"],
            description=chosen.description,
            address=wrong or "",
            topics=[
                TopicChoice(
                    one.name, one.display_name or one.name, one.description, one.name in wanted
                )
                for one in topics
            ],
        )

    async def _invite(
        self,
        request: Request,
        words: Words,
        chosen: ContactList,
        address: Address,
        wanted: Sequence[str],
    ) -> None:
        """Send the confirmation mail, unless that would be too many."""
        client = client_key(request.client.host if request.client else "")
        now, key = time.monotonic(), address_key(address.spec)
        if not self._clients.allows(client, now) or not self._addresses.allows(key, now):
            return
        if not self._all.allows("", now):
            return
        known = {one.name for one in await self._contacts.topics(chosen.name)}
        asked = Asked(
            chosen.name,
            address.spec,
            tuple(name for name in dict.fromkeys(wanted) if name in known),
            words["language"],
            int(self._now() + self._options.lifetime),
        )
        content = msgspec.msgpack.encode(asked)
        token = self._tokens.make(Purpose.JOIN, content)
        job = self._mail(words, token)
        merge = {
            "link": f"{self._options.public_url}/join/confirm/{token}",
            "address": address.spec,
            "brand": self._brand,
        }
        delivery = NewDelivery(address.spec, address.domain, msgspec.json.encode(merge))
        self._opened(await self._queue.submit_job(job, [delivery], self._now()))

    def _mail(self, words: Words, token: str) -> NewJob:
        now = self._now()
        fields = {name: f"{{{{ {name} }}}}" for name in ("address", "brand", "link")}
        content = Content(
            from_=self._options.sender,
            subject=words["mail_subject"],
            text=words["mail_text"].format(**fields),
            language=words["language"],
            headers=(("Auto-Submitted", "auto-generated"),),  # RFC 3834 section 5
            track_opens=False,
            track_clicks=False,
        )
        return NewJob(
            uid=f"sign-up:{hashlib.sha256(token.encode()).hexdigest()[:32]}:{now:.3f}",
            name="sign-up confirmation",
            mail_from=self._from.address.spec,
            from_domain=self._from.address.domain,
            content=encode(content),
            created_at=now,
            expires_at=now + min(self._options.lifetime, 4 * _HOUR),
            priority=Priority.TRANSACTIONAL,
        )

    def _read(self, token: str) -> Asked | None:
        content = self._tokens.read(Purpose.JOIN, token)
        if content is None:
            return None
        try:
            return msgspec.msgpack.decode(content, type=Asked)
        except msgspec.DecodeError:
            return None

    async def _subscribe(self, request: Request, asked: Asked, words: Words) -> bool:
        ip = request.client.host if request.client else ""
        try:
            known = {one.name for one in await self._contacts.topics(asked.contact_list)}
            topics = {name: Preference.OPT_IN for name in asked.topics if name in known}
            choice = Choice(
                self._now(),
                topics=topics,
                unsubscribed=False,
                source=f"{self._options.public_url}/join/{asked.contact_list}",
                ip=ip,
                form=words["signup_notice"].format(brand=self._brand),
                method=Method.CONFIRMED,
            )
            stood = await self._contacts.choose(asked.contact_list, asked.address, choice)
        except NotFoundError:
            return False
        chosen = {name: str(one) for name, one in topics.items()}
        told: dict[str, Any] = {"list": asked.contact_list, "topics": chosen, "source": "sign-up"}
        if stood is not None:
            told["before"] = before(stood)
        await self._queue.note_choice(
            Chosen(SUBSCRIPTION, asked.address, self._now(), choice=told, ip=ip)
        )
        self._changed()
        return True
