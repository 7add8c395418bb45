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


def with_template(spec: JobSpec, stored: StoredTemplate) -> tuple[JobSpec, str, str]:
    """Fill in what a job leaves to its stored template.

    Returns:
        The job, its HTML and its text; `template` names the version from now on.
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
    return filled, text.html, text.text


def content_of(
    spec: JobSpec, html: str, text: str, parts: Sequence[tuple[Part, bytes]], rules: ContentRules
) -> Content:
    """Return what the queue stores of a job.

    Args:
        spec: The job.
        html: Its HTML template.
        text: Its text template.
        parts: Attachments and inline images with their bytes.
        rules: What holds where the job says nothing.

    Raises:
        RefusedError: Its style sheets cannot be worked in.
    """
    inline = rules.inline_css if spec.inline_css is None else spec.inline_css
    if inline and html:
        html = inline_css(html)
    return Content(
        from_=spec.sender,
        reply_to=", ".join(spec.reply_to),
        subject=spec.subject,
        html=html,
        text=text,
        headers=spec.headers,
        attachments=tuple(
            Attachment(
                filename=part.name,
                content_type=part.media_type or _media_type(part.name, part.file),
                data=data,
                content_id=part.cid or None,
            )
            for part, data in parts
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
