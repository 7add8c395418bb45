"""Who may come in: bearer tokens for programs, a cookie for the dashboard.

The dashboard's cookie is a random number that stands for a token in this process's memory: it ends
with the daemon, with the token, or after `session` seconds. It is HttpOnly and SameSite=Strict, and
every form carries a number of its own that another site cannot know (CSRF).
"""

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ekiden.control.tokens import ApiTokens, Scope, TokenFacts
from ekiden.web.admin.problems import problem
from ekiden.web.throttle import Throttle, client_key

COOKIE: Final = "ekiden_session"
_MINUTE: Final = 60.0
_WRONG: Final = 20  # wrong tokens a minute from one client
_SESSIONS: Final = 1000
_BEARER: Final = "bearer "
_TOKEN_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody at the dashboard.

    Args:
        token: The number of their token.
        csrf: What their forms carry.
        ends_at: UNIX seconds.
    """

    token: int
    csrf: str
    ends_at: float


class Doorkeeper:
    """Lets requests in.

    Args:
        tokens: The tokens.
        now: UNIX seconds.
        session: Seconds that somebody stays at the dashboard.
        per_minute: Requests of one token.
    """

    def __init__(
        self, tokens: ApiTokens, *, now: Callable[[], float], session: float, per_minute: int
    ) -> None:
        self._tokens = tokens
        self._now = now
        self._session = session
        self._wrong = Throttle(_WRONG, _MINUTE)
        self._requests = Throttle(per_minute, _MINUTE)
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    # --- programs ----------------------------------------------------------------------------

    async def admit(self, request: Request, *scopes: Scope) -> TokenFacts | Response:
        """Return the token of a request, or the answer that refuses it.

        Args:
            request: The request.
            scopes: Any of them is enough.
        """
        said = request.headers.get("authorization", "")
        secret = said[len(_BEARER) :].strip() if said[: len(_BEARER)].lower() == _BEARER else ""
        token = await self.token(request, secret)
        if isinstance(token, Response):
            return token
        if not any(token.may(scope) for scope in scopes):
            wanted = " or ".join(scopes)
            challenge = f'Bearer error="insufficient_scope", scope="{" ".join(scopes)}"'
            return problem(
                403,
                f"this token may not do that: it needs the scope {wanted}",
                www_authenticate=challenge,  # RFC 6750 section 3.1
            )
        if not self._requests.allows(str(token.id), time.monotonic()):
            return problem(429, "too many requests with this token", retry_after="10")
        return token

    async def token(self, request: Request, secret: str) -> TokenFacts | Response:
        """Return the token with a secret, or the answer that refuses it."""
        if 0 < len(secret) <= _TOKEN_CHARS:
            found = await self._tokens.find(secret, self._now())
            if found is not None:
                return found
        client = client_key(request.client.host if request.client else "")
        if not self._wrong.allows(client, time.monotonic()):
            return problem(429, "too many wrong tokens", retry_after="60")
        return problem(
            401,
            "this needs a token" if not secret else "this token is not known, or has ended",
            remedy="ekiden tokens add NAME --scope read; send it as: Authorization: Bearer TOKEN",
            www_authenticate='Bearer realm="ekiden"',
        )

    # --- people ------------------------------------------------------------------------------

    def begin(self, token: TokenFacts) -> str:
        """Begin a session; returns the cookie's value."""
        cookie = secrets.token_urlsafe(32)
        ends_at = self._now() + self._session
        csrf = secrets.token_urlsafe(32)
        self._sessions[_digest(cookie)] = Session(token.id, csrf, ends_at)
        while len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return cookie

    def end(self, request: Request) -> None:
        """End the session of a request."""
        self._sessions.pop(_digest(request.cookies.get(COOKIE, "")), None)

    async def visitor(self, request: Request) -> tuple[TokenFacts, Session] | None:
        """Return who is at the dashboard; None for nobody who may."""
        key = _digest(request.cookies.get(COOKIE, ""))
        session = self._sessions.get(key)
        if session is None:
            return None
        token = await self._tokens.working(session.token, self._now())
        if token is None or self._now() >= session.ends_at or not token.may(Scope.READ):
            del self._sessions[key]
            return None
        return token, session

    @staticmethod
    def same_site(request: Request) -> bool:
        """Whether a form was sent from a page of ours, as far as the browser says."""
        return request.headers.get("sec-fetch-site", "same-origin") == "same-origin"

    @staticmethod
    def genuine(session: Session, csrf: str) -> bool:
        """Whether a form carries its session's number."""
        return hmac.compare_digest(session.csrf.encode(), csrf.encode("utf-8", "replace"))


def _digest(cookie: str) -> bytes:
    return sha256(cookie.encode("utf-8", "surrogatepass")).digest()
