"""What a finished message says to its reader: its subject, its texts, its files. Pure.

The way back from bytes, by Python's own parser, for `preview`, `templates render` and `lint`: none
of them trusts what made the message.
"""

from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser


@dataclass(frozen=True, slots=True)
class File:
    """An attachment or an inline image.

    Args:
        name: Its file name, "" if it has none.
        media_type: `type/subtype`.
        data: Its bytes.
        cid: Its Content-ID without angle brackets, "" if it has none.
    """

    name: str
    media_type: str
    data: bytes
    cid: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What the reader sees.

    Args:
        subject: Decoded.
        html: The first HTML part, "" if there is none.
        text: The first text part, "" if there is none.
        files: All other parts.
    """

    subject: str
    html: str
    text: str
    files: tuple[File, ...]


def look(message: bytes) -> Look:
    """Return what a message says; whatever it is, nothing is raised."""
    parsed = BytesParser(policy=policy.default).parsebytes(message)
    texts: dict[str, str] = {}
    files: list[File] = []
    for part in parsed.walk():
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        attached = _disposition(part) == "attachment"
        if kind in {"text/html", "text/plain"} and kind not in texts and not attached:
            texts[kind] = text_of(part)
        else:
            data = part.get_payload(decode=True)
            cid = str(part.get("Content-ID", "")).strip().strip("<>")
            name = part.get_filename() or ""
            files.append(File(name, kind, data if isinstance(data, bytes) else b"", cid))
    return Look(
        str(parsed.get("Subject", "")),
        texts.get("text/html", ""),
        texts.get("text/plain", ""),
        tuple(files),
    )


def text_of(part: EmailMessage) -> str:
    """Return a text part decoded as it says, with replacement characters where it lies."""
    data = part.get_payload(decode=True)
    raw = data if isinstance(data, bytes) else b""
    charset = part.get_content_charset("us-ascii")
    try:
        text = raw.decode(charset, "replace")
    except (LookupError, ValueError):
        text = raw.decode("utf-8", "replace")
    return text.replace("\r\n", "\n")


def _disposition(part: EmailMessage) -> str:
    try:
        return part.get_content_disposition() or ""
    except (AttributeError, ValueError):  # a field that the parser itself stumbles over
        return ""
