"""What a job's file, its stored template and the configuration together send: its `Content`. Pure.

The job wins over its template, and the template over the configuration. The version of a template
is settled here, once, when the job is taken: the content is a copy.
"""

import mimetypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ekiden.errors import RefusedError
from ekiden.message.content import Attachment, Content
from ekiden.message.inline import inline_css
from ekiden.spool.jobspec import JobSpec, OnMissing, Part
from ekiden.templates.model import StoredTemplate

JIS: Final = "iso-2022-jp"


def no_templates(reference: str) -> StoredTemplate:
    """Find a stored template where there are none.

    Raises:
        RefusedError: Always.
    """
    raise RefusedError(
        f"there is no stored template {reference!r}",
        where="template",
        remedy="give the job `html` or `text` of its own",
    )


@dataclass(frozen=True, slots=True)
class ContentRules:
    """What holds for the content of all jobs.

    Args:
        on_missing: For jobs and templates that do not say.
        inline_css: Likewise.
        find: Returns a stored template; raises `RefusedError` if there is none.
    """

    on_missing: OnMissing = OnMissing.REFUSE
    inline_css: bool = False
    find: Callable[[str], StoredTemplate] = no_templates


@dataclass(frozen=True, slots=True)
class Filled:
    """A job with what its stored template brings.

    Args:
        spec: The job; `template` names the version from now on.
        html: Its HTML template.
        text: Its text template.
        attachments: Images and attachments that the template brings.
    """

    spec: JobSpec
    html: str
    text: str
    attachments: tuple[Attachment, ...] = ()


def with_template(spec: JobSpec, stored: StoredTemplate) -> Filled:
    """Fill in what a job leaves to its stored template.

    An image of the job takes the place of one with the same `cid`, an attachment that of one with
    the same name.
    """
    text, facts = stored.text, stored.facts
    said = {name.lower() for name, _ in spec.headers}
    headers = tuple(one for one in text.headers if one[0].lower() not in said)
    on_missing = spec.on_missing
    if on_missing is None and text.on_missing is not None:
        on_missing = OnMissing(text.on_missing)
    filled = replace(
        spec,
        template=facts.reference,
        configuration_set=spec.configuration_set or facts.configuration_set,
        subject=spec.subject or text.subject,
        preheader=spec.preheader or text.preheader,
        to_name=spec.to_name or text.to_name,
        language=spec.language or text.language,
        charset=JIS if JIS in {spec.charset, text.charset} else spec.charset,
        headers=(*spec.headers, *headers),
        on_missing=on_missing,
        defaults={**text.defaults, **spec.defaults},
        inline_css=text.inline_css if spec.inline_css is None else spec.inline_css,
    )
    cids = {part.cid for part in spec.images}
    names = {part.name for part in spec.attachments}
    kept = tuple(
        one
        for one in text.attachments
        if (one.content_id not in cids if one.content_id else one.filename not in names)
    )
    return Filled(filled, text.html, text.text, kept)


def attachment_of(part: Part, data: bytes) -> Attachment:
    """Return an attachment or inline image of a file as the content of a job holds it."""
    return Attachment(
        filename=part.name,
        content_type=part.media_type or _media_type(part.name, part.file),
        data=data,
        content_id=part.cid or None,
    )


def content_of(filled: Filled, parts: Sequence[tuple[Part, bytes]], rules: ContentRules) -> Content:
    """Return what the queue stores of a job.

    Args:
        filled: The job, its texts, and what its stored template brings.
        parts: Its attachments and inline images with their bytes.
        rules: What holds where the job says nothing.

    Raises:
        RefusedError: Its style sheets cannot be worked in.
    """
    spec, html = filled.spec, filled.html
    inline = rules.inline_css if spec.inline_css is None else spec.inline_css
    if inline and html:
        html = inline_css(html)
    return Content(
        from_=spec.sender,
        reply_to=", ".join(spec.reply_to),
        subject=spec.subject,
        html=html,
        text=filled.text,
        headers=spec.headers,
        attachments=(
            *filled.attachments,
            *(attachment_of(part, data) for part, data in parts),
        ),
        to_name=spec.to_name,
        preheader=spec.preheader,
        language=spec.language,
        charset=JIS if spec.charset == JIS else "utf-8",
        on_missing=(spec.on_missing or rules.on_missing).value,
        defaults=dict(spec.defaults),
        raw=spec.raw,
        track_opens=spec.track_opens,
        track_clicks=spec.track_clicks,
    )


def _media_type(name: str, file: str) -> str:
    for candidate in (name, file):
        media_type, encoding = mimetypes.guess_type(candidate)
        if media_type and not encoding:
            return media_type
    return "application/octet-stream"
