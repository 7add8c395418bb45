"""A message that comes complete, as a `NAME.eml`: checked, normalised, and otherwise left alone.

Pure. What changes, and nothing else does:

- line ends become CRLF *before* signing (docs/hostile.md M3); a NUL refuses the message;
- a missing Date, Message-ID, MIME-Version or From is added after the other fields;
- fields in raw UTF-8 become encoded words, unless an address itself needs SMTPUTF8;
- a body with lines over 998 bytes is encoded anew (M5), and so is one of 8-bit bytes when the
  receiver has no 8BITMIME; a signed MIME part cannot be, so that is refused.
"""

import hashlib
import re
from dataclasses import dataclass
from email import message_from_bytes
from email.generator import BytesGenerator
from email.message import Message
from email.policy import compat32
from functools import lru_cache
from io import BytesIO
from typing import Final

from ekiden import limits
from ekiden.dkim.canonical import relaxed_body
from ekiden.errors import RefusedError
from ekiden.message.addresses import AddressError, parse_mailbox, parse_mailboxes
from ekiden.message.headers import (
    RenderError,
    check_field_name,
    check_value,
    date,
    identifiers,
    mailboxes,
    unstructured,
)
from ekiden.message.mime import base64_lines, fault, quoted_printable
from ekiden.message.rendered import Header, Marks, Recipient, Rendered

_BREAK: Final = re.compile(rb"\r\n|\r|\n")
_NAME: Final = re.compile(rb"[\x21-\x39\x3b-\x7e]+")
_ADDRESSES: Final = frozenset({b"from", b"to", b"cc", b"reply-to", b"sender"})
_ONCE: Final = frozenset(
    {b"from", b"sender", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id"}
    | {b"mime-version", b"content-type", b"content-transfer-encoding"}
)
_NOT_SENT: Final = frozenset({b"bcc", b"return-path", b"resent-bcc"})
FIELDS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A checked raw message; renders the same for every recipient but for the engine's marks."""

    headers: tuple[Header, ...]
    body: bytes
    eight_bit: bool
    smtputf8: bool
    canonical: bytes
    digest: bytes

    @property
    def fields(self) -> frozenset[str]:
        """No merge fields: the message is complete."""
        return frozenset()

    @property
    def names(self) -> frozenset[str]:
        """No merge fields: the message is complete."""
        return frozenset()

    @classmethod
    def parse(cls, raw: bytes, from_: str = "") -> "RawMessage":
        """Check and normalise a message.

        Args:
            raw: An RFC 5322 message with any line ends.
            from_: The From field's mailbox for a message without one.

        Raises:
            RefusedError: It cannot be sent.
        """
        if b"\0" in raw:
            raise _refused("the message holds a NUL character", "save it as text")
        if len(raw) > limits.MESSAGE_BYTES:
            raise _refused(
                f"the message is larger than {limits.MESSAGE_BYTES} bytes", "send links instead"
            )
        head, body = _split(_BREAK.sub(b"\r\n", raw))
        headers = _completed(head, from_, body)
        smtputf8 = False
        fit: list[Header] = []
        for name, value in headers:
            value, needs = _fit(name, value)  # noqa: PLW2901 - the field made fit
            smtputf8 = smtputf8 or needs
            fit.append((name, value))
        if fault(body, ascii_only=False):
            fit, body = _converted(tuple(fit), body)
        canonical = relaxed_body(body)
        digest = hashlib.sha256(canonical).digest()
        return cls(tuple(fit), body, not body.isascii(), smtputf8, canonical, digest)

    def render(self, recipient: Recipient, marks: Marks, *, seven_bit: bool = False) -> Rendered:
        """Return the message with the engine's marks; see `compile.Compiled.render`."""
        check_value("recipient", recipient.address)
        message = self
        if seven_bit and self.eight_bit:
            try:
                message = _seven_bit(self)
            except RefusedError as error:
                raise RenderError(error.what) from error
        taken = {name.lower().encode() for name, _ in marks.extra_headers}
        found = [header for header in message.headers if header[0].lower() not in taken]
        present = {name.lower() for name, _ in found}
        if b"date" not in present:
            found.append((b"Date", date(int(marks.date))))
        if b"message-id" not in present:
            check_value("Message-ID", marks.message_id)
            found.append((b"Message-ID", identifiers("Message-ID", marks.message_id)))
        for name, text in marks.extra_headers:
            check_field_name(name)
            check_value(name, text)
            found.append((name.encode("ascii"), unstructured(name, text)))
        head = b"".join([b"%b:%b\r\n" % header for header in found])
        wrong = fault(head, ascii_only=not self.smtputf8)
        if wrong:
            raise RenderError(f"the header holds {wrong}")
        return Rendered(
            tuple(found),
            message.body,
            message.eight_bit,
            self.smtputf8,
            message.canonical,
            message.digest,
        )


@lru_cache(maxsize=4)
def _seven_bit(message: RawMessage) -> RawMessage:
    headers, body = _converted(message.headers, message.body)
    canonical = relaxed_body(body)
    digest = hashlib.sha256(canonical).digest()
    return RawMessage(tuple(headers), body, False, message.smtputf8, canonical, digest)  # noqa: FBT003 - the converted body's eight_bit


def _refused(what: str, remedy: str) -> RefusedError:
    return RefusedError(what, where="raw message", remedy=remedy)


def _split(data: bytes) -> tuple[list[Header], bytes]:
    """Split into fields and body; `data` has CRLF line ends."""
    if data.startswith(b"From ") and b"\r\n" in data:
        data = data[data.index(b"\r\n") + 2 :]  # an mbox separator
    if data.startswith(b"\r\n"):
        head, body = b"", data[2:]
    else:
        head, _, body = data.partition(b"\r\n\r\n")
    if len(head) > limits.HEADER_BYTES:
        raise _refused(f"the header is larger than {limits.HEADER_BYTES} bytes", "make it shorter")
    headers: list[Header] = []
    for number, line in enumerate(head.removesuffix(b"\r\n").split(b"\r\n"), 1):
        if line[:1] in {b" ", b"\t"} and headers:
            name, value = headers[-1]
            headers[-1] = name, value + b"\r\n" + line
            continue
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t")
        if not colon or not _NAME.fullmatch(name):
            raise _refused(
                f"line {number} is no header field", "begin the file with header fields, no blank"
            )
        headers.append((name, value))
    if len(headers) > FIELDS_MAX:
        raise _refused(f"there are more than {FIELDS_MAX} header fields", "make it shorter")
    return headers, body if not body or body.endswith(b"\r\n") else body + b"\r\n"


def _completed(headers: list[Header], from_: str, body: bytes) -> list[Header]:
    """Check the fields that may stand once, take out what is not sent, add what is missing."""
    kept = []
    seen: set[bytes] = set()
    for name, value in headers:
        lower = name.lower()
        if lower in _NOT_SENT or lower.startswith(b"x-ekiden-"):
            continue
        if lower in _ONCE and lower in seen:
            raise _refused(
                f"the field {name.decode()} stands twice (RFC 5322 section 3.6)", "remove one"
            )
        seen.add(lower)
        kept.append((name, value))
    if b"from" not in seen:
        try:
            kept.append((b"From", mailboxes("From", (parse_mailbox(from_),))))
        except AddressError as error:
            raise _refused(
                f"there is no From field ({error.reason})", 'add "From: Name <local@domain>"'
            ) from error
    if b"mime-version" not in seen:
        kept.append((b"MIME-Version", b" 1.0"))
        if b"content-type" not in seen and not body.isascii():
            kept.append((b"Content-Type", b" text/plain; charset=" + _charset_of(body)))
            kept.append((b"Content-Transfer-Encoding", b" 8bit"))
    return kept


def _charset_of(body: bytes) -> bytes:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return b"unknown-8bit"
    return b"utf-8"


def _fit(name: bytes, value: bytes) -> tuple[bytes, bool]:
    """Return a field's value fit for the wire, and whether it needs SMTPUTF8."""
    lines = value.split(b"\r\n")
    blank = any(not line.strip(b" \t") for line in lines[1:])
    long = len(name) + 1 + max(map(len, lines)) > limits.LINE_OCTETS
    if value.isascii() and not long and not blank:
        _no_controls(name, value)
        return value, False
    try:
        text = value.replace(b"\r\n", b"").decode("utf-8").strip(" \t")
    except UnicodeDecodeError as error:
        raise _refused(
            f"the field {name.decode()} is neither ASCII nor UTF-8", "encode it (RFC 2047)"
        ) from error
    try:
        check_value(name.decode(), text)
        if name.lower() not in _ADDRESSES:
            return unstructured(name.decode(), text), False
        boxes = parse_mailboxes(text)
        return mailboxes(name.decode(), boxes), any(box.address.smtputf8 for box in boxes)
    except (RenderError, AddressError) as error:
        raise _refused(f"the field {name.decode()}: {error.reason}", "correct it") from error


def _no_controls(name: bytes, value: bytes) -> None:
    try:
        check_value(name.decode(), value.replace(b"\r\n", b"").decode("ascii"))
    except RenderError as error:
        raise _refused(error.reason, "take it out") from error


def _converted(headers: tuple[Header, ...], body: bytes) -> tuple[list[Header], bytes]:
    """Encode every part that is 8-bit or has long lines; the MIME tree stays.

    Raises:
        RefusedError: A part is signed, so encoding would break it.
    """
    head = b"".join(b"%b:%b\r\n" % header for header in headers)
    message = message_from_bytes(head + b"\r\n" + body, policy=compat32)
    for part in message.walk():
        if part.get_content_type() in {"multipart/signed", "application/pkcs7-mime"}:
            raise _refused(
                "a signed message holds 8-bit bytes or lines over 998 bytes",
                "sign it after encoding it as quoted-printable or base64",
            )
        if not part.is_multipart():
            _convert_leaf(part)
    out = BytesIO()
    policy = compat32.clone(linesep="\r\n", max_line_length=None)
    BytesGenerator(out, mangle_from_=False, maxheaderlen=0, policy=policy).flatten(message)
    fields, encoded = _split(_BREAK.sub(b"\r\n", out.getvalue()))
    wrong = fault(encoded, ascii_only=True)
    if wrong:
        raise _refused(f"the body holds {wrong}", "encode it as quoted-printable or base64")
    return fields, encoded


def _convert_leaf(part: Message) -> None:
    payload = part.get_payload()
    if not isinstance(payload, str):
        return
    transfer = str(part.get("Content-Transfer-Encoding", "8bit")).strip().lower()
    if payload.isascii() and not fault(
        _BREAK.sub(b"\r\n", payload.encode("ascii")), ascii_only=True
    ):
        if transfer in {"8bit", "binary"} and "Content-Transfer-Encoding" in part:
            part.replace_header("Content-Transfer-Encoding", "7bit")
        return
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)  # noqa: S101 - it is no multipart
    if transfer == "base64" or part.get_content_maintype() != "text":
        encoded, transfer = base64_lines(data), "base64"
    else:
        encoded = quoted_printable(_BREAK.sub(b"\n", data))
        transfer = "quoted-printable"
    del part["Content-Transfer-Encoding"]
    part["Content-Transfer-Encoding"] = transfer
    part.set_payload(encoded.decode("ascii"))
