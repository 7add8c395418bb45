"""The page behind the link of an identity's confirmation mail.

A GET shows what would be confirmed and changes nothing: link scanners follow every link of every
mail, and would otherwise confirm senders that are not theirs. The button does it.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ekiden.errors import NotFoundError
from ekiden.lists.identities import Identities
from ekiden.web.public import Public


class IdentityPage:
    """Confirms identities.

    Args:
        public: Makes pages, and slows clients down.
        identities: The identities.
        now: UNIX seconds.
    """

    def __init__(self, public: Public, identities: Identities, *, now: Callable[[], float]) -> None:
        self._public = public
        self._identities = identities
        self._now = now

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/identity/{code}", self.confirm, methods=["GET", "POST"])]

    async def confirm(self, request: Request) -> Response:
        """Show whose identity a code would confirm; confirm it on POST."""
        if (slow := self._public.too_fast(request)) is not None:
            return slow
        await request.body()
        code, words = request.path_params["code"], self._public.words(request)
        pages = self._public.pages
        if request.method == "POST":
            try:
                done = await self._identities.confirm(code, at=self._now())
            except NotFoundError:
                return self._public.invalid(request)
            return pages.told(words, "identity_confirmed", address=done.name)
        address = await self._identities.of_code(code, at=self._now())
        if not address:
            return self._public.invalid(request)
        return pages.make("identity.html", words, heading=words["identity"], address=address)
