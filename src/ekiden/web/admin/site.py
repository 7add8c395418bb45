"""The admin part put together: API, submissions, document and dashboard behind one guard."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ekiden import __version__, limits
from ekiden.control.server import Answers
from ekiden.control.tokens import ApiTokens
from ekiden.queue.queue import Queue
from ekiden.spool.layout import Spool
from ekiden.web.admin.api import JSON, Api
from ekiden.web.admin.dashboard import Dashboard
from ekiden.web.admin.doorkeeper import Doorkeeper
from ekiden.web.admin.eventlog import EventTail
from ekiden.web.admin.openapi import text
from ekiden.web.admin.problems import HANDLERS
from ekiden.web.admin.submissions import Submissions
from ekiden.web.guard import Guard, GuardOptions
from ekiden.web.options import AdminOptions


class AdminSite:
    """The admin part.

    Args:
        answers: Answers requests: the daemon's own `Control`.
        tokens: Who may ask.
        spool: Takes jobs.
        queue: Has jobs.
        options: See `AdminOptions`.
        now: UNIX seconds.
        metrics: Gives everything in Prometheus's text format.
        trouble: Why the daemon takes or sends nothing; "" when all is well.
    """

    def __init__(
        self,
        answers: Answers,
        tokens: ApiTokens,
        spool: Spool,
        queue: Queue,
        options: AdminOptions,
        *,
        now: Callable[[], float],
        metrics: Callable[[], Awaitable[bytes]],
        trouble: Callable[[], str],
    ) -> None:
        doorkeeper = Doorkeeper(
            tokens, now=now, session=options.session, per_minute=options.per_minute
        )
        api = Api(answers, doorkeeper, metrics=metrics, trouble=trouble)
        submissions = Submissions(spool, queue, answers, doorkeeper, tokens=tokens, now=now)
        dashboard = Dashboard(answers, doorkeeper, now=now, host=options.host)
        self.routes: Final = [
            Route("/v1/openapi.json", _document, methods=["GET"]),
            *submissions.routes(),
            *EventTail(options.events, doorkeeper).routes(),
            *api.routes(),
            *dashboard.routes(),
        ]
        self.app: Final = Guard(
            Starlette(routes=_merged(self.routes), exception_handlers=HANDLERS),
            GuardOptions(proxies=options.proxies, body=limits.HTTP_JOB_BYTES),
        )


def _merged(routes: Sequence[Route]) -> list[Route]:
    """Return the routes with those of one path made one: else the first would answer 405."""
    by_path: dict[str, list[Route]] = {}
    for route in routes:
        by_path.setdefault(route.path, []).append(route)
    return [_one(path, several) for path, several in by_path.items()]


def _one(path: str, routes: Sequence[Route]) -> Route:
    if len(routes) == 1:
        return routes[0]
    by_method = {method: one.endpoint for one in routes for method in one.methods or ()}

    async def endpoint(request: Request) -> Response:
        response: Response = await by_method[request.method](request)
        return response

    return Route(path, endpoint, methods=list(by_method))


async def _document(_: Request) -> Response:
    return Response(text(__version__), media_type=JSON)
