"""What a stored template is: texts, their images and attachments, without recipients. Pure.

A template stands for the content of a job (`message.content.Content`) without what a job itself
says: the sender. A job that names it gets a copy when it is taken, so neither a new version nor a
removal changes what waits in the queue. Images and attachments belong to a version as its texts do.
"""

import hashlib
import re
from typing import Final, NamedTuple

import msgspec

from ekiden import limits
from ekiden.errors import RefusedError
from ekiden.message.compile import compile_content
from ekiden.message.content import Attachment, Charset, Content, OnMissing

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")
_VERSION: Final = re.compile(r"[1-9][0-9]{0,8}")
_SENDER: Final = "template@example.com"  # stands in for the job's while a template is checked


class TemplateText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The texts of a template, and how they are filled in; the fields are those of `Content`.

    Args:
        on_missing: None leaves it to the job and the configuration.
        inline_css: Likewise.
        attachments: Files and inline images; a job adds its own to them.
    """

    subject: str = ""
    html: str = ""
    text: str = ""
    preheader: str = ""
    to_name: str = ""
    language: str = ""
    charset: Charset = "utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    on_missing: OnMissing | None = None
    defaults: dict[str, str] = {}
    inline_css: bool | None = None
    attachments: tuple[Attachment, ...] = ()


class TemplateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A version without its texts.

    Args:
        name: The template's name.
        version: From 1; higher is newer.
        created_at: UNIX seconds.
        note: What its author says of it.
        configuration_set: The set of jobs that use it and name none; "" for none.
        versions: How many versions of it there are.
    """

    name: str
    version: int
    created_at: float
    note: str = ""
    configuration_set: str = ""
    versions: int = 1

    @property
    def reference(self) -> str:
        """Return the name that means this version for ever."""
        return f"{self.name}@{self.version}"


class StoredTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a template."""

    facts: TemplateFacts
    text: TemplateText


class Reference(NamedTuple):
    """What a job or a command names: a template, and a version unless the newest is meant."""

    name: str
    version: int | None = None


_encoder: Final = msgspec.msgpack.Encoder(order="deterministic")
_decoder: Final = msgspec.msgpack.Decoder(TemplateText)


def parse_reference(text: str) -> Reference:
    """Read `name` or `name@3`.

    Raises:
        RefusedError: It is neither.
    """
    name, at, version = text.partition("@")
    if not _NAME.fullmatch(name) or (at and not _VERSION.fullmatch(version)):
        raise RefusedError(
            f"{text[:120]!r} names no template",
            remedy='write "name" for the newest version or "name@3" for one; a name has letters,'
            " digits and _ . : -",
        )
    return Reference(name, int(version) if at else None)


def checked_name(name: str) -> str:
    """Return a name that a template may have.

    Raises:
        RefusedError: It is none.
    """
    if not _NAME.fullmatch(name):
        raise RefusedError(
            f"{name[:120]!r} is no name for a template",
            remedy="use at most 100 letters, digits and _ . : -",
        )
    return name


def encode(text: TemplateText) -> bytes:
    """Return the texts as they are stored.

    Raises:
        RefusedError: They are larger than a stored template may be.
    """
    parts = sum(len(one.data) for one in text.attachments)
    if parts > limits.STORED_PARTS_BYTES or len(text.attachments) > limits.ATTACHMENTS:
        raise RefusedError(
            f"its {len(text.attachments)} images and attachments have {parts:,} bytes; at most"
            f" {limits.ATTACHMENTS} with {limits.STORED_PARTS_BYTES:,} are stored",
            remedy="send links to large files, or attach them in the job",
        )
    data = _encoder.encode(text)
    if len(data) - parts > limits.STORED_TEMPLATE_BYTES:
        raise RefusedError(
            f"the template has {len(data) - parts:,} bytes; at most"
            f" {limits.STORED_TEMPLATE_BYTES:,} are stored",
            remedy="make it smaller, or keep it in the job directory",
        )
    return data


def decode(data: bytes) -> TemplateText:
    """Return the texts that `encode` gave.

    Raises:
        RefusedError: The bytes are none (a damaged database, a newer version).
    """
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise RefusedError(
            f"the stored template cannot be read: {error}",
            remedy="run the version that stored it, or add it again",
        ) from error


def digest(data: bytes, configuration_set: str) -> bytes:
    """Return what tells two versions apart: their texts and their set."""
    return hashlib.sha256(configuration_set.encode() + b"\0" + data).digest()


def content_of(text: TemplateText, from_: str = _SENDER) -> Content:
    """Return a job's content of nothing but the template."""
    return Content(
        from_=from_,
        subject=text.subject,
        html=text.html,
        text=text.text,
        headers=text.headers,
        to_name=text.to_name,
        preheader=text.preheader,
        language=text.language,
        charset=text.charset,
        on_missing=text.on_missing or "refuse",
        defaults=text.defaults,
        attachments=text.attachments,
    )


def checked(text: TemplateText) -> frozenset[str]:
    """Compile a template and return the merge fields it mentions.

    Raises:
        RefusedError: It has no subject or no body, or the language of templates forbids it;
            `where` names the part and the line.
    """
    if not text.subject.strip():
        raise RefusedError("the template has no subject", remedy="give one with --subject")
    return compile_content(content_of(text)).names
