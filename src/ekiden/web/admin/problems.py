"""Errors as answers: `application/problem+json` (RFC 9457), in the words that commands use."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from ekiden.control.wire import WireError
from ekiden.errors import (
    ConfigError,
    EkidenError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from ekiden.web.guard import TooLargeError

_log = structlog.get_logger("ekiden.web")

# The narrowest class first: an error is told as the first kind it is an instance of.
_STATUS: Final = (
    (WireError, 400),
    (NotFoundError, 404),
    (RefusedError, 409),
    (UnavailableError, 503),
    (ConfigError, 500),
    (EkidenError, 422),
)


def problem(
    status: int, title: str, *, where: str = "", remedy: str = "", **headers: str
) -> Response:
    """Return an error as an answer.

    Args:
        status: The HTTP status.
        title: What is wrong.
        where: The field, file or row.
        remedy: What to do.
        headers: More header fields; `_` stands for `-`.
    """
    told = {"type": "about:blank", "title": title, "status": status}
    told |= {name: text for name, text in (("where", where), ("remedy", remedy)) if text}
    more = {name.replace("_", "-"): text for name, text in headers.items()}
    body = json.dumps(told, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Response(body, status, more, "application/problem+json")


async def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, EkidenError)  # noqa: S101 - what it is registered for
    status = next(number for kind, number in _STATUS if isinstance(error, kind))
    more = {"retry_after": "5"} if isinstance(error, UnavailableError) else {}
    return problem(status, error.what, where=error.where, remedy=error.remedy, **more)


async def _too_large(_: Request, _error: Exception) -> Response:
    return problem(413, "the body is too large", connection="close")


async def _no_such_path(_: Request, _error: Exception) -> Response:
    return problem(404, "there is no such path", remedy="see /v1/openapi.json")


async def _no_such_method(_: Request, _error: Exception) -> Response:
    return problem(405, "this path does not take this method", remedy="see /v1/openapi.json")


HANDLERS: Final[dict[Any, Callable[[Request, Exception], Awaitable[Response]]]] = {
    TooLargeError: _too_large,
    EkidenError: _told,
    404: _no_such_path,
    405: _no_such_method,
}
