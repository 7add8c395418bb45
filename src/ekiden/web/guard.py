"""What every request meets before any page: who it is from, how long and how large it may be.

An ASGI wrapper. It finds the client's address (behind proxies that we trust, and nowhere else),
takes the path before ours off, bounds the body, adds the headers that every answer has, and turns
what fails into a plain answer that says nothing about us.

`X-Forwarded-For` is read from its end: each trusted proxy has appended the peer it saw, so the last
address that is no trusted proxy is the client, whatever the client itself has written before it.
"""

import email.utils
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ekiden import limits
from ekiden.errors import EkidenError, UnavailableError
from ekiden.web.options import Network

_log = structlog.get_logger("ekiden.web")

SECURITY: Final = {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
    b"form-action 'self'",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
    b"x-robots-tag": b"noindex, nofollow",
    b"permissions-policy": b"interest-cohort=()",
}


class TooLargeError(Exception):
    """A body larger than it may be."""


async def _too_large(_: Request, _error: Exception) -> Response:
    return PlainTextResponse("too large\n", 413, {"connection": "close"})


async def _unavailable(request: Request, error: Exception) -> Response:
    _log.error("request not answered", path=_shown(request.scope), error=str(error))
    return PlainTextResponse("not available now, please try again later\n", 503)


async def _refused(request: Request, error: Exception) -> Response:
    _log.info("request refused", path=_shown(request.scope), error=str(error))
    return PlainTextResponse("refused\n", 400)


# What applications answer to errors that are no bugs; a bug is answered by the guard.
HANDLERS: Final[dict[Any, Callable[[Request, Exception], Awaitable[Response]]]] = {
    TooLargeError: _too_large,
    UnavailableError: _unavailable,
    EkidenError: _refused,
}


@dataclass(frozen=True, slots=True)
class GuardOptions:
    """How requests are guarded.

    Args:
        proxies: Whose X-Forwarded-For is believed.
        prefix: The path before ours, as `/mail`, when the proxy leaves it on; "" for none.
        body: Bytes of a body at most.
    """

    proxies: Sequence[Network] = ()
    prefix: str = ""
    body: int = limits.HTTP_FORM_BYTES


class Guard:
    """Wraps an application.

    Args:
        app: The application.
        options: See `GuardOptions`.
    """

    def __init__(self, app: ASGIApp, options: GuardOptions) -> None:
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        answer = _Answer(send)
        scope = self._scope(scope)
        try:
            await self._app(scope, _Bounded(scope, receive, self._options.body), answer)
        except Exception:  # noqa: BLE001 - the border: a bug in one page must not end the daemon
            _log.exception("request failed", path=_shown(scope))
            await answer.fail(500, b"something went wrong")

    def _scope(self, scope: Scope) -> Scope:
        path: str = scope["path"]
        prefix = self._options.prefix
        if prefix and (path == prefix or path.startswith(prefix + "/")):
            path = path[len(prefix) :] or "/"
        peer = scope.get("client") or ("", 0)
        client = client_of(peer[0], scope["headers"], self._options.proxies)
        return {**scope, "path": path, "raw_path": path.encode(), "client": (client, peer[1])}


def client_of(peer: str, headers: Sequence[tuple[bytes, bytes]], proxies: Sequence[Network]) -> str:
    """Return the client's address; the peer's own unless it is a proxy that we trust.

    Args:
        peer: Whom the connection is from; "" for a Unix socket.
        headers: The request's, names in lower case.
        proxies: The proxies that are trusted.
    """
    if not trusted(peer, proxies):
        return peer
    said = b",".join(value for name, value in headers if name == b"x-forwarded-for")
    client = peer
    for one in reversed(said.decode("latin-1").split(",")):
        try:
            client = str(ipaddress.ip_address(one.strip()))
        except ValueError:
            return client
        if not trusted(client, proxies):
            return client
    return client


def trusted(address: str, proxies: Sequence[Network]) -> bool:
    """Whether an address is one of the proxies."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip.version == net.version and ip in net for net in proxies)


def _shown(scope: Scope) -> str:
    # The first part only: what follows it is a token, and tokens are not written down.
    path: str = scope["path"]
    return "/" + path.lstrip("/").partition("/")[0][:30]


class _Bounded:
    """A `receive` that counts the body."""

    def __init__(self, scope: Scope, receive: Receive, most: int) -> None:
        self._receive = receive
        self._left = most
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value[:18]) > most):
                self._left = -1

    async def __call__(self) -> Message:
        if self._left < 0:
            raise TooLargeError
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise TooLargeError
        return message


class _Answer:
    """A `send` that adds the headers of every answer."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            headers = list(message.get("headers", ()))
            there = {name.lower() for name, _ in headers}
            headers += [(name, value) for name, value in SECURITY.items() if name not in there]
            headers.append((b"date", email.utils.formatdate(usegmt=True).encode()))
            message = {**message, "headers": headers}
        await self._send(message)

    async def fail(self, status: int, text: bytes) -> None:
        """Answer in plain words, unless the answer has begun."""
        if self._started:
            return
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text))]
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": text})
