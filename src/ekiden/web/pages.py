"""The public pages: templates filled in, in the visitor's language.

They need neither JavaScript nor cookies, load nothing from anywhere, and carry their style inside:
the content security policy allows exactly that one style, by its hash, and nothing else. Every
value is escaped by the template engine, whatever it is.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import Response

from ekiden.web.options import Brand
from ekiden.web.words import LANGUAGES, Words


@dataclass(frozen=True, slots=True)
class TopicChoice:
    """A check box.

    Args:
        name: The topic's name.
        label: What people read.
        description: A sentence below it.
        chosen: It is ticked.
    """

    name: str
    label: str
    description: str
    chosen: bool


class Pages:
    """Makes pages.

    Args:
        brand: How they look.
    """

    def __init__(self, brand: Brand) -> None:
        self.brand = brand
        self._environment = Environment(
            loader=PackageLoader("ekiden.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        loader = self._environment.loader
        assert loader is not None  # noqa: S101 - given above
        style = loader.get_source(self._environment, "style.css")[0]
        style = style.replace("COLOR", brand.color).replace("INK", _ink(brand.color))
        self._style = style
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'"
        )

    def make(
        self,
        template: str,
        words: Words,
        *,
        heading: str,
        status: int = 200,
        brand: str = "",
        notice: str = "",
        problem: str = "",
        lines: Sequence[str] = (),
        **values: Any,
    ) -> Response:
        """Return a page.

        Args:
            template: Its template.
            words: In which language.
            heading: What stands above it.
            status: The status of the answer.
            brand: Whose page it is, where no brand is configured.
            notice: What has been done.
            problem: What has not.
            lines: Paragraphs.
            values: What else the template shows.
        """
        others = [one for one in LANGUAGES.values() if one is not words]
        text = self._environment.get_template(template).render(
            words=words,
            others=others if self.brand.language == "auto" else [],
            style=Markup(self._style),  # noqa: S704 - our own file, a checked colour
            brand=self.brand.name or brand,
            footer=self.brand.footer,
            heading=heading,
            notice=notice,
            problem=problem,
            lines=lines,
            **values,
        )
        headers = {
            "content-security-policy": self._policy,
            "content-language": words["language"],
            "vary": "accept-language",
        }
        return Response(text, status, headers, "text/html; charset=utf-8")

    def told(
        self, words: Words, what: str, *, status: int = 200, brand: str = "", **values: str
    ) -> Response:
        """Return a page that says one thing: the phrase `what`, and `what_detail` below it."""
        detail = words.get(f"{what}_detail", "")
        lines = [detail.format(**values)] if detail else []
        return self.make(
            "page.html", words, heading=words[what], status=status, brand=brand, lines=lines
        )


def _ink(color: str) -> str:
    """Return black or white, whichever stands out more: at least 4.5 to 1 on any colour."""
    bright = _luminance(color)
    return "#fff" if (1.05 / (bright + 0.05)) > ((bright + 0.05) / 0.05) else "#000"


def _luminance(color: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    line = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), line, strict=True))
