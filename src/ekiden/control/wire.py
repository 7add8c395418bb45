r"""The message format between a command and the daemon: JSON objects, one per line.

```
->  {"id": 7, "method": "job.pause", "args": {"job": "12"}}
<-  {"id": 7, "ok": {...}}                                     a question
<-  {"id": 7, "item": {...}}  ...  {"id": 7, "ok": null}       a listing
<-  {"id": 7, "error": {"kind": "not_found", "what": ..., "where": ..., "remedy": ...}}
```

A line is capped in both directions. `WireError` is the only exception that leaves the decoders.
What may be asked is in `control.methods`: who asks needs none but his own request.
"""

from typing import Any, Final

import msgspec
from msgspec import UnsetType

from ekiden.control.requests import Listing, Question
from ekiden.errors import (
    ConfigError,
    EkidenError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)

LINE_BYTES: Final = 12 * 1024 * 1024  # the parts of a stored template in base64, and its texts
# The narrowest class first: an error is told as the first kind it is an instance of.
_KINDS: Final[dict[str, type[EkidenError]]] = {
    "not_found": NotFoundError,
    "refused": RefusedError,
    "unavailable": UnavailableError,
    "config": ConfigError,
    "error": EkidenError,
}


class WireError(EkidenError):
    """The other side does not speak this protocol."""


class Call(msgspec.Struct, frozen=True):
    """A request as it travels."""

    id: int
    method: str
    args: msgspec.Raw = msgspec.Raw(b"{}")


class Trouble(msgspec.Struct, frozen=True):
    """An `EkidenError` as it travels."""

    kind: str
    what: str
    where: str = ""
    remedy: str = ""


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer as it travels; exactly one of the three beside `id` is set."""

    id: int
    ok: msgspec.Raw | UnsetType = msgspec.UNSET
    item: msgspec.Raw | UnsetType = msgspec.UNSET
    error: Trouble | UnsetType = msgspec.UNSET


_encoder: Final = msgspec.json.Encoder()
_call: Final = msgspec.json.Decoder(Call)
_reply: Final = msgspec.json.Decoder(Reply)


def encode_call(number: int, request: Question[Any] | Listing[Any]) -> bytes:
    """Return a request as a line."""
    return _line(Call(number, request.method, msgspec.Raw(_encoder.encode(request))))


def decode_call(line: bytes) -> Call:
    """Return a line as a call.

    Raises:
        WireError: It is none.
    """
    try:
        return _call.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"the request is not understood: {error}") from None


def encode_ok(number: int, answer: Any) -> bytes:
    """Return an answer (or the end of a listing) as a line."""
    return _line(Reply(number, ok=msgspec.Raw(_encoder.encode(answer))))


def encode_item(number: int, item: Any) -> bytes:
    """Return one item of a listing as a line."""
    return _line(Reply(number, item=msgspec.Raw(_encoder.encode(item))))


def encode_error(number: int, error: EkidenError) -> bytes:
    """Return an error as a line."""
    kind = next(name for name, class_ in _KINDS.items() if isinstance(error, class_))
    return _line(Reply(number, error=Trouble(kind, error.what, error.where, error.remedy)))


def decode_reply(line: bytes) -> Reply:
    """Return a line as a reply.

    Raises:
        WireError: It is none.
    """
    try:
        return _reply.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"the daemon's answer is not understood: {error}") from None


def decode_answer(raw: bytes | msgspec.Raw, type_: Any) -> Any:
    """Return an answer as `type_`.

    Raises:
        WireError: It is not one.
    """
    try:
        return msgspec.json.decode(raw, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"the daemon's answer is not understood: {error}") from None


def error_of(trouble: Trouble) -> EkidenError:
    """Return the error that travelled, as the class it had on the other side."""
    kind = _KINDS.get(trouble.kind, EkidenError)
    return kind(trouble.what, where=trouble.where, remedy=trouble.remedy)


def _line(message: msgspec.Struct) -> bytes:
    return _encoder.encode(message) + b"\n"
