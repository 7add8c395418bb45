"""What every message carries so that its reports can be believed. Pure.

| mark | where it comes back | proof |
|---|---|---|
| envelope sender `b-TOKEN@DOMAIN` | bounce recipient; Return-Path in the returned header | signed |
| `X-Ekiden-Ref: r-TOKEN` | in the returned header | signed |
| `Message-ID` | in the returned header, in provider tools | none: it only helps people |
| `Feedback-ID` | Gmail's Postmaster Tools, by campaign | none |

Both tokens are made by `verp.ReturnAddresses`, under different domains, so that one cannot stand
for the other. **Contract.** A report is believed if at least one signed identifier in it verifies,
no identifier in it is forged or expired, and all of them name the same delivery; it then says
something about that delivery's recipient and nobody else.

Gmail reads `Feedback-ID: a:b:c:SenderId`: up to three identifiers and a sender of 5 to 15
characters that stays the same over all of its mail; a message's DKIM signature must cover the field
(https://support.google.com/a/answer/6254652).
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ekiden.bounce.verp import Refusal, ReturnAddresses, Returned

REFERENCE: Final = "X-Ekiden-Ref"
FEEDBACK_ID: Final = "Feedback-ID"
_REFERENCES: Final = "reference.ekiden.invalid"  # never mailed to: what the signature is bound to
_PREFIX: Final = "r-"
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_CAMPAIGN: Final = 40  # characters
_SENDER_LEAST, _SENDER_MOST = 5, 15  # Gmail's bounds


class Doubt(StrEnum):
    """Why a report is not believed."""

    UNSIGNED = "unsigned"  # nothing in it was ever ours
    FORGED = "forged"
    EXPIRED = "expired"
    SWAPPED = (
        "swapped"  # its identifiers, or its identifier and its recipient, do not belong together
    )


@dataclass(frozen=True, slots=True)
class Echo:
    """What a report brought back of our marks.

    Args:
        addresses: Every address that may be a return address; others may be among them.
        references: Values of X-Ekiden-Ref.
    """

    addresses: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


class Identifiers:
    """Makes and verifies the marks.

    Args:
        keys: Secrets; the first one signs, all of them verify.
        return_domain: The domain of return addresses; "" for none.
        lifetime: Seconds for which marks verify.
        more: Further domains of return addresses, as configuration sets name them.

    Raises:
        EkidenError: A key is too short.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        return_domain: str,
        lifetime: float,
        more: Iterable[str] = (),
    ) -> None:
        self._references: Final = ReturnAddresses(keys, _REFERENCES, _PREFIX)
        domains = (domain.rstrip(".").lower() for domain in (return_domain, *more))
        self._addresses: Final = {
            domain: ReturnAddresses(keys, domain) for domain in domains if domain
        }
        self._default: Final = return_domain.rstrip(".").lower()
        self._lifetime: Final = lifetime

    def return_address(self, delivery: int, now: float, domain: str = "") -> str:
        """Return the envelope sender of a delivery; "" if there is no return domain.

        Args:
            delivery: Its number.
            now: UNIX seconds.
            domain: One of `more`; "" for the usual one.
        """
        addresses = self._addresses.get(domain.rstrip(".").lower() or self._default)
        if addresses is None:
            return ""
        return addresses.make(delivery, now=now, lifetime=self._lifetime)

    def reference(self, delivery: int, now: float) -> str:
        """Return the value of X-Ekiden-Ref for a delivery."""
        address = self._references.make(delivery, now=now, lifetime=self._lifetime)
        return address.partition("@")[0]

    def verify_address(self, address: str, now: float) -> Returned | Refusal:
        """Say which delivery a return address was made for, or why it proves nothing."""
        domain = address.strip("<>").rpartition("@")[2].rstrip(".").lower()
        addresses = self._addresses.get(domain)
        return Refusal.NOT_OURS if addresses is None else addresses.verify(address, now=now)

    def verify(self, echo: Echo, now: float) -> Returned | Doubt:
        """Say which delivery a report is about, or why it is not believed; never raises."""
        answers = {self.verify_address(address, now) for address in echo.addresses}
        answers.discard(Refusal.NOT_OURS)
        answers |= set(self._of_references(echo.references, now))
        if Refusal.FORGED in answers:
            return Doubt.FORGED
        if Refusal.EXPIRED in answers:
            return Doubt.EXPIRED
        found = [one for one in answers if isinstance(one, Returned)]
        if not found:
            return Doubt.UNSIGNED
        if len({one.delivery for one in found}) > 1:
            return Doubt.SWAPPED
        return min(found, key=lambda one: one.expires_at)

    def _of_references(self, references: Iterable[str], now: float) -> Iterable[Returned | Refusal]:
        for reference in references:
            if value := reference.strip():
                answer = self._references.verify(f"{value}@{_REFERENCES}", now=now)
                # The field is ours alone: a value that is not ours was made to look so.
                yield Refusal.FORGED if answer is Refusal.NOT_OURS else answer


def feedback_id(campaign: str, configuration_set: str, kind: str, sender: str) -> str:
    """Return the value of Feedback-ID.

    Args:
        campaign: The job's name; what is not ASCII is left out, a digest stands for an empty one.
        configuration_set: Its set, "" for the default.
        kind: `bulk` or `transactional`.
        sender: The From domain.
    """
    parts = (
        _plain(campaign)[:_CAMPAIGN] or _digest(campaign),
        _plain(configuration_set)[:_CAMPAIGN],
    )
    name = _plain(sender)
    if not _SENDER_LEAST <= len(name) <= _SENDER_MOST:
        name = _digest(sender)
    return ":".join((parts[0], parts[1] or "default", _plain(kind), name))


def _plain(text: str) -> str:
    return _NOT_PLAIN.sub("-", text).strip("-.")


def _digest(text: str) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest()[:6]).decode().rstrip("=").lower()
