"""What can be asked about API tokens; see `requests`."""

from typing import ClassVar

from ekiden.control.requests import Question
from ekiden.control.tokens import NewToken, TokenFacts


class ListTokens(Question[list[TokenFacts]], frozen=True):
    """All tokens; no secret is among what is told."""

    method: ClassVar[str] = "tokens"


class AddToken(Question[NewToken], frozen=True):
    """Make a token; its secret is shown this once."""

    method: ClassVar[str] = "token.add"
    name: str
    scopes: tuple[str, ...]
    expires_at: float | None = None


class RotateToken(Question[NewToken], frozen=True):
    """Give a token a new secret; the old one works for `grace` seconds more."""

    method: ClassVar[str] = "token.rotate"
    name: str
    grace: float = 86_400.0
    expires_at: float | None = None


class RevokeToken(Question[int], frozen=True):
    """End a token at once; answers how many secrets ended."""

    method: ClassVar[str] = "token.revoke"
    name: str
    forget: bool = False  # and free its name


TOKEN_REQUESTS = {kind.method: kind for kind in (ListTokens, AddToken, RotateToken, RevokeToken)}
