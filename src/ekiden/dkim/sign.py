"""DKIM signatures (RFC 6376, RFC 8463), made in two steps.

1. `Signer.prepare` chooses the fields, brings them into canonical form and hashes: a few
   microseconds of Python.
2. `Prepared.finish` does the private-key operations; `orders` and `finish_with` are those of many
   messages, with the signing between them (`dkim.batch`). The GIL is free meanwhile, so
   `engine.signing` has them done on threads.

What is fixed, and why:

- relaxed/relaxed, SHA-256, never `l=` (RFC 6376 section 8.2: text could be appended).
- **Oversigning.** Every field of `SIGNED_FIELDS` stands in `h=` once more than the message has it,
  so that adding a second From or Subject breaks the signature (section 8.15, docs/hostile.md M8).
- With several keys each gets a field of its own over the same message; none covers another.
- `t=` always, `x=` when a lifetime is configured: it bounds the time of a replay.

A finished field is folded at 76 columns and ends in CRLF: prepend it to the message.
"""

import binascii
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from ekiden.dkim.batch import Order, sign_one
from ekiden.dkim.canonical import body_hash, relaxed_value
from ekiden.dkim.keys import Algorithm, Key
from ekiden.errors import ConfigError

Header = tuple[bytes, bytes]

SIGNED_FIELDS: Final = (
    b"From",
    b"To",
    b"Cc",
    b"Subject",
    b"Date",
    b"Message-ID",
    b"Reply-To",
    b"MIME-Version",
    b"Content-Type",
    b"Content-Transfer-Encoding",
    b"List-Id",
    b"List-Unsubscribe",
    b"List-Unsubscribe-Post",
)
# Signed when present, not oversigned: a relay may rightly add its own.
SIGNED_IF_PRESENT: Final = (
    b"Sender",
    b"In-Reply-To",
    b"References",
    b"Content-Language",
    b"Feedback-ID",
    b"X-Ekiden-Ref",
)
FOLD_COLUMN: Final = 76
PLANS: Final = 256  # field layouts remembered

Signed = bytes | Exception  # the DKIM-Signature fields, or why there are none


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """A message ready for the private keys.

    Args:
        fields: Per key: the unfinished field (its `b=` empty, without CRLF) and what is signed.
        keys: The keys, in the order of `fields`.
    """

    fields: tuple[tuple[bytes, bytes], ...]
    keys: tuple[Key, ...]

    def finish(self) -> bytes:
        """Sign, and return the finished DKIM-Signature fields, each ending in CRLF."""
        pairs = zip(self.fields, self.keys, strict=True)
        return self.finished([sign_one(key.private, signed) for (_, signed), key in pairs])

    def finished(self, signatures: Sequence[bytes]) -> bytes:
        """Return the fields with their signatures, one for each key, put in."""
        return b"".join(
            field + _folded_base64(signature) + b"\r\n"
            for (field, _), signature in zip(self.fields, signatures, strict=True)
        )


def finish_each(batch: Sequence[Prepared]) -> list[Signed]:
    """Finish messages one after the other.

    Args:
        batch: The messages.

    Returns:
        For each message what `Prepared.finish` returns, or the error that it raises: what is wrong
        with one is no fault of the others.
    """
    return [_finish_alone(prepared) for prepared in batch]


def alike(batch: Sequence[Prepared]) -> list[list[int]]:
    """Return the places of messages that the same keys sign, together."""
    same_keys: dict[int, list[int]] = {}
    for place, prepared in enumerate(batch):
        same_keys.setdefault(id(prepared.keys), []).append(place)
    return list(same_keys.values())


def orders(group: Sequence[Prepared]) -> list[Order] | None:
    """Return what is to be signed for messages of the same keys, an order for each key.

    None where one of the keys does not sign in batches. What is wrong with one message raises.
    """
    batches = [key.batch for key in group[0].keys if key.batch is not None]
    if len(batches) != len(group[0].keys):
        return None
    return [
        batch.order([prepared.fields[number][1] for prepared in group])
        for number, batch in enumerate(batches)
    ]


def finish_with(group: Sequence[Prepared], signed: Sequence[Order]) -> list[bytes]:
    """Return what `Prepared.finish` returns, for each message of `orders` that are signed now.

    Raises:
        UnavailableError: libcrypto refused one of them.
    """
    by_key = [order.signatures() for order in signed]
    return [
        prepared.finished(signatures)
        for prepared, signatures in zip(group, zip(*by_key, strict=True), strict=True)
    ]


def _finish_alone(prepared: Prepared) -> Signed:
    try:
        return prepared.finish()
    except Exception as error:  # noqa: BLE001 - it goes to the one who handed it in
        return error


class Signer:
    """Signs messages of one identity with one or several keys.

    Args:
        keys: At least one; with both algorithms at once receivers verify what they know.
        lifetime: Seconds from `t=` to `x=`; None leaves `x=` out.
        oversigned: Fields signed once more often than present.

    Attributes:
        cheap: Every key is Ed25519: signing costs less than a hop to a thread.
        batched: Threads sign many messages at a time with every key.

    Raises:
        ConfigError: No key, a lifetime that is not positive, or From is not among the fields.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        *,
        lifetime: float | None = None,
        oversigned: Iterable[bytes] = SIGNED_FIELDS,
    ) -> None:
        if not keys:
            raise ConfigError("no DKIM key", remedy="make one with `ekiden dkim keygen`")
        if lifetime is not None and lifetime < 1:
            raise ConfigError(
                f"a DKIM signature cannot live {lifetime} seconds",
                remedy="set a lifetime of at least the retry schedule's length, or leave it out",
            )
        self.keys = tuple(keys)
        self.cheap = all(key.algorithm is Algorithm.ED25519 for key in self.keys)
        self.batched = all(key.batch is not None for key in self.keys)
        self.lifetime = lifetime
        self._oversigned = tuple(name.lower() for name in oversigned)
        if b"from" not in self._oversigned:  # RFC 6376 section 5.4
            raise ConfigError("DKIM must sign the From field", remedy="add From to the fields")
        self._if_present = tuple(
            name.lower() for name in SIGNED_IF_PRESENT if name.lower() not in self._oversigned
        )
        self._plans: dict[tuple[bytes, ...], _Plan] = {}
        self._names = {name.lower(): name for name in (*SIGNED_FIELDS, *SIGNED_IF_PRESENT)}
        starts = [
            b" v=1; a=%b; c=relaxed/relaxed;\r\n d=%b; s=%b;\r\n"
            % (key.algorithm.value.encode(), key.domain.encode(), key.selector.encode())
            for key in self.keys
        ]
        self._starts = tuple(
            (b"DKIM-Signature:" + start, b"dkim-signature:" + relaxed_value(start))
            for start in starts
        )

    def prepare(self, headers: Sequence[Header], hashed_body: bytes, now: float) -> Prepared:
        """Choose, canonicalise and fold everything but the signatures.

        Args:
            headers: (name, value) in the message's order; a value is everything after the colon,
                folded or not, without its last CRLF.
            hashed_body: SHA-256 of the relaxed body: `canonical.body_hash(body)`.
            now: UNIX seconds, for `t=` and `x=`.
        """
        plan = self._plan_for(tuple([header[0] for header in headers]))
        stamp = int(now)
        times = b" t=%d;" % stamp
        if self.lifetime is not None:
            times += b" x=%d;" % (stamp + int(self.lifetime))
        hashed = binascii.b2a_base64(hashed_body, newline=False)
        end = b"%b\r\n h=%b;\r\n bh=%b;\r\n b=" % (times, plan.listed, hashed)
        # The field itself is signed last, with an empty b= and without CRLF (section 3.7). Its
        # relaxed form is put together beside it: most of it is the same for every message.
        own_end = b"%b h=%b; bh=%b; b=" % (times, plan.relaxed_listed, hashed)
        canonical = plan.canonical(headers)
        fields = [(start + end, canonical + own + own_end) for start, own in self._starts]
        return Prepared(tuple(fields), self.keys)

    def sign(self, headers: Sequence[Header], body: bytes, now: float) -> bytes:
        """Return the DKIM-Signature fields to prepend to the message, each ending in CRLF."""
        return self.prepare(headers, body_hash(body), now).finish()

    def _plan_for(self, names: tuple[bytes, ...]) -> "_Plan":
        plan = self._plans.get(names)
        if plan is None:
            if len(self._plans) >= PLANS:
                self._plans.clear()
            plan = self._plans[names] = self._plan(names)
        return plan

    def _plan(self, names: Sequence[bytes]) -> "_Plan":
        found: dict[bytes, list[int]] = {}
        for index, name in enumerate(names):
            found.setdefault(name.lower(), []).append(index)
        chosen: list[tuple[int, bytes]] = []
        listed: list[bytes] = []
        for lower in (*self._oversigned, *self._if_present):
            present = found.get(lower, [])
            # Several fields of one name are taken from the bottom up (section 5.4.2).
            chosen.extend((index, lower + b":") for index in reversed(present))
            extra = 1 if lower in self._oversigned else 0
            listed.extend([self._names.get(lower, lower)] * (len(present) + extra))
        return _Plan(chosen, _folded_list(listed))


class _Plan:
    """Which fields of a message are signed, in which order: the same for all messages of a job.

    Args:
        chosen: The fields' positions with their canonical names.
        listed: The folded `h=` value.
    """

    __slots__ = ("_chosen", "_made", "listed", "relaxed_listed")

    def __init__(self, chosen: Iterable[tuple[int, bytes]], listed: bytes) -> None:
        self._chosen = tuple(chosen)
        # By place: the latest value and its canonical field. Most values of a job's messages are
        # one and the same object (From, Content-Type), and need not be looked at again.
        self._made: list[tuple[bytes | None, bytes]] = [(None, b"")] * len(self._chosen)
        self.listed = listed
        self.relaxed_listed = relaxed_value(listed)

    def canonical(self, headers: Sequence[Header]) -> bytes:
        """Return the chosen fields in canonical form, each with CRLF."""
        made = self._made
        fields = []
        for place, (index, start) in enumerate(self._chosen):
            value = headers[index][1]
            known = made[place]
            if known[0] is not value:
                known = made[place] = (value, start + relaxed_value(value) + b"\r\n")
            fields.append(known[1])
        return b"".join(fields)


def _folded_list(names: list[bytes]) -> bytes:
    """Join names by colons, folded after a colon (white space is allowed there, section 3.5)."""
    lines: list[bytes] = []
    line = b""
    for name in names:
        if line and len(line) + len(name) > FOLD_COLUMN - 5:
            lines.append(line)
            line = b""
        line += name + b":"
    lines.append(line[:-1])
    return b"\r\n  ".join(lines)


def _folded_base64(signature: bytes) -> bytes:
    """Fold a signature: white space inside `b=` is ignored (section 3.5)."""
    text = binascii.b2a_base64(signature, newline=False)
    width = FOLD_COLUMN - 4
    return b"\r\n  ".join(text[i : i + width] for i in range(0, len(text), width))
