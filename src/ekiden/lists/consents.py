"""Consent as a record: who agreed to what, when, where, in which words, and how they left.

Records are kept for as long as the contact is on the list, and three years after the last mail when
it is removed (特定商取引法 article 12-3 and 特定電子メール法 article 3 paragraph 2). Nothing here
changes a record. `people` exports them on request and erases them.
"""

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ekiden import limits
from ekiden.errors import RefusedError
from ekiden.lists.model import Act, Consent
from ekiden.lists.part import PIECE, Part, consent_of, ms, sql
from ekiden.lists.suppression import address_key
from ekiden.store.transaction import Tx, pack


class Consents(Part):
    """The records."""

    async def consents(self, address: str, contact_list: str = "") -> Sequence[Consent]:
        """Everything recorded about an address, by list and time."""
        rows = await self._db.read_json(sql("consents"), (address_key(address), contact_list))
        return [consent_of(row) for row in rows]

    async def record(self, contact_list: str, address: str, consent: Consent, *, at: float) -> None:
        """Add a record; it changes no preference.

        Args:
            contact_list: The list.
            address: Any spelling.
            consent: What happened.
            at: Now (UNIX seconds).
        """
        checked_consent(consent)
        rows = [(address_key(address), consent)]
        await self._db.write(lambda tx: write_consents(tx, contact_list, rows, ms(at)))

    async def drop_old_consents(self, now: float) -> int:
        """Delete one piece of what was kept long enough; call again while it is more than 0."""
        return await self._db.write(
            lambda tx: tx.execute(sql("drop_consents"), (ms(now), PIECE)), rows=PIECE
        )


def checked_consent(consent: Consent) -> Consent:
    """A record that can be kept.

    Raises:
        RefusedError: With what is wrong.
    """
    if consent.act is Act.GIVEN and consent.method is None:
        raise RefusedError("a consent needs its method", remedy="single, confirmed, written, ...")
    _check_words(consent.source, consent.form)
    if not 0 <= consent.at < 1e11:
        raise RefusedError("a consent needs its time")
    if consent.ip:
        try:
            ipaddress.ip_address(consent.ip)
        except ValueError:
            raise RefusedError("this is no IP address", where=consent.ip[:60]) from None
    return consent


@lru_cache(64)
def _check_words(source: str, form: str) -> None:
    if len(source) > limits.CONSENT_TEXT or not source.isprintable():
        raise RefusedError(f"a source has at most {limits.CONSENT_TEXT} printable characters")
    if len(form) > limits.CONSENT_FORM or re.search("[\x00\ud800-\udfff]", form):
        raise RefusedError(f"a form's text has at most {limits.CONSENT_FORM} characters")


def write_consents(
    tx: Tx, contact_list: str, rows: Sequence[tuple[str, Consent]], now: int
) -> None:
    """Write records inside a transaction.

    Args:
        tx: The transaction.
        contact_list: The list.
        rows: Address keys with checked records.
        now: Stored milliseconds.
    """
    texts = list({consent.form for _, consent in rows if consent.form})
    forms: dict[str, Any] = {}
    if texts:
        tx.execute(sql("add_forms"), (pack(texts),))
        forms = tx.json(sql("form_ids"), (pack(texts),))
    # Most rows of a file are alike but for address and time: three columns travel, not nine.
    alike: dict[tuple[str, str, str, str, str], list[list[Any]]] = {}
    for address, one in rows:
        words = (one.act, one.method or "", one.source, one.form, one.ip)
        alike.setdefault(words, []).append([address, ms(one.at), one.topic])
    for (act, method, source, form, ip), batch in alike.items():
        common = (contact_list, act, method, source, forms.get(form), ip, now)
        tx.execute(sql("add_consents"), (pack(batch), *common))
