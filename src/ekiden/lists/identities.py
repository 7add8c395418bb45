"""Identities: the From addresses and domains that are known to be the sender's own.

| transition | from | to |
|---|---|---|
| `add` | unknown | pending |
| `verified_by_dns` | pending | verified: our DKIM key is published for the domain |
| `begin` | pending or verified | the same, with a code that lives 24 hours and was mailed there |
| `confirm` | has that code | verified: whoever reads mail to the address sent the code back |
| `failed_by_dns` | verified by dns | pending: the key is gone |

A verified domain covers its addresses and everything below it; a verified address covers itself.
A code is 144 random bits, used once; only its hash is kept, so a copy of the database confirms
nothing.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from ekiden import limits
from ekiden.errors import NotFoundError, RefusedError
from ekiden.lists.part import Part, ms, seconds, sql
from ekiden.lists.suppression import address_key
from ekiden.message.addresses import AddressError, parse_domain
from ekiden.store.transaction import Tx, pack

_CODE_BYTES = 18


@dataclass(frozen=True, slots=True)
class Identity:
    """An address or a domain.

    Args:
        name: In lower case, the domain in A-labels.
        created_at: UNIX seconds.
        verified_at: None while it is pending.
        method: "dns" or "mail"; "" while it is pending.
        code_until: Until when the code that was mailed is taken; None for none.
    """

    name: str
    created_at: float
    verified_at: float | None = None
    method: str = ""
    code_until: float | None = None

    @property
    def is_address(self) -> bool:
        """Whether it is an address and not a domain."""
        return "@" in self.name


def identity_name(text: str) -> str:
    """The form in which an identity is kept.

    Raises:
        RefusedError: It is neither an address nor a domain.
    """
    if "@" in text:
        return address_key(text)
    try:
        return parse_domain(text.strip())
    except AddressError as error:
        raise RefusedError(
            f"this is neither a mail address nor a domain: {error.reason}", where=text[:100]
        ) from error


def covering(address: str) -> list[str]:
    """The identities that cover an address: itself, its domain, and every domain above it."""
    key = address_key(address)
    labels = key.rpartition("@")[2].split(".")
    return [key, *(".".join(labels[at:]) for at in range(len(labels) - 1))]


class Identities(Part):
    """The table of identities."""

    async def identities(self) -> Sequence[Identity]:
        """All of them by name."""
        return await self._read("")

    async def identity(self, name: str) -> Identity:
        """One of them.

        Raises:
            NotFoundError: There is no such identity.
        """
        found = await self._read(identity_name(name))
        if not found:
            raise _unknown(name)
        return found[0]

    async def _read(self, name: str) -> list[Identity]:
        return [
            Identity(name, created_at / 1000, seconds(verified_at), method, seconds(until))
            for name, created_at, verified_at, method, until in await self._db.read(
                sql("identities"), (name,)
            )
        ]

    async def add(self, name: str, *, at: float) -> Identity:
        """Make it known, not yet verified; one that is there stays as it is.

        Raises:
            RefusedError: It is neither an address nor a domain.
        """
        key = identity_name(name)
        await self._db.write(lambda tx: tx.execute(sql("add_identity"), (key, ms(at))))
        return await self.identity(key)

    async def remove(self, name: str) -> bool:
        """Forget it; whether it was there."""
        key = identity_name(name)
        return bool(await self._db.write(lambda tx: tx.execute(sql("drop_identity"), (key,))))

    async def verified_by_dns(self, name: str, *, at: float) -> Identity:
        """Our key is published for the domain: the caller has looked.

        Raises:
            NotFoundError: It has not been added.
        """
        return await self._set(identity_name(name), "verify_identity", ms(at), "dns")

    async def failed_by_dns(self, name: str) -> Identity:
        """Our key is not published: what was verified by it is so no more."""
        key = identity_name(name)
        await self._db.write(lambda tx: tx.execute(sql("unverify_identity"), (key,)))
        return await self.identity(key)

    async def begin(self, name: str, *, at: float) -> str:
        """Return a new code to be mailed to the address; an older one is void from here on.

        Raises:
            NotFoundError: It has not been added.
            RefusedError: It is a domain; mail to which of its addresses would prove it?
        """
        key = identity_name(name)
        if "@" not in key:
            raise RefusedError(
                "a domain is verified by DNS",
                where=key,
                remedy="publish its DKIM key (ekiden dkim show), then verify it again",
            )
        code = secrets.token_urlsafe(_CODE_BYTES)
        await self._set(key, "set_code", _hash(code), ms(at + limits.IDENTITY_CODE_SECONDS))
        return code

    async def of_code(self, code: str, *, at: float) -> str:
        """Return the address that a code would verify; "" if it is not known or has expired."""
        rows = await self._db.read(sql("of_code"), (_hash(code), ms(at)))
        return str(rows[0][0]) if rows else ""

    async def confirm(self, code: str, *, at: float) -> Identity:
        """Take a code back: the address is verified, and the code is used up.

        Raises:
            NotFoundError: No identity has this code, or it has expired.
        """

        def op(tx: Tx) -> str:
            found = tx.one(sql("of_code"), (_hash(code), ms(at)))
            if found is None:
                raise NotFoundError(
                    "this code is not known or has expired",
                    remedy="have a new one sent: ekiden identities verify ADDRESS",
                )
            name: str = found[0]
            tx.execute(sql("verify_identity"), (name, ms(at), "mail"))
            return name

        return await self.identity(await self._db.write(op))

    async def covers(self, address: str) -> bool:
        """Whether mail may leave with this From address."""
        rows = await self._db.read(sql("covered"), (pack(covering(address)),))
        return bool(rows[0][0])

    async def _set(self, key: str, statement: str, *values: object) -> Identity:
        if not await self._db.write(lambda tx: tx.execute(sql(statement), (key, *values))):
            raise _unknown(key)
        return await self.identity(key)


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(
        "there is no such identity",
        where=name[:100],
        remedy="see those there are: ekiden identities list; add it: ekiden identities add NAME",
    )
