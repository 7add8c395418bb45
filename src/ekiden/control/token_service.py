"""The answers about API tokens; a part of `service.Control`."""

from collections.abc import Awaitable, Callable
from typing import Any

from ekiden.control import token_requests as asked
from ekiden.control.tokens import ApiTokens, NewToken, TokenFacts


class TokenAnswers:
    """Answers what `token_requests` asks.

    Args:
        tokens: The tokens.
        clock: UNIX seconds.
    """

    def __init__(self, tokens: ApiTokens, *, clock: Callable[[], float]) -> None:
        self._tokens = tokens
        self._clock = clock

    def questions(self) -> dict[type, Callable[[Any], Awaitable[Any]]]:
        """Return what answers each question."""
        return {
            asked.ListTokens: self._list,
            asked.AddToken: self._add,
            asked.RotateToken: self._rotate,
            asked.RevokeToken: self._revoke,
        }

    async def _list(self, _: asked.ListTokens) -> list[TokenFacts]:
        return await self._tokens.tokens()

    async def _add(self, one: asked.AddToken) -> NewToken:
        return await self._tokens.add(one.name, one.scopes, self._clock(), one.expires_at)

    async def _rotate(self, one: asked.RotateToken) -> NewToken:
        return await self._tokens.rotate(
            one.name, self._clock(), grace=one.grace, expires_at=one.expires_at
        )

    async def _revoke(self, one: asked.RevokeToken) -> int:
        ended = await self._tokens.revoke(one.name, self._clock())
        if one.forget:
            await self._tokens.forget(one.name)
        return ended
