"""Who was erased: nothing of a person is left but a keyed hash of the address.

The queue asks before it sends and the lists ask before they add, each inside its own transaction;
that is why this stands below both. The key is made with the database. A hash is a pseudonym: who
holds the whole database can test an address against it, which is exactly what it is kept for.
"""

import hmac
from collections.abc import Collection

from ekiden.store.statements import statements
from ekiden.store.transaction import Tx, pack


def _sql(name: str) -> str:
    return statements("store")[name]


def _hash(key: bytes, address: str) -> str:
    return hmac.digest(key, address.encode("utf-8", "surrogatepass"), "sha256").hex()


def erased_among(tx: Tx, addresses: Collection[str]) -> set[str]:
    """The addresses (in their key form) of people who were erased."""
    found = tx.one(_sql("erasure_key"))
    if found is None or not addresses:
        return set()
    by_hash = {_hash(found[0], address): address for address in addresses}
    return {by_hash[one] for one in tx.json(_sql("erased_of"), (pack(list(by_hash)),))}


def erase(tx: Tx, address: str, at: int) -> None:
    """Keep the hash of an address (key form); `at` in stored milliseconds."""
    tx.execute(_sql("erase"), (_hash(_key(tx), address), at))


def unerase(tx: Tx, address: str) -> bool:
    """Forget the hash: the person has come back. Whether there was one."""
    return bool(tx.execute(_sql("unerase"), (_hash(_key(tx), address),)))


def _key(tx: Tx) -> bytes:
    key: bytes = tx.rows(_sql("erasure_key_always"))[0][0]
    return key
