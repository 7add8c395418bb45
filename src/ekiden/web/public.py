"""The public part: what recipients and their mail programs meet.

| path | GET | POST |
|---|---|---|
| `/u/TOKEN` | a page; changes nothing | leaves: one click (RFC 8058), or a button of the page |
| `/p/TOKEN` | the preference page; changes nothing | takes over its check boxes |
| `/c/LINK/SEEN` | leads where the signed link says | |
| `/o/SEEN.gif` | one transparent pixel | |
| `/v/TOKEN` | the message in the browser | |
| `/identity/CODE` | a page; changes nothing | confirms a sender |
| `/join/LIST` | the sign-up form | sends the confirmation mail |
| `/join/confirm/TOKEN` | a page; changes nothing | signs up |

A GET never changes anything but the counts of opens and clicks: link scanners follow every link.
There are no cookies, no redirects but those of clicks, and nothing that a visitor sends is shown
unescaped. A wrong token gets the same page whatever is wrong with it.
"""

import base64
import time
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from ekiden import limits
from ekiden.message.tokens import About, Purpose, Tokens, unpack_link
from ekiden.message.tracking import is_trackable
from ekiden.queue.reactions import CLICK, OPEN
from ekiden.text import printable
from ekiden.web.guard import HANDLERS
from ekiden.web.pages import Pages, TopicChoice
from ekiden.web.people import ONE_CLICK, People, Visitor, Who
from ekiden.web.recorder import Recorder, Sighting
from ekiden.web.throttle import Throttle, client_key
from ekiden.web.view import Viewer
from ekiden.web.words import Words, choose

PIXEL: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_MINUTE: Final = 60.0


class Public:
    """Answers recipients.

    Args:
        people: Carries out what they decide.
        pages: Makes pages.
        recorder: Notes opens and clicks.
        viewer: Shows messages.
        tokens: Verifies links.
        now: UNIX seconds.
        per_minute: Requests of one client to pages and forms.
    """

    def __init__(
        self,
        *,
        people: People,
        pages: Pages,
        recorder: Recorder,
        viewer: Viewer,
        tokens: Tokens,
        now: Callable[[], float],
        per_minute: int,
    ) -> None:
        self.pages = pages
        self._people = people
        self._recorder = recorder
        self._viewer = viewer
        self._tokens = tokens
        self._now = now
        self._throttle = Throttle(per_minute, _MINUTE)

    def routes(self) -> list[Route]:
        """Return the routes."""
        both = ["GET", "POST"]
        return [
            Route("/u/{token}", self.unsubscribe, methods=both),
            Route("/p/{token}", self.preferences, methods=both),
            Route("/c/{link}/{seen}", self.click, methods=["GET"]),
            Route("/o/{seen}.gif", self.opened, methods=["GET"]),
            Route("/v/{token}", self.view, methods=["GET"]),
            Route("/robots.txt", _robots, methods=["GET"]),
        ]

    # --- leaving and choosing ---------------------------------------------------------------

    async def unsubscribe(self, request: Request) -> Response:
        """The link to leave by."""
        body = await request.body()
        # RFC 8058 section 3.2: any form encoding may come; what is in it is always the same.
        posted = request.method == "POST"
        one_click = posted and b"List-Unsubscribe" in body and b"One-Click" in body
        # A mailbox provider leaves for millions of people from a few addresses: slowing that down
        # would keep them on the list. A wrong token costs no more than one hash.
        if not one_click and (slow := self.too_fast(request)) is not None:
            return slow
        who = await self._people.who(request.path_params["token"])
        if who is None:
            return self.invalid(request)
        if one_click:
            await self._people.leave(who, _visitor(request, ONE_CLICK))
            return PlainTextResponse("unsubscribed\n")
        if not posted:
            return self._page(request, who, leave=not who.left_all)
        act = _form(body).get("act", [""])[0]
        if act not in {"all", "topic"}:
            return self._page(request, who, leave=not who.left_all)
        done = await self._people.leave(who, _visitor(request), everything=act == "all")
        return await self._after(request, "left" if done else "erased")

    async def preferences(self, request: Request) -> Response:
        """The preference page."""
        if (slow := self.too_fast(request)) is not None:
            return slow
        body = await request.body()
        who = await self._people.who(request.path_params["token"])
        if who is None:
            return self.invalid(request)
        if request.method != "POST" or not who.topics:
            return self._page(request, who, leave=not who.topics and not who.left_all)
        form = _form(body)
        if form.get("act", [""])[0] != "choose":
            return self._page(request, who, leave=False)
        done = await self._people.choose(who, form.get("topic", []), _visitor(request))
        return await self._after(request, "saved" if done else "erased")

    async def _after(self, request: Request, said: str) -> Response:
        """Show how things are now that something was decided."""
        who = await self._people.who(request.path_params["token"])
        if who is None:
            return self.invalid(request)
        return self._page(request, who, leave=False, said=said)

    def _page(self, request: Request, who: Who, *, leave: bool, said: str = "") -> Response:
        words = self.words(request, _language(who))
        brand = self.pages.brand.name or who.job.from_domain
        token = request.path_params["token"]
        topic = who.topic
        lines = [words["left_detail"]] if said == "left" else []
        if who.left_all and not said:
            lines = [words["left_already"]]
        if who.left_all and who.topics:
            lines.append(words["back_hint"])
        query = f"?lang={words['language']}" if "lang" in request.query_params else ""
        return self.pages.make(
            "preferences.html",
            words,
            heading=words["leave_heading" if leave or not who.topics else "preferences"],
            brand=brand,
            notice=words[said] if said else "",
            lines=lines,
            address=who.about.address,
            leave=leave,
            topic=(topic.display_name or topic.name) if topic and who.gets(topic) else "",
            topics=[
                TopicChoice(one.name, one.display_name or one.name, one.description, who.gets(one))
                for one in who.topics
            ],
            leave_action=f"../u/{token}{query}",
            choose_action=f"../p/{token}{query}",
        )

    # --- tracking ---------------------------------------------------------------------------

    async def click(self, request: Request) -> Response:
        """A link of a message: leads where its signed part says, and nowhere else."""
        found = unpack_link(self._tokens.read(Purpose.LINK, request.path_params["link"]))
        if found is None or not is_trackable(found[2]):
            return self.invalid(request)
        mark, job, url = found
        about = self._seen(request)
        if about is not None and (about.mark, about.job) == (mark, job):
            self._note(request, CLICK, about, url)
        return RedirectResponse(url, 302)

    async def opened(self, request: Request) -> Response:
        """The pixel of a message; whoever asks with a wrong token gets one, too."""
        about = self._seen(request)
        if about is not None:
            self._note(request, OPEN, about, "")
        headers = {
            "cache-control": "no-store, no-cache, must-revalidate, private",
            "cross-origin-resource-policy": "cross-origin",
        }
        return Response(PIXEL, 200, headers, "image/gif")

    def _seen(self, request: Request) -> About | None:
        return About.unpack(self._tokens.read(Purpose.SEEN, request.path_params["seen"]))

    def _note(self, request: Request, kind: str, about: About, url: str) -> None:
        if request.method == "GET":  # HEAD asks without looking
            visitor = _visitor(request)
            sighting = Sighting(kind, about, self._now(), url, visitor.ip, visitor.user_agent)
            self._recorder.add(sighting)

    # --- the message ------------------------------------------------------------------------

    async def view(self, request: Request) -> Response:
        """The message in the browser."""
        if (slow := self.too_fast(request)) is not None:
            return slow
        about = About.unpack(self._tokens.read(Purpose.VIEW, request.path_params["token"]))
        if about is None:
            return self.invalid(request)
        shown = await self._viewer.show(about)
        if shown is None:
            return self.pages.told(self.words(request), "gone", status=410)
        return shown

    # --- what pages share ---------------------------------------------------------------------

    def words(self, request: Request, own: str = "") -> Words:
        """Return the words to talk to a visitor in."""
        if self.pages.brand.language != "auto":
            return choose(self.pages.brand.language)
        asked = request.query_params.get("lang", "")
        return choose(asked, own, request.headers.get("accept-language", ""))

    def invalid(self, request: Request) -> Response:
        """Return the page for a link that is not believed."""
        return self.pages.told(self.words(request), "invalid", status=404)

    def too_fast(self, request: Request) -> Response | None:
        """Return the page for a client that asks too often; None if it does not."""
        if self._throttle.allows(client_key(_ip(request)), time.monotonic()):
            return None
        response = self.pages.told(self.words(request), "slow", status=429)
        response.headers["retry-after"] = "60"
        return response


def application(routes: Sequence[Route]) -> Starlette:
    """Return the application of some routes; what is not among them is not found."""
    return Starlette(routes=list(routes), exception_handlers=HANDLERS)


def _visitor(request: Request, source: str = "") -> Visitor:
    agent = printable(request.headers.get("user-agent", ""), limits.USER_AGENT_KEPT)
    visitor = Visitor(ip=_ip(request), user_agent=agent)
    return Visitor(visitor.ip, visitor.user_agent, source) if source else visitor


def _ip(request: Request) -> str:
    return request.client.host if request.client else ""


def _form(body: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=200)
    except ValueError:
        return {}


def _language(who: Who) -> str:
    found = who.contact.attributes.get("language", "") if who.contact else ""
    return found if isinstance(found, str) else ""


async def _robots(_: Request) -> Response:
    return PlainTextResponse("User-agent: *\nDisallow: /\n")
