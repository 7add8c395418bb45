"""The admin API: `operations` as routes, each answered by the one `Control`.

```
Authorization: Bearer ekiden_...         every path but /health and /v1/openapi.json
GET, DELETE                              fields by the query
POST                                     fields by a JSON object, or no body at all
```

A listing answers `{"items": [...]}`, at most `limit` of them; with `Accept: application/x-ndjson`
one JSON value a line, as many as there are. Errors are problems (see `problems`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ekiden import limits
from ekiden.control.requests import Question
from ekiden.control.server import Answers
from ekiden.control.tokens import Scope
from ekiden.control.wire import WireError
from ekiden.web.admin.doorkeeper import Doorkeeper
from ekiden.web.admin.operations import OPERATIONS, Operation
from ekiden.web.guard import TooLargeError

JSON: Final = "application/json"
LINES: Final = "application/x-ndjson"
_PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
_LIMIT: Final = 1000  # of a listing that says nothing
_LIMIT_MOST: Final = 10_000


class Api:
    """Answers programs.

    Args:
        answers: Answers requests: `control.service.Control`.
        doorkeeper: Lets them in.
        metrics: Gives everything in Prometheus's text format.
        trouble: Why the daemon takes or sends nothing; "" when all is well.
    """

    def __init__(
        self,
        answers: Answers,
        doorkeeper: Doorkeeper,
        *,
        metrics: Callable[[], Awaitable[bytes]],
        trouble: Callable[[], str],
    ) -> None:
        self._answers = answers
        self._doorkeeper = doorkeeper
        self._metrics = metrics
        self._trouble = trouble

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/health", self.health, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
            *(
                Route(f"/v1{one.path}", self._endpoint(one), methods=[one.verb])
                for one in OPERATIONS
            ),
        ]

    async def health(self, _: Request) -> Response:
        """Whether all is well; without a token, and without saying what is not."""
        well = not self._trouble()
        return answer({"status": "ok" if well else "trouble"}, 200 if well else 503)

    async def metrics(self, request: Request) -> Response:
        """Everything that is measured."""
        token = await self._doorkeeper.admit(request, Scope.READ)
        if isinstance(token, Response):
            return token
        return Response(
            await self._metrics(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    def _endpoint(self, operation: Operation) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            token = await self._doorkeeper.admit(request, operation.scope)
            if isinstance(token, Response):
                return token
            asked = await _asked(operation, request)
            if isinstance(asked, Question):
                return answer(await self._answers.ask(asked))
            return await self._listing(request, asked)

        return endpoint

    async def _listing(self, request: Request, asked: Any) -> Response:
        if LINES in request.headers.get("accept", ""):
            return StreamingResponse(self._lines(asked), media_type=LINES)
        limit = min(asked.limit if asked.limit is not None else _LIMIT, _LIMIT_MOST)
        asked = msgspec.structs.replace(asked, limit=limit)
        return answer({"items": [one async for one in self._answers.stream(asked)]})

    async def _lines(self, asked: Any) -> AsyncIterator[bytes]:
        async for one in self._answers.stream(asked):
            yield msgspec.json.encode(one) + b"\n"


def answer(value: Any, status: int = 200, **headers: str) -> Response:
    """Return a value as JSON; header names with `_` for `-`."""
    more = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(msgspec.json.encode(value), status, more, JSON)


async def small_body(request: Request) -> bytes:
    """Return a body that is no job.

    Raises:
        TooLargeError: It is larger than a line on the control socket.
    """
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > limits.HTTP_JSON_BYTES:
            raise TooLargeError
    return bytes(found)


async def _asked(operation: Operation, request: Request) -> Any:
    """Return the request that an operation makes of an HTTP request.

    Raises:
        WireError: Its fields are wrong.
    """
    fields: dict[str, Any] = dict(request.path_params)
    body = await small_body(request)
    if operation.has_body:
        given = _object(body)
        known = {one.name for one in msgspec.structs.fields(operation.request)}
        for name in given:
            if name in fields or name not in known:
                free = ", ".join(sorted(known - fields.keys())) or "none"
                raise WireError(f"there is no field {name!r}", remedy=f"known here: {free}")
        fields |= given
    else:
        fields |= _query(operation, request)
    try:
        return msgspec.convert(fields, operation.request, strict=operation.has_body)
    except msgspec.ValidationError as error:
        raise WireError(f"the fields are wrong: {error}", remedy="see /v1/openapi.json") from None


def _object(body: bytes) -> Mapping[str, Any]:
    if not body.strip():
        return {}
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"the body is no JSON: {error}") from None
    if not isinstance(given, dict):
        raise WireError("the body is no JSON object")
    return given


def _query(operation: Operation, request: Request) -> dict[str, Any]:
    found: dict[str, Any] = {}
    kinds = {one.name: one.type for one in msgspec.structs.fields(operation.request)}
    for name in request.query_params:
        if name not in kinds or name in request.path_params:
            free = ", ".join(sorted(kinds.keys() - request.path_params.keys())) or "none"
            raise WireError(f"there is no field {name!r}", remedy=f"known here: {free}")
        values = request.query_params.getlist(name)
        several = getattr(kinds[name], "__origin__", None) is tuple
        found[name] = values if several else values[-1]
    return found
