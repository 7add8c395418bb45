"""What a job sends: stored once per job, compiled once, rendered per recipient.

Pure. Either templates (`subject`, `html`, `text`, attachments) or `raw`, one complete message from
a `NAME.eml`. Stored as MessagePack: attachments stay bytes, and a field added later has its default
in jobs that were queued before.
"""

from typing import Final, Literal

import msgspec

from ekiden import limits
from ekiden.errors import RefusedError

CONTENT_BYTES: Final = 2 * limits.MESSAGE_BYTES

OnMissing = Literal["refuse", "empty", "default"]
Charset = Literal["utf-8", "iso-2022-jp"]


class Attachment(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """A file that travels with the message.

    Args:
        filename: As the reader sees it; any Unicode, no control characters.
        content_type: `type/subtype`.
        data: The bytes; they arrive as they are.
        content_id: For inline images: what `<img src="cid:…">` names, without angle brackets.
            None makes it an attachment.
    """

    filename: str
    content_type: str
    data: bytes
    content_id: str | None = None


class Content(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The content of a job.

    Args:
        from_: The From field: one mailbox, `Name <local@domain>`.
        reply_to: The Reply-To field: mailboxes separated by commas; "" leaves it out.
        subject: A template.
        html: A template, autoescaped; "" for a message of text only.
        text: A template; "" has it made from the HTML.
        headers: More fields, name and template. Not those that the engine writes itself.
        attachments: Files and inline images.
        to_name: A template for the recipient's display name; "" shows the bare address.
        preheader: A template for the line that mailbox lists show after the subject.
        language: Content-Language, as `ja` or `en-GB`; "" leaves it out.
        charset: Of the text parts and encoded words.
        on_missing: What a merge field without value does: `refuse` the recipient, leave it
            `empty`, or take its `default` (which an empty value takes, too).
        defaults: Values for `on_missing = "default"`.
        raw: One complete RFC 5322 message; all the fields above but `from_` are then unused. Bcc
            and X-Ekiden-* are gone from it already.
    """

    from_: str = ""
    reply_to: str = ""
    subject: str = ""
    html: str = ""
    text: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
    to_name: str = ""
    preheader: str = ""
    language: str = ""
    charset: Charset = "utf-8"
    on_missing: OnMissing = "refuse"
    defaults: dict[str, str] = {}
    raw: bytes = b""
    track_opens: bool | None = None
    track_clicks: bool | None = None


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Content)


def encode(content: Content) -> bytes:
    """Return the content as the queue stores it.

    Raises:
        RefusedError: It is larger than a job may be.
    """
    data = _encoder.encode(content)
    if len(data) > CONTENT_BYTES:
        raise RefusedError(
            f"the content has {len(data)} bytes; at most {CONTENT_BYTES} are taken",
            remedy="send links to large files instead of attaching them",
        )
    return data


def decode(data: bytes) -> Content:
    """Return the content that `encode` stored.

    Raises:
        RefusedError: The bytes are no content (a damaged database, a newer version).
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RefusedError(
            f"the stored content cannot be read: {error}",
            remedy="run the version that queued the job, or submit it again",
        ) from error
