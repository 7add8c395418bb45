"""API tokens: who may ask over HTTP, and for what.

```
ekiden_ + 43 characters (256 random bits)
```

A token is shown once and kept as its SHA-256: nothing can be guessed about 256 random bits, so a
slow hash would only slow us down. A request's token is compared with every token there is, each in
constant time, so that the time taken tells neither whether one is known nor which.

| scope | may |
|---|---|
| `submit` | submit jobs, and see what became of them |
| `read` | see everything |
| `admin` | see and do everything |

| transition | what it does |
|---|---|
| `add` | a new token |
| `rotate` | a new secret under the same name; the old one works on for a while |
| `revoke` | nothing of that name works any more, from this instant |

Rotation without downtime: `rotate`, give the new secret to every client, and let the old one end.
"""

import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

import msgspec

from ekiden.errors import NotFoundError, RefusedError
from ekiden.store.database import Database
from ekiden.store.transaction import Tx, pack
from ekiden.text import printable

PREFIX: Final = "ekiden_"  # what secret scanners look for
_SECRET_BYTES: Final = 32
_NAME_CHARS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_NAME_MOST: Final = 60
_USED_EVERY: Final = 60.0  # seconds between two notes that a token is in use
_MOST: Final = 1000


class Scope(StrEnum):
    """What a token may do."""

    SUBMIT = "submit"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What is known of a token; the secret is not.

    Args:
        id: Its number.
        name: What people call it; `NAME~...` is the old secret of one that was rotated.
        scopes: What it may do.
        created_at: UNIX seconds.
        expires_at: When it ends by itself; None for never.
        used_at: When it was last used, to the minute; None for never.
        revoked_at: When it was revoked; None if it was not.
    """

    id: int
    name: str
    scopes: tuple[Scope, ...]
    created_at: float
    expires_at: float | None = None
    used_at: float | None = None
    revoked_at: float | None = None

    def works(self, now: float) -> bool:
        """Whether it is taken at a time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def may(self, scope: Scope) -> bool:
        """Whether it may do what a scope stands for."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    @property
    def owner(self) -> str:
        """Its name without what rotation put behind it."""
        return self.name.partition("~")[0]


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was made, with its secret, which is shown this once."""

    token: TokenFacts
    secret: str


class ApiTokens:
    """The table of tokens, and a copy of it in memory.

    One process has the database, so the copy is true as long as every change goes through the
    object that holds it.

    Args:
        db: The one that holds the queue.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: list[tuple[bytes, TokenFacts]] | None = None
        self._noted: dict[int, float] = {}

    async def tokens(self) -> list[TokenFacts]:
        """All of them, in the order in which they were made."""
        return [facts for _, facts in await self._all()]

    async def find(self, secret: str, now: float) -> TokenFacts | None:
        """Return the token with this secret; None if there is none that works.

        Args:
            secret: Anything.
            now: UNIX seconds.
        """
        wanted = _hash(secret)
        found = None
        for digest, facts in await self._all():
            if hmac.compare_digest(digest, wanted):
                found = facts
        if found is None or not found.works(now):
            return None
        await self._note_use(found, now)
        return found

    async def working(self, number: int, now: float) -> TokenFacts | None:
        """Return the token with this number; None if it does not work any more."""
        known = (facts for _, facts in await self._all() if facts.id == number)
        found = next(known, None)
        return found if found is not None and found.works(now) else None

    async def add(
        self, name: str, scopes: Sequence[str], now: float, expires_at: float | None = None
    ) -> NewToken:
        """Make a token.

        Raises:
            RefusedError: The name is taken or none, or a scope is.
        """
        checked = _scopes(scopes)
        _check_name(name)
        secret = _secret()
        row = (name, _hash(secret), pack([*map(str, checked)]), _ms(now), _ms(expires_at))

        def op(tx: Tx) -> None:
            if not tx.execute(_sql("add_token"), row):
                raise RefusedError(
                    "there is a token of this name",
                    where=name,
                    remedy=f"give it a new secret: ekiden tokens rotate {name}",
                )

        return await self._made(name, secret, op)

    async def rotate(
        self, name: str, now: float, *, grace: float, expires_at: float | None = None
    ) -> NewToken:
        """Give a token a new secret; the old one works for `grace` seconds more.

        Raises:
            NotFoundError: There is no such token, or it was revoked.
        """
        secret = _secret()
        known = {facts.name: (digest, facts) for digest, facts in await self._all()}
        if name not in known or known[name][1].revoked_at is not None:
            raise _unknown(name)
        digest, facts = known[name]
        end = now + grace if facts.expires_at is None else min(now + grace, facts.expires_at)
        old = (f"{name}~{_ms(now)}", digest, pack([*map(str, facts.scopes)]))
        times = (_ms(facts.created_at), _ms(end))

        def op(tx: Tx) -> None:
            tx.execute(_sql("token_rest"), (name, _hash(secret), _ms(now), _ms(expires_at)))
            if grace > 0:
                tx.execute(_sql("add_token"), (*old, *times))

        return await self._made(name, secret, op)

    async def revoke(self, name: str, now: float) -> int:
        """End a token, and what rotation left of it; returns how many secrets ended.

        Raises:
            NotFoundError: There is no such token.
        """
        if all(facts.name != name for facts in await self.tokens()):
            raise _unknown(name)
        ended = await self._db.write(lambda tx: tx.execute(_sql("revoke_token"), (name, _ms(now))))
        self._known = None
        return ended

    async def forget(self, name: str) -> None:
        """Delete a token that was revoked, so that its name is free.

        Raises:
            RefusedError: It was not revoked, or there is none.
        """
        if not await self._db.write(lambda tx: tx.execute(_sql("drop_token"), (name,))):
            raise RefusedError(
                "only a revoked token can be forgotten",
                where=printable(name, 100),
                remedy="revoke it first: ekiden tokens revoke NAME",
            )
        self._known = None

    # --- submissions -----------------------------------------------------------------------------

    async def submitted(self, token: int, key: str) -> tuple[bytes, str] | None:
        """The digest and the spool name of what was submitted under a key; None for nothing."""
        rows = await self._db.read(_sql("find_submission"), (token, key))
        return (bytes(rows[0][0]), rows[0][1]) if rows else None

    async def note_submission(
        self, token: int, key: str, digest: bytes, name: str, now: float
    ) -> tuple[bytes, str]:
        """Keep what is submitted under a key; returns what was kept first."""

        def op(tx: Tx) -> tuple[bytes, str]:
            found = tx.one(_sql("find_submission"), (token, key))
            if found is not None:
                return bytes(found[0]), found[1]
            tx.execute(_sql("add_submission"), (token, key, digest, name, _ms(now)))
            return digest, name

        return await self._db.write(op)

    async def forget_submissions(self, before: float) -> int:
        """Forget old keys; returns how many."""
        return await self._db.write(lambda tx: tx.execute(_sql("drop_submissions"), (_ms(before),)))

    # --- pieces ----------------------------------------------------------------------------------

    async def _made(self, name: str, secret: str, op: Callable[[Tx], None]) -> NewToken:
        if len(await self._all()) >= _MOST:
            raise RefusedError(f"there are {_MOST} tokens", remedy="forget some that were revoked")
        await self._db.write(op)
        self._known = None
        token = next(facts for facts in await self.tokens() if facts.name == name)
        return NewToken(token, secret)

    async def _all(self) -> list[tuple[bytes, TokenFacts]]:
        if self._known is None:
            self._known = [
                (bytes(row[2]), _facts(row)) for row in await self._db.read(_sql("tokens"))
            ]
        return self._known

    async def _note_use(self, token: TokenFacts, now: float) -> None:
        if now - self._noted.get(token.id, 0.0) < _USED_EVERY:
            return
        self._noted[token.id] = now
        await self._db.write(lambda tx: tx.execute(_sql("token_used"), (token.id, _ms(now))))
        self._known = None


def _facts(row: Sequence[Any]) -> TokenFacts:
    id_, name, _, scopes, created_at, expires_at, used_at, revoked_at = row
    return TokenFacts(
        id=id_,
        name=name,
        scopes=tuple(msgspec.json.decode(scopes, type=list[Scope])),
        created_at=created_at / 1000,
        expires_at=_seconds(expires_at),
        used_at=_seconds(used_at),
        revoked_at=_seconds(revoked_at),
    )


def _sql(name: str) -> str:
    return Database.sql("control", name)


def _secret() -> str:
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def _hash(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _ms(at: float | None) -> int | None:
    return None if at is None else round(at * 1000)


def _seconds(stored: int | None) -> float | None:
    return None if stored is None else stored / 1000


def _scopes(names: Sequence[str]) -> tuple[Scope, ...]:
    try:
        found = tuple(dict.fromkeys(Scope(name) for name in names))
    except ValueError:
        found = ()
    if not found:
        raise RefusedError("there is no such scope", remedy=f"use {', '.join(Scope)}")
    return found


def _check_name(name: str) -> None:
    if not name or len(name) > _NAME_MOST or not _NAME_CHARS.issuperset(name):
        raise RefusedError(
            "this is no name for a token",
            where=printable(name, 100),
            remedy=f"use at most {_NAME_MOST} letters, digits and - _ .",
        )


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(
        "there is no such token",
        where=printable(name, 100),
        remedy="see those there are: ekiden tokens list",
    )
