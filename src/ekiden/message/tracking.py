r"""Tracking: links that pass by our own host, and the pixel that says a mail was opened. Pure.

Theory. It is done to the template, once per job, before it is compiled. A link that is the same for
everybody becomes a constant, the token of where it leads (`LINK`), and one merge field, the token
of who clicked (`ekiden_seen`, made once per message):

    href="https://shop.example/a"      ->  href="https://news.example/c/LINK/{{ ekiden_seen }}"
    href="https://shop.example/?{{q}}" ->  href="{{ ("https://shop.example/?" ~ (q))|tracked }}"

so that a link costs a recipient a few copied bytes; only a link that differs by recipient costs a
token of its own. Where a link leads is signed and never looked up: no table, no open redirect, and
a link works as long as the keys do.

Contract. Only `http:` and `https:` links of `<a>` and `<area>` are changed; not those marked
`data-ekiden-no-track` or `ses:no-track`, not the engine's own (unsubscribe, preferences, view), not
those with `{% %}` inside, not those over `limits.LINK_BYTES`, and at most `limits.LINKS_TRACKED`.
What else is in the template stays byte for byte. Tags of the template language may stand anywhere.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape, unescape
from typing import Final

from ekiden import limits
from ekiden.message.handlebars import translate

SEEN: Final = "ekiden_seen"  # the merge field that says who opened or clicked
OPEN_TRACKER: Final = re.compile(r"\{\{\s*ses:openTracker\s*\}\}")
_OWN: Final = frozenset(
    {"unsubscribe_url", "preferences_url", "view_url", "amazonSESUnsubscribeUrl"}
)
_NO_TRACK: Final = frozenset({"data-ekiden-no-track", "ses:no-track"})
_TAG: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_OPEN, _CLOSE = "\U0010fff2", "\U0010fff3"  # private use, plane 16: in no template
_HELD: Final = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_LINK: Final = re.compile(r"""<(?:a|area)(?=[\s/])(?:[^<>"']|"[^"]*"|'[^']*')*+>""", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(
    r"""(?P<gap>\s*)(?P<name>[^\s"'<>/=]+)(?:(?P<is>\s*=\s*)(?P<value>"[^"]*"|'[^']*'|[^\s"'<>]+))?"""
)
_WEB: Final = re.compile(r"https?://[^\s/]", re.IGNORECASE)
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_BODY_END: Final = re.compile(r"</body\s*>", re.IGNORECASE)
_HTML_END: Final = re.compile(r"</html\s*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tracking:
    """What is tracked in a job's mail.

    Args:
        link: Makes the tracked URL of a URL, without the last part, which says who.
        pixel: The URL of the pixel before the part that says who; "" for no pixel.
        clicks: Links are changed.
    """

    link: Callable[[str], str]
    pixel: str = ""
    clicks: bool = True


def track(html: str, tracking: Tracking | None, where: str = "html template") -> str:
    """Return an HTML template with its links and its pixel tracked.

    Args:
        html: The template: Jinja2, or Handlebars as SES uses it.
        tracking: What is tracked; None only takes SES's place for the pixel away.
        where: The template's name, for a person.

    Raises:
        RefusedError: The template's Handlebars are not understood.
    """
    if tracking is None:
        return OPEN_TRACKER.sub("", html)
    pixel = _pixel(tracking.pixel) if tracking.pixel else ""
    html, places = OPEN_TRACKER.subn(lambda _: pixel, html)
    html = translate(html, where)
    if tracking.clicks:
        html = _Links(tracking.link).run(html)
    return html if places or not pixel else _at_end(html, pixel)


def is_trackable(url: str) -> bool:
    """Whether a URL is one that may pass by our host: http or https, and not too long."""
    return _WEB.match(url) is not None and len(url.encode("utf-8", "replace")) <= limits.LINK_BYTES


def _pixel(url: str) -> str:
    return (
        f'<img src="{escape(url)}{{{{ {SEEN} }}}}.gif" width="1" height="1" alt="" '
        'style="display:block;width:1px;height:1px;border:0">'
    )


def _at_end(html: str, pixel: str) -> str:
    found = [*_BODY_END.finditer(html)] or [*_HTML_END.finditer(html)]
    at = found[-1].start() if found else len(html.rstrip("\n"))
    return f"{html[:at]}{pixel}{html[at:]}"


class _Links:
    """One pass over the links of a template."""

    def __init__(self, link: Callable[[str], str]) -> None:
        self.link = link
        self.tags: list[str] = []
        self.left = limits.LINKS_TRACKED

    def run(self, html: str) -> str:
        if _OPEN in html or _CLOSE in html:
            return html
        return self.put_back(_LINK.sub(self.change, _TAG.sub(self.hold, html)))

    def hold(self, tag: re.Match[str]) -> str:
        """Take a tag of the template language out of the way."""
        self.tags.append(tag.group())
        return f"{_OPEN}{len(self.tags) - 1}{_CLOSE}"

    def put_back(self, text: str) -> str:
        return _HELD.sub(lambda found: self.tags[int(found[1])], text)

    def change(self, tag: re.Match[str]) -> str:
        """Return a link's tag, its address tracked."""
        text = tag.group()
        attributes = [*_ATTRIBUTE.finditer(text, 2)]
        if text[1:5].lower() == "area":
            attributes = [*_ATTRIBUTE.finditer(text, 5)]
        marked = [one for one in attributes if one["name"].lower() in _NO_TRACK]
        if marked:  # the mark has done its work and is not sent
            for one in reversed(marked):
                text = text[: one.start()] + text[one.end() :]
            return text
        for one in attributes:
            if one["name"].lower() == "href" and one["value"] and self.left:
                tracked = self.address(one["value"].strip("\"'"))
                if tracked is None:
                    return text
                self.left -= 1
                return f'{text[: one.start("value")]}"{tracked}"{text[one.end("value") :]}'
        return text

    def address(self, value: str) -> str | None:
        """Return what stands in `href` instead; None if the link stays as it is."""
        pieces = _HELD.split(value)  # text, number, text, number, ..., text
        texts = [unescape(piece) for piece in pieces[::2]]
        tags = [self.tags[int(number)] for number in pieces[1::2]]
        if not tags:
            url = texts[0].strip()
            return f"{escape(self.link(url))}{{{{ {SEEN} }}}}" if is_trackable(url) else None
        expressions = [tag[2:-2].strip("-+ \t\r\n") for tag in tags if tag.startswith("{{")]
        if len(expressions) < len(tags) or any(map(_is_own, expressions)):
            return None
        if texts[0].strip() and not _WEB.match(f"{texts[0].strip()}x"):
            return None
        parts = [json.dumps(texts[0].lstrip(), ensure_ascii=False)] if texts[0].strip() else []
        for expression, text in zip(expressions, texts[1:], strict=True):
            parts.append(f"({expression})")
            if text:
                parts.append(json.dumps(text, ensure_ascii=False))
        return f"{{{{ ({' ~ '.join(parts)})|tracked }}}}"


def _is_own(expression: str) -> bool:
    return not _OWN.isdisjoint(_WORD.findall(expression))
