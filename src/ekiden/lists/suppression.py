"""Suppressions: addresses that are not mailed, why, and in which scope.

An address is identified by its casefolded local part and its domain in A-labels. It may be
suppressed for several reasons at once; removing one leaves the others. The queue checks them when a
job comes in and in the transaction that claims a delivery, so what is added here holds from the
next claim on.

| reason | who sets it | transactional mail passes |
|---|---|---|
| hard_bounce | a reply or report that says the mailbox does not exist | no |
| soft_bounces | N soft bounces over at least M days, no delivery between | no |
| complaint | a feedback report | no |
| unsubscribe | the recipient | yes |
| unengaged | a sunset policy | yes |
| manual, import | a person | no |

Scopes: `all`, `topic:X`, `sender:X`, `set:X`; a job names those that apply to it.
"""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Final

import idna

from ekiden import limits
from ekiden.errors import RefusedError
from ekiden.store.database import Database
from ekiden.store.transaction import Tx, pack

_SCOPE: Final = re.compile(r"all|(?:topic|sender|set):[^\s\x00-\x1f]{1,200}")
_BATCH: Final = 2000


class Reason(StrEnum):
    """Why an address is not mailed."""

    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCES = "soft_bounces"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    UNENGAGED = "unengaged"
    MANUAL = "manual"
    IMPORT = "import"

    @property
    def passes_transactional(self) -> bool:
        """Whether transactional mail is sent nevertheless."""
        return self in (Reason.UNSUBSCRIBE, Reason.UNENGAGED)


@dataclass(frozen=True, slots=True)
class Suppression:
    """One reason not to mail one address.

    Args:
        address: Any spelling; it is brought into its key form.
        reason: Why.
        at: Since when, UNIX seconds.
        scope: For which mail.
        job_id: The job that caused it, if one did.
        note: What a person should know, such as the reply.
    """

    address: str
    reason: Reason
    at: float
    scope: str = "all"
    job_id: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class SoftBounces:
    """Soft bounces in a row of an address that is not suppressed yet."""

    address: str
    count: int
    first_at: float
    last_at: float


def address_key(address: str) -> str:
    """The key form of an address: local part casefolded, domain in A-labels (RFC 5890).

    Raises:
        RefusedError: It is no address.
    """
    local, at, domain = address.strip().rpartition("@")
    if not (local and at and domain) or re.search(r"[\x00-\x20\x7f]", local + domain):
        raise RefusedError("this is no mail address", where=address[:100])
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except idna.IDNAError as error:
            raise RefusedError(f"this is no domain name ({error})", where=address[:100]) from error
    if len(address.encode()) > limits.LOCAL_PART_OCTETS + limits.DOMAIN_OCTETS + 1:
        raise RefusedError("this address is too long", where=address[:100])
    return f"{local.casefold()}@{domain.lower()}"


class Suppressions:
    """The list, in the queue's database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, suppression: Suppression) -> bool:
        """Suppress an address; False when it was suppressed for that reason and scope already.

        Raises:
            RefusedError: The address or the scope is malformed.
        """
        return await self.add_many([suppression]) == 1

    async def add_many(self, suppressions: Sequence[Suppression]) -> int:
        """Suppress a batch in one transaction; returns how many were new."""
        batch = pack([_row(item) for item in suppressions])

        def op(tx: Tx) -> int:
            return tx.execute(_sql("add"), (batch,))

        return await self._db.write(op, rows=len(suppressions))

    async def remove(self, address: str, *, scope: str = "", reason: str = "") -> int:
        """Mail an address again; returns how many reasons were removed.

        Args:
            address: Any spelling.
            scope: Only of this scope; "" for all.
            reason: Only this reason; "" for all. Its count of soft bounces starts anew.
        """
        key = address_key(address)

        def op(tx: Tx) -> int:
            tx.execute(_sql("forget_soft"), (key,))
            return tx.execute(_sql("remove"), (key, scope, reason))

        return await self._db.write(op)

    async def contains(
        self, address: str, *, scopes: Sequence[str] = ("all",), transactional: bool = False
    ) -> Suppression | None:
        """The reason not to mail an address, the oldest that applies; None when it is mailed."""
        key = address_key(address)
        for scope, reason, job_id, at, note in await self._db.read(
            _sql("find"), (key, pack(list(scopes)))
        ):
            if not (transactional and Reason(reason).passes_transactional):
                return Suppression(key, Reason(reason), at / 1000, scope, job_id, note)
        return None

    async def contains_many(
        self, addresses: Sequence[str], *, scopes: Sequence[str] = ("all",)
    ) -> set[str]:
        """Which of a batch of addresses are suppressed, in their key form."""
        keys = pack([address_key(address) for address in addresses])
        return set(await self._db.read_json(_sql("find_many"), (keys, pack(list(scopes)))))

    async def list(
        self,
        *,
        pattern: str = "*",
        reason: str = "",
        limit: int = 100,
        after: Suppression | None = None,
    ) -> list[Suppression]:
        """A page of the list in the order of addresses.

        Args:
            pattern: A glob over addresses, such as `*@example.com`.
            reason: Only this reason; "" for all.
            limit: At most so many.
            after: The last one of the page before.
        """
        place = (after.address, after.scope, str(after.reason)) if after else ("", "", "")
        found = await self._db.read_json(_sql("page"), (*place, pattern.lower(), reason, limit))
        return [
            Suppression(address, Reason(why), at / 1000, scope, job_id, note)
            for address, scope, why, job_id, at, note in found
        ]

    async def export(self) -> AsyncIterator[Suppression]:
        """All of it in the order of addresses, page by page."""
        page = await self.list(limit=_BATCH)
        while page:
            for item in page:
                yield item
            page = await self.list(limit=_BATCH, after=page[-1])

    async def import_many(self, suppressions: Iterable[Suppression]) -> tuple[int, Sequence[str]]:
        """Suppress many, in batches; the malformed ones are named and left out.

        Returns:
            How many were new, and the texts of the refused addresses.
        """
        refused: list[str] = []

        def good() -> Iterable[Suppression]:
            for item in suppressions:
                try:
                    _row(item)
                except RefusedError as error:
                    refused.append(str(error))
                else:
                    yield item

        new = 0
        stream = iter(good())
        while batch := list(islice(stream, _BATCH)):
            new += await self.add_many(batch)
        return new, refused

    async def counts(self) -> dict[Reason, int]:
        """How many addresses are suppressed for each reason."""
        return {Reason(why): number for why, number in await self._db.read(_sql("counts"))}

    async def soft_bounces(self, address: str) -> SoftBounces | None:
        """The soft bounces in a row of an address, or None."""
        key = address_key(address)
        for count, first_at, last_at in await self._db.read(_sql("soft"), (key,)):
            return SoftBounces(key, count, first_at / 1000, last_at / 1000)
        return None


def _sql(name: str) -> str:
    return Database.sql("lists", name)


def _row(item: Suppression) -> list[Any]:
    if not _SCOPE.fullmatch(item.scope):
        raise RefusedError(
            f"there is no scope {item.scope[:50]!r}",
            where=item.address[:100],
            remedy="use all, topic:NAME, sender:NAME or set:NAME",
        )
    at = round(item.at * 1000)
    return [address_key(item.address), item.scope, item.reason, item.job_id, at, item.note]
